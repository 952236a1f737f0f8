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

/// What is known of a node that offers copies.
enum HolderStanding: Sendable {
    /// It has been a member all along: what it holds is up to date.
    case present
    /// It was away since this node's clock stood at that version; what changed since it does not know.
    case awaySince(UInt64)
    /// It may have been away since before this node came: nobody here knows what changed.
    case unknown
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
        if case .versionMismatch = result.0 { throw MethodFailure(.busy, .reason("the value has not come yet")) }
        guard result.0 == .stored else { throw MethodFailure(.memoryFull) }
        guard result.1 != Self.refusedSequence else { throw journalFailure() }
        return result.1
    }

    private func apply(_ change: ReplicatedChange, _ now: Int64, _ state: inout ShardState) -> (PutOutcome, UInt64) {
        let key = change.key
        let known = state.store.version(key.bytes, hash: key.hash)
        let removed = max(state.tombstones.version(key.bytes) ?? 0, state.flushedVersion)
        switch change.kind {
        case .put(let value, let form):
            guard change.version > known, change.version > removed else { return (.stored, 0) }
            let deadline = change.wallExpiry == .max ? Int64.max : change.wallExpiry &- wallOffset
            guard deadline > now else {
                // Expired on the way: what it replaced is over too.
                _ = state.store.remove(key.bytes, hash: key.hash, ifVersion: nil, now: now)
                state.bury(key, version: change.version)
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
            // A newer value has its own expiry; an older one is about to be replaced by the value that was touched.
            guard known == 0 || known >= change.version else { return (.versionMismatch(version: known), 0) }
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

    /// What this node says of another one's copy.
    func answer(offer key: CacheKey, version: UInt64, from holder: HolderStanding, now: Int64) -> OfferAnswer {
        shard(key).state.withLock { state in
            if let removed = state.tombstones.version(key.bytes), removed > version { return .stale }
            if state.flushedVersion >= version { return .stale }
            if let known = state.store.peek(key.bytes, hash: key.hash, now: now) {
                return known.version >= version ? .held : .wanted
            }
            switch holder {
            case .present: return .wanted
            case .unknown: return .stale
            case .awaySince(let left):
                // What was forgotten before it left it had too.
                // An expired entry that is still there counts as forgotten.
                let forgotten = max(
                    state.store.forgottenVersion(key.hash), state.store.version(key.bytes, hash: key.hash))
                return forgotten >= version && forgotten > left ? .stale : .wanted
            }
        }
    }

    /// There are other nodes from now on: what goes is remembered.
    func becomeClustered() {
        guard !isClustered.exchange(true, ordering: .relaxed) else { return }
        for shard in shards { shard.state.withLock { $0.store.rememberForgotten() } }
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
            _ = journal?.append(.dropCopy(key: key.bytes, version: dropped))
        }
    }

    /// Begins to remove every key whose version is not above `version`; what is newer was put after the flush. Returns the
    /// journal record to wait for. For a cluster; a node alone removes all at once.
    func beginFlush(upTo version: UInt64) throws(MethodFailure) -> UInt64 {
        try checkJournal()
        clock.observe(version)
        var sequence: UInt64 = 0
        for shard in shards {
            sequence = shard.state.withLock { state in
                state.flushed(upTo: version)
                state.reread?.flush(version: version)
                return journal?.append(.flush(version: version)) ?? missingSequence
            }
            guard sequence != Self.refusedSequence else { throw journalFailure() }
        }
        return sequence
    }

    /// Removes some of the keys that a flush covers; false when there are no more.
    func flushStep(_ walk: inout FlushWalk, now: Int64) -> Bool {
        guard walk.shard < shards.count else { return false }
        let hasMore = shards[walk.shard].state.withLock { state in
            var covered: [[UInt8]] = []
            let hasMore = state.store.forEachEntry(from: &walk.cursor, limit: 512, now: now) { entry in
                if entry.version <= walk.version { covered.append(Array(entry.key)) }
            }
            for key in covered {
                key.withUnsafeBytes { key in
                    _ = state.store.remove(key, hash: hasher.hash(key), ifVersion: nil, now: now)
                }
            }
            walk.removed += covered.count
            return hasMore
        }
        if !hasMore {
            walk.shard += 1
            walk.cursor = ScanCursor()
        }
        return walk.shard < shards.count
    }
}

/// How far the removal of flushed keys has come.
struct FlushWalk: Sendable {
    let version: UInt64
    fileprivate(set) var removed = 0
    fileprivate var shard = 0
    fileprivate var cursor = ScanCursor()

    init(version: UInt64) {
        self.version = version
    }
}
