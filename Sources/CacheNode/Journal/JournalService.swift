// The running journal: records go into a pending buffer under one lock, a writer thread writes what has gathered
// (group commit), a second thread synchronises at intervals, a third compresses, compacts and reopens, with a fourth that
// deflates for it when a core is idle (IdleDeflater.swift). Replies wait for the watermark.
//
// Callers' duties:
// - append under the lock of the key's shard, after the store acted, so that the journal has a key's changes in their
//   order;
//   append a flush while holding every shard's lock;
// - call `requestCommit` once a read cycle after appending;
// - acknowledge a write when `watermark` has reached its sequence, refuse it when `append` returned nil or
//   `onFailure` came.

import Journal
import Synchronization

/// A journal open for writing. Call `close` when done: its threads keep it alive until then.
package final class JournalService: Sendable {
    /// Guarded by `state`.
    struct State: ~Copyable, Sendable {
        var pending = RawBuffer(capacity: 256 * 1024)
        var journal: JournalState
        var segment: SegmentFile
        /// Sequence that the next record gets.
        var nextSequence: UInt64
        /// Written to the current segment or an earlier one.
        var written: UInt64
        var durable: UInt64
        /// A sequence that somebody waits for to be durable.
        var durableWanted: UInt64 = 0
        var rollsWanted = 0
        var rollsDone = 0
        var isStopping = false
        var writerEnded = false
        var lastFsync: Int64 = 0
        var fsyncs = 0
        var fsyncFailures = 0
        var compressed = 0
        var compressedRaw = 0
        var compressedStored = 0
        var compactions = 0
    }

    let directory: JournalDirectory
    let settings: JournalSettings
    let codec: JournalCodec
    let hooks: JournalHooks
    let seed: EpochSeed
    let state: Mutex<State>
    /// Held while files are read, replaced or removed; never together with `state` except to take `state` inside.
    let jobs = Mutex<Void>(())
    let writerBell = Doorbell()
    let syncerBell = Doorbell()
    let maintenanceBell = Doorbell()
    /// Rung whenever the writer or the syncer has got on.
    let progressBell = Doorbell()
    private let threads = Mutex<[JournalThread]>([])
    private let idleDeflater: IdleDeflater?
    /// Calls that wait for `jobs`, which upkeep holds: it must not wait for an idle core then.
    let waitingForJobs = Atomic<Int>(0)
    private let upkeepBegan = Atomic<Bool>(false)
    private let acknowledged: Atomic<UInt64>
    private let open = Atomic<Bool>(true)
    private let pendingCount = Atomic<Int>(0)
    private let commitAsked = Atomic<Bool>(false)
    let compactionAsked = Atomic<Bool>(false)

    /// Opens a new segment after what `recovered` holds and starts the threads.
    ///
    /// `newEpoch`: a random number, used when the journal is new.
    package init(
        directory: JournalDirectory, recovered: RecoveredJournal, newEpoch: UInt64, settings: JournalSettings,
        codec: JournalCodec, hooks: JournalHooks
    ) throws(JournalError) {
        self.directory = directory
        self.settings = settings
        self.codec = codec
        self.hooks = hooks
        idleDeflater = settings.deflatesWhenIdle ? codec.idleDeflate.map { IdleDeflater($0) } : nil
        seed = EpochSeed(epoch: recovered.epoch ?? newEpoch)
        let last = recovered.report.lastSequence
        let number = recovered.plan.nextNumber
        let segment = try SegmentFile.create(
            directory, number: number, firstSequence: last + 1, seed: seed, layout: settings.segmentLayout)
        var journal = JournalState(loaded: recovered.plan)
        journal.segmentOpened(number: number)
        state = Mutex(State(journal: journal, segment: segment, nextSequence: last + 1, written: last, durable: last))
        acknowledged = Atomic(last)
        // A damaged journal is replaced by a snapshot of what could be read; the damaged files are kept elsewhere.
        compactionAsked.store(recovered.report.damageCount > 0, ordering: .relaxed)
        start()
        hooks.onEvent(.segmentOpened(number: number, firstSequence: last + 1))
    }

    private func start() {
        var started = [JournalThread { self.runWriter() }]
        if case .interval(let milliseconds) = settings.synchronisation {
            started.append(JournalThread { self.runSyncer(every: milliseconds) })
        }
        started.append(JournalThread(.batch) { self.runMaintenance() })
        let threads = started
        self.threads.withLock { $0 = threads }
    }

    // MARK: Appending

    /// Adds a record to what the writer takes next and returns its sequence; nil while the journal is read-only.
    ///
    /// Never does I/O. O(bytes of the record).
    package func append(_ record: JournalRecord) -> UInt64? {
        let checksum = Checksum.crc32(record.value)
        return state.withLock { state in
            guard case .open = state.journal.phase, !state.isStopping else { return nil }
            let sequence = state.nextSequence
            state.nextSequence += 1
            // What is pending is written when everything before it is durable, in the mode that lays segments out.
            RecordEncoder.append(
                record, sequence: sequence, valueChecksum: checksum,
                beginsCommit: state.pending.count == 0 && settings.synchronisation == .always, seed: seed,
                to: &state.pending)
            pendingCount.store(state.pending.count, ordering: .relaxed)
            return sequence
        }
    }

    /// Sees to it that everything appended so far is written soon. Cheap when the writer has been asked already.
    package func requestCommit() {
        guard !commitAsked.exchange(true, ordering: .acquiringAndReleasing) else { return }
        writerBell.ring()
    }

    /// The highest sequence that may be acknowledged.
    package var watermark: UInt64 { acknowledged.load(ordering: .acquiring) }

    /// False while writes must be refused with 1201.
    package var isOpen: Bool { open.load(ordering: .acquiring) }

    /// So much waits to be written that further writes should be refused with -32009.
    package var isCongested: Bool { pendingCount.load(ordering: .relaxed) > settings.maxPendingBytes }

    package var epoch: UInt64 { seed.epoch }

    package var status: JournalStatus {
        let watermark = self.watermark
        return state.withLock { state in
            var reason: String?
            if case .readOnly(let text, _, _) = state.journal.phase { reason = text }
            return JournalStatus(
                isOpen: reason == nil, reason: reason, segments: state.journal.closed.count + 1,
                bytes: state.journal.totalBytes, lastSequence: state.nextSequence - 1, watermark: watermark,
                durableSequence: state.durable, snapshots: state.journal.snapshot == nil ? 0 : 1,
                snapshotBytes: state.journal.snapshot?.bytes ?? 0, lastFsyncMilliseconds: state.lastFsync,
                fsyncs: state.fsyncs, fsyncFailures: state.fsyncFailures, compressedSegments: state.compressed,
                compressedRawBytes: state.compressedRaw, compressedStoredBytes: state.compressedStored,
                compactions: state.compactions, pendingBytes: state.pending.count)
        }
    }

    /// Writes and synchronises what is pending, whatever the mode, ends the threads and releases the directory.
    /// Later appends return nil.
    package func close() {
        state.withLock { $0.isStopping = true }
        writerBell.ring()
        syncerBell.ring()
        maintenanceBell.ring()
        let running = threads.withLock { threads in
            let running = threads
            threads = []
            return running
        }
        for thread in running { thread.join() }
        idleDeflater?.close()
        directory.release()
    }

    /// Lets the upkeep thread begin to compress, compact and reopen: when the node serves, so that none of it delays that.
    package func beginUpkeep() {
        upkeepBegan.store(true, ordering: .releasing)
        maintenanceBell.ring()
    }

    // MARK: Used by the threads

    var mayDoUpkeep: Bool { upkeepBegan.load(ordering: .acquiring) }

    /// How blocks are deflated: when a core is idle or, what is urgent, at once. nil when they are not.
    var blockDeflate: JournalDeflate? {
        guard let deflate = codec.deflate, let idleDeflater else { return codec.deflate }
        return { raw, output in
            switch idleDeflater.deflate(raw, into: output, while: { self.mayUpkeepWait }) {
            case .deflated(let bytes): bytes
            case .notTaken: deflate(raw, output)
            }
        }
    }

    /// Whether nobody waits for upkeep to get on.
    private var mayUpkeepWait: Bool {
        guard waitingForJobs.load(ordering: .relaxed) == 0 else { return false }
        return state.withLock { !$0.isStopping && !$0.journal.isUpkeepUrgent }
    }

    func commitTaken() { commitAsked.store(false, ordering: .releasing) }

    func pendingTaken() { pendingCount.store(0, ordering: .relaxed) }

    func advance(to sequence: UInt64) {
        acknowledged.store(sequence, ordering: .releasing)
        hooks.onAdvance(sequence)
    }

    /// Makes the journal read-only: nothing that was not acknowledged will be.
    func fail(_ error: JournalError, isSync: Bool) {
        let reason = error.description
        let first = state.withLock { state in
            if isSync { state.fsyncFailures += 1 }
            guard case .open = state.journal.phase else { return false }
            state.journal.failed(reason: reason, now: JournalClock.monotonic())
            state.pending.removeAll(keepingCapacityUpTo: 256 * 1024)
            open.store(false, ordering: .releasing)
            return true
        }
        guard first else { return }
        pendingTaken()
        hooks.onEvent(.failed(reason: reason))
        hooks.onFailure(reason, watermark)
        maintenanceBell.ring()
        progressBell.ring()
    }

    func reopened(at sequence: UInt64) {
        acknowledged.store(sequence, ordering: .releasing)
        open.store(true, ordering: .releasing)
    }
}
