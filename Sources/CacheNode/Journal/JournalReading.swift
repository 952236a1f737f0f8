// Reading a journal directory: which files, their epoch, and streaming them through a replay. Changes nothing on disk.

import Journal

/// How values and sealed segments are inflated and deflated; given by the node.
package struct JournalCodec: Sendable {
    package var inflate: JournalInflate
    /// nil: sealed segments and snapshots are not compressed.
    package var deflate: JournalDeflate?
    /// The same for a second thread, which must not wait for the first one.
    package var idleDeflate: JournalDeflate?

    /// Without `idleDeflate` both threads use `deflate`, which must allow that.
    package init(inflate: @escaping JournalInflate, deflate: JournalDeflate?, idleDeflate: JournalDeflate? = nil) {
        self.inflate = inflate
        self.deflate = deflate
        self.idleDeflate = idleDeflate ?? deflate
    }
}

/// A journal directory to read.
struct JournalReading {
    let files: any FileOperations
    let directory: String

    func plan() throws(JournalError) -> LoadPlan {
        var found: [JournalFile] = []
        for name in try files.list(directory) ?? [] {
            guard var file = JournalFile(name: name, bytes: 0) else { continue }
            file.bytes = try size(of: name)
            found.append(file)
        }
        return LoadPlan(found)
    }

    private func size(of name: String) throws(JournalError) -> Int {
        let path = directory + "/" + name
        let descriptor = try files.openForReading(path)
        defer { files.close(descriptor) }
        return try files.size(descriptor, path: path)
    }

    func header(of file: JournalFile) throws(JournalError) -> JournalFileHeader? {
        try withWindow(file) { (window) throws(JournalError) in
            JournalFileHeader.read(try window.view(at: 0, atLeast: JournalFormat.contentStart))?.header
        }
    }

    /// The epoch that the newest readable file header names.
    func epoch(of plan: LoadPlan) throws(JournalError) -> UInt64? {
        for file in plan.files.reversed() {
            if let header = try header(of: file) { return header.epoch }
        }
        return nil
    }

    /// About how many records a replay of `plan` will read; a few reads a file.
    func estimatedRecords(of plan: LoadPlan, limits: JournalLimits) throws(JournalError) -> Int {
        var records = 0
        for file in plan.files {
            let more = try withWindow(file, chunkBytes: Self.sampleBytes) { (window) throws(JournalError) in
                try window.estimatedRecords(limits: limits)
            }
            records = records.addingReportingOverflow(more).overflow ? .max : records + more
        }
        return records
    }

    /// What is read of a segment to guess its records by.
    private static let sampleBytes = 16 * 1024

    func withWindow<Result>(
        _ file: JournalFile, chunkBytes: Int = 256 * 1024, _ body: (JournalWindow) throws(JournalError) -> Result
    ) throws(JournalError) -> Result {
        let path = directory + "/" + file.name
        let descriptor = try files.openForReading(path)
        defer { files.close(descriptor) }
        let files = self.files
        let window = JournalWindow(size: try files.size(descriptor, path: path), chunkBytes: chunkBytes) {
            (offset, into) throws(JournalError) in
            try files.read(descriptor, at: offset, into: into, path: path)
        }
        return try body(window)
    }

    /// Replays the files of `plan` into `sink`. Memory: a window and a block, whatever the files hold.
    func replay(
        _ plan: LoadPlan, epoch: UInt64?, limits: JournalLimits, applying: ClosedRange<UInt64> = 0...UInt64.max,
        inflate: @escaping JournalInflate, into sink: inout some RecoverySink
    ) throws(JournalError) -> RecoveryReport {
        let startsAt: UInt64? = plan.snapshot == nil && applying.lowerBound == 0 ? 1 : nil
        var replay = Replay(limits: limits, epoch: epoch, startsAt: startsAt, applying: applying, inflate: inflate)
        let newest = plan.segments.last?.number
        for file in plan.files where !replay.isDone {
            try withWindow(file) { (window) throws(JournalError) in
                try replay.replay(
                    window, name: file.name, kind: file.kind, number: file.number, isLast: file.number == newest,
                    into: &sink)
            }
        }
        replay.finish(into: &sink)
        return replay.report
    }
}
