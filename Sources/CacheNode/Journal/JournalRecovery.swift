// Recovery at start: replay, then mend what a crash left, so that the next start finds a clean journal. Damaged files
// are kept.

import Journal

/// What recovery found; a `JournalService` goes on from here.
package struct RecoveredJournal: Sendable {
    package let report: RecoveryReport
    /// The files that are left.
    package let plan: LoadPlan
    /// nil: a new journal.
    package let epoch: UInt64?
    /// Paths of what was kept under `damaged/`.
    package let kept: [String]
}

extension JournalDirectory {
    /// Replays the journal into `sink`, cuts off a torn tail (keeping its bytes), keeps damaged files, removes
    /// leftovers.
    ///
    /// Throws only where the system refuses to read or write; damage is reported, not thrown.
    package func recover(
        limits: JournalLimits, codec: JournalCodec, into sink: inout some RecoverySink
    ) throws(JournalError) -> RecoveredJournal {
        let reading = JournalReading(files: files, directory: journalPath)
        var plan = try reading.plan()
        let epoch = try reading.epoch(of: plan)
        sink.expect(records: try reading.estimatedRecords(of: plan, limits: limits))
        let report = try reading.replay(plan, epoch: epoch, limits: limits, inflate: codec.inflate, into: &sink)
        var kept: [String] = []
        for file in report.files {
            if case .corrupt = file.outcome {
                try keepDamaged(file.name, epoch: epoch)
                kept.append(damagedPath + "/" + Self.damagedName(file.name, epoch: epoch))
            }
        }
        for file in plan.obsolete {
            // With damage anywhere an obsolete file may hold what is missing: keep it for a human.
            if report.damageCount > 0 { try keepDamaged(file.name, epoch: epoch) }
            try files.remove(journalPath + "/" + file.name)
        }
        plan.obsolete = []
        for name in try files.list(journalPath) ?? [] where name.hasSuffix(".tmp") {
            try files.remove(journalPath + "/" + name)
        }
        if let last = plan.segments.last, let outcome = report.files.last(where: { $0.name == last.name }) {
            if let path = try mend(last, outcome, epoch: epoch) { kept.append(path) }
            plan = try reading.plan()
        }
        try files.synchroniseDirectory(journalPath)
        return RecoveredJournal(report: report, plan: plan, epoch: epoch, kept: kept)
    }

    /// Cuts the torn tail, or zeros that were laid out, off the newest segment and makes what was read durable: it will be
    /// served from now on, so a power loss must not take it back. Returns where the tail was kept.
    private func mend(
        _ file: JournalFile, _ report: FileReport, epoch: UInt64?
    ) throws(JournalError) -> String? {
        let path = journalPath + "/" + file.name
        var kept: String?
        var cut: Int?
        if let offset = report.tornAt {
            // Of a damaged file too: the next segment gives the sequences of what was torn again.
            cut = offset
            kept = try keepTail(of: file, from: offset, epoch: epoch)
        } else if report.endsInZeros {
            cut = report.bytes
        }
        let isEmpty = report.records == 0 && report.lastSequence == 0 && file.kind == .segment
        switch report.outcome {
        case .clean where isEmpty, .tornTail where isEmpty:
            // Without records its number can be given again.
            try files.remove(path)
            return kept
        case .clean, .tornTail, .corrupt: break
        }
        let descriptor = try files.openForWriting(path)
        defer { files.close(descriptor) }
        if let cut { try files.truncate(descriptor, to: cut, path: path) }
        try files.synchronise(descriptor, path: path)
        return kept
    }

    /// Copies the bytes from `offset` on to `damaged/`, trailing zeros left out; nil when they are all zeros.
    private func keepTail(of file: JournalFile, from offset: Int, epoch: UInt64?) throws(JournalError) -> String? {
        let reading = JournalReading(files: files, directory: journalPath)
        return try reading.withWindow(file) { (window) throws(JournalError) in
            let end = try window.trailingZerosStart()
            guard end > offset else { return nil }
            try files.makeDirectory(damagedPath)
            let path = damagedPath + "/" + Self.damagedName("\(file.name).tail-\(offset)", epoch: epoch)
            let descriptor = try files.create(path, exclusive: false)
            defer { files.close(descriptor) }
            var position = offset
            while position < end {
                let bytes = try window.view(at: position, atLeast: 1)
                let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(end - position))
                guard !part.isEmpty else { break }
                try files.writeAll(descriptor, part, path: path)
                position += part.count
            }
            try files.synchronise(descriptor, path: path)
            try files.synchroniseDirectory(damagedPath)
            return path
        }
    }
}
