// The table of all settings. Parsing, `config show`, the JSON Schema and the documentation follow it; a new setting is
// a field of `NodeConfiguration` and a row here. Defaults stand at the fields.

/// Every setting, in the order in which it is shown.
package enum Settings {
    package static let all: [Setting] = local + network + compression + journal + log + security + limits

    /// The setting that `key` (or an alias of it) names in `section`.
    static func named(_ key: String, in section: Section) -> Setting? {
        all.first { $0.section == section && ($0.key == key || $0.aliases.contains(key)) }
    }

    private static let local: [Setting] = [
        Setting(.local, "node_id", \.local.nodeID, .name, "Name of this node, unique in its cluster."),
        Setting(.local, "bind", \.local.bind, .host, "Address the node listens on."),
        Setting(.local, "node_port", \.local.port, .count(0...65535), "Port the node listens on; 0 takes a free one."),
        Setting(
            .local, "advertise", \.local.advertise, .optional(.endpoint),
            "Address other nodes reach this node at; the bound address and port unless set.", .later),
        Setting(
            .local, "data_dir", \.local.dataDirectory, .path,
            "Directory of the journal; $STATE_DIRECTORY or spydercache-data/<node_id> unless set."),
        Setting(
            .local, "reconstruct", \.local.reconstruct, .boolean,
            "Whether the node restores its last known state from the journal at start."),
        Setting(
            .local, "cache_size", \.local.maxKeys, .count(0...2_147_483_647),
            "Greatest number of keys, exact; 0 sets no limit of keys."),
        Setting(
            .local, "memory_limit", \.local.memoryLimitBytes, .size(1 << 20...1 << 42),
            "Memory for everything the node keeps."),
        Setting(.local, "eviction", \.local.eviction, .choice(), "Which entry leaves when the cache is full."),
        Setting(
            .local, "threads", \.local.threads, .count(1...1024), "Event-loop threads; all cores unless set."),
    ]

    private static let network: [Setting] = [
        Setting(
            .network, "peer", aliases: ["peers"], \.network.peers, .endpoints,
            "Nodes this node connects to, separated by commas."),
        Setting(
            .network, "mirrors", \.network.mirrors, .endpoints,
            "Stand-by nodes that receive every write this node owns."),
        Setting(
            .network, "replicas", \.network.replicas, .count(0...16), "Copies of each key beside its owner's."),
        Setting(
            .network, "min_replicas", \.network.minReplicas, .count(0...16),
            "Copies without which a write is refused."),
        Setting(
            .network, "replica_ack", \.network.replicaAcknowledgement, .choice(),
            "Whether a write waits for its replicas."),
        Setting(
            .network, "virtual_nodes", \.network.virtualNodes, .count(1...4096),
            "Points of each node on the hash ring."),
        Setting(
            .network, "heartbeat_ms", \.network.heartbeatMilliseconds, .milliseconds(10...60_000),
            "Time between two heartbeats."),
        Setting(
            .network, "failure_ms", \.network.failureMilliseconds, .milliseconds(20...600_000),
            "Silence after which a node counts as dead."),
        Setting(
            .network, "forward_timeout_ms", \.network.forwardTimeoutMilliseconds, .milliseconds(1...600_000),
            "Longest wait for another node's answer."),
        Setting(
            .network, "near_cache_size", \.network.nearCacheMaxKeys, .count(0...2_147_483_647),
            "Greatest number of copies of other nodes' keys; 0 keeps none."),
        Setting(.network, "topology", \.network.topology, .choice(), "Where the membership lives."),
        Setting(
            .network, "etcd_endpoints", \.network.etcdEndpoints, .httpEndpoints,
            "Members of the etcd cluster, separated by commas."),
        Setting(
            .network, "etcd_prefix", \.network.etcdPrefix, .keyPrefix, "Where this cluster's keys stand in etcd."),
        Setting(
            .network, "cluster", \.network.cluster, .name,
            "Name of the cluster; nodes of another one are refused."),
    ]

    private static let compression: [Setting] = [
        Setting(
            .compression, "threshold", \.compression.thresholdBytes, .size(0...1 << 30),
            "Size from which values are compressed; 0 compresses none."),
        Setting(.compression, "level", \.compression.level, .count(1...9), "zlib's level: 1 is fast, 9 is small."),
    ]

    private static let journal: [Setting] = [
        Setting(.journal, "enabled", \.journal.enabled, .boolean, "Whether writes are kept on disk."),
        Setting(.journal, "fsync", \.journal.fsync, .choice(), "When written records are forced to the disk."),
        Setting(
            .journal, "fsync_interval_ms", \.journal.fsyncIntervalMilliseconds, .milliseconds(1...600_000),
            "Time between two forced writes with fsync = interval."),
        Setting(
            .journal, "segment_size", \.journal.segmentBytes, .size(4096...1 << 30),
            "Size at which a journal segment is sealed."),
        Setting(.journal, "compress", \.journal.compress, .boolean, "Whether sealed segments are compressed."),
    ]

    private static let log: [Setting] = [
        Setting(.log, "level", \.log.level, .choice(), "Least severe level that is written."),
        Setting(.log, "destination", \.log.destination, .logDestination, "Where the JSON lines go."),
        Setting(.log, "access", \.log.access, .choice(), "Which requests get a line of their own."),
        Setting(
            .log, "slow_ms", \.log.slowMilliseconds, .milliseconds(0...3_600_000),
            "Time from which a request counts as slow."),
    ]

    private static let security: [Setting] = [
        Setting(
            .security, "token_file", \.security.tokenFile, .optional(.path),
            "File with the tokens of clients.", .later),
        Setting(
            .security, "peer_token_file", \.security.peerTokenFile, .optional(.path),
            "File with the token of the cluster's nodes.", .later),
        Setting(
            .security, "tls_certificate", \.security.tlsCertificate, .optional(.path),
            "File with the certificate chain, PEM.", .later),
        Setting(
            .security, "tls_key", \.security.tlsKey, .optional(.path), "File with the certificate's key, PEM.", .later),
        Setting(
            .security, "tls_ca", \.security.tlsCA, .optional(.path),
            "File with the authorities that sign peers and clients, PEM.", .later),
        Setting(
            .security, "tls_verify_client", \.security.tlsVerifyClient, .boolean,
            "Whether clients must show a certificate.", .later),
        Setting(
            .security, "allowed_hosts", \.security.allowedHosts, .hosts,
            "Further names a request's Host header may carry, separated by commas.", .later),
    ]

    private static let limits: [Setting] = [
        Setting(.limits, "max_key_size", \.limits.maxKeyBytes, .size(1...65535), "Longest key."),
        Setting(
            .limits, "max_value_size", \.limits.maxValueBytes, .size(1...(1 << 27) - 1),
            "Longest value, as JSON text; at most memory_limit."),
        Setting(.limits, "max_batch", \.limits.maxBatch, .count(1...1_000_000), "Most calls in one batch."),
        Setting(
            .limits, "max_connections", \.limits.maxConnections, .count(1...1_000_000),
            "Most client connections at a time."),
        Setting(
            .limits, "header_timeout_ms", \.limits.headerTimeoutMilliseconds, .milliseconds(1...3_600_000),
            "Longest time for a request's head to arrive."),
        Setting(
            .limits, "body_timeout_ms", \.limits.bodyTimeoutMilliseconds, .milliseconds(1...3_600_000),
            "Longest time for a request's body to arrive."),
        Setting(
            .limits, "idle_timeout_ms", \.limits.idleTimeoutMilliseconds, .milliseconds(1...86_400_000),
            "Longest silence on a connection between requests."),
        Setting(
            .limits, "drain_ms", \.limits.drainMilliseconds, .milliseconds(0...3_600_000),
            "Longest time requests in flight get at a stop."),
    ]
}
