// The rules of EtcdMembership one by one, in a simulated cluster.

import Membership
import TestSupport
import Testing

@testable import EtcdTopology

struct MembershipScenarioTests {
    private func converged(_ count: Int, seed: UInt64) throws -> SimulatedEtcdCluster {
        var cluster = SimulatedEtcdCluster(count: count, seed: seed)
        try #require(cluster.run(until: \.isConverged, limit: 5000) != nil, "seed \(seed)")
        // Past the time in which nobody is left out.
        cluster.run(milliseconds: 4000)
        return cluster
    }

    @Test(arguments: 0..<10) func `Nodes that start together form a view in which all serve`(seed: UInt64) throws {
        let cluster = try converged(3, seed: seed)
        #expect(cluster.nodes.allSatisfy { $0.views.count == 1 }, "seed \(seed)")
        // Nobody writes before it has seen what it wrote before.
        #expect(cluster.lostRaces == 0, "seed \(seed)")
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `A newcomer serves once every member has settled`(seed: UInt64) throws {
        var cluster = try converged(3, seed: seed)
        cluster.settling = nil
        let newcomer = cluster.add("new")
        try #require(cluster.run(until: { $0.nodes[newcomer].view != nil }, limit: 3000) != nil)
        cluster.run(milliseconds: 3000)
        let joining = try #require(cluster.nodes[newcomer].view)
        #expect(joining.serving == ["0", "1", "2"].reduce(into: []) { $0.insert(MemberID($1)) })
        for index in 0..<3 {
            cluster.perform(cluster.nodes[index].core.settled(joining.epoch, now: cluster.now), at: index)
        }
        cluster.run(milliseconds: 3000)
        #expect(cluster.nodes[newcomer].view == joining)
        cluster.perform(cluster.nodes[newcomer].core.settled(joining.epoch, now: cluster.now), at: newcomer)
        #expect(cluster.run(until: \.isConverged, limit: 1000) != nil)
        // What was said about an earlier view does not count for the next one.
        let another = cluster.add("another")
        try #require(cluster.run(until: { $0.nodes[another].view != nil }, limit: 3000) != nil)
        let later = try #require(cluster.nodes[another].view)
        cluster.perform(cluster.nodes[another].core.settled(later.epoch, now: cluster.now), at: another)
        cluster.run(milliseconds: 3000)
        #expect(cluster.nodes[another].view == later)
        #expect(cluster.lostRaces == 0, "seed \(seed)")
        #expect(cluster.violations == [])
    }

    @Test func `A view is written only under its author's claim and on top of the view that its author knows`() throws {
        var cluster = try converged(3, seed: 2)
        let layout = cluster.nodes[0].core.layout
        let view = try #require(cluster.store.pairs[layout.key(.view)])
        cluster.add("new")
        try #require(cluster.run(until: { $0.nodes[3].view != nil }, limit: 3000) != nil)
        let (node, transaction) = try #require(cluster.lastPublication)
        let claim = layout.key(.claim(cluster.nodes[node].core.identity.id))
        let born = try #require(cluster.store.pairs[claim]?.createRevision)
        #expect(transaction.conditions == [.created(claim, at: born), .modified(view.key, at: view.modRevision)])
        #expect(cluster.nodes[0].view?.coordinator == cluster.nodes[node].core.identity.id)
    }

    @Test(arguments: 0..<10) func `A mirror stands by, also when its origin is gone, and serves nothing`(seed: UInt64)
        throws
    {
        var cluster = SimulatedEtcdCluster(count: 2, seed: seed)
        let origin = cluster.add("origin", mirrors: ["host-1"])
        try #require(cluster.run(until: \.isConverged, limit: 5000) != nil, "seed \(seed)")
        cluster.run(milliseconds: 4000)
        let view = try #require(cluster.nodes[0].view)
        #expect(view.mirrors == [MemberID("1"): MemberID("origin")])
        #expect(view.serving == [MemberID("0"), MemberID("origin")])
        #expect(view.member(MemberID("origin"))?.mirrors == ["host-1"])
        // Who reports it need not know its mirrors.
        let identity = cluster.nodes[origin].core.identity
        let run = MemberIdentity(id: identity.id, address: identity.address, incarnation: identity.incarnation)
        cluster.crash(origin)
        cluster.perform(cluster.nodes[0].core.processGone(run, now: cluster.now), at: 0)
        let took = cluster.run(until: \.isConverged, limit: 5000)
        #expect(took ?? .max < 100, "seed \(seed)")
        #expect(cluster.nodes[0].view?.mirrors == view.mirrors)
        // Its lease ends behind its back, and it comes back with its mirrors.
        cluster.restart(origin)
        try #require(cluster.run(until: \.isConverged, limit: 5000) != nil, "seed \(seed)")
        let lease = try #require(cluster.nodes[origin].core.lease)
        cluster.store.end(lease: lease.id.rawValue)
        cluster.run(milliseconds: 50)
        #expect(cluster.run(until: \.isConverged, limit: 5000) != nil, "seed \(seed)")
        #expect(cluster.nodes[0].view?.mirrors == view.mirrors)
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `A dead member is left out within its lease, the coordinator too`(seed: UInt64) throws
    {
        for victim in [0, 2] {
            var cluster = try converged(3, seed: seed)
            let index = try #require(
                cluster.nodes.firstIndex { $0.core.identity == cluster.nodes[0].view?.members[victim] })
            cluster.crash(index)
            let took = cluster.run(until: \.isConverged, limit: 6000)
            #expect(took ?? .max <= 3000, "seed \(seed)")
            #expect(cluster.nodes[cluster.active[0]].view?.members.count == 2)
            #expect(cluster.violations == [])
        }
    }

    @Test(arguments: 0..<10) func `A member whose host refuses connections is left out at once`(seed: UInt64) throws {
        var cluster = try converged(3, seed: seed)
        let victim = cluster.nodes[1].core.identity
        cluster.crash(1)
        cluster.perform(cluster.nodes[2].core.processGone(victim, now: cluster.now), at: 2)
        let took = cluster.run(until: \.isConverged, limit: 6000)
        #expect(took ?? .max < 100, "seed \(seed)")
        #expect(cluster.nodes[0].core.members.last == Member(identity: victim, state: .dead))
    }

    @Test func `A living member whose host refuses connections is removed once, not again and again`() throws {
        var cluster = try converged(3, seed: 5)
        for _ in 0..<3 {
            let member = cluster.nodes[1].core.identity
            cluster.perform(cluster.nodes[2].core.processGone(member, now: cluster.now), at: 2)
            cluster.run(milliseconds: 50)
            #expect(cluster.run(until: \.isConverged, limit: 3000) != nil)
        }
        #expect(cluster.nodes[1].expulsions == 1)
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `A node that restarts within its lease takes over its id as a newcomer`(seed: UInt64)
        throws
    {
        var cluster = try converged(3, seed: seed)
        let before = cluster.nodes[0].core.identity
        cluster.crash(0)
        cluster.run(milliseconds: 100)
        cluster.restart(0)
        let took = cluster.run(until: \.isConverged, limit: 6000)
        #expect(took ?? .max < 1500, "seed \(seed)")
        let view = try #require(cluster.nodes[0].view)
        #expect(view.members.last?.id == before.id)
        #expect(view.members.last.map { $0.incarnation > before.incarnation } == true)
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `A cluster that was killed forms again, soon or late`(seed: UInt64) throws {
        for downtime: Int64 in [200, 6000] {
            var cluster = try converged(3, seed: seed)
            for index in 0..<3 { cluster.crash(index) }
            cluster.run(milliseconds: downtime)
            for index in 0..<3 {
                cluster.restart(index)
                cluster.run(milliseconds: 50)
            }
            #expect(cluster.run(until: \.isConverged, limit: 2000) != nil, "seed \(seed), \(downtime) ms")
            #expect(cluster.violations == [])
        }
    }

    @Test(arguments: 0..<10) func `One node of a cluster that was killed goes on alone`(seed: UInt64) throws {
        var cluster = try converged(3, seed: seed)
        for index in 0..<3 { cluster.crash(index) }
        cluster.run(milliseconds: 6000)
        cluster.restart(1)
        // The time in which the others could come back.
        #expect(cluster.run(until: \.isConverged, limit: 4000) != nil, "seed \(seed)")
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `A second node with a living node's id is refused, with a dead one's it is not`(
        seed: UInt64
    ) throws {
        var cluster = try converged(2, seed: seed)
        let twin = cluster.add("0", address: "elsewhere")
        #expect(cluster.run(until: { $0.nodes[twin].refusal != nil }, limit: 5000) != nil)
        #expect(cluster.nodes[twin].refusal == .duplicateID(holder: "host-0"))
        #expect(cluster.isConverged)
        cluster.crash(0)
        let heir = cluster.add("0", address: "elsewhere")
        #expect(cluster.run(until: \.isConverged, limit: 6000) != nil, "seed \(seed)")
        #expect(cluster.nodes[heir].refusal == nil)
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `A node that leaves is out at once and reported as left`(seed: UInt64) throws {
        var cluster = try converged(3, seed: seed)
        let leaver = cluster.nodes[0].core.identity
        cluster.perform(cluster.nodes[0].core.leave(now: cluster.now), at: 0)
        let took = cluster.run(until: { $0.nodes[0].hasLeft && $0.isConverged }, limit: 3000)
        #expect(took ?? .max < 200)
        #expect(cluster.nodes[1].core.members.last == Member(identity: leaver, state: .left))
        // And comes back when it is told to.
        cluster.nodes[0].hasLeft = false
        cluster.perform(cluster.nodes[0].core.rejoin(now: cluster.now), at: 0)
        #expect(cluster.run(until: \.isConverged, limit: 5000) != nil, "seed \(seed)")
        #expect(cluster.nodes[0].core.identity.incarnation > leaver.incarnation)
        #expect(cluster.violations == [])
    }

    @Test func `The last node leaves without waiting`() throws {
        var cluster = try converged(1, seed: 1)
        cluster.perform(cluster.nodes[0].core.leave(now: cluster.now), at: 0)
        let took = cluster.run(until: { $0.nodes[0].hasLeft }, limit: 3000)
        #expect(took ?? .max < 100)
        #expect(!cluster.acts(0))
    }

    @Test func `A node that leaves while etcd is gone is out after the failure time`() throws {
        var cluster = try converged(2, seed: 1)
        cluster.storeState = .down
        cluster.breakWatches()
        cluster.perform(cluster.nodes[0].core.leave(now: cluster.now), at: 0)
        let took = cluster.run(until: { $0.nodes[0].hasLeft }, limit: 5000)
        #expect((2000...2100).contains(took ?? .max))
    }

    @Test(arguments: 0..<10) func `An operator removes a node, which stays away until told to come back`(seed: UInt64)
        throws
    {
        var cluster = try converged(3, seed: seed)
        cluster.perform(cluster.nodes[1].core.remove(address: "host-2", now: cluster.now), at: 1)
        let took = cluster.run(until: { $0.nodes[2].hasLeft && $0.isConverged }, limit: 3000)
        #expect(took ?? .max < 200)
        cluster.run(milliseconds: 5000)
        #expect(cluster.isConverged && cluster.active == [0, 1])
        cluster.nodes[2].hasLeft = false
        cluster.perform(cluster.nodes[2].core.rejoin(now: cluster.now), at: 2)
        #expect(cluster.run(until: \.isConverged, limit: 5000) != nil, "seed \(seed)")
        #expect(cluster.violations == [])
    }

    @Test(arguments: 0..<10) func `A node whose lease ends behind its back stops acting and joins again`(seed: UInt64)
        throws
    {
        var cluster = try converged(3, seed: seed)
        let lease = try #require(cluster.nodes[0].core.lease)
        cluster.store.end(lease: lease.id.rawValue)
        #expect(cluster.run(until: { !$0.acts(0) }, limit: 700) != nil, "seed \(seed)")
        #expect(cluster.run(until: \.isConverged, limit: 3000) != nil)
        #expect(cluster.nodes[0].expulsions == 1)
        #expect(cluster.nodes[0].view?.members.last == cluster.nodes[0].core.identity)
        #expect(cluster.violations == [])
    }

    @Test func `An ended lease stops a node as soon as etcd says so, whether or not the watch does`() throws {
        var cluster = try converged(1, seed: 3)
        let lease = try #require(cluster.nodes[0].core.lease)
        cluster.nodes[0].watch = nil
        cluster.store.end(lease: lease.id.rawValue)
        #expect(cluster.run(until: { !$0.acts(0) }, limit: 700) != nil)
        #expect(cluster.run(until: \.isConverged, limit: 2000) != nil)
        #expect(cluster.violations == [])
    }

    @Test func `A node that meets a later epoch does not act until it is in it`() throws {
        var cluster = try converged(3, seed: 1)
        let number = try #require(cluster.nodes[0].view?.epoch.number)
        cluster.nodes[0].hasLink = false
        cluster.perform(cluster.nodes[0].core.epochMet(number, now: cluster.now), at: 0)
        #expect(cluster.acts(0))
        cluster.perform(cluster.nodes[0].core.epochMet(number + 1, now: cluster.now), at: 0)
        #expect(!cluster.acts(0))
        cluster.run(milliseconds: 10_000)
        #expect(!cluster.acts(0))
        cluster.nodes[0].hasLink = true
        #expect(cluster.run(until: \.isConverged, limit: 5000) != nil)
        #expect(cluster.violations == [])
    }

    @Test func `An epoch from a store that is gone is overtaken`() throws {
        var cluster = try converged(3, seed: 1)
        cluster.perform(cluster.nodes[2].core.epochMet(1000, now: cluster.now), at: 2)
        #expect(
            cluster.run(until: { $0.isConverged && $0.nodes[2].view?.epoch.number ?? 0 > 1000 }, limit: 8000) != nil)
        #expect(cluster.violations == [])
        // What cannot be an epoch is none.
        cluster.perform(cluster.nodes[2].core.epochMet(.max, now: cluster.now), at: 2)
        #expect(cluster.acts(2))
    }
}
