// node.reconstruct: reads the journal again while the node serves. Brings back what is missing (evicted keys, or all of an
// earlier run's journal that was put aside at start) and never overrides or revives anything newer.
//
//     pass 1   collects what was removed, and when
//     pass 2   puts what was not, where the live store has nothing newer; removals made meanwhile are noted by the shards
//
// What comes back is appended to the journal again, so that it survives the next restart too.

import CacheStore
import Journal

#if canImport(Glibc)
    import Glibc
#endif

/// What node.reconstruct reports.
struct RereadReport {
    /// Records read.
    var records: Int
    /// Keys held afterwards.
    var keys: Int
    /// Bytes of the journal that could not be used.
    var droppedBytes: Int
}

extension Storage {
    /// Reads the journal again; blocks for as long as that takes, so it runs on a worker. Throws 1201 when it
    /// can't be read, -32009 while another one is under way.
    ///
    /// `isWanted`: whether this node has to hold the key at all.
    func reread(
        isWanted: @escaping @Sendable (UnsafeRawBufferPointer) -> Bool
    ) throws(MethodFailure) -> RereadReport {
        guard let journal else { return RereadReport(records: 0, keys: count, droppedBytes: 0) }
        let isFirst = shards[0].state.withLock { state in
            defer { if state.reread == nil { state.reread = RemovedKeys() } }
            return state.reread == nil
        }
        guard isFirst else { throw MethodFailure(.busy, .reason("the journal is being read already")) }
        for shard in shards.dropFirst() { shard.state.withLock { $0.reread = RemovedKeys() } }
        defer { for shard in shards { shard.state.withLock { $0.reread = nil } } }
        do throws(JournalError) {
            var removals = RemovalCollector()
            _ = try journal.reread(includingAside: true, into: &removals)
            // A journal put aside may come from a time when the clock was ahead.
            clock.observe(removals.newestVersion)
            var restorer = Restorer(storage: self, journal: journal, removals, isWanted)
            let (report, _) = try journal.reread(includingAside: true, into: &restorer)
            journal.requestCommit()
            return RereadReport(records: restorer.records, keys: count, droppedBytes: report.droppedBytes)
        } catch {
            throw MethodFailure(.journalFailed, .state(error.description))
        }
    }

    /// Keys held now.
    var count: Int {
        shards.reduce(0) { $0 + $1.state.withLock { state in state.store.count } }
    }
}

/// Pass 1: which record of each key counts, when it expires, and what was removed.
private struct RemovalCollector: RecoverySink {
    /// The newest put of a key, with the expiry that later touches gave it.
    struct Newest {
        var version: UInt64
        var wallExpiry: Int64
    }

    private(set) var removed = RemovedKeys()
    /// By hash; a collision costs a miss.
    private var newest: [Int: Newest] = [:]
    private(set) var newestVersion: UInt64 = 0

    mutating func put(_ record: JournalRecord) {
        newestVersion = max(newestVersion, record.version)
        let hash = Self.hash(record.key)
        if let known = newest[hash], known.version > record.version { return }
        newest[hash] = Newest(version: record.version, wallExpiry: record.wallExpiry)
    }

    mutating func touch(_ record: JournalRecord) {
        let hash = Self.hash(record.key)
        guard let known = newest[hash], known.version <= record.version else { return }
        newest[hash]?.wallExpiry = record.wallExpiry
    }

    mutating func remove(_ record: JournalRecord) {
        newestVersion = max(newestVersion, record.version)
        removed.remove(record.key, version: record.version)
    }

    mutating func dropKey(_ record: JournalRecord) { removed.remove(record.key, version: record.version) }
    mutating func flush(_ record: JournalRecord) { removed.flush(version: record.version) }

    /// Unknown damage: nothing older may come back.
    mutating func removeAll() -> Int {
        removed.flush(version: newestVersion)
        return 0
    }

    /// The expiry to restore a put with, in Unix milliseconds; nil when it must not come back.
    func expiry(ofRestorable record: JournalRecord) -> Int64? {
        guard let known = newest[Self.hash(record.key)], known.version == record.version,
            !removed.covers(record.key, version: record.version)
        else { return nil }
        return known.wallExpiry
    }

    private static func hash(_ key: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: key)
        return hasher.finalize()
    }
}

/// Pass 2: restores what is missing. Entries that are live stay as they are: the store knows better.
private struct Restorer: RecoverySink {
    let storage: Storage
    let journal: JournalService
    private let removals: RemovalCollector
    let now = NodeClock.monotonicMilliseconds()
    private(set) var records = 0

    private let isWanted: @Sendable (UnsafeRawBufferPointer) -> Bool

    init(
        storage: Storage, journal: JournalService, _ removals: RemovalCollector,
        _ isWanted: @escaping @Sendable (UnsafeRawBufferPointer) -> Bool
    ) {
        self.isWanted = isWanted
        self.storage = storage
        self.journal = journal
        self.removals = removals
    }

    mutating func put(_ record: JournalRecord) {
        records += 1
        guard let wallExpiry = removals.expiry(ofRestorable: record) else { return }
        let deadline = wallExpiry == .max ? Int64.max : wallExpiry &- storage.wallOffset
        guard deadline > now, isWanted(record.key) else { return }
        waitForDisk()
        let hash = storage.hash(record.key)
        storage.shards[hash.shard(of: storage.shards.count)].state.withLock { state in
            guard state.reread?.covers(record.key, version: record.version) == false,
                state.store.peek(record.key, hash: hash, now: now) == nil,
                record.version > max(state.flushedVersion, state.tombstones.version(record.key) ?? 0),
                !storage.isClustered.load(ordering: .relaxed)
                    || record.version > state.store.forgottenVersion(hash)
            else { return }
            let outcome = state.store.put(
                record.key, hash: hash, value: record.value, form: record.form.storedForm,
                expiry: deadline == .max ? .never : .at(deadline), version: record.version, condition: .always,
                now: now)
            guard outcome == .stored else { return }
            var restored = record
            restored.wallExpiry = wallExpiry
            // A record that the journal does not take now is still in the file it came from.
            _ = journal.append(restored)
        }
    }

    mutating func touch(_ record: JournalRecord) { records += 1 }
    mutating func remove(_ record: JournalRecord) { records += 1 }
    mutating func flush(_ record: JournalRecord) { records += 1 }
    mutating func dropKey(_ record: JournalRecord) {}
    mutating func removeAll() -> Int { 0 }

    /// The journal's buffer is bounded: a worker may wait for the disk.
    private func waitForDisk() {
        while journal.isCongested && journal.isOpen {
            journal.requestCommit()
            usleep(1000)
        }
    }
}
