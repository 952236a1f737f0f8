// The cache itself: keys to values under a key limit and a byte limit, with expiry and eviction. No clock, no lock, no
// I/O, no randomness: `now`, versions and the hash seed come from the caller, who also keeps two calls from overlapping.
//
// Layout: records in log-structured segments (EntryRecord.swift, Arena.swift) <- addresses in the index (HashIndex.swift).
// A get touches one cache line of the index and the record; the eviction order and the timing wheel are links inside the
// records. For 16-byte keys and 100-byte values an entry costs 144 bytes in the arena and about 7.7 in the index.
//
// Memory: everything mapped counts (`memory.footprintBytes`) and stays under the limit at every step. Living entries may
// fill 7/8 of what the segments get, plus all that large regions get; the last eighth is the slack in which the cleaner
// compacts (Store+Room.swift). The cleaner works a little with every mutation, in proportion to the bytes it brought.
//
// Callers' duties: `hash` is this store's hasher's value for `key`; keys and values passed in do not point into the
// store; keys are not longer than 65,535 bytes; an `Entry` is read before the next mutating call.

/// One shard of the cache.
package struct Store: ~Copyable, Sendable {
    let hasher: KeyHasher
    let maxKeys: Int
    private(set) var limitBytes: Int
    var arena: Arena
    var index: HashIndex
    var wheel = TimingWheel()
    var policy: any EvictionPolicy
    /// Keys and stored values of living entries, in bytes.
    var payloadBytes = 0
    /// Bytes that mutations have brought since the cleaner last worked.
    var unpaidBytes = 0
    let settings: StoreSettings

    package internal(set) var counters = StoreCounters()
    var forgotten = ForgottenVersions()

    /// An empty store. Traps only when the system cannot give the first few pages.
    package init(settings: StoreSettings) {
        guard let index = HashIndex() else { preconditionFailure("no memory for an empty index") }
        self.settings = settings
        hasher = settings.hasher
        maxKeys = settings.maxKeys
        limitBytes = settings.limitBytes
        arena = Arena(limitBytes: settings.limitBytes)
        self.index = index
        policy = settings.policy.makePolicy()
    }

    /// Entries held, those included whose deadline has passed without anybody having noticed yet.
    package var count: Int { index.count }

    /// The hash to pass along with `key`.
    package func hash(_ key: UnsafeRawBufferPointer) -> KeyHash { hasher.hash(key) }

    /// The entry under `key`; counts a hit or a miss and is a use for the eviction policy.
    package mutating func get(_ key: UnsafeRawBufferPointer, hash: KeyHash, now: Int64) -> Entry? {
        guard let address = lookup(key, hash, now) else {
            counters.getMisses &+= 1
            return nil
        }
        counters.getHits &+= 1
        policy.used(address, in: arena)
        let record = arena.record(at: address)
        let entry = Entry(record, now: now)
        record.lastAccess = Self.tick(now)
        if record.hits < .max { record.hits &+= 1 }
        return entry
    }

    /// The entry under `key` without any trace: no counter, no use, an expired entry is left for others to remove.
    package borrowing func peek(_ key: UnsafeRawBufferPointer, hash: KeyHash, now: Int64) -> Entry? {
        guard let address = index.find(hash, key: key, in: arena) else { return nil }
        let record = arena.record(at: address)
        return record.isExpired(at: now) ? nil : Entry(record, now: now)
    }

    /// Starts bringing what a look-up of `hash` reads first into the processor's caches: for a key that is dealt with soon.
    package borrowing func prefetch(_ hash: KeyHash) { index.prefetch(hash) }

    /// The version of the entry under `key`, of an expired one that is still there too; 0 for none.
    package borrowing func version(_ key: UnsafeRawBufferPointer, hash: KeyHash) -> UInt64 {
        index.find(hash, key: key, in: arena).map { arena.record(at: $0).version } ?? 0
    }

    /// A version that is not older than any of `hash`'s key that was evicted or has expired here; 0 when none was.
    package borrowing func forgottenVersion(_ hash: KeyHash) -> UInt64 { forgotten[hash] }

    /// Notes that a version of a key was here and is not remembered, as if its entry had been evicted.
    package mutating func forget(_ version: UInt64, hash: KeyHash) { forgotten.note(version, hash) }

    /// Notes are taken of what is forgotten from now on.
    package mutating func rememberForgotten() { forgotten.begin() }

    /// Starts counting anew, as after a recovery, whose puts were nobody's commands.
    package mutating func resetCounters() { counters = StoreCounters() }

    /// Lays the empty store's index out for about `keys` entries, as far as the limits let there be so many; a guess that
    /// is wrong costs time or 0.6 bytes an entry that does not come. O(keys / 1,000).
    package mutating func reserve(keys: Int) {
        let most = limitBytes / (RecordShape.fixedBytes + HashIndex.pageBytes / HashIndex.fullPage)
        index.reserve(min(keys, most, maxKeys == 0 ? .max : maxKeys))
    }

    /// Where memory goes.
    package var memory: MemoryUse {
        MemoryUse(
            arenaBytes: arena.mappedSegmentBytes, largeBytes: arena.largeBytes, indexBytes: index.footprintBytes,
            tableBytes: arena.tableBytes + wheel.footprintBytes, liveBytes: arena.liveSegmentBytes + arena.largeBytes,
            payloadBytes: payloadBytes, deadBytes: arena.closedDeadBytes)
    }

    /// Changes the byte limit and evicts down to it; returns false when even an empty store does not fit.
    /// O(bytes to reclaim). The sizes of segments stay those of the first limit.
    package mutating func setLimit(bytes: Int, now: Int64) -> Bool {
        limitBytes = bytes
        return admit(0, replacing: 0, now: now) && makeRoom(for: 0, now: now)
    }

    /// Removes every entry at once and gives its memory back; returns how many there were.
    /// O(bytes mapped), in the kernel.
    package mutating func removeAll() -> Int {
        let removed = count
        guard removed > 0, let emptied = HashIndex() else { return 0 }
        index = emptied
        arena = Arena(limitBytes: settings.limitBytes)
        wheel = TimingWheel()
        policy = settings.policy.makePolicy()
        payloadBytes = 0
        unpaidBytes = 0
        return removed
    }

    /// The living entry under `key`; one found past its deadline is removed.
    @inline(__always) mutating func lookup(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ now: Int64
    ) -> EntryAddress? {
        assert(hash == hasher.hash(key), "the hash belongs to the key")
        guard let address = index.find(hash, key: key, in: arena) else { return nil }
        guard arena.record(at: address).isExpired(at: now) else { return address }
        forgotten.note(arena.record(at: address).version, hash)
        discard(address, hash: hash)
        counters.expired &+= 1
        return nil
    }

    /// Takes an entry out of everything and ends its record.
    mutating func discard(_ address: EntryAddress, hash: KeyHash) {
        let record = arena.record(at: address)
        index.remove(hash, address)
        if record.deadline != .max { wheel.remove(address, in: arena) }
        policy.removed(address, in: arena)
        payloadBytes -= record.keyBytes + record.valueBytes
        unpaidBytes += arena.kill(address)
    }

    /// The clock of `lastAccess`.
    static func tick(_ now: Int64) -> UInt32 { UInt32(truncatingIfNeeded: now >> 4) }
}

extension Entry {
    init(_ record: EntryRecord, now: Int64) {
        self.init(
            key: record.key, value: record.value, form: record.form, version: record.version,
            expiresAt: record.deadline, hits: UInt32(record.hits),
            idleMilliseconds: Int64(Store.tick(now) &- record.lastAccess) << 4)
    }
}
