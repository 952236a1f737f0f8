// The upkeep thread: compressing closed segments, compacting into a snapshot, reopening after a failure, re-reading.

import Journal

extension JournalService {
    func runMaintenance() {
        while true {
            let (wait, isStopping) = state.withLock { state -> (Int64?, Bool) in
                switch state.journal.phase {
                case .open: (nil, state.isStopping)
                case .readOnly(_, let retryAt, _): (max(1, retryAt - JournalClock.monotonic()), state.isStopping)
                }
            }
            if isStopping { return }
            guard mayDoUpkeep else {
                maintenanceBell.wait(milliseconds: nil)
                continue
            }
            if let wait {
                maintenanceBell.wait(milliseconds: wait)
                let isDue = state.withLock { state in
                    guard case .readOnly(_, let retryAt, _) = state.journal.phase else { return false }
                    return retryAt <= JournalClock.monotonic() && !state.isStopping
                }
                if isDue { try? reopenNow() }
            } else if !runDueJob() {
                maintenanceBell.wait(milliseconds: nil)
            }
        }
    }

    /// Runs one job that is due; false when there is none.
    private func runDueJob() -> Bool {
        let isAsked = compactionAsked.exchange(false, ordering: .acquiringAndReleasing)
        let (isDue, toCompress) = state.withLock { state in
            (isAsked || state.journal.isCompactionDue, settings.compress ? state.journal.nextToCompress() : nil)
        }
        if isDue {
            do throws(JournalError) {
                try compactNow()
                return true
            } catch {
                hooks.onEvent(.jobFailed(job: "compaction", reason: error.description))
                return false
            }
        }
        guard let toCompress, codec.deflate != nil else { return false }
        do throws(JournalError) {
            try compress(toCompress)
        } catch .closed {
            return false
        } catch {
            state.withLock { $0.journal.segmentNotCompressible(number: toCompress.number) }
            hooks.onEvent(.jobFailed(job: "compression", reason: error.description))
        }
        return true
    }

    /// Asks the upkeep thread to compact soon.
    package func requestCompaction() {
        compactionAsked.store(true, ordering: .releasing)
        maintenanceBell.ring()
    }

    /// Compacts on the calling thread, which blocks: rolls, walks the store, publishes the snapshot, removes what it
    /// covers.
    package func compactNow() throws(JournalError) {
        try withJobs { () throws(JournalError) in
            let started = JournalClock.monotonic()
            let (number, first) = try rollAndWait()
            let snapshot = try writeSnapshot(number: number, firstSequence: first)
            // The snapshot may hold changes made while it was taken. It must not outlive their records, or a power
            // loss would keep newer changes and lose older ones.
            try waitUntilDurable(state.withLock { $0.nextSequence - 1 })
            let published = try snapshot.publish()
            let removed = try remove(
                state.withLock { state in
                    state.compactions += 1
                    return state.journal.snapshotPublished(published)
                })
            hooks.onEvent(
                .snapshotWritten(
                    number: number, records: snapshot.records, bytes: published.bytes,
                    milliseconds: JournalClock.monotonic() - started, removedFiles: removed))
        }
    }

    /// Tries to take writes again, on the calling thread: only when a complete snapshot and a new segment are durable.
    package func reopenNow() throws(JournalError) {
        try withJobs { () throws(JournalError) in
            let plan: (number: UInt32, first: UInt64)? = state.withLock { state in
                guard case .readOnly = state.journal.phase, !state.isStopping else { return nil }
                return (state.journal.activeNumber + 1, state.nextSequence)
            }
            guard let plan else { return }
            do throws(JournalError) {
                let number = max(plan.number, try directory.plan().nextNumber)
                let snapshot = try writeSnapshot(number: number, firstSequence: plan.first)
                let published = try snapshot.publish()
                let segment = try SegmentFile.create(
                    directory, number: number, firstSequence: plan.first, seed: seed, layout: settings.segmentLayout)
                let covered = state.withLock { state in
                    state.journal.segmentClosed()
                    let covered = state.journal.snapshotPublished(published)
                    state.journal.segmentOpened(number: number)
                    state.segment = segment
                    state.written = plan.first - 1
                    state.durable = plan.first - 1
                    state.journal.reopened()
                    reopened(at: plan.first - 1)
                    return covered
                }
                hooks.onEvent(.reopened(number: number))
                _ = try? remove(covered)
            } catch {
                let attempts = state.withLock { state in
                    state.journal.failed(reason: error.description, now: JournalClock.monotonic())
                    guard case .readOnly(_, _, let attempts) = state.journal.phase else { return 0 }
                    return attempts
                }
                hooks.onEvent(.reopenFailed(reason: error.description, attempts: attempts))
                throw error
            }
        }
    }

    /// Replays the newest journal put aside, when `includingAside`, and then this one, up to what had been appended
    /// when called.
    ///
    /// Only records with a sequence above `after` reach the sink; returns the report and the last sequence included,
    /// so that a second, short pass can follow under the caller's locks. Blocks; call it on a thread of its own.
    package func reread(
        includingAside: Bool, after: UInt64 = 0, into sink: inout some RecoverySink
    ) throws(JournalError) -> (report: RecoveryReport, upTo: UInt64) {
        var result: (RecoveryReport, UInt64)?
        waitingForJobs.add(1, ordering: .relaxed)
        defer { waitingForJobs.subtract(1, ordering: .relaxed) }
        try withJobs { () throws(JournalError) in
            if includingAside, after == 0, let aside = try directory.newestAside() {
                _ = try replay(aside, applying: 0...UInt64.max, into: &sink)
            }
            let upTo = state.withLock { $0.journal.phase == .open ? $0.nextSequence - 1 : $0.written }
            try waitUntil { $0.written >= upTo }
            guard after < upTo else {
                result = (RecoveryReport(), upTo)
                return
            }
            result = (
                try replay(directory.journalPath, applying: (after == 0 ? 0 : after + 1)...upTo, into: &sink), upTo
            )
        }
        guard let result else { throw .closed }
        return result
    }

    private func replay(
        _ path: String, applying: ClosedRange<UInt64>, into sink: inout some RecoverySink
    ) throws(JournalError) -> RecoveryReport {
        let reading = JournalReading(files: directory.files, directory: path)
        var plan = try reading.plan()
        if applying.lowerBound > 0 { try skip(upTo: applying.lowerBound, in: &plan, reading) }
        return try reading.replay(
            plan, epoch: try reading.epoch(of: plan), limits: settings.limits, applying: applying,
            inflate: codec.inflate, into: &sink)
    }

    /// Leaves out the files that end before `sequence`.
    private func skip(
        upTo sequence: UInt64, in plan: inout LoadPlan, _ reading: JournalReading
    ) throws(JournalError) {
        plan.snapshot = nil
        while plan.segments.count > 1, let next = try reading.header(of: plan.segments[1]),
            next.firstSequence <= sequence
        {
            plan.segments.removeFirst()
        }
    }

    // MARK: Steps

    private func withJobs(_ body: () throws(JournalError) -> Void) throws(JournalError) {
        // Mutex.withLock takes a typed throwing body only of a Sendable result; carry the error out instead.
        var failure: JournalError?
        jobs.withLock { _ in
            do throws(JournalError) { try body() } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func writeSnapshot(number: UInt32, firstSequence: UInt64) throws(JournalError) -> BlockFile {
        let header = JournalFileHeader(
            kind: .snapshot, number: number, firstSequence: firstSequence, epoch: seed.epoch,
            created: JournalClock.wall())
        let file = try BlockFile(directory, header: header, deflate: settings.compress ? blockDeflate : nil)
        var cursor = SnapshotCursor()
        var hasMore = true
        while hasMore {
            hasMore = hooks.snapshotSource(&cursor) { file.append($0) }
            try file.drain()
            JournalThread.standBack()
            if state.withLock({ $0.isStopping }) { throw .closed }
        }
        try file.finish()
        return file
    }

    private func compress(_ segment: JournalFile) throws(JournalError) {
        try withJobs { () throws(JournalError) in
            let isStillThere = state.withLock { $0.journal.closed.contains(segment) }
            guard isStillThere else { return }
            let reading = JournalReading(files: directory.files, directory: directory.journalPath)
            guard var header = try reading.header(of: segment) else {
                throw .abandoned(reason: "\(segment.name) has no readable header")
            }
            header.kind = .compressedSegment
            header.isLaidOut = false
            let file = try BlockFile(directory, header: header, deflate: blockDeflate)
            var sink = CompressingSink(file: file) { self.state.withLock { $0.isStopping } }
            var plan = LoadPlan([segment])
            plan.snapshot = nil
            var replay = Replay(
                limits: settings.limits, epoch: seed.epoch, startsAt: nil, inflate: codec.inflate)
            try reading.withWindow(segment) { (window) throws(JournalError) in
                try replay.replay(
                    window, name: segment.name, kind: .segment, number: segment.number, isLast: false, into: &sink)
            }
            if let error = sink.failure { throw error }
            // Zeros may follow the content of one that is being written; of a closed one they have been cut off.
            let ends = replay.report.files.allSatisfy { $0.isSealed || !$0.endsInZeros }
            guard replay.report.isClean, ends else { throw .abandoned(reason: "\(segment.name) is damaged") }
            try sink.file.finish()
            let published = try sink.file.publish()
            state.withLock { state in
                state.journal.segmentCompressed(number: segment.number, bytes: published.bytes)
                state.compressed += 1
                state.compressedRaw += segment.bytes
                state.compressedStored += published.bytes
            }
            hooks.onEvent(
                .segmentCompressed(number: segment.number, rawBytes: segment.bytes, storedBytes: published.bytes))
            _ = try remove([segment])
        }
    }

    private func remove(_ files: [JournalFile]) throws(JournalError) -> Int {
        for file in files { try directory.files.remove(directory.journalPath + "/" + file.name) }
        if !files.isEmpty { try directory.files.synchroniseDirectory(directory.journalPath) }
        return files.count
    }

    private func rollAndWait() throws(JournalError) -> (number: UInt32, firstSequence: UInt64) {
        let ticket = state.withLock { state in
            state.rollsWanted += 1
            return state.rollsWanted
        }
        requestCommit()
        try waitUntil { $0.rollsDone >= ticket }
        return state.withLock { ($0.journal.activeNumber, $0.segment.firstSequence) }
    }

    private func waitUntilDurable(_ sequence: UInt64) throws(JournalError) {
        state.withLock { $0.durableWanted = max($0.durableWanted, sequence) }
        requestCommit()
        try waitUntil { $0.durable >= sequence }
    }

    /// Waits for the writer to get on; throws when it cannot any more.
    private func waitUntil(_ isTrue: (borrowing State) -> Bool) throws(JournalError) {
        while true {
            let (isDone, problem) = state.withLock { state -> (Bool, JournalError?) in
                if isTrue(state) { return (true, nil) }
                if case .readOnly(let reason, _, _) = state.journal.phase { return (false, .readOnly(reason: reason)) }
                return (false, state.writerEnded ? .closed : nil)
            }
            if isDone { return }
            if let problem { throw problem }
            requestCommit()
            progressBell.wait(milliseconds: 20)
        }
    }
}
