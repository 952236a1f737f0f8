// Checking and printing a journal without a node: what `journal verify` and `journal dump` are made of. Reads only.

import Glibc
import Journal

/// One line of a dump.
package enum JournalDumpLine: Sendable {
    case change(JournalDumpRecord)
    /// The value of this change is damaged: the key is forgotten.
    case droppedKey(JournalDumpRecord)
    /// Changes are missing here: everything above is forgotten.
    case droppedAll(file: String, keys: Int)
}

/// One record, copied out.
package struct JournalDumpRecord: Sendable {
    package var file: String
    package var kind: JournalRecord.Kind
    /// In a snapshot: its ordinal.
    package var sequence: UInt64
    package var version: UInt64
    /// Unix milliseconds; nil: never, or not a matter of expiry.
    package var wallExpiry: Int64?
    package var key: [UInt8]
    package var storedBytes: Int
    package var form: JournalValueForm
    /// The value's text when values were asked for and it could be inflated.
    package var value: [UInt8]?
}

/// A journal at rest, or one whose node is running (whose newest record may then look torn).
package struct JournalInspection {
    private let reading: JournalReading
    private let codec: JournalCodec
    private let limits: JournalLimits

    /// `path`: a data directory or a journal directory itself. Throws when there is no such directory.
    package init(
        _ path: String, files: any FileOperations = SystemFiles(), codec: JournalCodec,
        limits: JournalLimits = JournalLimits(maxValueBytes: 128 * 1024 * 1024)
    ) throws(JournalError) {
        let inner = path + "/journal"
        let directory = try files.list(inner) == nil ? path : inner
        guard try files.list(directory) != nil else {
            throw .file(operation: "open", path: directory, code: 2, text: "no such directory")
        }
        reading = JournalReading(files: files, directory: directory)
        self.codec = codec
        self.limits = limits
    }

    /// Checks everything that a start would load. Clean: `report.isClean`.
    package func verify() throws(JournalError) -> RecoveryReport {
        var attempts = 1
        while true {
            var sink = CountingSink()
            do throws(JournalError) {
                return try replay(into: &sink)
            } catch {
                // A running node has replaced a file since it was listed.
                guard case .file(_, _, ENOENT, _) = error, attempts < Self.maxAttempts else { throw error }
                attempts += 1
            }
        }
    }

    private static let maxAttempts = 10

    /// Gives every record that a start would load, oldest first.
    package func dump(
        includingValues: Bool, _ emit: (JournalDumpLine) -> Void
    ) throws(JournalError) -> RecoveryReport {
        try withoutActuallyEscaping(emit) { (emit) throws(JournalError) in
            var sink = DumpSink(includesValues: includingValues, inflate: codec.inflate, emit: emit)
            return try replay(into: &sink)
        }
    }

    private func replay(into sink: inout some RecoverySink) throws(JournalError) -> RecoveryReport {
        let plan = try reading.plan()
        return try reading.replay(
            plan, epoch: try reading.epoch(of: plan), limits: limits, inflate: codec.inflate, into: &sink)
    }
}

/// Counts records, so that a loss can say how much it undid.
private struct CountingSink: RecoverySink {
    var changes = 0

    mutating func put(_ record: JournalRecord) { changes += 1 }
    mutating func remove(_ record: JournalRecord) {}
    mutating func touch(_ record: JournalRecord) {}
    mutating func flush(_ record: JournalRecord) {}
    mutating func dropKey(_ record: JournalRecord) {}
    mutating func removeAll() -> Int {
        defer { changes = 0 }
        return changes
    }
}

private struct DumpSink: RecoverySink {
    let includesValues: Bool
    let inflate: JournalInflate
    let emit: (JournalDumpLine) -> Void
    var file = ""
    var puts = 0

    private func line(_ record: JournalRecord, withValue: Bool) -> JournalDumpRecord {
        var value: [UInt8]?
        if withValue {
            switch record.form {
            case .plain: value = Array(record.value)
            case .deflated(let originalBytes, let checksum):
                // A put that claims more than zlib can have packed into it is not worth the memory.
                let isPossible = Int(originalBytes) <= record.value.count * 1100 + 1024
                value = isPossible ? inflated(record.value, originalBytes: Int(originalBytes)) : nil
                if let text = value, text.withUnsafeBytes({ Checksum.crc32($0) }) != checksum { value = nil }
            }
        }
        return JournalDumpRecord(
            file: file, kind: record.kind, sequence: record.sequence, version: record.version,
            wallExpiry: record.wallExpiry == JournalFormat.neverExpires ? nil : record.wallExpiry,
            key: Array(record.key), storedBytes: record.value.count, form: record.form, value: value)
    }

    private func inflated(_ stored: UnsafeRawBufferPointer, originalBytes: Int) -> [UInt8]? {
        var text = [UInt8](repeating: 0, count: originalBytes)
        return text.withUnsafeMutableBytes { inflate(stored, $0) } ? text : nil
    }

    mutating func willReplay(file: String) { self.file = file }
    mutating func put(_ record: JournalRecord) {
        puts += 1
        emit(.change(line(record, withValue: includesValues)))
    }
    mutating func remove(_ record: JournalRecord) { emit(.change(line(record, withValue: false))) }
    mutating func touch(_ record: JournalRecord) { emit(.change(line(record, withValue: false))) }
    mutating func flush(_ record: JournalRecord) { emit(.change(line(record, withValue: false))) }
    mutating func dropKey(_ record: JournalRecord) { emit(.droppedKey(line(record, withValue: false))) }
    mutating func removeAll() -> Int {
        emit(.droppedAll(file: file, keys: puts))
        defer { puts = 0 }
        return puts
    }
}
