// Everything one node remembers about another.

/// A known node, in the view or not. Times are the local clock's milliseconds.
struct Peer: Sendable {
    var identity: MemberIdentity
    var state = MemberState.alive
    /// In the current view with this run.
    var isMember = false
    /// The view it said it was in.
    var epoch = Epoch.none
    var lastSequence: UInt64 = 0
    /// The last sign that it lives and hears others, given to this node itself; only this is told to others, or two nodes
    /// could keep a dead third alive by quoting each other.
    var lastHeard: Int64
    /// The last sign of life that another member vouched for.
    var vouchedAt = Int64.min / 2
    /// The last message, even of a deaf node.
    var lastContact: Int64
    /// When the next heartbeat is due.
    var nextHeartbeat: Int64
    /// When a heartbeat of it was granted last: no view without it is accepted for one failure time.
    var grantedAt = Int64.min / 2
    /// Until when it is granted nothing, because a proposal without it waits for its lease to end.
    var withheldUntil = Int64.min
    /// When the latest heartbeat that it granted was sent to it.
    var leaseFrom = Int64.min / 2
    /// It accepted a view on top of the current one and does not know whether that was agreed.
    var isUndecided = false
    /// The view in which it said that it is settled.
    var settledEpoch = Epoch.none
    /// It is in a later view without this node; set until the next view.
    var movedOn = false
    /// Since when a node at another address claims its id.
    var claimedSince: Int64?

    /// A node that was heard (`heardAt` its time) or only named by others (nil).
    init(identity: MemberIdentity, heardAt: Int64?) {
        self.identity = identity
        lastHeard = heardAt ?? .min / 2
        lastContact = heardAt ?? .min / 2
        nextHeartbeat = .min
    }

    /// The last sign of life, from whomever.
    var lastSign: Int64 { max(lastHeard, vouchedAt) }

    /// What it is asked to refute, 0 for nothing.
    var doubted: UInt64 {
        switch state {
        case .alive, .left: 0
        case .suspect, .dead: identity.incarnation
        }
    }
}
