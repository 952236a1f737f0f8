// The writer thread (write, synchronise, advance, roll) and the thread that synchronises at intervals.

import Journal

extension JournalService {
    /// What the writer takes out of the state at once.
    private struct Work {
        var segment: SegmentFile
        /// Last sequence in the batch, or of what was written before when the batch is empty.
        var last: UInt64
        var mustSync: Bool
        var mustRoll: Bool
        var isStopping: Bool
    }

    private enum Step {
        case idle
        case ended
        case work(Work)
    }

    func runWriter() {
        var batch = RawBuffer(capacity: 256 * 1024)
        var lastRecords: UInt64 = 0
        while true {
            writerBell.wait(milliseconds: nil)
            commitTaken()
            steps: while true {
                // Where an event loop shares the core with this thread, it goes first until it has nothing left to read: one
                // commit then covers all clients instead of alternating between two halves of them. With 64 clients on one
                // core 65 writes a commit instead of 37, and 1.17 times as many writes a second with fsync = always. On a
                // core of its own the thread goes on at once. A client that is alone does not pay for it: whatever else
                // runs on the core would go first, too.
                if settings.synchronisation == .always && lastRecords > 1 { JournalThread.standBack() }
                switch takeWork(&batch) {
                case .idle: break steps
                case .ended:
                    closeSegment()
                    progressBell.ring()
                    return
                case .work(let work):
                    lastRecords = work.last &- watermark
                    perform(work, batch: &batch)
                }
            }
        }
    }

    private func takeWork(_ batch: inout RawBuffer) -> Step {
        batch.removeAll(keepingCapacityUpTo: 4 * 1024 * 1024)
        return state.withLock { state in
            guard case .open = state.journal.phase else {
                state.writerEnded = state.isStopping
                return state.isStopping ? .ended : .idle
            }
            swap(&batch, &state.pending)
            pendingTaken()
            let last = state.nextSequence - 1
            let isAlways = settings.synchronisation == .always
            let mustSync = state.durable < (isAlways || state.isStopping ? last : min(last, state.durableWanted))
            let mustRoll = state.rollsDone < state.rollsWanted
            if batch.count == 0, !mustSync, !mustRoll {
                state.writerEnded = state.isStopping
                return state.isStopping ? .ended : .idle
            }
            return .work(
                Work(
                    segment: state.segment, last: last, mustSync: mustSync, mustRoll: mustRoll,
                    isStopping: state.isStopping))
        }
    }

    private func perform(_ work: Work, batch: inout RawBuffer) {
        var isSync = false
        do throws(JournalError) {
            if batch.count > 0 { try work.segment.write(batch.bytes) }
            let activeBytes: Int? = state.withLock { state in
                // Reopened meanwhile after the syncer had failed: this segment is history.
                guard state.segment === work.segment else { return nil }
                state.written = work.last
                state.journal.activeBytes += batch.count
                return state.journal.activeBytes
            }
            guard let activeBytes else { return }
            if work.mustSync {
                isSync = true
                try synchronise(work.segment, upTo: work.last)
                isSync = false
            }
            if work.last > watermark { advance(to: work.last) }
            if activeBytes >= settings.segmentBytes || work.mustRoll { try roll(work) }
            progressBell.ring()
        } catch {
            fail(error, isSync: isSync)
        }
    }

    /// fdatasync of what has been written up to `sequence`; counted.
    func synchronise(_ segment: SegmentFile, upTo sequence: UInt64) throws(JournalError) {
        let started = JournalClock.monotonic()
        try segment.synchronise()
        let took = JournalClock.monotonic() - started
        state.withLock { state in
            state.lastFsync = took
            state.fsyncs += 1
            guard case .open = state.journal.phase else { return }
            state.durable = max(state.durable, sequence)
        }
    }

    /// Seals the segment and opens the next one.
    ///
    /// The old one is durable before the new one takes a byte, in every mode: otherwise a power loss could keep the
    /// newer records and lose older ones, and what survives would not be a prefix.
    private func roll(_ work: Work) throws(JournalError) {
        let records = work.last + 1 - work.segment.firstSequence
        if records > 0 {
            let sealBytes = try seal(work.segment, after: work.last)
            // Zeros after a seal mean nothing.
            try? work.segment.trim()
            let next = try SegmentFile.create(
                directory, number: work.segment.number + 1, firstSequence: work.last + 1, seed: seed,
                layout: settings.segmentLayout)
            let sealedBytes = state.withLock { state in
                state.journal.activeBytes += sealBytes
                let bytes = state.journal.activeBytes
                state.journal.segmentClosed()
                state.journal.segmentOpened(number: next.number)
                state.segment = next
                return bytes
            }
            hooks.onEvent(.segmentSealed(number: work.segment.number, bytes: sealedBytes, records: records))
            hooks.onEvent(.segmentOpened(number: next.number, firstSequence: next.firstSequence))
            maintenanceBell.ring()
        }
        if work.mustRoll { state.withLock { $0.rollsDone = $0.rollsWanted } }
    }

    /// Ends a segment with a seal, durably; returns the seal's bytes.
    private func seal(_ segment: SegmentFile, after last: UInt64) throws(JournalError) -> Int {
        var seal = RawBuffer(capacity: 64)
        RecordEncoder.appendSeal(
            lastSequence: last, records: last + 1 - segment.firstSequence, seed: seed, to: &seal)
        try segment.write(seal.bytes)
        try synchronise(segment, upTo: last)
        return seal.count
    }

    /// The writer ends. Of a laid-out segment nothing but a seal tells that its last commit was durable.
    private func closeSegment() {
        let (segment, last, isOpen) = state.withLock { ($0.segment, $0.nextSequence - 1, $0.journal.phase == .open) }
        guard segment.isLaidOut else { return }
        do throws(JournalError) {
            if isOpen, last >= segment.firstSequence { _ = try seal(segment, after: last) }
            try segment.trim()
        } catch {
            // Everything acknowledged is durable without it.
            hooks.onEvent(.jobFailed(job: "seal", reason: error.description))
        }
    }

    func runSyncer(every milliseconds: Int64) {
        while true {
            syncerBell.wait(milliseconds: milliseconds)
            let (due, isStopping) = state.withLock { state in
                let isDue = state.journal.phase == .open && state.written > state.durable
                return (isDue ? (state.segment, state.written) : nil, state.isStopping)
            }
            if isStopping { return }
            guard let (segment, written) = due else { continue }
            do throws(JournalError) {
                try synchronise(segment, upTo: written)
                progressBell.ring()
            } catch {
                fail(error, isSync: true)
            }
        }
    }
}
