// The settings of one node as typed values: what the rest of the program reads.
//
// The initial values here are the defaults, and they are written nowhere else; `Settings` says how each field is named,
// parsed, limited and described. Fields carry their unit in the name: `…Bytes`, `…Milliseconds`, `max…` for counts.
// This file knows neither INI nor the environment: see `NodeConfiguration+Load.swift`.

/// Every setting of a node; one nested structure a section of the INI file.
package struct NodeConfiguration: Equatable, Sendable {
    package var local = Local()
    package var network = Network()
    package var compression = Compression()
    package var journal = Journal()
    package var log = Log()
    package var security = Security()
    package var limits = Limits()

    /// The defaults, with `threads` 1 and the data directory of node `1`; `load` replaces these two by what the machine
    /// gives.
    package init() {}

    /// `[local]`: this node and its memory.
    package struct Local: Equatable, Sendable {
        package var nodeID = "1"
        package var bind = Host.loopback
        /// 0 lets the system choose a free port.
        package var port = 8001
        /// What other nodes and the Host check call this node; nil: the address and port that are bound.
        package var advertise: Endpoint?
        package var dataDirectory = "spydercache-data/1"
        package var reconstruct = false
        /// The greatest number of keys; 0: no such limit, memory alone decides.
        package var maxKeys = 0
        package var memoryLimitBytes = 256 * 1024 * 1024
        package var eviction = EvictionPolicyName.lru
        /// Event-loop threads.
        package var threads = 1
    }

    /// `[network]`: the cluster.
    package struct Network: Equatable, Sendable {
        package var peers: [Endpoint] = []
        package var mirrors: [Endpoint] = []
        package var replicas = 0
        package var minReplicas = 0
        package var replicaAcknowledgement = ReplicaAcknowledgement.all
        package var virtualNodes = 160
        package var heartbeatMilliseconds = 500
        package var failureMilliseconds = 2000
        package var forwardTimeoutMilliseconds = 1000
        /// The greatest number of copies of other nodes' keys; 0: none are kept.
        package var nearCacheMaxKeys = 0
        package var topology = TopologyName.static
        package var etcdEndpoints: [Endpoint] = []
        package var etcdPrefix = "/spydercache/"
        package var cluster = "default"

        /// Whether there may be other nodes.
        package var isClustered: Bool { !peers.isEmpty || !mirrors.isEmpty || topology != .static }
    }

    /// `[compression]`: of stored values.
    package struct Compression: Equatable, Sendable {
        /// Values of this many bytes or more are compressed; 0: none are.
        package var thresholdBytes = 1024
        /// zlib's level, 1 (fast) to 9 (small).
        package var level = 6
    }

    /// `[journal]`: the log of writes on disk.
    package struct Journal: Equatable, Sendable {
        package var enabled = true
        package var fsync = FsyncMode.interval
        package var fsyncIntervalMilliseconds = 1000
        package var segmentBytes = 64 * 1024 * 1024
        /// Whether sealed segments are compressed.
        package var compress = true
    }

    /// `[log]`: the JSON lines the node writes.
    package struct Log: Equatable, Sendable {
        package var level = LogLevelName.info
        package var destination = LogDestination.standardOutput
        package var access = AccessLog.off
        package var slowMilliseconds = 100
    }

    /// `[security]`: names of files with secrets (never the secrets themselves) and the hosts a request may name.
    package struct Security: Equatable, Sendable {
        package var tokenFile: String?
        package var peerTokenFile: String?
        package var tlsCertificate: String?
        package var tlsKey: String?
        package var tlsCA: String?
        package var tlsVerifyClient = false
        package var allowedHosts: [Host] = []
    }

    /// `[limits]`: what one client may ask for.
    package struct Limits: Equatable, Sendable {
        package var maxKeyBytes = 4 * 1024
        package var maxValueBytes = 16 * 1024 * 1024
        package var maxBatch = 1000
        package var maxConnections = 10_000
        package var headerTimeoutMilliseconds = 5000
        package var bodyTimeoutMilliseconds = 30_000
        package var idleTimeoutMilliseconds = 120_000
        package var drainMilliseconds = 10_000
    }
}
