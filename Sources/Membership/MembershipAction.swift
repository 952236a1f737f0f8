// What the caller has to do after an event, in this order.

package enum MembershipAction: Sendable, Equatable {
    /// Send once, to an address, best effort; drop it rather than deliver it later than one heartbeat.
    case send(PeerMessage, to: String)
    /// A member's standing changed in the eyes of this node.
    case memberBecame(MemberState, MemberIdentity)
    /// The node is in this view from now on; build a ring and swap the routing table.
    case viewInstalled(View, previous: View?)
    /// The node's view was replaced by one without it; it is joining again and owns nothing.
    case expelled(by: View)
    /// The node is out, after `leave` or because an operator removed it.
    case left
    /// A living cluster refuses this node: log and exit with 69.
    case refused(RefusalReason, by: String)
    /// A peer was refused (at most once a minute an address); log it.
    case peerRefused(MemberIdentity, RefusalReason)
    /// A peer that an operator named refuses this node, which goes on in its own cluster.
    case refusedByPeer(RefusalReason, by: String)
}
