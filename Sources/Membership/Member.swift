// Who a member is and how it stands with the node that looks.

/// A node's id, unique in its cluster; ordered by its UTF-8 bytes, so that every node agrees.
package struct MemberID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let text: String

    package init(_ text: String) {
        self.text = text
    }

    package var description: String { text }

    package static func < (left: MemberID, right: MemberID) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }
}

/// One run of one node. A later run of the same id has a higher incarnation.
package struct MemberIdentity: Hashable, Sendable {
    package let id: MemberID
    /// Where peers reach it, `host:port`. Two runs of one id at one address cannot live at once: the second has the port.
    package let address: String
    /// Starts above that of every earlier run (wall-clock milliseconds will do) and rises by one to refute a suspicion.
    package internal(set) var incarnation: UInt64
    /// Addresses of the nodes that stand by for this one.
    package let mirrors: [String]

    package init(id: MemberID, address: String, incarnation: UInt64, mirrors: [String] = []) {
        self.mirrors = mirrors
        self.id = id
        self.address = address
        self.incarnation = incarnation
    }
}

/// What the local node believes about a member.
package enum MemberState: String, Sendable, Equatable {
    case alive
    /// Not heard for half of the failure time; others are being asked.
    case suspect
    /// Neither heard nor vouched for within the failure time.
    case dead
    /// Went on purpose.
    case left
}

/// A member as `cluster.members` shows it.
package struct Member: Sendable, Equatable {
    package var identity: MemberIdentity
    package var state: MemberState

    package init(identity: MemberIdentity, state: MemberState) {
        self.identity = identity
        self.state = state
    }
}
