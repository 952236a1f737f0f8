// Who went from the cluster, and when by this node's clock: what such a node brings along when it comes back may be old.

import Membership

/// Members that went, and how far this node's clock was then.
struct Absences: Sendable {
    /// This node owned keys in the first view it was in: what happened to them before, it has from its own journal.
    var isFounder = false
    private(set) var left: [MemberID: UInt64] = [:]

    /// Bounded: ids come from other nodes.
    mutating func note(_ id: MemberID, at version: UInt64) {
        if left.count >= 10_000 { left.removeAll() }
        left[id] = version
    }
}
