// The sources of views by the names of the `topology` setting. Adding one: a name in Configuration's TopologyName, a case here.

import Configuration
import EtcdTopology
import Membership
import NIOCore

enum TopologyTable {
    static func makeSource(
        _ network: NodeConfiguration.Network, _ identity: MemberIdentity, _ loop: any EventLoop, _ log: NodeLog
    ) -> any TopologySource {
        // A failure time holds at least four heartbeats, or one lost message would look like a death.
        let failure = Int64(max(network.failureMilliseconds, 4 * network.heartbeatMilliseconds))
        switch network.topology {
        case .static:
            return StaticTopology(
                settings: MembershipSettings(
                    cluster: network.cluster, heartbeat: Int64(network.heartbeatMilliseconds), failure: failure,
                    partitionRule: network.minReplicas > 0 ? .majority : .everySide,
                    seeds: (network.peers + network.mirrors).map(\.description)),
                identity: identity, loop: loop)
        case .etcd:
            return EtcdTopology(
                settings: EtcdSettings(
                    endpoints: network.etcdEndpoints.map { .init(host: $0.host.text, port: $0.port) },
                    prefix: network.etcdPrefix, cluster: network.cluster, failureMilliseconds: failure,
                    heartbeatMilliseconds: Int64(network.heartbeatMilliseconds)),
                identity: identity
            ) { log.emit(.topologyDropped, ["reason": .string($0)]) }
        }
    }
}
