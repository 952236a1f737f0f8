// EtcdMembership when etcd, the way to it, or the node itself stops: simulated, with seeds.

import Membership
import TestSupport
import Testing

@testable import EtcdTopology

struct MembershipOutageTests {
    private func converged(_ count: Int, seed: UInt64) throws -> SimulatedEtcdCluster {
        var cluster = SimulatedEtcdCluster(count: count, seed: seed)
        try #require(cluster.run(until: \.isConverged, limit: 5000) != nil, "seed \(seed)")
        cluster.run(milliseconds: 4000)
        return cluster
    }

    /// Runs and counts the milliseconds in which one of the nodes does not act.
    private func idleTime(_ cluster: inout SimulatedEtcdCluster, milliseconds: Int64) -> Int {
        var idle = 0
        for _ in 0..<milliseconds {
            cluster.run(milliseconds: 1)
            if !cluster.active.allSatisfy({ cluster.acts($0) }) { idle += 1 }
        }
        return idle
    }

    @Test(arguments: 0..<10) func `While etcd is stopped, and after, every node acts in the same view`(seed: UInt64)
        throws
    {
        var cluster = try converged(3, seed: seed)
        let view = cluster.nodes[0].view
        for pause: Int64 in [500, 1500, 3000, 10_000] {
            cluster.storeState = .paused
            var idle = idleTime(&cluster, milliseconds: pause)
            cluster.storeState = .up
            idle += idleTime(&cluster, milliseconds: 6000)
            #expect(idle == 0, "seed \(seed), \(pause) ms")
            #expect(cluster.nodes.allSatisfy { $0.view == view && $0.expulsions == 0 }, "seed \(seed), \(pause) ms")
            #expect(cluster.isConverged)
        }
        #expect(cluster.nodes.allSatisfy { $0.outages >= 2 })
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `While etcd is down, and when it comes back, every node acts in the same view`(
        seed: UInt64
    ) throws {
        var cluster = try converged(3, seed: seed)
        let view = cluster.nodes[0].view
        cluster.storeState = .down
        cluster.breakWatches()
        var idle = idleTime(&cluster, milliseconds: 8000)
        cluster.storeState = .up
        idle += idleTime(&cluster, milliseconds: 6000)
        #expect(idle == 0, "seed \(seed)")
        #expect(cluster.isConverged)
        #expect(cluster.nodes.allSatisfy { $0.view == view })
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `A wiped store gets the last view again under a higher epoch`(seed: UInt64) throws {
        var cluster = try converged(3, seed: seed)
        // A long past, so that the new store's revisions are lower.
        for _ in 0..<(seed % 2 == 0 ? 1000 : 0) { cluster.store.touchForeignKey() }
        cluster.crash(1)
        cluster.restart(1)
        try #require(cluster.run(until: \.isConverged, limit: 5000) != nil)
        cluster.run(milliseconds: 4000)
        let before = try #require(cluster.nodes[0].view)
        // So quickly that no call fails, or not.
        let downtime: Int64 = seed % 4 < 2 ? 0 : 1000
        if downtime > 0 { cluster.storeState = .down }
        cluster.breakWatches()
        var idle = idleTime(&cluster, milliseconds: downtime)
        cluster.wipeStore()
        // In some runs the new store soon looks older than the old one did.
        for _ in 0..<(seed % 3 == 0 ? 2000 : 0) { cluster.store.touchForeignKey() }
        cluster.storeState = .up
        idle += idleTime(&cluster, milliseconds: 6000)
        #expect(idle == 0, "seed \(seed)")
        let after = try #require(cluster.nodes[0].view)
        #expect(after.epoch.number > before.epoch.number)
        #expect(after.members == before.members && after.serving == before.serving, "seed \(seed)")
        #expect(cluster.isConverged)
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `A stranger who is first in a wiped store does not cost the others their places`(
        seed: UInt64
    ) throws {
        var cluster = try converged(3, seed: seed)
        for _ in 0..<1000 { cluster.store.touchForeignKey() }
        for index in 0..<3 { cluster.nodes[index].hasLink = false }
        cluster.breakWatches()
        cluster.wipeStore()
        let before = try #require(cluster.nodes[0].view)
        // The stranger's view is the second write after these: it may even get the number of the last view.
        let isSameNumber = seed % 2 == 0
        if isSameNumber {
            while cluster.store.revision + 2 < before.epoch.number { cluster.store.touchForeignKey() }
        }
        cluster.settling = nil
        let stranger = cluster.add("stranger")
        try #require(cluster.run(until: { $0.nodes[stranger].view != nil }, limit: 3000) != nil)
        if isSameNumber { #expect(cluster.nodes[stranger].view?.epoch.number == before.epoch.number) }
        for index in 0..<3 { cluster.nodes[index].hasLink = true }
        let agreed = cluster.run(
            until: { cluster in
                cluster.nodes.allSatisfy { $0.view?.members.count == 4 && $0.view == cluster.nodes[0].view }
            },
            limit: 8000)
        try #require(agreed != nil, "seed \(seed)")
        cluster.run(milliseconds: 5000)
        let after = try #require(cluster.nodes[0].view)
        #expect(after.epoch.number > before.epoch.number)
        #expect(after.serving == before.serving, "seed \(seed)")
        #expect(cluster.nodes[0..<3].allSatisfy { $0.expulsions == 0 })
        // Who knows nothing of the past may give out a number of it; whoever knows does not follow.
        let repeated = isSameNumber ? before.epoch.number : 0
        #expect(cluster.violations.filter { !$0.hasSuffix("two views of epoch \(repeated)") } == [])
    }

    @Test(arguments: 0..<10) func `A stopped node has ceased to act before it is left out`(seed: UInt64) throws {
        var cluster = try converged(3, seed: seed)
        cluster.run(milliseconds: Int64(seed) * 61)
        cluster.nodes[1].isPaused = true
        let others = [0, 2]
        let isOut = { (cluster: SimulatedEtcdCluster) in
            others.allSatisfy { cluster.nodes[$0].view?.members.count == 2 }
        }
        try #require(cluster.run(until: isOut, limit: 5000) != nil, "seed \(seed)")
        #expect(!cluster.acts(1))
        let old = try #require(cluster.nodes[1].view?.epoch)
        cluster.run(milliseconds: 3000)
        cluster.nodes[1].isPaused = false
        for _ in 0..<1000 {
            cluster.run(milliseconds: 1)
            #expect(!cluster.acts(1) || cluster.nodes[1].view.map { $0.epoch > old } == true, "seed \(seed)")
        }
        #expect(cluster.run(until: \.isConverged, limit: 5000) != nil)
        #expect(cluster.violations == [])
    }

    @Test func `What a stopped node was waiting for says nothing about etcd when it runs again`() throws {
        var cluster = try converged(2, seed: 6)
        let lease = try #require(cluster.nodes[1].core.lease)
        try #require(cluster.run(until: { $0.nodes[1].core.inFlight == [.keepAlive(lease.id)] }, limit: 2000) != nil)
        let sentAt = cluster.now
        cluster.nodes[1].isPaused = true
        cluster.run(milliseconds: 6000)
        // Its timers are the first to go off.
        let late = EtcdError.timedOut(milliseconds: 1000)
        cluster.perform(
            cluster.nodes[1].core.replied(
                to: .keepAlive(lease.id), with: .failure(late), sentAt: sentAt, now: cluster.now), at: 1)
        #expect(!cluster.acts(1))
        cluster.nodes[1].isPaused = false
        #expect(cluster.run(until: \.isConverged, limit: 5000) != nil)
        #expect(cluster.nodes[1].expulsions == 1)
    }

    @Test func `A list that is older than a write beside it shows no other store`() throws {
        var cluster = try converged(1, seed: 7)
        let core = cluster.nodes[0].core
        guard case .claimed = core.registration, let view = core.view else {
            Issue.record("no claim")
            return
        }
        guard case .success(let list) = cluster.store.answer(.list(prefix: core.layout.root), now: cluster.now) else {
            return
        }
        cluster.perform(cluster.nodes[0].core.watchEnded(.unreachable("cut"), now: cluster.now), at: 0)
        try #require(cluster.run(until: { $0.nodes[0].core.inFlight.contains(.list) }, limit: 1000) != nil)
        var header = list.header
        header.revision = header.revision.next
        let written = EtcdReply(header: header, content: .committed(succeeded: true))
        let sentAt = cluster.now
        cluster.perform(
            cluster.nodes[0].core.replied(to: .settle, with: .success(written), sentAt: sentAt, now: sentAt), at: 0)
        cluster.perform(
            cluster.nodes[0].core.replied(to: .list, with: .success(list), sentAt: sentAt, now: sentAt), at: 0)
        #expect(cluster.nodes[0].core.registration == core.registration)
        #expect(cluster.nodes[0].core.view == view)
    }

    @Test(arguments: 0..<10) func `A node without a way to etcd acts on until it hears of a later epoch`(seed: UInt64)
        throws
    {
        var cluster = try converged(3, seed: seed)
        cluster.nodes[2].hasLink = false
        let gone = cluster.run(until: { $0.nodes[0].view?.members.count == 2 }, limit: 5000)
        try #require(gone != nil, "seed \(seed)")
        #expect(cluster.acts(2))
        let number = try #require(cluster.nodes[0].view?.epoch.number)
        cluster.perform(cluster.nodes[2].core.epochMet(number, now: cluster.now), at: 2)
        #expect(!cluster.acts(2))
        cluster.nodes[2].hasLink = true
        #expect(cluster.run(until: \.isConverged, limit: 6000) != nil)
        #expect(cluster.nodes[2].expulsions == 1)
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `A watch that meets compacted history is followed by a list`(seed: UInt64) throws {
        var cluster = try converged(3, seed: seed)
        cluster.breakWatch(0)
        // Its list is asked for already; what happens now is news to the watch after it.
        cluster.perform(cluster.nodes[2].core.leave(now: cluster.now), at: 2)
        for _ in 0..<30 {
            cluster.store.compact()
            cluster.run(milliseconds: 10)
        }
        #expect(cluster.run(until: \.isConverged, limit: 3000) != nil, "seed \(seed)")
        #expect(cluster.nodes[0].view?.members.count == 2)
        #expect(cluster.violations == [])
    }

    @Test func `A watch that says nothing any more is replaced`() throws {
        var cluster = try converged(3, seed: 3)
        // Silent, not ended: the connection's way back is gone.
        cluster.nodes[0].watch = nil
        cluster.crash(2)
        #expect(cluster.run(until: \.isConverged, limit: 20_000) != nil)
        #expect(cluster.violations == [])
    }

    @Test func `Values that make no sense are dropped, told, and overwritten`() throws {
        var cluster = try converged(2, seed: 4)
        let key = cluster.nodes[0].core.layout.key(.view)
        let nonsense: [Transaction.Operation] = [
            .put(key, value: Array("{\"base\":\"18446744073709551615\"}".utf8), lease: nil),
            .put(cluster.nodes[0].core.layout.root + "members/zz", value: Array("[".utf8), lease: nil),
            .put(cluster.nodes[0].core.layout.root + "what/ever", value: [], lease: nil),
        ]
        _ = cluster.store.answer(.commit(Transaction(conditions: [], operations: nonsense)), now: cluster.now)
        let before = try #require(cluster.nodes[0].view)
        #expect(cluster.run(until: { $0.isConverged && $0.nodes[0].view != before }, limit: 5000) != nil)
        #expect(cluster.nodes[0].dropped.count >= 3)
        #expect(cluster.nodes[0].view?.members == before.members)
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<30) func `After any faults the nodes that are left agree`(seed: UInt64) throws {
        var cluster = SimulatedEtcdCluster(count: 4, seed: seed)
        var random = SeededRandom(seed: seed ^ 0xE7CD)
        for _ in 0..<25 {
            let node = Int.random(in: 0..<4, using: &random)
            switch Int.random(in: 0..<12, using: &random) {
            case 0: cluster.storeState = .paused
            case 1:
                cluster.storeState = .down
                cluster.breakWatches()
            case 2:
                cluster.wipeStore()
                cluster.storeState = .up
            case 3, 4: cluster.storeState = .up
            case 5: cluster.crash(node)
            case 6: if !cluster.nodes[node].isRunning { cluster.restart(node) }
            case 7: cluster.nodes[node].isPaused.toggle()
            case 8: cluster.nodes[node].hasLink.toggle()
            case 9: cluster.breakWatch(node)
            case 10: cluster.store.compact()
            default:
                let gone = cluster.nodes[node].core.identity
                let other = (node + 1) % 4
                if cluster.nodes[other].isRunning, !cluster.nodes[other].isPaused {
                    cluster.perform(cluster.nodes[other].core.processGone(gone, now: cluster.now), at: other)
                }
            }
            cluster.loss = Double.random(in: 0..<0.2, using: &random)
            cluster.run(milliseconds: Int64.random(in: 1...1500, using: &random))
        }
        cluster.loss = 0
        cluster.storeState = .up
        for index in cluster.nodes.indices {
            cluster.nodes[index].isPaused = false
            cluster.nodes[index].hasLink = true
        }
        #expect(cluster.run(until: \.isConverged, limit: 20_000) != nil || cluster.active.isEmpty, "seed \(seed)")
        #expect(cluster.violations == [], "seed \(seed)")
    }
}
