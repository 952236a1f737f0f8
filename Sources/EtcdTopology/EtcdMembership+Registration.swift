// The node's lease and its claim on its id.

import Membership

extension EtcdMembership {
    /// A twentieth of a lease is kept as a margin for clocks that run at different speeds.
    private func end(ofLeaseFrom sentAt: Int64, ttl: Int64) -> Int64 { sentAt + ttl - ttl / 20 }

    /// Renews the lease when a third of it is over, whatever else fails.
    mutating func keepLeaseAlive(now: Int64) {
        switch registration {
        case .none: return
        case .leased(let lease), .claimed(let lease, _):
            if now >= lease.nextKeepAlive { call(.keepAlive(lease.id), .keepAlive(lease.id)) }
        }
    }

    /// After a renewal that failed.
    mutating func delayKeepAlive(until next: Int64) {
        updateLease { $0.nextKeepAlive = max($0.nextKeepAlive, next) }
    }

    /// A lease to put the claim under.
    mutating func granted(_ id: LeaseID, ttlMilliseconds ttl: Int64, sentAt: Int64, now: Int64) {
        guard case .none = registration else { return }
        registration = .leased(
            Lease(id: id, ttlMilliseconds: ttl, end: end(ofLeaseFrom: sentAt, ttl: ttl), nextKeepAlive: now + ttl / 3))
    }

    /// The lease was renewed, or turned out to have ended (0).
    mutating func kept(_ id: LeaseID, ttlMilliseconds ttl: Int64, sentAt: Int64, now: Int64) {
        guard lease?.id == id else { return }
        guard ttl > 0 else { return leaseEnded(id, now: now) }
        let end = end(ofLeaseFrom: sentAt, ttl: ttl)
        updateLease { lease in
            lease.end = end
            lease.nextKeepAlive = sentAt + ttl / 3
        }
        if case .claimed = registration { authority = .lease }
    }

    /// The lease is given back.
    mutating func revoked(_ id: LeaseID) {
        guard lease?.id == id else { return }
        registration = .none
    }

    /// etcd knows the lease no longer, so others may have been told to go on without this node: it ceases to act. A
    /// list shows whether the whole store is another.
    private mutating func leaseEnded(_ id: LeaseID, now: Int64) {
        guard let lease, lease.id == id else { return }
        // A lease that cannot have run out, right after the watch broke: most likely a wiped store. The list that is on
        // its way will tell; until then the view is in force, as in any outage.
        if case .claimed = registration, sync == .stale, now < lease.end, view != nil { authority = .frozen }
        registration = .none
        loseSync()
    }

    /// A call failed because its lease has ended.
    mutating func leaseNotFound(by call: StoreCall, now: Int64) {
        switch call {
        case .keepAlive(let id), .claim(let id): leaseEnded(id, now: now)
        case .revoke(let id): revoked(id)
        // Of whichever lease there was when it was sent.
        case .settle, .raiseFloor: updateLease { $0.nextKeepAlive = now }
        case .list, .grant, .clear, .publish, .depart, .delete: return
        }
    }

    /// Takes the next step to a claim.
    mutating func register(now: Int64) {
        guard let mirror else { return }
        let mine = mirror.claims[identity.id]
        switch registration {
        case .none:
            guard isFree(mine, now: now) else { return }
            call(.grant, .grant(ttlSeconds: settings.ttlSeconds))
        case .leased(let lease):
            guard let mine else { return claim(lease, mirror) }
            if mine.identity == identity, mine.lease == lease.id {
                claimed(lease, createRevision: mine.createRevision, now: now)
            } else if isFree(mine, now: now) {
                clear(mine)
            }
        case .claimed(_, let createRevision):
            // Met from a peer and not seen here for long: the number comes from a store that is gone.
            let known = max(floor, mirror.view?.view.epoch.number ?? 0)
            guard met.number > known, now - met.since > ttlMilliseconds, let mine else { return }
            let record = ClaimRecord(identity: identity, floor: met.number)
            commit(
                .raiseFloor, [.created(key(.claim(identity.id)), at: createRevision)],
                [.put(key(.claim(identity.id)), value: record.value, lease: mine.lease)])
        }
    }

    /// What a successful write means; the mirror has yet to show it.
    mutating func committed(_ call: StoreCall, at revision: Revision, now: Int64) {
        switch call {
        case .claim(let id):
            guard case .leased(let lease) = registration, lease.id == id else { return }
            claimed(lease, createRevision: revision, now: now)
        case .depart:
            guard case .claimed(let lease, _) = registration else { return }
            registration = .leased(lease)
        case .raiseFloor:
            floor = max(floor, met.number)
        case .clear, .publish, .settle, .delete: return
        case .list, .grant, .keepAlive, .revoke: preconditionFailure("a call that writes nothing")
        }
    }

    /// The mirror changed: does the claim still stand?
    mutating func checkClaim(now: Int64) {
        guard case .claimed(let lease, let createRevision) = registration, let mirror,
            mirror.revision >= createRevision, mirror.claims[identity.id]?.createRevision != createRevision
        else { return }
        var doubted = lease
        // Was it the claim alone that went?
        doubted.nextKeepAlive = now
        registration = .leased(doubted)
        guard let departure = mirror.departed[identity.id], departure.incarnation == identity.incarnation,
            departure.cause == .removed
        else { return }
        switch phase {
        case .joining, .member: finishLeaving()
        case .leaving, .left, .refused: return
        }
    }

    private mutating func claimed(_ lease: Lease, createRevision: Revision, now: Int64) {
        registration = .claimed(lease, createRevision: createRevision)
        authority = .lease
        claimedAt = now
        holder = nil
        reviewAt = now
    }

    private mutating func claim(_ lease: Lease, _ mirror: StoreMirror) {
        let record = ClaimRecord(identity: identity, floor: floor)
        var operations: [Transaction.Operation] = [
            .put(key(.claim(identity.id)), value: record.value, lease: lease.id)
        ]
        if mirror.departed[identity.id] != nil { operations.append(.delete(key(.departed(identity.id)))) }
        commit(.claim(lease.id), [.created(key(.claim(identity.id)), at: .none)], operations)
    }

    /// Removes an earlier run's claim rather than taking it over: the claim's age is the run's.
    private mutating func clear(_ mine: Claim) {
        if mine.identity.incarnation > identity.incarnation {
            // That run's clock was ahead.
            renewIdentity(after: mine.identity.incarnation)
        }
        commit(
            .clear, [.modified(key(.claim(identity.id)), at: mine.modRevision)], [.delete(key(.claim(identity.id)))])
    }

    /// A node that comes back is a new one.
    mutating func renewIdentity(after incarnation: UInt64) {
        identity = MemberIdentity(
            id: identity.id, address: identity.address, incarnation: incarnation &+ 1, mirrors: identity.mirrors)
    }

    /// Whether no other node has this one's id. Refuses this node when one has, and outlives a lease.
    private mutating func isFree(_ mine: Claim?, now: Int64) -> Bool {
        guard let mine, mine.identity.address != identity.address else {
            holder = nil
            return true
        }
        guard let holder, holder.revision == mine.createRevision else {
            holder = (mine.createRevision, now)
            return false
        }
        // etcd looks for ended leases twice a second.
        if now - holder.since > ttlMilliseconds + 1000 { refuse(holder: mine.identity.address) }
        return false
    }

    private mutating func refuse(holder address: String) {
        let reason = RefusalReason.duplicateID(holder: address)
        end(in: .refused(reason))
        emit(.refused(reason, by: address))
    }

    /// Ends the membership in its last phase.
    mutating func end(in last: Phase) {
        phase = last
        if let lease { call(.revoke(lease.id), .revoke(lease.id)) }
        registration = .none
        loseSync()
        tellActing()
    }

    /// Writes all of it or nothing.
    mutating func commit(
        _ purpose: StoreCall, _ conditions: [Transaction.Condition], _ operations: [Transaction.Operation]
    ) {
        call(purpose, .commit(Transaction(conditions: conditions, operations: operations)))
    }

    func key(_ key: StoreKey) -> String { layout.key(key) }

    var lease: Lease? {
        switch registration {
        case .none: nil
        case .leased(let lease), .claimed(let lease, _): lease
        }
    }

    private mutating func updateLease(_ body: (inout Lease) -> Void) {
        switch registration {
        case .none: return
        case .leased(var lease):
            body(&lease)
            registration = .leased(lease)
        case .claimed(var lease, let createRevision):
            body(&lease)
            registration = .claimed(lease, createRevision: createRevision)
        }
    }
}
