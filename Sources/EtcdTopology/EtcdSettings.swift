// What the topology is told by the node's configuration.

/// Equal on all nodes of a cluster except the endpoints and the last epoch.
package struct EtcdSettings: Sendable {
    /// A client URL of an etcd member, in parts. Without TLS.
    package struct Endpoint: Hashable, Sendable {
        /// A name, an IPv4 address or an IPv6 address without brackets.
        package let host: String
        package let port: Int

        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    /// Where etcd answers; the next one is asked when one does not. At least one.
    package var endpoints: [Endpoint]
    /// What all keys of all clusters begin with, `/spydercache/` by default.
    package var prefix: String
    package var cluster: String
    /// Silence after which a node counts as dead; the lease's time-to-live is this in whole seconds, at least two (etcd
    /// grants none shorter).
    package var failureMilliseconds: Int64
    /// How long the first node of a cluster waits for others before it forms the first view.
    package var heartbeatMilliseconds: Int64
    /// The highest epoch number known from an earlier run; 0 without one.
    package var lastEpochNumber: UInt64 = 0

    package init(
        endpoints: [Endpoint], prefix: String = "/spydercache/", cluster: String = "default",
        failureMilliseconds: Int64 = 2000, heartbeatMilliseconds: Int64 = 500, lastEpochNumber: UInt64 = 0
    ) {
        precondition(!endpoints.isEmpty, "etcd needs an endpoint")
        precondition(failureMilliseconds > 0 && heartbeatMilliseconds > 0, "times are positive")
        self.endpoints = endpoints
        self.prefix = prefix
        self.cluster = cluster
        self.failureMilliseconds = failureMilliseconds
        self.heartbeatMilliseconds = heartbeatMilliseconds
        self.lastEpochNumber = lastEpochNumber
    }

    /// Time-to-live of a node's lease.
    var ttlSeconds: Int64 { max(2, (failureMilliseconds + 999) / 1000) }

    /// Milliseconds between two calls of `EtcdMembership.tick`.
    var tickMilliseconds: Int64 { min(max(heartbeatMilliseconds / 10, 10), 100) }
}
