// Applies a journal's records to the shards: at start to empty ones, on the fly (node.reconstruct) to live ones.

import CacheStore
import Journal

/// Fills empty shards before anybody else can see them.
///
/// Time stands still at `now`: a key whose deadline has passed is kept one millisecond longer, so that a later record may
/// still extend it; it is never served, as serving starts later than that.
struct StorageRecovery: RecoverySink {
    let shards: [Shard]
    let hasher: KeyHasher
    let now: Int64
    let wallOffset: Int64
    /// Puts that did not fit into `memory_limit`.
    private(set) var refused = 0
    private var newestVersion: UInt64 = 0

    init(shards: [Shard], hasher: KeyHasher, now: Int64, wallOffset: Int64) {
        self.shards = shards
        self.hasher = hasher
        self.now = now
        self.wallOffset = wallOffset
    }

    mutating func expect(records: Int) {
        for shard in shards { shard.state.withLock { $0.store.reserve(keys: records / shards.count) } }
    }

    mutating func comesSoon(_ key: UnsafeRawBufferPointer) {
        let hash = hasher.hash(key)
        shards[hash.shard(of: shards.count)].state.withLock { $0.store.prefetch(hash) }
    }

    mutating func put(_ record: JournalRecord) {
        newestVersion = max(newestVersion, record.version)
        let stored = withShard(record) { store, hash in
            switch store.put(
                record.key, hash: hash, value: record.value, form: record.form.storedForm,
                expiry: expiry(record), version: record.version, condition: .ifNewer, now: now)
            {
            case .stored, .exists: return true
            case .memoryFull, .notFound, .versionMismatch:
                // The older value that there may be is not current any more.
                _ = store.remove(record.key, hash: hash, ifVersion: nil, now: now)
                return false
            }
        }
        if !stored { refused += 1 }
    }

    mutating func remove(_ record: JournalRecord) {
        removeUnlessNewer(record, includingSameVersion: true)
        // Another node may hold what was removed.
        guard !record.isDroppedCopy else { return }
        let key = CacheKey(bytes: record.key, hash: hasher.hash(record.key))
        shards[key.hash.shard(of: shards.count)].state.withLock { $0.bury(key, version: record.version) }
    }

    mutating func touch(_ record: JournalRecord) {
        withShard(record) { store, hash in
            guard let known = store.peek(record.key, hash: hash, now: now), known.version <= record.version else {
                return
            }
            _ = store.touch(record.key, hash: hash, expiry: expiry(record), version: nil, now: now)
        }
    }

    mutating func flush(_ record: JournalRecord) {
        for shard in shards { shard.state.withLock { $0.flushed(upTo: record.version) } }
        guard newestVersion > record.version else {
            _ = removeAll()
            return
        }
        // A snapshot taken while writes went on holds keys put after this flush: those stay.
        for shard in shards {
            shard.state.withLock { state in
                var covered: [[UInt8]] = []
                var cursor = ScanCursor()
                while state.store.forEachEntry(
                    from: &cursor, limit: 1024, now: now,
                    { entry in
                        if entry.version <= record.version { covered.append(Array(entry.key)) }
                    })
                {}
                for key in covered {
                    key.withUnsafeBytes { key in
                        _ = state.store.remove(key, hash: hasher.hash(key), ifVersion: nil, now: now)
                    }
                }
            }
        }
    }

    mutating func dropKey(_ record: JournalRecord) {
        removeUnlessNewer(record, includingSameVersion: false)
    }

    mutating func removeAll() -> Int {
        newestVersion = 0
        return shards.reduce(0) { $0 + $1.state.withLock { state in state.store.removeAll() } }
    }

    private func removeUnlessNewer(_ record: JournalRecord, includingSameVersion: Bool) {
        withShard(record) { store, hash in
            guard let known = store.peek(record.key, hash: hash, now: now), known.version <= record.version,
                includingSameVersion || known.version < record.version
            else { return }
            _ = store.remove(record.key, hash: hash, ifVersion: nil, now: now)
        }
    }

    private func withShard<Result>(_ record: JournalRecord, _ body: (inout Store, KeyHash) -> Result) -> Result {
        let hash = hasher.hash(record.key)
        return shards[hash.shard(of: shards.count)].state.withLock { state in body(&state.store, hash) }
    }

    private func expiry(_ record: JournalRecord) -> PutExpiry {
        record.wallExpiry == .max ? .never : .at(max(record.wallExpiry &- wallOffset, now + 1))
    }
}

extension JournalValueForm {
    /// The same in the store's terms.
    var storedForm: StoredForm {
        switch self {
        case .plain: .plain
        case .deflated(let originalBytes, let crc32): .deflated(originalBytes: originalBytes, crc32: crc32)
        }
    }
}
