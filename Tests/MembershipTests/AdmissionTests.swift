// Coming and going: joining, restarts, leaving, removal, merging by hand, and who is refused.

import SimulatedMembership
import TestSupport
import Testing

@testable import Membership

struct AdmissionTests {
    /// A cluster in which nodes after `running` are off.
    static func cluster(_ count: Int, running: Int, seed: UInt64, rule: PartitionRule = .majority) throws
        -> SimulatedCluster
    {
        var cluster = SimulatedCluster(count: count, seed: seed, rule: rule, start: false)
        for node in 0..<running { cluster.start(node) }
        try #require(cluster.run(until: \.isConverged, limit: 15_000) != nil)
        return cluster
    }

    @Test func `The first view needs a majority of the configured nodes`() throws {
        var cluster = SimulatedCluster(count: 5, seed: 31, rule: .majority, start: false)
        cluster.start(3)
        cluster.start(4)
        cluster.run(milliseconds: 10_000)
        #expect(cluster.nodes[3].state?.view == nil)
        cluster.start(1)
        #expect(cluster.run(until: \.isConverged, limit: 15_000) != nil)
    }

    @Test func `A node without peers is a cluster of itself at once`() {
        let identity = MemberIdentity(id: MemberID("1"), address: "127.0.0.1:8001", incarnation: 1)
        var state = MembershipState(settings: MembershipSettings(cluster: "default"), identity: identity, now: 5)
        let actions = state.tick(now: 5)
        #expect(actions.count == 1)
        #expect(state.view?.members == [identity])
        #expect(state.mayAct(now: 6))
    }

    @Test func `A quick restart is a new member at the end of the view`() throws {
        var cluster = try Self.cluster(3, running: 3, seed: 32)
        let before = try #require(cluster.nodes[1].state?.view)
        cluster.crash(0)
        cluster.run(milliseconds: 100)
        cluster.start(0)
        let elapsed = cluster.run(until: { $0.isConverged && $0.nodes[0].state?.view != before }, limit: 15_000)
        #expect(try #require(elapsed) < 1500)
        #expect(cluster.nodes[1].state?.view?.members.map(\.id.text) == ["n1", "n2", "n0"])
    }

    @Test(arguments: [PartitionRule.majority, .everySide])
    func `A member that leaves is out of the view before it stops`(rule: PartitionRule) throws {
        var cluster = try Self.cluster(3, running: 3, seed: 33, rule: rule)
        cluster.apply(0) { $0.leave(now: $1) }
        let elapsed = cluster.run(until: { $0.nodes[0].state?.phase == .left }, limit: 5000)
        #expect(try #require(elapsed) <= 1000)
        #expect(cluster.run(until: \.isConverged, limit: 2000) != nil)
        #expect(
            cluster.nodes[1].state?.members.contains { $0.state == .left && $0.identity.id == MemberID("n0") } == true)
        // Two go on to one.
        cluster.apply(1) { $0.leave(now: $1) }
        #expect(cluster.run(until: { $0.isConverged && $0.running == [2] }, limit: 5000) != nil)
    }

    @Test func `A member declared dead goes and comes back only when told to connect`() throws {
        var cluster = try Self.cluster(3, running: 3, seed: 34)
        cluster.apply(1) { $0.remove(address: "n2:1", now: $1) }
        #expect(cluster.run(until: { $0.isConverged && $0.running == [0, 1] }, limit: 5000) != nil)
        cluster.run(milliseconds: 10_000)
        #expect(cluster.running == [0, 1])
        cluster.apply(2) { $0.connect(to: "n0:1", now: $1) }
        #expect(cluster.run(until: { $0.isConverged && $0.running == [0, 1, 2] }, limit: 15_000) != nil)
    }

    @Test(arguments: [PartitionRule.majority, .everySide])
    func `Two clusters become one when an operator connects them`(rule: PartitionRule) throws {
        var cluster = SimulatedCluster(count: 5, seed: 35, rule: rule, start: false)
        for node in 0..<5 {
            let side = node < 2 ? [0, 1] : [2, 3, 4]
            cluster.nodes[node].settings.seeds = side.filter { $0 != node }.map { "n\($0):1" }
            cluster.start(node)
        }
        cluster.run(milliseconds: 5000)
        #expect(cluster.nodes[0].state?.view?.members.count == 2)
        #expect(cluster.nodes[4].state?.view?.members.count == 3)
        cluster.apply(0) { $0.connect(to: "n4:1", now: $1) }
        #expect(cluster.run(until: \.isConverged, limit: 15_000) != nil)
    }

    @Test func `A node with the id of a living member is refused and the member stays`() throws {
        var cluster = try Self.cluster(4, running: 3, seed: 36)
        let view = cluster.nodes[0].state?.view
        cluster.nodes[3].id = "n1"
        cluster.start(3)
        let refused = cluster.run(until: { $0.nodes[3].refusal != nil }, limit: 5000)
        #expect(refused != nil)
        #expect(cluster.nodes[3].refusal == .duplicateID(holder: "n1:1"))
        cluster.run(milliseconds: 5000)
        #expect(cluster.nodes[0].state?.view == view)
    }

    @Test func `A node that comes back at another address waits for its old run to be found dead`() throws {
        var cluster = try Self.cluster(4, running: 3, seed: 37)
        cluster.crash(1)
        cluster.nodes[3].id = "n1"
        cluster.run(milliseconds: 50)
        cluster.start(3)
        #expect(cluster.run(until: \.isConverged, limit: 15_000) != nil)
        #expect(cluster.nodes[0].state?.view?.member(MemberID("n1"))?.address == "n3:1")
    }

    @Test func `A node of another cluster is refused`() throws {
        var cluster = try Self.cluster(3, running: 2, seed: 38)
        cluster.nodes[2].settings.cluster = "other"
        cluster.start(2)
        #expect(cluster.run(until: { $0.nodes[2].refusal != nil }, limit: 5000) != nil)
        #expect(cluster.nodes[2].refusal == .otherCluster(expected: "test"))
        #expect(cluster.nodes[0].log.count { if case .peerRefused = $0.action { true } else { false } } == 1)
    }

    @Test func `A node of another protocol version is refused`() throws {
        var cluster = try Self.cluster(2, running: 2, seed: 39)
        let stranger = MemberIdentity(id: MemberID("x"), address: "n1:1", incarnation: 9)
        let message = PeerMessage(
            cluster: "test", protocolVersion: 2, sender: stranger, sequence: 1, epoch: .none, content: .leave)
        var answers: [MembershipAction] = []
        cluster.apply(0) { state, now in
            answers = state.messageReceived(message, now: now)
            return []
        }
        #expect(answers.first == .peerRefused(stranger, .otherProtocol(expected: 1)))
        #expect(answers.count == 2)
    }
}

extension SimulatedCluster.Node {
    var refusal: RefusalReason? {
        guard case .refused(let reason)? = state?.phase else { return nil }
        return reason
    }
}
