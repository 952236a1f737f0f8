// What this node and its operator ask for.

import Membership

/// A claim that is to go.
struct Deletion: Sendable, Equatable {
    /// Whose claim.
    enum Target: Sendable, Equatable {
        /// A run whose host refuses connections.
        case process(MemberIdentity)
        /// Whoever is at an address: an operator said so.
        case address(String)
    }

    var target: Target
    /// Given up then; a lease ends by itself.
    var deadline: Int64
}

extension EtcdMembership {
    private static let maxRemovedRuns = 1000

    /// This node's keys are where the view of this epoch wants them.
    mutating func settled(_ epoch: Epoch, now: Int64) -> [EtcdAction] {
        input(now: now) { $0.settledEpoch = epoch }
    }

    /// A peer works under this epoch. Numbers that no store can give out are no epochs.
    mutating func epochMet(_ number: UInt64, now: Int64) -> [EtcdAction] {
        guard number > met.number, number <= maxEpochNumber else { return [] }
        return input(now: now) { $0.met = (number, now) }
    }

    /// The member's host refuses connections to its address: it need not be waited for.
    ///
    /// Unless it came back from that before as the same process, as its incarnation shows: then a firewall refuses, and
    /// removing it again would go on for ever.
    mutating func processGone(_ run: MemberIdentity, now: Int64) -> [EtcdAction] {
        // Who was connected to need not be known in full.
        guard run.id != identity.id, let member = view?.member(run.id), member.address == run.address,
            member.incarnation == run.incarnation
        else { return [] }
        if let removed = removedRuns[member.id], member.incarnation > removed, member.incarnation - removed <= 2 {
            return []
        }
        return input(now: now) { core in
            core.knownGone.insert(member)
            core.reviewAt = now
            core.add(.process(member), now: now)
        }
    }

    /// An operator declares the node at `address` dead; this one leaves if it is its own.
    mutating func remove(address: String, now: Int64) -> [EtcdAction] {
        guard address != identity.address else { return leave(now: now) }
        return input(now: now) { core in
            core.knownGone.formUnion((core.view?.members ?? []).filter { $0.address == address })
            core.reviewAt = now
            core.add(.address(address), now: now)
        }
    }

    /// This node goes; the caller has handed its keys over. `left` follows within a failure time.
    mutating func leave(now: Int64) -> [EtcdAction] {
        input(now: now) { core in
            switch core.phase {
            case .joining, .member:
                core.phase = .leaving(core.view, deadline: now + core.settings.failureMilliseconds)
            case .leaving, .left, .refused: return
            }
        }
    }

    /// Rejoins after `left`; nothing else, for etcd tells who there is.
    mutating func rejoin(now: Int64) -> [EtcdAction] {
        input(now: now) { core in
            guard core.phase == .left else { return }
            core.phase = .joining
            core.renewIdentity(after: core.identity.incarnation)
            core.authority = .lease
        }
    }

    private mutating func add(_ target: Deletion.Target, now: Int64) {
        guard !deletions.contains(where: { $0.target == target }) else { return }
        deletions.append(Deletion(target: target, deadline: now + 2 * ttlMilliseconds))
    }

    /// Removes the claims that are to go; a later run's claim has another revision and stays.
    mutating func carryOutDeletions(now: Int64) {
        guard !deletions.isEmpty, let mirror else { return }
        deletions.removeAll { deletion in
            guard now < deletion.deadline else {
                actions.append(.dropped("removal of \(deletion.target): not done in time"))
                return true
            }
            return !mirror.claims.values.contains { deletion.concerns($0.identity) }
        }
        for claim in mirror.claims.values {
            guard let deletion = deletions.first(where: { $0.concerns(claim.identity) }) else { continue }
            let id = claim.identity.id
            var operations: [Transaction.Operation] = [.delete(key(.claim(id)))]
            switch deletion.target {
            case .process(let run):
                if removedRuns.count >= Self.maxRemovedRuns { removedRuns = [:] }
                removedRuns[id] = run.incarnation
            case .address:
                let record = DepartureRecord(incarnation: claim.identity.incarnation, cause: .removed)
                operations.append(.put(key(.departed(id)), value: record.value, lease: nil))
            }
            commit(.delete(id), [.modified(key(.claim(id)), at: claim.modRevision)], operations)
        }
    }

    /// Takes the next step out of the cluster.
    mutating func depart(now: Int64) {
        switch registration {
        case .claimed(_, let createRevision):
            let record = DepartureRecord(incarnation: identity.incarnation, cause: .left)
            commit(
                .depart, [.created(key(.claim(identity.id)), at: createRevision)],
                [
                    .delete(key(.claim(identity.id))),
                    .put(key(.departed(identity.id)), value: record.value, lease: nil),
                ])
        case .leased(let lease):
            call(.revoke(lease.id), .revoke(lease.id))
        case .none:
            // Is anybody there to publish a view without this node?
            let others = mirror?.claims.keys.contains { $0 != identity.id } ?? false
            if view == nil || !others { finishLeaving() }
        }
    }

    /// This node is out.
    mutating func finishLeaving() {
        end(in: .left)
        standing = [:]
        settledEpoch = .none
        emit(.left)
    }
}

extension Deletion {
    fileprivate func concerns(_ identity: MemberIdentity) -> Bool {
        switch target {
        case .process(let gone): gone == identity
        case .address(let address): address == identity.address
        }
    }
}
