// A numbered, agreed membership. Views are compared and replaced whole, never edited.

/// The number of a view: ordered, unique with its proposer, and strictly rising at every node.
package struct Epoch: Hashable, Sendable, Comparable {
    /// What users see; fences peer calls. With a majority rule no two views share one.
    package let number: UInt64
    /// Breaks ties between sides that go on alone when no majority is asked for.
    package let proposer: MemberID

    package init(number: UInt64, proposer: MemberID) {
        self.number = number
        self.proposer = proposer
    }

    /// Before any view.
    package static let none = Epoch(number: 0, proposer: MemberID(""))

    package static func < (left: Epoch, right: Epoch) -> Bool {
        left.number != right.number ? left.number < right.number : left.proposer < right.proposer
    }
}

/// Who belongs to the cluster under one epoch.
package struct View: Sendable, Equatable {
    package let epoch: Epoch
    /// Oldest first: members are only ever appended, and one that comes back is new.
    package let members: [MemberIdentity]
    /// Members that own keys. The others are joining: the owners copy to them what will be theirs, and the view after the
    /// one in which all members have said that they are settled has them all serve.
    package let serving: Set<MemberID>
    /// Members that stand by for another one: they hold what it owns and answer for it while it is not there.
    package let mirrors: [MemberID: MemberID]

    /// `serving`: nil means all members but mirrors.
    package init(
        epoch: Epoch, members: [MemberIdentity], serving: Set<MemberID>? = nil, mirrors: [MemberID: MemberID] = [:]
    ) {
        self.mirrors = mirrors
        self.epoch = epoch
        self.members = members
        self.serving = serving ?? Set(members.map(\.id).filter { mirrors[$0] == nil })
    }

    package static let none = View(epoch: .none, members: [])

    /// The oldest member; it numbers the next view while it lives.
    package var coordinator: MemberID? { members.first?.id }
    /// Whether some members do not own keys yet.
    package var hasJoining: Bool { serving.count + mirrors.count < members.count }
    /// How many members are more than half.
    package var majority: Int { members.count / 2 + 1 }

    /// Whether both have the same members in the same roles.
    func hasSameMembers(as other: View) -> Bool {
        members == other.members && serving == other.serving && mirrors == other.mirrors
    }

    /// The entry of `id`; O(members).
    package func member(_ id: MemberID) -> MemberIdentity? {
        members.first { $0.id == id }
    }
}
