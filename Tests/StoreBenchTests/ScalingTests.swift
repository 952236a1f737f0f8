// Members and locks: the counts that do not depend on a clock.

import Membership
import SimulatedMembership
import Testing

@testable import storebench

struct ScalingTests {
    @Test(arguments: [PartitionRule.everySide, .majority])
    func `Members form one view, heartbeat each other, and all know of a death within the failure time and a second`(
        rule: PartitionRule
    ) throws {
        let figures = MemberFigures.measure(members: 12, seedsPerNode: 2, rule: rule)
        #expect(figures.formedAfter != nil)
        #expect(try #require(figures.deathKnownAfter) <= 3050)
        // Heartbeats to eleven others and answers to theirs, at most one each 500 ms.
        let most = Double(11 * 2 * 2)
        #expect(most * 0.7...most ~= figures.messagesPerSecond)
    }

    @Test func `A cluster that is begun as formed is in one view at once and stays in it`() throws {
        var cluster = SimulatedCluster(count: 9, seed: 4, rule: .everySide, start: false, seedsPerNode: 2)
        cluster.startFormed()
        let views = cluster.nodes.map { $0.state?.view?.epoch }
        cluster.run(milliseconds: 5000)
        #expect(cluster.isConverged)
        #expect(cluster.nodes.map { $0.state?.view?.epoch } == views)
        #expect(cluster.expulsions == 0)
        #expect(cluster.violations.isEmpty)
    }

    @Test func `What one member was told is told again to a copy of it, tick by tick and message by message`() throws {
        var cluster = SimulatedCluster(count: 4, seed: 2, rule: .majority)
        try #require(cluster.run(until: \.isConverged, limit: 15_000) != nil)
        let state = try #require(cluster.nodes[1].state)
        cluster.recordedNode = 1
        cluster.run(milliseconds: 2000)
        cluster.recordedNode = nil
        cluster.run(milliseconds: 500)
        let cost = RulesCost.least(of: 2, state, cluster.recording)
        #expect(cost.tickCount == 40)
        #expect(cost.tickCount + cost.messageCount == cluster.recording.count)
        #expect(cost.messageCount > 3 * 2 * 3)
    }

    @Test func `One thread meets no lock held, and all threads read as often as they were told`() {
        func contention(_ threads: Int, isOneHot: Bool) -> LockContention.Report {
            LockContention(
                threads: threads, shards: 4, entries: 1000, betweenNanoseconds: 100, isOneHot: isOneHot, reads: 5000
            ).measure()
        }
        #expect(contention(1, isOneHot: true).collisions == 0)
        let many = contention(4, isOneHot: false)
        #expect(many.reads == 20_000)
        #expect(0...many.reads ~= many.collisions)
    }
}
