// A node against messages that no sound peer sends, and the simulator's checks against a node that breaks the rules.

import SimulatedMembership
import TestSupport
import Testing

@testable import Membership

struct HostileMessageTests {
    @Test(arguments: 0..<20)
    func `No message makes a node trap and its epoch never falls`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var cluster = SimulatedCluster(count: 3, seed: seed, rule: seed % 2 == 0 ? .majority : .everySide)
        _ = cluster.run(until: \.isConverged, limit: 5000)
        for _ in 0..<2000 {
            let message = Self.message(&random, now: cluster.now)
            cluster.apply(Int.random(in: 0..<3, using: &random)) { $0.messageReceived(message, now: $1) }
            cluster.run(milliseconds: Int64.random(in: 0...20, using: &random))
        }
        #expect(!cluster.violations.contains { $0.contains("went back") }, "seed \(seed)")
    }

    @Test func `The simulator notices a node that acts for too long`() {
        var cluster = SimulatedCluster(count: 3, seed: 1, rule: .majority)
        _ = cluster.run(until: \.isConverged, limit: 5000)
        cluster.pause(0)
        cluster.nodes[0].state?.leaseEnd = .max
        cluster.nodes[0].state?.lastTick = cluster.now + 1_000_000
        cluster.run(milliseconds: 5000)
        #expect(cluster.violations.contains { $0.contains("node 0 acts") })
    }

    static func number(_ random: inout SeededRandom) -> UInt64 {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: UInt64.random(in: 0...3, using: &random)
        case 1: UInt64.random(in: 1000...1100, using: &random)
        case 2: (1 << 53) - 1
        default: .random(in: 0 ... .max, using: &random)
        }
    }

    static func epoch(_ random: inout SeededRandom) -> Epoch {
        Epoch(number: number(&random), proposer: MemberID("n\(Int.random(in: 0...4, using: &random))"))
    }

    static func identity(_ random: inout SeededRandom) -> MemberIdentity {
        let node = Int.random(in: 0...4, using: &random)
        let address = Int.random(in: 0...9, using: &random) == 0 ? "elsewhere:1" : "n\(node):1"
        return MemberIdentity(id: MemberID("n\(node)"), address: address, incarnation: number(&random))
    }

    static func view(_ random: inout SeededRandom) -> View {
        let members = (0..<Int.random(in: 0...4, using: &random)).map { _ in identity(&random) }
        return View(epoch: epoch(&random), members: members)
    }

    static func message(_ random: inout SeededRandom, now: Int64) -> PeerMessage {
        let target = MemberID("n\(Int.random(in: 0...4, using: &random))")
        let time = Bool.random(using: &random) ? now : Int64.random(in: .min ... .max, using: &random)
        let content: PeerMessageContent =
            switch Int.random(in: 0..<11, using: &random) {
            case 0:
                .heartbeat(
                    Heartbeat(
                        sentAt: time, hearsMajority: .random(using: &random), doubted: number(&random),
                        highestNumber: number(&random), isUndecided: .random(using: &random), isSettled: true))
            case 1:
                .heartbeatReply(
                    HeartbeatReply(
                        sentAt: time, granted: .random(using: &random), hearsMajority: .random(using: &random),
                        doubted: number(&random), isSettled: true))
            case 2: .probeRequest(target: target)
            case 3: .probeAnswer(target: target, incarnation: number(&random), heardAgo: time)
            case 4: .prepare(epoch: epoch(&random), base: view(&random))
            case 5: .promise(epoch: epoch(&random), accepted: view(&random))
            case 6: .propose(view: view(&random), base: view(&random))
            case 7: .accepted(epoch: epoch(&random))
            case 8: .outdated(promised: epoch(&random))
            case 9: .view(view(&random), inAnswer: .random(using: &random))
            default: .leave
            }
        return PeerMessage(
            cluster: "test", protocolVersion: membershipProtocolVersion, sender: identity(&random),
            sequence: number(&random), epoch: Bool.random(using: &random) ? .none : epoch(&random), content: content)
    }
}
