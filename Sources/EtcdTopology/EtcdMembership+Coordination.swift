// The coordinator's part: which view is next, and writing it.

import Membership

extension EtcdMembership {
    /// Who numbers the next view: the oldest member of the latest one whose claim stands. Without a view the claim with
    /// the highest floor, for its node knows the most recent past, and of equals the oldest.
    var coordinator: MemberID? {
        guard let mirror else { return nil }
        if let latest = latestView?.view {
            let standing = latest.members.first { mirror.claims[$0.id]?.identity == $0 }
            if let standing { return standing.id }
        }
        return mirror.claims.values.min { left, right in
            left.floor != right.floor ? left.floor > right.floor : left.createRevision < right.createRevision
        }?.identity.id
    }

    /// Publishes the next view if this node is the coordinator and the latest one does not fit.
    mutating func coordinate(now: Int64) {
        guard now >= reviewAt, let mirror, case .claimed(let lease, let createRevision) = registration,
            coordinator == identity.id
        else { return }
        let latest = latestView
        // A void view still says more than nothing about who has the data.
        let basis = latest?.view ?? view ?? mirror.view?.view
        guard basis != nil || now >= claimedAt + settings.heartbeatMilliseconds else {
            // Nodes that are started together form one view.
            reviewAt = claimedAt + settings.heartbeatMilliseconds
            return
        }
        let next = nextView(after: basis, mirror, now: now)
        if let view = latest?.view, next.members == view.members, next.serving == view.serving,
            next.mirrors == view.mirrors
        {
            reviewAt = now < graceUntil ? graceUntil : .max
            return
        }
        let record = ViewRecord(
            base: latest?.base ?? max(mirror.floor, floor), origin: mirror.view?.origin ?? lease.id,
            proposer: identity.id, members: next.members, serving: next.serving, mirrors: next.mirrors)
        commit(
            .publish,
            [
                .created(key(.claim(identity.id)), at: createRevision),
                .modified(key(.view), at: mirror.viewRevision),
            ], [.put(key(.view), value: record.value, lease: nil)])
    }

    /// Who should be in the view and who should serve.
    private func nextView(
        after basis: View?, _ mirror: StoreMirror, now: Int64
    ) -> (members: [MemberIdentity], serving: Set<MemberID>, mirrors: [MemberID: MemberID]) {
        let kept = (basis?.members ?? []).filter { isKept($0, mirror, now: now) }
        let keptIDs = Set(kept.map(\.id))
        let newcomers = mirror.claims.values
            .filter { !keptIDs.contains($0.identity.id) }
            .sorted { $0.createRevision < $1.createRevision }
            .map(\.identity)
        let members = kept + newcomers
        let mirrors = View.mirrors(among: members, after: basis ?? .none)
        let serving = (basis?.serving ?? []).intersection(keptIDs).subtracting(mirrors.keys)
        let haveAllSettled =
            members == basis?.members && mirrors == basis?.mirrors
            && members.allSatisfy { mirror.settled[$0.id] == basis?.epoch.number }
        guard serving.isEmpty || haveAllSettled else { return (members, serving, mirrors) }
        return (members, Set(members.map(\.id)).subtracting(mirrors.keys), mirrors)
    }

    private func isKept(_ member: MemberIdentity, _ mirror: StoreMirror, now: Int64) -> Bool {
        if let claim = mirror.claims[member.id] { return claim.identity == member }
        if let departure = mirror.departed[member.id], departure.incarnation >= member.incarnation { return false }
        return now < graceUntil && !knownGone.contains(member)
    }

    /// Tells the coordinator that this node's keys agree with the view, if the coordinator waits for that.
    mutating func settle() {
        guard case .member(let view) = phase, case .claimed(_, let createRevision) = registration,
            settledEpoch == view.epoch, view.hasJoining,
            mirror?.settled[identity.id] != view.epoch.number, let lease
        else { return }
        commit(
            .settle, [.created(key(.claim(identity.id)), at: createRevision)],
            [.put(key(.settled(identity.id)), value: SettledRecord.value(view.epoch.number), lease: lease.id)])
    }
}
