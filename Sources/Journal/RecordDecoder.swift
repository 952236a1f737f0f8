// Bytes to records, one at a time and trusting nothing. What to do about damage is decided in Replay.

/// Why a part of the journal could not be used.
package enum DamageReason: String, Sendable {
    case fileHeader = "file header damaged"
    case foreignFile = "file belongs to another journal, number or kind"
    case unknownEpoch = "no readable file header to read the file by"
    case notARecord = "no record where one should start"
    case lengthCheck = "record lengths damaged"
    case headerChecksum = "record header checksum mismatch"
    case valueChecksum = "value checksum mismatch"
    case valueTooLarge = "value larger than the limit"
    case endsInsideRecord = "file ends inside a record"
    case zeroTail = "rest of the file is zeros"
    case afterSeal = "bytes after the end of a sealed segment"
    case sequenceGap = "records are missing"
    case sequenceBack = "record repeats an earlier sequence"
    case blockHeader = "block header damaged"
    case blockPayload = "block payload damaged"
    case noTrailer = "file ends before its trailer"
}

/// The fixed part of a record, checked.
package struct RecordHeader: Sendable {
    package let kind: JournalRecord.Kind
    /// Everything before the record was durable when it was written.
    package let beginsCommit: Bool
    package let form: JournalValueForm
    package let keyBytes: Int
    package let valueBytes: Int
    package let sequence: UInt64
    package let version: UInt64
    package let wallExpiry: Int64
    package let valueChecksum: UInt32

    package var recordBytes: Int { JournalFormat.recordOverhead + keyBytes + valueBytes }
    var valueStart: Int { JournalFormat.recordHeaderBytes + keyBytes }

    /// The record, with its key and (on demand) value taken from `bytes`, which start at the record's magic.
    func record(in bytes: UnsafeRawBufferPointer, withValue: Bool) -> JournalRecord {
        JournalRecord(
            kind: kind, form: form, sequence: sequence, version: version, wallExpiry: wallExpiry,
            key: bytes.slice(JournalFormat.recordHeaderBytes..<valueStart),
            value: bytes.slice(valueStart..<(withValue ? valueStart + valueBytes : valueStart)))
    }
}

package enum RecordDecoder {
    package enum Header {
        case intact(RecordHeader)
        /// More bytes are needed, this many from the record's start, to check the header with its key.
        case needs(Int)
        case damaged(DamageReason)
    }

    /// Checks the header at the start of `bytes`: magic, lengths, CRC over header and key, known type and form.
    package static func header(_ bytes: UnsafeRawBufferPointer, limits: JournalLimits, seed: EpochSeed) -> Header {
        guard bytes.count >= JournalFormat.recordHeaderBytes else { return .needs(JournalFormat.recordHeaderBytes) }
        guard bytes.number(at: 0, as: UInt32.self) == JournalFormat.recordMagic else { return .damaged(.notARecord) }
        let typeAndForm = bytes.number(at: 8, as: UInt16.self)
        let keyBytes = bytes.number(at: 12, as: UInt32.self)
        let valueBytes = bytes.number(at: 16, as: UInt32.self)
        let check = Checksum.lengths(typeAndForm: typeAndForm, keyBytes: keyBytes, valueBytes: valueBytes, seed: seed)
        guard bytes.number(at: 10, as: UInt16.self) == check, Int(keyBytes) <= limits.maxKeyBytes else {
            return .damaged(.lengthCheck)
        }
        let covered = JournalFormat.recordHeaderBytes + Int(keyBytes)
        guard bytes.count >= covered else { return .needs(covered) }
        let checksum = Checksum.crc32(bytes.slice(8..<covered), from: seed.checksum)
        let type = UInt8(truncatingIfNeeded: typeAndForm)
        guard bytes.number(at: 4, as: UInt32.self) == checksum,
            let kind = JournalRecord.Kind(rawValue: type & ~JournalFormat.commitMark), typeAndForm >> 8 <= 1,
            bytes.number(at: 24, as: UInt64.self) <= JournalFormat.maxSequence
        else { return .damaged(.headerChecksum) }
        let form: JournalValueForm =
            typeAndForm >> 8 == 0 ? .plain : .deflated(originalBytes: bytes.number(at: 20), crc32: bytes.number(at: 48))
        return .intact(
            RecordHeader(
                kind: kind, beginsCommit: type & JournalFormat.commitMark != 0, form: form,
                keyBytes: Int(keyBytes), valueBytes: Int(valueBytes),
                sequence: bytes.number(at: 24), version: bytes.number(at: 32), wallExpiry: bytes.number(at: 40),
                valueChecksum: bytes.number(at: 52)))
    }
}
