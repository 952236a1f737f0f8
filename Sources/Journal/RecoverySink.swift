// Who receives a journal's records when it is replayed, and the account that is given of the replay.

/// Receives the changes of a journal in the order in which they were made.
///
/// Duties of an implementation, on which correctness rests:
/// - A change applies only where it is newer: `put` when the key is absent or its version is lower than the record's;
///   `remove`, `touch` and `flush` when the key's version is not higher than the record's. A snapshot is taken while
///   writes go on, so the segments after it repeat changes that it already holds.
/// - A key whose expiry has passed stays until the replay is over: a later touch may extend it.
package protocol RecoverySink {
    /// About so many records will come: what their sizes or trailers say, whatever damage there is. Told once, first.
    mutating func expect(records: Int)
    /// The file whose records come next.
    mutating func willReplay(file: String)
    /// A record of this key comes soon, in all likelihood: what it will take may be brought nearer. A hint; the bytes are
    /// valid for the call only and may be those of damage.
    mutating func comesSoon(_ key: UnsafeRawBufferPointer)
    mutating func put(_ record: JournalRecord)
    mutating func remove(_ record: JournalRecord)
    mutating func touch(_ record: JournalRecord)
    mutating func flush(_ record: JournalRecord)
    /// The value of this put is damaged: forget the key unless what is known of it has this version or a newer one.
    mutating func dropKey(_ record: JournalRecord)
    /// Changes are missing here and may have been to any key: forget everything so far. Returns the number of keys
    /// forgotten.
    mutating func removeAll() -> Int
}

extension RecoverySink {
    package mutating func expect(records: Int) {}
    package mutating func willReplay(file: String) {}
    package mutating func comesSoon(_ key: UnsafeRawBufferPointer) {}
}

/// One damaged place.
package struct JournalDamage: Sendable, Equatable {
    package let file: String
    package let offset: Int
    package let reason: DamageReason
}

/// What a replay read, dropped, and why.
package struct RecoveryReport: Sendable {
    /// Places listed in `damaged` at most; all are counted in `damageCount`.
    package static let listedDamages = 256

    /// Changes given to the sink.
    package var records = 0
    package var segments = 0
    package var snapshots = 0
    /// Bytes that could not be used, torn tail excluded.
    package var droppedBytes = 0
    /// Records known to be lost or dropped.
    package var droppedRecords = 0
    /// Keys forgotten because older than damage of unknown extent.
    package var droppedKeys = 0
    /// Bytes of the unfinished last record, or of zeros after it.
    package var tornBytes = 0
    package var damaged: [JournalDamage] = []
    package var damageCount = 0
    /// The highest sequence known to have been given; the next record gets a higher one.
    package var lastSequence: UInt64 = 0
    package var maxVersion: UInt64 = 0
    package var files: [FileReport] = []

    package var isClean: Bool { damageCount == 0 && tornBytes == 0 }
    package init() {}

    /// Counts records that are lost; what damage says of their number may be anything.
    mutating func dropped(records: UInt64) {
        let (sum, overflowed) = droppedRecords.addingReportingOverflow(Int(clamping: records))
        droppedRecords = overflowed ? .max : sum
    }

    mutating func note(_ reason: DamageReason, file: String, offset: Int) {
        damageCount += 1
        guard damaged.count < Self.listedDamages else { return }
        damaged.append(JournalDamage(file: file, offset: offset, reason: reason))
    }
}

/// How one file read.
package struct FileReport: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        case clean
        /// The file ends in an unfinished record at `offset`; everything before is intact.
        case tornTail(offset: Int)
        case corrupt(droppedBytes: Int, reason: DamageReason)
    }

    package var name: String
    package var kind: JournalFileKind
    package var outcome: Outcome
    package var records: Int
    /// Without the zeros that were laid out after the content.
    package var bytes: Int
    package var firstSequence: UInt64
    package var lastSequence: UInt64
    /// Where an unfinished record begins at the file's end, whatever the outcome.
    package var tornAt: Int?
    /// It was closed in order.
    package var isSealed = false
    /// Zeros follow the content.
    package var endsInZeros = false
}
