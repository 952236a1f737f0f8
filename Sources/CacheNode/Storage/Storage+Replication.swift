// Changes made by other nodes, and what this node holds for them: newest version wins, whatever the order of arrival.

import CacheStore
import Journal

/// A change another node made, as it is applied here. Key and value are lent for the call.
struct ReplicatedChange {
    enum Kind {
        case put(UnsafeRawBufferPointer, StoredForm)
        case remove
        /// A new expiry of the entry that has the version.
        case touch
    }

    var kind: Kind
    var key: CacheKey
    var version: UInt64
    /// Unix milliseconds; `.max`: never.
    var wallExpiry = Int64.max
}

/// What a node says of a copy that is offered to it.
enum OfferAnswer: Int {
    /// It has this version or a newer one.
    case held
    case wanted
    /// The key was removed, or what replaced this version has been forgotten: the copy must go.
    case stale
}

extension Storage {
    /// Applies a change of another node; returns the journal record to wait for, zero for none.
    ///
    /// Throws 1201 when the journal refuses writes, -32009 when it can't keep up, 1002 when there is no memory.
    func apply(_ change: ReplicatedChange, now: Int64) throws(MethodFailure) -> UInt64 {
        try checkJournal()
        clock.observe(change.version)
        let share = storeShareBytes
        let result = shard(change.key).state.withLock { state -> (PutOutcome, UInt64) in
            state.apply(limit: share, now: now)
            return apply(change, now, &state)
        }
        guard result.0 == .stored else { throw MethodFailure(.memoryFull) }
        guard result.1 != Self.refusedSequence else { throw journalFailure() }
        return result.1
    }

    private func apply(_ change: ReplicatedChange, _ now: Int64, _ state: inout ShardState) -> (PutOutcome, UInt64) {
        let key = change.key
        let known = state.store.peek(key.bytes, hash: key.hash, now: now)?.version ?? 0
        let removed = max(state.tombstones.version(key.bytes) ?? 0, state.flushedVersion)
        switch change.kind {
        case .put(let value, let form):
            guard change.version > known, change.version > removed else { return (.stored, 0) }
            let deadline = change.wallExpiry == .max ? Int64.max : change.wallExpiry &- wallOffset
            guard deadline > now else {
                // Expired on the way: what it replaced is over too.
                state.store.forget(change.version, hash: key.hash)
                _ = state.store.remove(key.bytes, hash: key.hash, ifVersion: nil, now: now)
                return (.stored, journal?.append(.remove(key: key.bytes, version: change.version)) ?? missingSequence)
            }
            let outcome = state.store.put(
                key.bytes, hash: key.hash, value: value, form: form, expiry: deadline == .max ? .never : .at(deadline),
                version: change.version, condition: .always, now: now)
            guard outcome == .stored else {
                // The older value that there may be is not current any more.
                state.store.forget(change.version, hash: key.hash)
                _ = state.store.remove(key.bytes, hash: key.hash, ifVersion: nil, now: now)
                return (outcome, 0)
            }
            if state.tombstones.count > 0 { state.tombstones.remove(key.bytes) }
            state.reread?.remove(key.bytes, version: change.version)
            let record = JournalRecord.put(
                key: key.bytes, value: value, form: form.journalForm, wallExpiry: change.wallExpiry,
                version: change.version)
            return (.stored, journal?.append(record) ?? missingSequence)
        case .remove:
            guard change.version > removed, change.version > known else { return (.stored, 0) }
            _ = state.store.remove(key.bytes, hash: key.hash, ifVersion: nil, now: now)
            state.bury(key, version: change.version)
            state.reread?.remove(key.bytes, version: change.version)
            return (.stored, journal?.append(.remove(key: key.bytes, version: change.version)) ?? missingSequence)
        case .touch:
            guard change.version == known else { return (.stored, 0) }
            let expiry: PutExpiry = change.wallExpiry == .max ? .never : .at(change.wallExpiry &- wallOffset)
            guard state.store.touch(key.bytes, hash: key.hash, expiry: expiry, version: nil, now: now) == .touched
            else { return (.stored, 0) }
            let record = JournalRecord.touch(
                key: key.bytes, wallExpiry: change.wallExpiry, version: clock.next())
            return (.stored, journal?.append(record) ?? missingSequence)
        }
    }

    /// The sequence of a record that was not taken: nothing to wait for without a journal, a failure with one.
    private var missingSequence: UInt64 { journal == nil ? 0 : Self.refusedSequence }

    /// What this node says of another one's copy. `isTrusted`: that node has been a member all along; a joining one may
    /// hold what was replaced while it was away.
    func answer(offer key: CacheKey, version: UInt64, isTrusted: Bool, now: Int64) -> OfferAnswer {
        shard(key).state.withLock { state in
            if let removed = state.tombstones.version(key.bytes), removed >= version { return .stale }
            if state.flushedVersion >= version { return .stale }
            if let known = state.store.peek(key.bytes, hash: key.hash, now: now) {
                return known.version >= version ? .held : .wanted
            }
            return !isTrusted && state.store.forgottenVersion(key.hash) >= version ? .stale : .wanted
        }
    }

    /// Drops this node's copy of a key, unless it is newer than `version`: other nodes hold it, or must not.
    func drop(_ key: CacheKey, version: UInt64, now: Int64) {
        shard(key).state.withLock { state in
            guard let known = state.store.peek(key.bytes, hash: key.hash, now: now), known.version <= version else {
                return
            }
            let dropped = known.version
            _ = state.store.remove(key.bytes, hash: key.hash, ifVersion: nil, now: now)
            // Should the journal be read again it must not come back; a journal that fails now is not read before it is whole.
            _ = journal?.append(.remove(key: key.bytes, version: dropped))
        }
    }

    /// Removes every key whose version is not above `version`, in steps; what is newer was put after the flush.
    ///
    /// Returns how many, and the journal record to wait for. O(keys). For a cluster; a node alone removes all at once.
    func flush(upTo version: UInt64, now: Int64) throws(MethodFailure) -> (removed: Int, sequence: UInt64) {
        try checkJournal()
        clock.observe(version)
        var removed = 0
        var sequence: UInt64 = 0
        for shard in shards {
            let record: UInt64 = shard.state.withLock { state in
                state.flushedVersion = max(state.flushedVersion, version)
                state.store.forgetAll(upTo: version)
                state.tombstones.removeAll(upTo: version)
                state.reread?.flush(version: version)
                return journal?.append(.flush(version: version)) ?? missingSequence
            }
            guard record != Self.refusedSequence else { throw journalFailure() }
            sequence = max(sequence, record)
            var cursor = ScanCursor()
            var hasMore = true
            while hasMore {
                shard.state.withLock { state in
                    var covered: [[UInt8]] = []
                    hasMore = state.store.forEachEntry(from: &cursor, limit: 512, now: now) { entry in
                        if entry.version <= version { covered.append(Array(entry.key)) }
                    }
                    for key in covered {
                        key.withUnsafeBytes { key in
                            _ = state.store.remove(key, hash: hasher.hash(key), ifVersion: nil, now: now)
                        }
                    }
                    removed += covered.count
                }
            }
        }
        return (removed, sequence)
    }
}
