// The caching layer: shards of the store, and the journal that remembers what was done to them. Knows keys and values,
// neither requests nor sockets.
//
// A write locks its shard, acts, appends the record to the journal's buffer and unlocks: the order of records of one key
// is the order in which they took effect. The caller gets the record's sequence and answers its client when the journal's
// watermark has reached it.
//
// Guarded by: each shard's `state` guards the store and everything in it; the journal has a lock of its own, taken inside
// a shard's lock and never the other way round.

import CacheStore
import Journal
import Synchronization

/// One part of the keys.
struct ShardState: ~Copyable {
    var store: Store
    /// The share of memory the store was last given.
    var limitBytes: Int
    /// A journal may hold keys that are not in the store: they were evicted, or it was put aside.
    var hasEvicted = false
    /// Keys removed in a cluster, so that copies elsewhere do not bring them back.
    var tombstones = Tombstones()
    /// Of the last flush in a cluster: nothing older may come from another node.
    var flushedVersion: UInt64 = 0
    /// Set while the journal is re-read into the live store: what was removed, so that it does not come back.
    var reread: RemovedKeys?
}

final class Shard: Sendable {
    let state: Mutex<ShardState>

    init(_ state: consuming sending ShardState) {
        self.state = Mutex(state)
    }
}

/// What a tick of the storage tells.
struct TickReport {
    /// Writes refused for want of memory since the start.
    var refusedWrites: UInt64 = 0
    /// Memory of all stores.
    var usedBytes = 0
    /// Expiry is not through: the next tick should come soon.
    var isMoreDue = false
}

/// All keys and values of the node.
final class Storage: Sendable {
    let shards: [Shard]
    let hasher: KeyHasher
    let clock: VersionClock
    let budget: MemoryBudget
    /// Nil when `journal.enabled` is off.
    let journal: JournalService?
    /// Unix milliseconds minus monotonic milliseconds: expiry is monotonic in the store, Unix in the journal. Read again
    /// with every tick, as the wall clock may be set.
    private let wallOffsetNow: Atomic<Int64>
    /// There are, or were, other nodes: removals are remembered.
    let isClustered = Atomic<Bool>(false)
    /// What recovery at start found.
    private let recoveryReport = Mutex<RecoveryReport?>(nil)

    init(
        shards: [Shard], hasher: KeyHasher, clock: VersionClock, budget: MemoryBudget, journal: JournalService?,
        wallOffset: Int64
    ) {
        self.shards = shards
        self.hasher = hasher
        self.clock = clock
        self.budget = budget
        self.journal = journal
        wallOffsetNow = Atomic(wallOffset)
    }

    /// Recovery is over: what it put into the shards is not counted as anybody's command.
    ///
    /// `hasAside`: there is a journal put aside, which may hold keys that are not in the store.
    func recoveryFinished(_ report: RecoveryReport?, hasAside: Bool) {
        recoveryReport.withLock { $0 = report }
        for shard in shards {
            shard.state.withLock { state in
                state.hasEvicted = hasAside || state.store.counters.evictions + state.store.counters.refused > 0
                state.store.resetCounters()
            }
        }
    }

    var wallOffset: Int64 { wallOffsetNow.load(ordering: .relaxed) }

    /// What recovery at start found; nil without a journal.
    var recovery: RecoveryReport? { recoveryReport.withLock { $0 } }

    /// Records up to this sequence are as safe as the fsync setting promises.
    var watermark: UInt64 {
        @inline(__always) get { journal?.watermark ?? .max }
    }

    @inline(__always)
    func hash(_ key: UnsafeRawBufferPointer) -> KeyHash {
        hasher.hash(key)
    }

    @inline(__always)
    func shard(_ key: CacheKey) -> Shard {
        shards.count == 1 ? shards[0] : shards[key.hash.shard(of: shards.count)]
    }

    // MARK: Reading

    /// Finds an entry, counting a hit or a miss. `copy` runs under the shard's lock and does no more than copy bytes.
    @inline(__always)
    func read(_ key: CacheKey, now: Int64, _ copy: (borrowing Entry) -> Void) -> EntryFacts? {
        shard(key).state.withLock { state in
            guard let entry = state.store.get(key.bytes, hash: key.hash, now: now) else { return nil }
            copy(entry)
            return EntryFacts(entry)
        }
    }

    // MARK: Writing

    /// Stores a value; throws 1201 when the journal refuses writes and -32009 when it can't keep up.
    func put(
        _ key: CacheKey, _ value: UnsafeRawBufferPointer, form: StoredForm, expiry: PutExpiry,
        condition: PutCondition, now: Int64
    ) throws(MethodFailure) -> WriteReport {
        try checkJournal()
        let share = storeShareBytes
        let report = shard(key).state.withLock { state in
            state.apply(limit: share, now: now)
            return put(key, value, form, expiry, condition, now, &state)
        }
        return try acknowledgeable(report)
    }

    /// The part of `put` under the lock, shared with `increment`.
    private func put(
        _ key: CacheKey, _ value: UnsafeRawBufferPointer, _ form: StoredForm, _ expiry: PutExpiry,
        _ condition: PutCondition, _ now: Int64, _ state: inout ShardState
    ) -> WriteReport {
        let version = clock.next()
        let outcome = state.store.put(
            key.bytes, hash: key.hash, value: value, form: form, expiry: expiry, version: version,
            condition: condition, now: now)
        guard case .stored = outcome else { return WriteReport(outcome: outcome) }
        if state.tombstones.count > 0 { state.tombstones.remove(key.bytes) }
        // Should it be evicted while a journal is read again, nothing older may take its place.
        state.reread?.remove(key.bytes, version: version)
        let expiresAt: Int64 =
            switch expiry {
            case .never: .max
            case .at(let deadline): deadline
            case .keep: state.store.peek(key.bytes, hash: key.hash, now: now)?.expiresAt ?? .max
            }
        guard let journal else { return WriteReport(outcome: outcome, version: version, expiresAt: expiresAt) }
        let sequence = journal.append(
            .put(
                key: key.bytes, value: value, form: form.journalForm, wallExpiry: wall(expiresAt),
                version: version))
        return WriteReport(
            outcome: outcome, version: version, expiresAt: expiresAt, sequence: sequence ?? Self.refusedSequence)
    }

    func remove(_ key: CacheKey, ifVersion: UInt64?, now: Int64) throws(MethodFailure) -> RemoveReport {
        try checkJournal()
        let report = shard(key).state.withLock { state in
            let outcome = state.store.remove(key.bytes, hash: key.hash, ifVersion: ifVersion, now: now)
            let version = clock.next()
            state.reread?.remove(key.bytes, version: version)
            let isClustered = isClustered.load(ordering: .relaxed)
            if isClustered, outcome == .removed || outcome == .notFound { state.bury(key, version: version) }
            guard let journal else { return RemoveReport(outcome: outcome, version: version) }
            switch outcome {
            case .removed: break
            // An evicted key is still in the journal: without this record the next start would bring it back. Another
            // node may hold what is not here.
            case .notFound where isClustered || state.hasEvicted || state.store.counters.evictions > 0: break
            case .notFound, .versionMismatch: return RemoveReport(outcome: outcome, version: version)
            }
            let sequence = journal.append(.remove(key: key.bytes, version: version)) ?? Self.refusedSequence
            return RemoveReport(outcome: outcome, version: version, sequence: sequence)
        }
        return try acknowledgeable(report)
    }

    /// Changes an entry's expiry; its version stays, as its value does.
    func touch(_ key: CacheKey, expiry: PutExpiry, now: Int64) throws(MethodFailure) -> TouchReport {
        try checkJournal()
        let outcome = shard(key).state.withLock { state -> TouchReport? in
            switch state.store.touch(key.bytes, hash: key.hash, expiry: expiry, version: nil, now: now) {
            case .notFound: return TouchReport(found: false)
            case .memoryFull: return nil
            case .touched: break
            }
            let version = state.store.peek(key.bytes, hash: key.hash, now: now)?.version ?? 0
            guard let journal else { return TouchReport(found: true, version: version) }
            var expiresAt = Int64.max
            if case .at(let deadline) = expiry { expiresAt = deadline }
            let sequence = journal.append(
                .touch(key: key.bytes, wallExpiry: wall(expiresAt), version: clock.next()))
            return TouchReport(found: true, version: version, sequence: sequence ?? Self.refusedSequence)
        }
        guard let outcome else { throw MethodFailure(.memoryFull) }
        return try acknowledgeable(outcome)
    }

    /// Adds to an integer value in one step. A created counter gets `initialExpiry`; an existing one keeps its own.
    func increment(
        _ key: CacheKey, by delta: Int64, initial: Int64?, initialExpiry: PutExpiry, now: Int64
    ) throws(MethodFailure) -> IncrementReport {
        try checkJournal()
        let result = shard(key).state.withLock { state -> Result<IncrementReport, MethodFailure> in
            let current = state.store.peek(key.bytes, hash: key.hash, now: now)
            var value: Int64
            if let current {
                guard case .plain = current.form, let number = Counters.parse(current.value) else {
                    return .failure(MethodFailure(.notAnInteger, .reason("the value is not a 64-bit integer")))
                }
                let (sum, overflowed) = number.addingReportingOverflow(delta)
                guard !overflowed else {
                    return .failure(MethodFailure(.notAnInteger, .reason("the result would overflow 64 bits")))
                }
                value = sum
            } else {
                guard let initial else { return .success(IncrementReport(outcome: .missing)) }
                value = initial
            }
            let wasCreated = current == nil
            return Counters.withText(of: value) { text in
                let report = put(
                    key, text, .plain, wasCreated ? initialExpiry : .keep, .always, now, &state)
                guard case .stored = report.outcome else { return .failure(MethodFailure(.memoryFull)) }
                return .success(
                    IncrementReport(
                        outcome: .counted(value, wasCreated: wasCreated), version: report.version,
                        expiresAt: report.expiresAt, sequence: report.sequence))
            }
        }
        return try acknowledgeable(try result.get())
    }

    /// Removes every key. The record is written while all shards are locked, in their order, so that it stands behind
    /// everything it covers and in front of everything after it.
    func flush() throws(MethodFailure) -> (removed: Int, sequence: UInt64) {
        try checkJournal()
        let (removed, sequence) = flush(from: 0)
        guard sequence != Self.refusedSequence else { throw journalFailure() }
        return (removed, sequence)
    }

    private func flush(from index: Int) -> (removed: Int, sequence: UInt64) {
        guard index < shards.count else {
            guard let journal else { return (0, 0) }
            return (0, journal.append(.flush(version: clock.next())) ?? Self.refusedSequence)
        }
        return shards[index].state.withLock { state in
            let rest = flush(from: index + 1)
            state.reread?.flush(version: clock.newest)
            // A node that is away now may bring old copies back.
            if isClustered.load(ordering: .relaxed) { state.flushed(upTo: clock.newest) }
            return (rest.removed + state.store.removeAll(), rest.sequence)
        }
    }

    // MARK: Limits

    /// Stands for the sequence of a record that the journal did not take, as it failed since `checkJournal`.
    static let refusedSequence = UInt64.max

    /// Refuses writes that the journal could not keep.
    @inline(__always)
    func checkJournal() throws(MethodFailure) {
        guard let journal else { return }
        guard journal.isOpen else { throw journalFailure() }
        if journal.isCongested { throw MethodFailure(.busy, .reason("the journal's disk does not keep up")) }
    }

    func journalFailure() -> MethodFailure {
        MethodFailure(.journalFailed, .state(journal?.status.reason ?? "the journal failed"))
    }

    /// Passes a report on unless the journal failed while the write was made: the change stands in memory, but nothing
    /// may be promised.
    @inline(__always)
    private func acknowledgeable<Report: JournalledReport>(_ report: Report) throws(MethodFailure) -> Report {
        guard report.sequence != Self.refusedSequence else { throw journalFailure() }
        return report
    }

    /// Bytes each shard may use now.
    var storeShareBytes: Int {
        budget.storeLimitBytes / shards.count
    }

    /// Units of expiry done under a shard's lock at once: an event loop that needs it waits some 100 µs at most.
    static let expiryStep = 128

    /// Steps of expiry that a tick does in a shard: one, and one more for each half of a second that expiry is late, up
    /// to four for all shards together. Lateness costs memory, where the dead go first when it is short; steps in a row
    /// cost the event loops time.
    static func expirySteps(lateMilliseconds: Int64, shards: Int) -> Int {
        max(1, min(4, 1 + Int(clamping: lateMilliseconds / 500)) / shards)
    }

    /// Drops a slice of the expired entries of each shard and gives the stores their current share of memory.
    ///
    /// Never all that is due: entries put together expire together, and hundreds of thousands in a row took the core from
    /// the event loop for tens of milliseconds. What has expired is not served in the meantime.
    func tick(now: Int64) -> TickReport {
        var report = TickReport()
        wallOffsetNow.store(NodeClock.wallMilliseconds() - NodeClock.monotonicMilliseconds(), ordering: .relaxed)
        let tombstoneBytes = shards.reduce(0) { $0 + $1.state.withLock { $0.tombstones.bytes } }
        budget.note(journalBytes: (journal?.status.pendingBytes ?? 0) + tombstoneBytes)
        let share = storeShareBytes
        for shard in shards {
            var late: Int64 = 0
            var steps = 0
            while late >= 0 && steps < Self.expirySteps(lateMilliseconds: late, shards: shards.count) {
                // An event loop that has woken up meanwhile goes first: the scheduler would let this thread run on.
                if steps > 0 { JournalThread.standBack() }
                late = shard.state.withLock { state in
                    state.apply(limit: share, now: now)
                    _ = state.store.expire(now: now, limit: Self.expiryStep)
                    // Units may have gone into moving entries down the timing wheel: what counts is what is due.
                    return state.store.nextExpiryHint.map { now - $0 } ?? -1
                }
                steps += 1
            }
            report.isMoreDue = report.isMoreDue || late >= 0
            shard.state.withLock { state in
                report.refusedWrites += state.store.counters.refused
                report.usedBytes += state.store.memory.footprintBytes
            }
        }
        return report
    }

    /// A deadline of the monotonic clock as Unix milliseconds.
    @inline(__always)
    func wall(_ deadline: Int64) -> Int64 {
        deadline == .max ? .max : deadline &+ wallOffset
    }
}

extension ShardState {
    /// Gives the store its share of memory when that has changed.
    @inline(__always)
    mutating func apply(limit: Int, now: Int64) {
        guard limit != limitBytes else { return }
        limitBytes = limit
        _ = store.setLimit(bytes: limit, now: now)
    }
}

extension EntryFacts {
    @inline(__always)
    init(_ entry: borrowing Entry) {
        self.init(
            form: entry.form, version: entry.version, expiresAt: entry.expiresAt, hits: entry.hits,
            idleMilliseconds: entry.idleMilliseconds, storedBytes: entry.value.count)
    }
}

extension StoredForm {
    /// The same in the journal's terms.
    @inline(__always)
    var journalForm: JournalValueForm {
        switch self {
        case .plain: .plain
        case .deflated(let originalBytes, let crc32): .deflated(originalBytes: originalBytes, crc32: crc32)
        }
    }
}
