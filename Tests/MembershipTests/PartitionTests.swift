// Split networks and stopped nodes: who goes on, who must not, and how they find each other again.

import SimulatedMembership
import TestSupport
import Testing

@testable import Membership

struct PartitionTests {
    static func converged(_ count: Int, seed: UInt64, rule: PartitionRule) throws -> SimulatedCluster {
        var cluster = SimulatedCluster(count: count, seed: seed, rule: rule)
        try #require(cluster.run(until: \.isConverged, limit: 15_000) != nil, "seed \(seed)")
        return cluster
    }

    @Test(arguments: [([0, 1], [2, 3, 4]), ([2, 3, 4], [0, 1]), ([0], [1, 2, 3, 4])])
    func `Only the majority goes on and the minority stops within the failure time`(one: [Int], other: [Int]) throws {
        var cluster = try Self.converged(5, seed: 21, rule: .majority)
        let minority = one.count < other.count ? one : other
        let majority = one.count < other.count ? other : one
        cluster.split([one, other])
        cluster.run(milliseconds: 2000)
        for node in minority { #expect(cluster.nodes[node].state?.mayAct(now: cluster.now) == false) }
        cluster.run(milliseconds: 1500)
        for node in majority {
            #expect(cluster.nodes[node].state?.view?.members.count == majority.count)
            #expect(cluster.nodes[node].state?.mayAct(now: cluster.now) == true)
        }
        cluster.run(milliseconds: 20_000)
        for node in minority { #expect(cluster.nodes[node].state?.mayAct(now: cluster.now) == false) }
        cluster.heal()
        let took = cluster.run(until: \.isConverged, limit: 15_000)
        print("split \(one)|\(other): converged \(took ?? -1) ms after healing")
        #expect(took != nil)
        #expect(cluster.violations.isEmpty)
    }

    @Test func `Every side goes on when no majority is asked for and they merge`() throws {
        var cluster = try Self.converged(5, seed: 22, rule: .everySide)
        cluster.split([[0, 1], [2, 3, 4]])
        cluster.run(milliseconds: 10_000)
        for node in 0..<5 {
            #expect(cluster.nodes[node].state?.mayAct(now: cluster.now) == true)
            #expect(cluster.nodes[node].state?.view?.members.count == (node < 2 ? 2 : 3))
        }
        cluster.heal()
        #expect(cluster.run(until: \.isConverged, limit: 15_000) != nil)
        // The larger side stayed.
        #expect(cluster.nodes[2].state?.view?.coordinator == MemberID("n2"))
    }

    @Test(arguments: [PartitionRule.majority, .everySide])
    func `A coordinator stopped for 30 seconds acts on no old view when it goes on`(rule: PartitionRule) throws {
        var cluster = try Self.converged(3, seed: 23, rule: rule)
        #expect(cluster.nodes[0].state?.view?.coordinator == MemberID("n0"))
        cluster.pause(0)
        cluster.run(milliseconds: 30_000)
        #expect(cluster.nodes[1].state?.view?.coordinator == MemberID("n1"))
        // Before anything reached it: its clock alone tells.
        #expect(cluster.nodes[0].state?.mayAct(now: cluster.now) == false)
        cluster.resume(0)
        let resumed = cluster.now
        while !cluster.isConverged, cluster.now < resumed + 5000 {
            cluster.run(milliseconds: 10)
            if cluster.nodes[0].state?.mayAct(now: cluster.now) == true {
                // One of them may be a view ahead in which the other one serves as well.
                #expect(cluster.nodes[0].state?.view?.members == cluster.nodes[1].state?.view?.members)
            }
        }
        print("\(rule): stopped coordinator is a member again after \(cluster.now - resumed) ms")
        #expect(cluster.isConverged)
        #expect(cluster.nodes[0].state?.view?.coordinator == MemberID("n1"))
    }

    @Test func `A two-node cluster stands still under the majority rule until the other comes back`() throws {
        var cluster = try Self.converged(2, seed: 24, rule: .majority)
        cluster.crash(1)
        cluster.run(milliseconds: 10_000)
        #expect(cluster.nodes[0].state?.mayAct(now: cluster.now) == false)
        cluster.start(1)
        #expect(cluster.run(until: \.isConverged, limit: 15_000) != nil)
    }

    @Test func `A majority that restarts without memory is taken back once every member is accounted for`() throws {
        var cluster = try Self.converged(3, seed: 25, rule: .majority)
        cluster.crash(1)
        cluster.crash(2)
        cluster.run(milliseconds: 5000)
        cluster.start(1)
        cluster.start(2)
        #expect(cluster.run(until: \.isConverged, limit: 15_000) != nil)
        #expect(cluster.violations.isEmpty)
    }
}
