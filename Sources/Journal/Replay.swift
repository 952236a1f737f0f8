// Replaying a journal: files in order, records in order, and the rules about damage. No I/O: files come as windows.
//
//   intact record            → sink
//   value damaged            → that key is dropped; never an older value of it
//   file ends inside the last record, or in zeros → torn tail: costs that record alone (in a segment of version 2, the
//   commit that was under way: JournalFormat.swift)
//   anything else            → look for the next intact header. Sequences tell how many records are missing; when any
//   is, every key
//                              known so far may have been changed by it, so the sink forgets them all (`removeAll`)
//
// In a snapshot nothing older than a lost block exists, so there a loss costs the block's own keys only.

/// Replays the files of one journal, oldest first, into a sink.
package struct Replay {
    package internal(set) var report = RecoveryReport()
    let limits: JournalLimits
    let inflate: JournalInflate
    let epoch: UInt64?
    let firstApplied: UInt64
    let lastApplied: UInt64
    /// Sequence of the next record; nil while it is not known.
    var expected: UInt64?
    /// The last file ended in damage of unknown extent; the next file's first sequence settles what was lost.
    var tailUncertain = false
    /// The current file is a segment whose commits are marked, and zeros may follow its content.
    var isLaidOut = false
    /// What is known of commit marks in it, so that many damaged places do not each search for the next one.
    var marks = CommitMarks()
    var current = FileReport(
        name: "", kind: .segment, outcome: .clean, records: 0, bytes: 0, firstSequence: 0, lastSequence: 0)

    /// - Parameters:
    ///   - epoch: of the journal, from any readable file header; files of another epoch are not read.
    ///   - startsAt: the sequence that the first segment must start with; nil when the first one given decides.
    ///   - applying: only records with these sequences reach the sink.
    package init(
        limits: JournalLimits, epoch: UInt64?, startsAt: UInt64?, applying: ClosedRange<UInt64> = 0...UInt64.max,
        inflate: @escaping JournalInflate
    ) {
        self.limits = limits
        self.inflate = inflate
        self.epoch = epoch
        expected = startsAt
        firstApplied = applying.lowerBound
        lastApplied = applying.upperBound
    }

    /// Everything up to the last sequence asked for has been read.
    package var isDone: Bool { (expected ?? 0) > lastApplied }

    /// Replays one file. `isLast`: the newest segment, where a torn tail is what a crash leaves.
    package mutating func replay(
        _ window: JournalWindow, name: String, kind: JournalFileKind, number: UInt32, isLast: Bool,
        into sink: inout some RecoverySink
    ) throws(JournalError) {
        sink.willReplay(file: name)
        isLaidOut = false
        marks = CommitMarks()
        current = FileReport(
            name: name, kind: kind, outcome: .clean, records: 0, bytes: window.size, firstSequence: 0, lastSequence: 0)
        switch kind {
        case .snapshot: report.snapshots += 1
        case .segment, .compressedSegment: report.segments += 1
        }
        if let seed = try open(window, number: number, isLast: isLast, sink: &sink) {
            switch kind {
            case .segment: try replaySegment(window, seed: seed, isLast: isLast, sink: &sink)
            case .compressedSegment: try replayBlocks(window, seed: seed, isSnapshot: false, sink: &sink)
            case .snapshot: try replayBlocks(window, seed: seed, isSnapshot: true, sink: &sink)
            }
        }
        report.files.append(current)
    }

    /// Settles what is still open after the last file.
    package mutating func finish(into sink: inout some RecoverySink) {
        if tailUncertain { lose(records: nil, sink: &sink) }
        tailUncertain = false
        if let expected, expected > 0 { report.lastSequence = max(report.lastSequence, expected - 1) }
    }

    /// Checks the file header; nil when the file cannot be read on.
    private mutating func open(
        _ window: JournalWindow, number: UInt32, isLast: Bool, sink: inout some RecoverySink
    ) throws(JournalError) -> EpochSeed? {
        let bytes = try window.view(at: 0, atLeast: JournalFormat.contentStart)
        guard let reading = JournalFileHeader.read(bytes) else {
            let zerosStart = try window.trailingZerosStart()
            if isLast, zerosStart < JournalFormat.contentStart {
                tear(at: 0, size: window.size)
                return nil
            }
            damage(.fileHeader, offset: 0, droppedBytes: 0)
            guard let epoch else {
                damage(.unknownEpoch, offset: 0, droppedBytes: window.size)
                loseFile(window.size)
                return nil
            }
            return EpochSeed(epoch: epoch)
        }
        let header = reading.header
        isLaidOut = header.isLaidOut
        guard header.kind == current.kind, header.number == number, header.epoch == epoch ?? header.epoch else {
            damage(.foreignFile, offset: 0, droppedBytes: window.size)
            loseFile(window.size)
            return nil
        }
        if reading.copyDamaged, isLast, header.kind == .segment,
            try window.trailingZerosStart() < JournalFormat.contentStart
        {
            arrive(at: header.firstSequence, offset: 0, sink: &sink)
            tear(at: 0, size: window.size)
            return nil
        }
        if reading.copyDamaged, window.size >= JournalFormat.contentStart {
            damage(.fileHeader, offset: 0, droppedBytes: 0)
        }
        current.firstSequence = header.firstSequence
        switch current.kind {
        case .snapshot: expected = header.firstSequence
        case .segment, .compressedSegment: arrive(at: header.firstSequence, offset: 0, sink: &sink)
        }
        return EpochSeed(epoch: header.epoch)
    }

    /// A file of unknown content: a segment's loss is settled by what follows, a snapshot's costs its keys alone.
    private mutating func loseFile(_ bytes: Int) {
        switch current.kind {
        case .snapshot: expected = nil
        case .segment, .compressedSegment: endUncertain(after: bytes)
        }
    }

    // MARK: Sequence accounting

    /// The next record is `sequence`: forgets what is known when records are missing before it.
    mutating func arrive(at sequence: UInt64, offset: Int, sink: inout some RecoverySink) {
        if let expected, sequence > expected {
            if !tailUncertain, !blameZeros() { damage(.sequenceGap, offset: offset, droppedBytes: 0) }
            lose(records: sequence - expected, sink: &sink)
        } else if expected == nil, tailUncertain {
            lose(records: nil, sink: &sink)
        }
        tailUncertain = false
        expected = max(expected ?? sequence, sequence)
    }

    /// Records are missing before the current file: where the file before it ends in zeros without having been closed in
    /// order, they were there. Returns whether it does.
    private mutating func blameZeros() -> Bool {
        guard current.records == 0, let last = report.files.indices.last, report.files[last].endsInZeros,
            !report.files[last].isSealed
        else { return false }
        report.note(.zeroTail, file: report.files[last].name, offset: report.files[last].bytes)
        if case .corrupt = report.files[last].outcome { return true }
        report.files[last].outcome = .corrupt(droppedBytes: 0, reason: .zeroTail)
        return true
    }

    mutating func lose(records: UInt64?, sink: inout some RecoverySink) {
        report.dropped(records: records ?? 0)
        report.droppedKeys += sink.removeAll()
    }

    /// The file's end is damaged: up to `bytes` / smallest record sequences may have been given there.
    mutating func endUncertain(after bytes: Int) {
        tailUncertain = true
        let possible = UInt64(max(bytes, 0) / JournalFormat.recordOverhead + 1)
        let next = expected ?? report.lastSequence + 1
        report.lastSequence = max(report.lastSequence, next &+ possible)
    }

    mutating func damage(_ reason: DamageReason, offset: Int, droppedBytes: Int) {
        report.note(reason, file: current.name, offset: offset)
        report.droppedBytes += droppedBytes
        switch current.outcome {
        case .clean, .tornTail: current.outcome = .corrupt(droppedBytes: droppedBytes, reason: reason)
        case .corrupt(let bytes, let first):
            current.outcome = .corrupt(droppedBytes: bytes + droppedBytes, reason: first)
        }
    }

    mutating func tear(at offset: Int, size: Int) {
        report.tornBytes += size - offset
        current.tornAt = offset
        if case .clean = current.outcome { current.outcome = .tornTail(offset: offset) }
    }

    /// Gives an intact record to the sink.
    mutating func apply(_ record: JournalRecord, sink: inout some RecoverySink) {
        report.maxVersion = max(report.maxVersion, record.version)
        current.records += 1
        report.records += 1
        switch record.kind {
        case .put: sink.put(record)
        case .remove: sink.remove(record)
        case .touch: sink.touch(record)
        case .flush: sink.flush(record)
        case .seal: break
        }
    }

    /// The record's value is damaged or too large: the key must not show an older one.
    mutating func dropValue(
        _ record: JournalRecord, bytes: Int, reason: DamageReason, offset: Int, sink: inout some RecoverySink
    ) {
        report.maxVersion = max(report.maxVersion, record.version)
        report.dropped(records: 1)
        damage(reason, offset: offset, droppedBytes: bytes)
        sink.dropKey(record)
    }
}
