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
    func reread() throws(MethodFailure) -> RereadReport {
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
            var restorer = Restorer(storage: self, journal: journal, removals)
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

/// Pass 1.
private struct RemovalCollector: RecoverySink {
    private(set) var removed = RemovedKeys()
    /// The newest version of each key, by hash: an older one must not be seen on the way to it. A collision costs a miss.
    private var newest: [Int: UInt64] = [:]
    private var newestVersion: UInt64 = 0

    mutating func put(_ record: JournalRecord) {
        newestVersion = max(newestVersion, record.version)
        let hash = Self.hash(record.key)
        newest[hash] = max(newest[hash] ?? 0, record.version)
    }

    func isNewest(_ record: JournalRecord) -> Bool { newest[Self.hash(record.key)] == record.version }

    private static func hash(_ key: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: key)
        return hasher.finalize()
    }

    mutating func touch(_ record: JournalRecord) {}
    mutating func remove(_ record: JournalRecord) { removed.remove(record.key, version: record.version) }
    mutating func dropKey(_ record: JournalRecord) { removed.remove(record.key, version: record.version) }
    mutating func flush(_ record: JournalRecord) { removed.flush(version: record.version) }

    /// Unknown damage: nothing older may come back.
    mutating func removeAll() -> Int {
        removed.flush(version: newestVersion)
        return 0
    }
}

/// Pass 2.
private struct Restorer: RecoverySink {
    let storage: Storage
    let journal: JournalService
    private let removals: RemovalCollector
    let now = NodeClock.monotonicMilliseconds()
    private(set) var records = 0

    init(storage: Storage, journal: JournalService, _ removals: RemovalCollector) {
        self.storage = storage
        self.journal = journal
        self.removals = removals
    }

    mutating func put(_ record: JournalRecord) {
        records += 1
        let deadline = record.wallExpiry == .max ? Int64.max : record.wallExpiry &- storage.wallOffset
        guard deadline > now, removals.isNewest(record), !removals.removed.covers(record.key, version: record.version)
        else { return }
        waitForDisk()
        withShard(record) { state, hash in
            if state.reread?.covers(record.key, version: record.version) == true { return }
            if let known = state.store.peek(record.key, hash: hash, now: now), known.version >= record.version {
                return
            }
            let outcome = state.store.put(
                record.key, hash: hash, value: record.value, form: record.form.storedForm,
                expiry: deadline == .max ? .never : .at(deadline), version: record.version, condition: .always,
                now: now)
            // A record that the journal does not take now is still in the file it came from.
            if outcome == .stored { _ = journal.append(record) }
        }
    }

    mutating func touch(_ record: JournalRecord) {
        records += 1
        let deadline = record.wallExpiry == .max ? Int64.max : record.wallExpiry &- storage.wallOffset
        // An entry that was live all along has had this touch already; doing it again changes nothing unless a later
        // touch shortened its time, and then the record of that one follows.
        withShard(record) { state, hash in
            guard let known = state.store.peek(record.key, hash: hash, now: now), known.version <= record.version,
                known.expiresAt != deadline
            else { return }
            let outcome = state.store.touch(
                record.key, hash: hash, expiry: deadline == .max ? .never : .at(deadline), version: nil, now: now)
            if outcome == .touched { _ = journal.append(record) }
        }
    }

    mutating func remove(_ record: JournalRecord) { records += 1 }
    mutating func flush(_ record: JournalRecord) { records += 1 }
    mutating func dropKey(_ record: JournalRecord) {}
    mutating func removeAll() -> Int { 0 }

    private func withShard(_ record: JournalRecord, _ body: (inout ShardState, KeyHash) -> Void) {
        let hash = storage.hash(record.key)
        storage.shards[hash.shard(of: storage.shards.count)].state.withLock { body(&$0, hash) }
    }

    /// The journal's buffer is bounded: a worker may wait for the disk.
    private func waitForDisk() {
        while journal.isCongested && journal.isOpen {
            journal.requestCommit()
            usleep(1000)
        }
    }
}
