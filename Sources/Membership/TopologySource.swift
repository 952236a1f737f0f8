// Between whoever agrees on views (heartbeats among the nodes, or etcd) and the node that routes by them.

/// Where views come from: a name table in CacheNode picks one (`topology = static | etcd`).
package protocol TopologySource: Sendable {
    /// Begins to join; `sink` is called from the source's own thread, in order, and must not block.
    func start(_ sink: any TopologySink)
    /// This node's keys are where the view of this epoch wants them.
    func settled(_ epoch: Epoch)
    /// A connection to the member's address was refused by its host: that run of it is gone.
    func processGone(_ member: MemberIdentity)
    /// Another node works under this epoch.
    func epochMet(_ number: UInt64)
    /// An operator's words.
    func connect(to address: String)
    func remove(address: String)
    func leave()
    /// A message of the peer channel (static topology only).
    func messageReceived(_ message: PeerMessage)
    /// All known nodes as this one sees them.
    var members: [Member] { get }
    /// Ends the source; no call to the sink after it returns.
    func stop()
}

package enum TopologyEvent: Sendable {
    case viewInstalled(View, previous: View?)
    case expelled
    case left
    case refused(RefusalReason, by: String)
    case peerRefused(MemberIdentity, RefusalReason)
    case memberBecame(MemberState, MemberIdentity)
    /// etcd cannot be reached (with the reason), or can again (nil): the last view stays in force meanwhile.
    case storeUnreachable(String?)
}

package protocol TopologySink: Sendable {
    func handle(_ event: TopologyEvent)
    /// Until when the node may act as an owner, monotonic milliseconds; `.min`: not at all, `.max`: no limit.
    func mayAct(until: Int64)
    /// Sends a message of the membership protocol, best effort (static topology only).
    func send(_ message: PeerMessage, to address: String)
}
