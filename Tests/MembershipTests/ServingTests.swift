// Who owns keys when: joining members wait until all are settled, former owners are heard before a new one acts, and a
// refused connection is taken at its word.

import TestSupport
import Testing

@testable import Membership

struct ServingTests {
    /// Three nodes in one view without a network between them: messages are handed over by the test.
    private struct Trio {
        var states: [MembershipState]
        var now: Int64 = 1000
        /// Ids that say so when they enter a view.
        var settling: Set<String>

        init(settling: Set<String>, mirrorsOfA: [String] = []) {
            self.settling = settling
            let addresses = ["a:1", "b:1", "c:1"]
            states = addresses.map { address in
                MembershipState(
                    settings: MembershipSettings(cluster: "test", seeds: addresses.filter { $0 != address }),
                    identity: MemberIdentity(
                        id: MemberID(String(address.prefix(1))), address: address, incarnation: 1,
                        mirrors: address == "a:1" ? mirrorsOfA : []),
                    now: 1000)
            }
        }

        mutating func perform(_ actions: [MembershipAction], of index: Int, running: Set<Int>) {
            for action in actions {
                switch action {
                case .send(let message, let address):
                    guard let target = states.indices.first(where: { states[$0].identity.address == address }),
                        running.contains(target)
                    else { continue }
                    let answer = states[target].messageReceived(message, now: now)
                    perform(answer, of: target, running: running)
                case .viewInstalled(let view, _) where settling.contains(states[index].identity.id.text):
                    perform(states[index].settled(view.epoch, now: now), of: index, running: running)
                default: break
                }
            }
        }

        mutating func run(milliseconds: Int64, running: Set<Int>) {
            let end = now + milliseconds
            while now < end {
                now += 50
                for index in running.sorted() { perform(states[index].tick(now: now), of: index, running: running) }
            }
        }
    }

    @Test func `A joining member serves once all members are settled and not before`() {
        var trio = Trio(settling: ["a", "b"])
        trio.run(milliseconds: 3000, running: [0, 1])
        #expect(trio.states[0].view?.serving.count == 2)
        trio.run(milliseconds: 3000, running: [0, 1, 2])
        #expect(trio.states[0].view?.members.count == 3)
        #expect(trio.states[2].view?.serving == [MemberID("a"), MemberID("b")])
        guard let epoch = trio.states[2].view?.epoch else { return }
        trio.perform(trio.states[2].settled(epoch, now: trio.now), of: 2, running: [0, 1, 2])
        trio.run(milliseconds: 1000, running: [0, 1, 2])
        #expect(trio.states.allSatisfy { $0.view?.hasJoining == false && $0.view?.members.count == 3 })
        #expect(trio.states.allSatisfy { $0.mayAct(now: trio.now) })
    }

    @Test func `Whoever begins to serve waits for the former owners to know it`() {
        var trio = Trio(settling: ["a", "b", "c"])
        trio.run(milliseconds: 3000, running: [0, 1])
        trio.settling = ["a", "b"]
        trio.run(milliseconds: 1000, running: [0, 1, 2])
        guard let view = trio.states[2].view, view.hasJoining else {
            Issue.record("c is not joining")
            return
        }
        // The coordinator's next view reaches c alone.
        let next = View(epoch: Epoch(number: view.epoch.number + 1, proposer: MemberID("a")), members: view.members)
        let message = PeerMessage(
            cluster: "test", protocolVersion: membershipProtocolVersion, sender: trio.states[0].identity,
            sequence: 1_000_000, epoch: next.epoch, content: .view(next, inAnswer: false))
        _ = trio.states[2].messageReceived(message, now: trio.now)
        #expect(trio.states[2].view == next)
        // a has said that it is in the view; b has not.
        #expect(!trio.states[2].mayAct(now: trio.now))
        var heartbeat = message
        heartbeat.sender = trio.states[1].identity
        heartbeat.content = .heartbeat(
            Heartbeat(
                sentAt: 1, hearsMajority: true, doubted: 0, highestNumber: 1, isUndecided: false, isSettled: false))
        _ = trio.states[2].messageReceived(heartbeat, now: trio.now)
        #expect(trio.states[2].mayAct(now: trio.now))
    }

    @Test func `A node whose seeds all refuse connections is a cluster of itself at once`() {
        var trio = Trio(settling: [])
        trio.run(milliseconds: 100, running: [0])
        #expect(trio.states[0].view == nil)
        _ = trio.states[0].connectionRefused(by: "b:1", now: trio.now)
        trio.run(milliseconds: 100, running: [0])
        #expect(trio.states[0].view == nil)
        _ = trio.states[0].connectionRefused(by: "c:1", now: trio.now)
        trio.run(milliseconds: 100, running: [0])
        #expect(trio.states[0].view?.members.count == 1)
        #expect(trio.states[0].mayAct(now: .max - 1))
    }

    @Test func `A member whose host refuses connections is out of the next view at once`() {
        var trio = Trio(settling: ["a", "b", "c"])
        trio.run(milliseconds: 3000, running: [0, 1, 2])
        #expect(trio.states[0].view?.members.count == 3)
        trio.perform(trio.states[1].connectionRefused(by: "c:1", now: trio.now), of: 1, running: [0, 1])
        trio.perform(trio.states[0].connectionRefused(by: "c:1", now: trio.now), of: 0, running: [0, 1])
        trio.run(milliseconds: 100, running: [0, 1])
        #expect(trio.states[0].view?.members.map(\.id.text) == ["a", "b"])
        #expect(trio.states[1].view == trio.states[0].view)
    }

    @Test func `A mirror owns no keys, and stands by for its origin also when that is gone and back`() {
        var trio = Trio(settling: ["a", "b", "c"], mirrorsOfA: ["c:1"])
        trio.run(milliseconds: 3000, running: [0, 1, 2])
        let (a, b, c) = (MemberID("a"), MemberID("b"), MemberID("c"))
        #expect(trio.states.allSatisfy { $0.view?.mirrors == [c: a] && $0.view?.serving == [a, b] })
        #expect(trio.states[0].view?.hasJoining == false)
        for index in [1, 2] {
            trio.perform(trio.states[index].connectionRefused(by: "a:1", now: trio.now), of: index, running: [1, 2])
        }
        trio.run(milliseconds: 500, running: [1, 2])
        #expect(trio.states[1].view?.members.map(\.id) == [b, c])
        #expect(trio.states[1].view?.mirrors == [c: a] && trio.states[2].view?.serving == [b])
        trio.states[0] = MembershipState(
            settings: trio.states[0].settings,
            identity: MemberIdentity(id: a, address: "a:1", incarnation: 5000, mirrors: ["c:1"]), now: trio.now)
        trio.run(milliseconds: 3000, running: [0, 1, 2])
        #expect(trio.states.allSatisfy { $0.view?.mirrors == [c: a] && $0.view?.serving == [a, b] })
    }

    @Test func `A member that has to bring about a view without itself joins again`() throws {
        var trio = Trio(settling: ["a", "b", "c"])
        trio.run(milliseconds: 3000, running: [0, 1, 2])
        let view = try #require(trio.states[0].view)
        // Agreed by the others while a was cut off; a adopted it from what they had accepted.
        let without = View(
            epoch: Epoch(number: view.epoch.number + 1, proposer: MemberID("a")),
            members: view.members.filter { $0.id.text != "a" })
        trio.states[0].install(without, isOwn: true, now: trio.now)
        guard case .joining = trio.states[0].phase else {
            Issue.record("a is \(trio.states[0].phase)")
            return
        }
        trio.run(milliseconds: 3000, running: [0, 1, 2])
        #expect(trio.states.allSatisfy { $0.view?.members.count == 3 && $0.view?.hasJoining == false })
    }
}
