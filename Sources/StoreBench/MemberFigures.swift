// Members in one process under virtual time (SimulatedMembership): how many messages they send, what the rules cost one of
// them, and how soon all know of a death. The network here is free; a real one charges for each message.

import Membership
import SimulatedMembership

struct MemberFigures: Encodable {
    var members: Int
    var isMajority: Bool
    /// Virtual milliseconds from the start of all members at once to one view of all; nil above `mostAtOnce`.
    var formedAfter: Int64?
    /// Sent by one member in a second.
    var messagesPerSecond: Double
    /// Processor time of one member's rules in a second, in milliseconds.
    var rulesMillisecondsPerSecond: Double
    /// Of them one tick's and one message's share, in microseconds.
    var tickMicroseconds: Double
    var messageMicroseconds: Double
    /// Virtual milliseconds from a death until all others are in a view without the dead; nil when it took too long.
    var deathKnownAfter: Int64?

    private static let window: Int64 = 2000
    /// Larger clusters are begun as already formed. While N members that start at once are in different views, each of
    /// their N * N heartbeats is answered with a whole view: 500 took 5 s of processor time, 700 more than a minute.
    static let mostAtOnce = 300

    /// With heartbeats and failure time as by default, 1 to 20 ms under way, nothing lost.
    static func measure(members: Int, seedsPerNode: Int, rule: PartitionRule) -> MemberFigures {
        let isFormed = members > mostAtOnce
        var cluster = SimulatedCluster(
            count: members, seed: 1, rule: rule, start: !isFormed, seedsPerNode: seedsPerNode)
        if isFormed { cluster.startFormed() }
        let formed = isFormed ? nil : cluster.run(until: \.isConverged, limit: 60_000)
        cluster.run(milliseconds: 3000)
        // Neither the coordinator nor the last.
        let watched = members / 2
        let state = cluster.nodes[watched].state
        let sentBefore = cluster.messages
        cluster.recordedNode = watched
        cluster.run(milliseconds: window)
        cluster.recordedNode = nil
        let sent = cluster.messages - sentBefore
        let perSecond = Double(sent) / Double(members) / (Double(window) / 1000)
        var rules = RulesCost()
        if let state { rules = RulesCost.least(of: 5, state, cluster.recording) }

        let victim = members - 1
        cluster.crash(victim)
        let survivors = 0..<victim
        let known = cluster.run(
            until: { cluster in survivors.allSatisfy { cluster.hasExcluded(victim, at: $0) } }, limit: 30_000)
        return MemberFigures(
            members: members, isMajority: rule == .majority, formedAfter: formed, messagesPerSecond: perSecond,
            rulesMillisecondsPerSecond: Double(rules.total) / 1e6 / (Double(window) / 1000),
            tickMicroseconds: rules.microseconds(of: rules.ticks, rules.tickCount),
            messageMicroseconds: rules.microseconds(of: rules.messages, rules.messageCount), deathKnownAfter: known)
    }
}

/// Nanoseconds that a member's rules take for what it is told.
struct RulesCost {
    var ticks: UInt64 = 0
    var messages: UInt64 = 0
    var tickCount = 0
    var messageCount = 0

    var total: UInt64 { ticks + messages }

    func microseconds(of nanoseconds: UInt64, _ count: Int) -> Double {
        count > 0 ? Double(nanoseconds) / 1000 / Double(count) : 0
    }

    /// Tells copies of `state` what was recorded, and takes the cheapest.
    static func least(
        of rounds: Int, _ state: MembershipState, _ recording: [(now: Int64, input: SimulatedCluster.Input)]
    ) -> RulesCost {
        let costs = (0..<rounds).map { _ in
            var (state, cost, sent) = (state, RulesCost(), 0)
            // Inputs of one kind in a row share a reading of the clock, which would cost as much as a message.
            var index = 0
            while index < recording.count {
                let start = threadNanoseconds()
                if case .tick = recording[index].input {
                    sent += state.tick(now: recording[index].now).count
                    index += 1
                    cost.ticks += threadNanoseconds() - start
                    cost.tickCount += 1
                    continue
                }
                while index < recording.count, case .message(let message) = recording[index].input {
                    sent += state.messageReceived(message, now: recording[index].now).count
                    index += 1
                    cost.messageCount += 1
                }
                cost.messages += threadNanoseconds() - start
            }
            precondition(sent > 0 || recording.isEmpty, "a member that is told something answers")
            return cost
        }
        return costs.min { $0.total < $1.total } ?? RulesCost()
    }
}
