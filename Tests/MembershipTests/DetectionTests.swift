// How fast the dead are found, and that the living are not taken for dead.

import SimulatedMembership
import TestSupport
import Testing

@testable import Membership

struct DetectionTests {
    /// The bound promised to users, plus a message's time under way.
    static let bound: Int64 = 2000 + 2 * 500

    @Test(arguments: [0.0, 0.2], 0..<20)
    func `Every survivor is in a view without a dead node within the bound`(loss: Double, seed: UInt64) throws {
        for rule in [PartitionRule.majority, .everySide] {
            var cluster = SimulatedCluster(count: 3 + Int(seed % 4), seed: seed, rule: rule)
            cluster.network.loss = loss
            try #require(cluster.run(until: \.isConverged, limit: 15_000) != nil, "seed \(seed)")
            cluster.run(milliseconds: Int64(seed) * 37)
            // The coordinator first: its successor has to notice and to take over within the same time.
            let victim = seed % 2 == 0 ? 0 : cluster.nodes.count - 1
            cluster.crash(victim)
            let survivors = cluster.running
            let took = cluster.run(
                until: { cluster in survivors.allSatisfy { cluster.hasExcluded(victim, at: $0) } }, limit: 10_000)
            #expect(try #require(took) <= Self.bound + 50, "seed \(seed), loss \(loss), \(rule)")
            #expect(cluster.isConverged || cluster.run(until: \.isConverged, limit: 1000) != nil)
            #expect(cluster.violations.isEmpty)
        }
    }

    // A heartbeat round leaves no sign of life of a living member with probability 0.2 * (1 - 0.8^2) = 0.072: its own
    // heartbeat and its reply to ours must both be lost. Four rounds fit into the failure time: 2.7e-5. From half of it on
    // there are also eight rounds of one direct probe and up to three indirect ones, each failing with 1 - 0.64 = 0.36: with
    // one helper 0.36^16 = 8e-8, with three 0.36^32. One removal an ordered pair and window needs all of it: below 2.2e-12
    // with three members, times 6 pairs and 1,200 windows in ten minutes, 1.5e-8; without any helper (two members) 1.8e-5.
    @Test(arguments: [(2, UInt64(1)), (3, 2), (5, 3), (8, 4)])
    func `No living node is removed in ten minutes with a fifth of the messages lost`(count: Int, seed: UInt64) throws {
        var cluster = SimulatedCluster(count: count, seed: seed, rule: .majority)
        cluster.network.loss = 0.2
        try #require(cluster.run(until: \.isConverged, limit: 15_000) != nil)
        let view = try #require(cluster.nodes[0].state?.view)
        for index in cluster.nodes.indices { cluster.nodes[index].log = [] }
        cluster.run(milliseconds: 600_000)
        for node in cluster.nodes { #expect(node.state?.view == view, "seed \(seed)") }
        let suspicions = cluster.nodes.flatMap(\.log).count { entry in
            if case .memberBecame(.suspect, _) = entry.action { true } else { false }
        }
        let deaths = cluster.nodes.flatMap(\.log).count { entry in
            if case .memberBecame(.dead, _) = entry.action { true } else { false }
        }
        print(
            "\(count) members, 20 % loss, 10 min: \(suspicions) suspicions, \(deaths) deaths, \(cluster.messages) messages"
        )
        #expect(deaths == 0)
        // The fault took effect.
        #expect(suspicions > 0)
        #expect(cluster.violations.isEmpty)
    }

    @Test func `A hundred nodes form one cluster and drop a dead one within the bound`() throws {
        var cluster = SimulatedCluster(count: 100, seed: 11, rule: .majority)
        cluster.network.loss = 0.05
        let formation = cluster.run(until: \.isConverged, limit: 15_000)
        cluster.run(milliseconds: 2000)
        cluster.crash(0)
        let detection = cluster.run(
            until: { cluster in (1..<100).allSatisfy { cluster.hasExcluded(0, at: $0) } }, limit: 10_000)
        let (formed, took) = (try #require(formation), try #require(detection))
        print("100 nodes: formed in \(formed) ms, coordinator's death known everywhere after \(took) ms")
        #expect(took <= Self.bound + 50)
        #expect(cluster.violations.isEmpty)
        #expect(cluster.expulsions == 0)
    }

    @Test func `A member that one other cannot hear is vouched for by the third`() throws {
        var cluster = SimulatedCluster(count: 3, seed: 5, rule: .majority)
        try #require(cluster.run(until: \.isConverged, limit: 15_000) != nil)
        cluster.network.cut[1][2] = true
        cluster.network.cut[2][1] = true
        cluster.run(milliseconds: 30_000)
        #expect(cluster.isConverged)
        #expect(cluster.expulsions == 0)
    }

    @Test func `A deaf node is removed although it can be heard`() throws {
        var cluster = SimulatedCluster(count: 4, seed: 6, rule: .majority)
        try #require(cluster.run(until: \.isConverged, limit: 15_000) != nil)
        for from in 0..<3 { cluster.network.cut[from][3] = true }
        let took = cluster.run(
            until: { cluster in (0..<3).allSatisfy { cluster.hasExcluded(3, at: $0) } }, limit: 10_000)
        #expect(took != nil)
        #expect(cluster.nodes[3].state?.mayAct(now: cluster.now) == false)
        cluster.heal()
        #expect(cluster.run(until: \.isConverged, limit: 15_000) != nil)
    }
}
