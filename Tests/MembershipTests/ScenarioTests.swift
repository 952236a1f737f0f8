// A thousand random lives of small clusters: faults one after another, invariants all the time, one cluster after each.

import SimulatedMembership
import TestSupport
import Testing

@testable import Membership

struct ScenarioTests {
    static let batches = 20
    static let seedsPerBatch = 50

    @Test(arguments: 0..<batches)
    func `After any fault all running nodes are in one view within 15 seconds and no invariant broke`(batch: Int) {
        for seed in (batch * Self.seedsPerBatch)..<((batch + 1) * Self.seedsPerBatch) {
            if let failure = Self.failure(seed: UInt64(seed)) {
                Issue.record("seed \(seed): \(failure)")
                return
            }
        }
    }

    /// Plays one seed; what went wrong, nil for nothing.
    static func failure(seed: UInt64) -> String? {
        var draw = SeededRandom(seed: seed &+ 1_000_000)
        let count = Int.random(in: 2...6, using: &draw)
        let rule: PartitionRule = seed % 4 == 0 ? .everySide : .majority
        var cluster = SimulatedCluster(count: count, seed: seed, rule: rule)
        cluster.network.loss = [0, 0.02, 0.2].randomElement(using: &draw) ?? 0
        cluster.network.duplication = [0, 0.1].randomElement(using: &draw) ?? 0
        cluster.network.delay = [1...5, 1...60, 5...150].randomElement(using: &draw) ?? 1...5
        var story = ["\(count) nodes, \(rule), loss \(cluster.network.loss), delay \(cluster.network.delay)"]
        for _ in 0...2 {
            guard cluster.run(until: \.isConverged, limit: 15_000) != nil else {
                return "not converged; " + story.joined(separator: "; ") + "; " + cluster.summary
            }
            story.append(fault(&cluster, &draw))
            guard cluster.violations.isEmpty else {
                return cluster.violations[0] + "; " + story.joined(separator: "; ")
            }
        }
        guard cluster.run(until: \.isConverged, limit: 15_000) != nil else {
            return "not converged; " + story.joined(separator: "; ") + "; " + cluster.summary
        }
        return cluster.violations.first
    }

    /// Breaks something for a while and mends it.
    static func fault(_ cluster: inout SimulatedCluster, _ draw: inout SeededRandom) -> String {
        let nodes = cluster.nodes.indices.shuffled(using: &draw)
        let place = Int.random(in: 1..<nodes.count, using: &draw)
        let groups = [Array(nodes[..<place]), Array(nodes[place...])]
        let duration = Int64.random(in: 200...6000, using: &draw)
        let start = "\(cluster.now)+\(duration): "
        switch Int.random(in: 0..<7, using: &draw) {
        case 0, 1:
            let oneWay = Bool.random(using: &draw)
            cluster.split(groups, oneWay: oneWay)
            cluster.run(milliseconds: duration)
            cluster.heal()
            return start + (oneWay ? "one-way " : "") + "split \(groups)"
        case 2:
            for _ in 0..<4 {
                cluster.split(groups)
                cluster.run(milliseconds: duration / 4)
                cluster.heal()
                cluster.run(milliseconds: Int64.random(in: 100...1500, using: &draw))
            }
            return start + "flapping \(groups)"
        case 3, 4:
            cluster.crash(nodes[0])
            cluster.run(milliseconds: duration)
            cluster.start(nodes[0])
            return start + "crash of \(nodes[0])"
        case 5:
            let stopped = groups[0].count <= groups[1].count ? groups[0] : groups[1]
            for node in stopped { cluster.pause(node) }
            cluster.run(milliseconds: duration)
            for node in stopped { cluster.resume(node) }
            return start + "pause of \(stopped)"
        default:
            for node in nodes[..<place] { cluster.crash(node) }
            cluster.run(milliseconds: duration)
            for node in nodes[..<place] { cluster.start(node) }
            return start + "crash of \(nodes[..<place])"
        }
    }
}

extension SimulatedCluster {
    var summary: String {
        nodes.map { node in
            guard let state = node.state else { return "\(node.id) down" }
            return
                "\(node.id) \(state.epoch.number) \(state.view?.members.map(\.id.text) ?? []) acts \(state.mayAct(now: now))"
                + " \(state.phase.name) hears \(state.members.map { "\($0.identity.id):\($0.state)" })"
        }.joined(separator: " | ")
    }
}

extension MembershipState.Phase {
    var name: String {
        switch self {
        case .joining: "joining"
        case .member: "member"
        case .leaving: "leaving"
        case .left: "left"
        case .refused: "refused"
        }
    }
}
