// What compressing a sealed segment does with its records: the same ones, in blocks.

import Journal

/// Files the records of a segment into blocks.
struct CompressingSink: RecoverySink {
    /// Bytes read and copied, about 100 µs, before others may have the core.
    private static let yieldBytes = 32 * 1024

    let file: BlockFile
    /// `closed` when the journal is being closed: the segment stays as it is.
    private(set) var failure: JournalError?
    private let isStopping: () -> Bool
    private var unyieldedBytes = 0

    init(file: BlockFile, isStopping: @escaping () -> Bool) {
        self.file = file
        self.isStopping = isStopping
    }

    private mutating func add(_ record: JournalRecord) {
        guard failure == nil else { return }
        file.append(record, sequence: record.sequence)
        do throws(JournalError) { try file.drain() } catch { failure = error }
        unyieldedBytes += record.encodedBytes
        guard unyieldedBytes >= Self.yieldBytes else { return }
        unyieldedBytes = 0
        if isStopping() { failure = .closed }
        JournalThread.standBack()
    }

    mutating func put(_ record: JournalRecord) { add(record) }
    mutating func remove(_ record: JournalRecord) { add(record) }
    mutating func touch(_ record: JournalRecord) { add(record) }
    mutating func flush(_ record: JournalRecord) { add(record) }
    mutating func dropKey(_ record: JournalRecord) {}
    mutating func removeAll() -> Int { 0 }
}
