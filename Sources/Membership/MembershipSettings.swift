// What the rules depend on; equal on all nodes of a cluster except the seeds.

/// When a side of a split network goes on.
package enum PartitionRule: Sendable, Equatable {
    /// Only with a majority of the members of the view agreed before: two sides never act at once (`min_replicas` >= 1).
    case majority
    /// Every side; the newest version wins when they meet (`min_replicas` = 0).
    case everySide
}

package struct MembershipSettings: Sendable {
    package var cluster: String
    /// Milliseconds between heartbeats to each member.
    package var heartbeat: Int64
    /// Milliseconds without a sign of life after which a member is dead; at least four heartbeats.
    package var failure: Int64
    package var partitionRule: PartitionRule
    /// Addresses of configured peers, without the node's own.
    package var seeds: [String]
    /// The highest epoch number known from an earlier run; 0 without one.
    package var lastEpochNumber: UInt64 = 0

    package init(
        cluster: String, heartbeat: Int64 = 500, failure: Int64 = 2000, partitionRule: PartitionRule = .everySide,
        seeds: [String] = [], lastEpochNumber: UInt64 = 0
    ) {
        precondition(heartbeat >= 10 && failure >= 4 * heartbeat, "a failure time must hold four heartbeats")
        self.cluster = cluster
        self.heartbeat = heartbeat
        self.failure = failure
        self.partitionRule = partitionRule
        self.seeds = seeds
        self.lastEpochNumber = lastEpochNumber
    }

    /// Milliseconds between two calls of `tick`.
    package var tickInterval: Int64 { heartbeat / 10 }
    /// Silence after which others are asked.
    var suspicion: Int64 { failure / 2 }
    /// Interval of heartbeats and probes to a suspect.
    var probeInterval: Int64 { heartbeat / 4 }
    /// How long a granted heartbeat lets a node act, from its sending. A twentieth below the granter's promise, for clocks
    /// that run at different speeds.
    var lease: Int64 { failure - failure / 20 }
}
