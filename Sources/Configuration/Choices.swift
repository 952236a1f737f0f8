// The settings that take one word out of a few. Raw values are the words of the INI file.

/// `local.eviction`: which entry leaves when the cache is full.
package enum EvictionPolicyName: String, CaseIterable, Sendable {
    case lru
}

/// `network.replica_ack`: whose confirmation a write waits for.
package enum ReplicaAcknowledgement: String, CaseIterable, Sendable {
    case all, none
}

/// `network.topology`: where the membership lives.
package enum TopologyName: String, CaseIterable, Sendable {
    case `static`, etcd
}

/// `journal.fsync`: when written records are forced to the disk.
package enum FsyncMode: String, CaseIterable, Sendable {
    case always, interval, never
}

/// `log.level`: swift-log's levels, least severe first.
package enum LogLevelName: String, CaseIterable, Sendable {
    case trace, debug, info, notice, warning, error, critical
}

/// `log.access`: which requests get a line of their own.
package enum AccessLog: String, CaseIterable, Sendable {
    case off, errors, slow, all
}

/// `log.destination`: where the JSON lines go.
package enum LogDestination: Hashable, Sendable {
    case standardOutput
    case standardError
    case file(path: String)
}
