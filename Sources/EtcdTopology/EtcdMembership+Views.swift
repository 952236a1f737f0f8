// Views as this node takes them: which one is the latest, what it means for this node, how the others stand.

import Membership

extension EtcdMembership {
    /// At most so many former members are remembered.
    private static let maxDeparted = 64

    /// The view in the store, unless a living node was under a later one: then the store has lost some.
    var latestView: StoredView? {
        guard let mirror, let stored = mirror.view, stored.view.epoch.number >= max(mirror.floor, floor) else {
            return nil
        }
        return stored
    }

    /// Follows the store's view.
    mutating func considerView() {
        guard let latest = latestView?.view, latest.epoch != view?.epoch else { return }
        let isIncluded = latest.member(identity.id) == identity
        switch phase {
        case .joining:
            if isIncluded { install(latest, previous: nil) }
        case .member(let previous):
            if isIncluded { install(latest, previous: previous) } else { expelled(by: latest) }
        case .leaving(let previous?, let deadline):
            // Until a view without this node the others ask it for what it owns.
            guard isIncluded else { return finishLeaving() }
            install(latest, previous: previous)
            phase = .leaving(latest, deadline: deadline)
        case .leaving(nil, _), .left, .refused: return
        }
    }

    private mutating func install(_ latest: View, previous: View?) {
        phase = .member(latest)
        floor = max(floor, latest.epoch.number)
        let members = Set(latest.members)
        for member in previous?.members ?? [] where !members.contains(member) && member.id != identity.id {
            gone(member)
        }
        knownGone.formIntersection(members)
        emit(.viewInstalled(latest, previous: previous))
        departed.removeAll { latest.member($0.identity.id) != nil }
        standing = standing.filter { members.contains($0.key) }
        updateStanding()
    }

    private mutating func expelled(by latest: View) {
        phase = .joining
        floor = max(floor, latest.epoch.number)
        standing = [:]
        renewIdentity(after: identity.incarnation)
        if case .claimed(let lease, _) = registration { registration = .leased(lease) }
        authority = .lease
        tellActing()
        emit(.expelled)
    }

    private mutating func gone(_ member: MemberIdentity) {
        let departure = mirror?.departed[member.id]
        let hasLeft = departure.map { $0.incarnation >= member.incarnation && $0.cause == .left } ?? false
        let state = hasLeft ? MemberState.left : .dead
        departed.removeAll { $0.identity.id == member.id }
        departed.append(Member(identity: member, state: state))
        if departed.count > Self.maxDeparted { departed.removeFirst() }
        emit(.memberBecame(state, member))
    }

    /// Tells what changed about the other members of the view.
    mutating func updateStanding() {
        guard let view, let mirror else { return }
        for member in view.members where member.id != identity.id {
            let state = mirror.claims[member.id]?.identity == member ? MemberState.alive : .suspect
            // What went on purpose is no suspect; the next view tells.
            if let departure = mirror.departed[member.id], departure.incarnation >= member.incarnation { continue }
            guard standing[member] != state else { continue }
            standing[member] = state
            emit(.memberBecame(state, member))
        }
    }

    /// All known nodes as this one sees them, view members first in age order.
    var members: [Member] {
        let inView = (view?.members ?? []).map { member in
            Member(identity: member, state: member.id == identity.id ? .alive : standing[member] ?? .alive)
        }
        return inView + departed
    }
}
