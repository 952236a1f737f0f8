// What comes from etcd: replies, the watch, and what their absence means.

import Membership

extension EtcdMembership {
    /// The result of a call that was sent at `sentAt`.
    mutating func replied(
        to call: StoreCall, with result: Result<EtcdReply, EtcdError>, sentAt: Int64, now: Int64
    ) -> [EtcdAction] {
        input(now: now) { core in
            core.inFlight.remove(call)
            switch core.phase {
            case .left, .refused: return
            case .joining, .member, .leaving: break
            }
            switch result {
            case .success(let reply):
                core.answered(sentAt: sentAt, now: now)
                if reply.header.clusterID == core.mirror?.clusterID {
                    core.highestRevision = max(core.highestRevision, reply.header.revision)
                }
                core.handle(reply, to: call, sentAt: sentAt, now: now)
            case .failure(.leaseNotFound):
                core.answered(sentAt: sentAt, now: now)
                core.leaseNotFound(by: call, now: now)
            case .failure(let error):
                core.failed(error, sentAt: sentAt, now: now)
            }
        }
    }

    /// A line of the watch.
    mutating func watched(_ message: WatchMessage, now: Int64) -> [EtcdAction] {
        input(now: now) { core in
            guard core.sync != .stale else { return }
            switch message {
            case .created: core.watchBackoff.succeeded()
            case .events(let events, _):
                core.sync = .watching(since: now)
                core.mirror?.apply(events)
                core.mirrorChanged(now: now)
            }
        }
    }

    /// The watch ended. Always followed by a list: a watch that began again at its revision would wait for ever in a
    /// store that was wiped, and fail in one that was compacted.
    mutating func watchEnded(_ error: EtcdError, now: Int64) -> [EtcdAction] {
        input(now: now) { core in
            guard core.sync != .stale else { return }
            core.sync = .stale
            core.retryAt = max(core.retryAt, now + core.watchBackoff.next())
            if error != .compacted { core.graceUntil = now + Self.grace(core.settings) }
        }
    }

    private mutating func handle(_ reply: EtcdReply, to call: StoreCall, sentAt: Int64, now: Int64) {
        switch (call, reply.content) {
        case (.list, .listed(let pairs)):
            listed(pairs, reply.header, now: now)
        case (.grant, .granted(let id, let seconds)):
            granted(id, ttlMilliseconds: seconds * 1000, sentAt: sentAt, now: now)
        case (.keepAlive(let id), .kept(let seconds)):
            kept(id, ttlMilliseconds: seconds * 1000, sentAt: sentAt, now: now)
            // The watch may have died without a word: now and then a list makes sure.
            if case .watching(let since) = sync, let mirror, reply.header.revision > mirror.revision,
                now - since > max(5 * ttlMilliseconds, 10_000)
            {
                loseSync()
            }
        case (.revoke(let id), .revoked):
            revoked(id)
        case (_, .committed(let succeeded)):
            guard succeeded else {
                // What was assumed is no longer so.
                retryAt = max(retryAt, now + backoff.next())
                return loseSync()
            }
            awaited = (max(awaited.revision, reply.header.revision), now)
            committed(call, at: reply.header.revision, now: now)
        case (_, .listed), (_, .granted), (_, .kept), (_, .revoked):
            preconditionFailure("a reply of another kind than its call")
        }
    }

    private mutating func listed(_ pairs: [KeyValue], _ header: StoreHeader, now: Int64) {
        let fresh = StoreMirror(pairs, header: header, layout: layout)
        if isReplacement(fresh) {
            highestRevision = .none
            awaited = (.none, now)
            // A later view of the old store cannot come any more; one with the same number could.
            if floor > 0 { floor += 1 }
            registration = .none
            if view != nil { authority = .frozen }
            graceUntil = now + Self.grace(settings)
        }
        highestRevision = max(highestRevision, header.revision)
        mirror = fresh
        sync = .watching(since: now)
        actions.append(.watch(from: header.revision.next))
        mirrorChanged(now: now)
    }

    /// Whether a list shows another store than the one before. Lists are linearizable, so a revision that goes back is
    /// no late replica; what was written while the list was under way does not count.
    private func isReplacement(_ fresh: StoreMirror) -> Bool {
        guard let mirror else { return false }
        if fresh.clusterID != mirror.clusterID || fresh.revision < revisionAtList { return true }
        guard let view = mirror.view else { return false }
        return fresh.view?.origin != view.origin
    }

    private mutating func mirrorChanged(now: Int64) {
        guard let revision = mirror?.revision else { return }
        for text in mirror?.takeDropped() ?? [] { actions.append(.dropped(text)) }
        highestRevision = max(highestRevision, revision)
        reviewAt = now
        checkClaim(now: now)
        updateStanding()
        considerView()
    }

    /// etcd answered.
    private mutating func answered(sentAt: Int64, now: Int64) {
        backoff.succeeded()
        // As slow as that, others may have lost their leases.
        if outage != nil || now - sentAt > ttlMilliseconds / 4 {
            graceUntil = max(graceUntil, now + Self.grace(settings))
        }
        guard outage != nil else { return }
        outage = nil
        emit(.storeUnreachable(nil))
    }

    private mutating func failed(_ error: EtcdError, sentAt: Int64, now: Int64) {
        let wait = now + backoff.next()
        retryAt = wait
        delayKeepAlive(until: wait)
        // Time ran out while this process was stopped: it has to ask again before it knows anything about etcd.
        guard sentAt >= resumedAt else { return }
        graceUntil = now + Self.grace(settings)
        if case .claimed = registration, view != nil { authority = .frozen }
        guard outage == nil else { return }
        outage = error.description
        emit(.storeUnreachable(error.description))
    }
}
