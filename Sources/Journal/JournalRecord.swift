// One change of the cache as the journal keeps it: a view of bytes owned by somebody else.

/// How a value is stored: as the text that was sent, or as raw deflate blocks of it.
package enum JournalValueForm: Sendable, Equatable {
    case plain
    case deflated(originalBytes: UInt32, crc32: UInt32)
}

/// A change: what was done to which key. Key and value point into the caller's memory and are valid for the call only.
package struct JournalRecord {
    package enum Kind: UInt8, Sendable {
        case put = 1
        case remove = 2
        case touch = 3
        case flush = 4
        /// Ends a segment that was closed in order; its sequence is the last record's, its version their number.
        case seal = 5
    }

    package var kind: Kind
    package var form: JournalValueForm
    /// Given by the journal when the record is appended; 0 before.
    package var sequence: UInt64
    package var version: UInt64
    /// Unix milliseconds; `Int64.max`: never. Of a `remove` that only gave up a copy: 0.
    package var wallExpiry: Int64
    package var key: UnsafeRawBufferPointer
    package var value: UnsafeRawBufferPointer

    private static var nothing: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

    package static func put(
        key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, form: JournalValueForm, wallExpiry: Int64,
        version: UInt64
    ) -> JournalRecord {
        JournalRecord(
            kind: .put, form: form, sequence: 0, version: version, wallExpiry: wallExpiry, key: key, value: value)
    }

    package static func remove(key: UnsafeRawBufferPointer, version: UInt64) -> JournalRecord {
        JournalRecord(
            kind: .remove, form: .plain, sequence: 0, version: version, wallExpiry: .max, key: key, value: nothing)
    }

    /// A copy that was given up because other nodes hold the key: nothing was removed from the cache.
    package static func dropCopy(key: UnsafeRawBufferPointer, version: UInt64) -> JournalRecord {
        var record = remove(key: key, version: version)
        record.wallExpiry = 0
        return record
    }

    /// Whether a `remove` only gave up a copy (`dropCopy`).
    package var isDroppedCopy: Bool { kind == .remove && wallExpiry == 0 }

    package static func touch(key: UnsafeRawBufferPointer, wallExpiry: Int64, version: UInt64) -> JournalRecord {
        JournalRecord(
            kind: .touch, form: .plain, sequence: 0, version: version, wallExpiry: wallExpiry, key: key, value: nothing)
    }

    /// Every key whose version is not newer than `version` is gone.
    package static func flush(version: UInt64) -> JournalRecord {
        JournalRecord(
            kind: .flush, form: .plain, sequence: 0, version: version, wallExpiry: .max, key: nothing, value: nothing)
    }

    static func seal(lastSequence: UInt64, records: UInt64) -> JournalRecord {
        JournalRecord(
            kind: .seal, form: .plain, sequence: lastSequence, version: records, wallExpiry: .max, key: nothing,
            value: nothing)
    }

    package var encodedBytes: Int { JournalFormat.recordOverhead + key.count + value.count }
}
