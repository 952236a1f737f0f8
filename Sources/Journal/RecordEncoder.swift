// Records to bytes. Appends to a growing buffer; does not know files.

package enum RecordEncoder {
    /// Appends `record` with the given sequence.
    ///
    /// `valueChecksum` is `Checksum.crc32(record.value)`: a parameter so that it can be computed before a lock is
    /// taken. `beginsCommit`: everything before the record will be durable when it is written.
    package static func append(
        _ record: JournalRecord, sequence: UInt64, valueChecksum: UInt32, beginsCommit: Bool = false, seed: EpochSeed,
        to buffer: inout RawBuffer
    ) {
        precondition(record.key.count <= Int(UInt32.max), "a journal key's length fits 32 bits")
        precondition(record.value.count <= Int(UInt32.max), "a journal value's length fits 32 bits")
        let headerBytes = JournalFormat.recordHeaderBytes
        let out = buffer.extend(by: record.encodedBytes)
        let form: UInt8
        let originalBytes: UInt32
        let originalChecksum: UInt32
        switch record.form {
        case .plain: (form, originalBytes, originalChecksum) = (0, 0, 0)
        case .deflated(let bytes, let checksum): (form, originalBytes, originalChecksum) = (1, bytes, checksum)
        }
        let type = record.kind.rawValue | (beginsCommit ? JournalFormat.commitMark : 0)
        let typeAndForm = UInt16(type) | UInt16(form) << 8
        let keyBytes = UInt32(truncatingIfNeeded: record.key.count)
        let valueBytes = UInt32(truncatingIfNeeded: record.value.count)
        out.store(JournalFormat.recordMagic, at: 0)
        out.store(typeAndForm, at: 8)
        out.store(
            Checksum.lengths(typeAndForm: typeAndForm, keyBytes: keyBytes, valueBytes: valueBytes, seed: seed), at: 10)
        out.store(keyBytes, at: 12)
        out.store(valueBytes, at: 16)
        out.store(originalBytes, at: 20)
        out.store(sequence, at: 24)
        out.store(record.version, at: 32)
        out.store(record.wallExpiry, at: 40)
        out.store(originalChecksum, at: 48)
        out.store(valueChecksum, at: 52)
        let valueStart = headerBytes + record.key.count
        UnsafeMutableRawBufferPointer(rebasing: out[headerBytes..<valueStart]).copyMemory(from: record.key)
        UnsafeMutableRawBufferPointer(rebasing: out[valueStart..<out.count - 1]).copyMemory(from: record.value)
        out.store(JournalFormat.endMark, at: out.count - 1)
        let covered = UnsafeRawBufferPointer(rebasing: out[8..<valueStart])
        out.store(Checksum.crc32(covered, from: seed.checksum), at: 4)
    }

    package static func append(
        _ record: JournalRecord, sequence: UInt64, beginsCommit: Bool = false, seed: EpochSeed,
        to buffer: inout RawBuffer
    ) {
        append(
            record, sequence: sequence, valueChecksum: Checksum.crc32(record.value), beginsCommit: beginsCommit,
            seed: seed, to: &buffer)
    }

    /// Appends the record that ends a segment closed in order.
    package static func appendSeal(lastSequence: UInt64, records: UInt64, seed: EpochSeed, to buffer: inout RawBuffer) {
        append(
            .seal(lastSequence: lastSequence, records: records), sequence: lastSequence, seed: seed, to: &buffer)
    }
}
