// Replaying an active (uncompressed) segment, and finding the next intact record after damage.

extension Replay {
    mutating func replaySegment(
        _ window: JournalWindow, seed: EpochSeed, isLast: Bool, sink: inout some RecoverySink
    ) throws(JournalError) {
        var offset = JournalFormat.contentStart
        var needed = JournalFormat.recordHeaderBytes
        var isSealed = false
        while offset < window.size, !isDone {
            let bytes = try window.view(at: offset, atLeast: needed)
            if isSealed {
                damage(.afterSeal, offset: offset, droppedBytes: window.size - offset)
                return
            }
            switch RecordDecoder.header(bytes, limits: limits, seed: seed) {
            case .needs(let count) where offset + count <= window.size && count > needed:
                needed = count
                continue
            case .needs:
                endsInside(at: offset, size: window.size, isLast: isLast)
                return
            case .damaged(let reason):
                let zerosStart = try window.trailingZerosStart()
                if isTorn(bytes, at: offset, reason: reason, zerosStart: zerosStart) {
                    endsInside(at: offset, size: window.size, isLast: isLast)
                    return
                }
                guard let next = try nextRecord(window, after: offset, seed: seed) else {
                    damage(reason, offset: offset, droppedBytes: window.size - offset)
                    endUncertain(after: window.size - offset)
                    return
                }
                damage(reason, offset: offset, droppedBytes: next - offset)
                // What follows tells by its sequence what is missing; the gap needs no second report.
                tailUncertain = true
                offset = next
            case .intact(let header):
                guard offset + header.recordBytes <= window.size else {
                    endsInside(at: offset, size: window.size, isLast: isLast)
                    return
                }
                isSealed = header.kind == .seal
                guard try accept(header, window, offset: offset, sink: &sink) else {
                    endsInside(at: offset, size: window.size, isLast: isLast)
                    return
                }
                offset += header.recordBytes
            }
            needed = JournalFormat.recordHeaderBytes
        }
    }

    /// Takes a record whose header is intact and whose bytes are all there; false when its value is cut off by zeros.
    private mutating func accept(
        _ header: RecordHeader, _ window: JournalWindow, offset: Int, sink: inout some RecoverySink
    ) throws(JournalError) -> Bool {
        if header.kind == .seal {
            if let expected, header.sequence &+ 1 > expected {
                arrive(at: header.sequence &+ 1, offset: offset, sink: &sink)
            }
            tailUncertain = false
            return true
        }
        let isTooLarge = header.valueBytes > limits.maxValueBytes
        let readable = isTooLarge ? header.valueStart : header.recordBytes
        let bytes = try window.view(at: offset, atLeast: readable)
        guard bytes.count >= readable else { return false }
        if isTooLarge {
            guard follow(header.sequence, offset: offset, bytes: header.recordBytes, sink: &sink) else { return true }
            dropValue(header.record(in: bytes, withValue: false), reason: .valueTooLarge, offset: offset, sink: &sink)
            return true
        }
        let record = header.record(in: bytes, withValue: true)
        let isIntact = record.value.isEmpty || Checksum.crc32(record.value) == header.valueChecksum
        if !isIntact, try window.trailingZerosStart() < offset + header.recordBytes { return false }
        guard follow(header.sequence, offset: offset, bytes: header.recordBytes, sink: &sink) else { return true }
        if isIntact {
            apply(record, sink: &sink)
        } else {
            // Scanning for trailing zeros may have moved the window.
            let again = try window.view(at: offset, atLeast: readable)
            dropValue(header.record(in: again, withValue: true), reason: .valueChecksum, offset: offset, sink: &sink)
        }
        return true
    }

    /// Accounts for a record's sequence; false when it must not be applied.
    mutating func follow(_ sequence: UInt64, offset: Int, bytes: Int, sink: inout some RecoverySink) -> Bool {
        if let expected, sequence == expected, !tailUncertain {
            // The common case.
        } else if let expected, sequence < expected {
            damage(.sequenceBack, offset: offset, droppedBytes: bytes)
            return false
        } else {
            arrive(at: sequence, offset: offset, sink: &sink)
        }
        expected = sequence &+ 1
        if current.firstSequence == 0 { current.firstSequence = sequence }
        current.lastSequence = sequence
        return sequence >= firstApplied && sequence <= lastApplied
    }

    private mutating func endsInside(at offset: Int, size: Int, isLast: Bool) {
        if !isLast {
            // Costs nothing when the next segment goes on where this one stops; its first sequence tells.
            damage(.endsInsideRecord, offset: offset, droppedBytes: size - offset)
            tailUncertain = true
        } else {
            tear(at: offset, size: size)
        }
    }

    /// Whether a damaged header is only an unfinished one: zeros from somewhere inside it, to the end of the file.
    /// Intact records end in a byte that is not zero, so a flipped bit in the last record never looks like this.
    private func isTorn(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, reason: DamageReason, zerosStart: Int
    ) -> Bool {
        if zerosStart < offset + JournalFormat.recordHeaderBytes { return true }
        guard reason == .headerChecksum, bytes.count >= JournalFormat.recordHeaderBytes else { return false }
        let keyBytes = Int(bytes.number(at: 12, as: UInt32.self))
        return zerosStart < offset + JournalFormat.recordHeaderBytes + keyBytes
    }

    /// The next offset after `offset` where an intact header stands whose sequence can follow what was read. O(bytes passed).
    private func nextRecord(
        _ window: JournalWindow, after offset: Int, seed: EpochSeed
    ) throws(JournalError) -> Int? {
        var from = offset + 1
        while let candidate = try window.find(magic: JournalFormat.recordMagic, from: from) {
            from = candidate + 1
            let reach = JournalFormat.recordHeaderBytes + limits.maxKeyBytes
            let bytes = try window.view(at: candidate, atLeast: min(reach, window.size - candidate))
            guard case .intact(let header) = RecordDecoder.header(bytes, limits: limits, seed: seed) else { continue }
            guard candidate + header.recordBytes <= window.size else { continue }
            guard let expected else { return candidate }
            let possible = UInt64((candidate - offset) / JournalFormat.recordOverhead) + 1
            let sequence = header.kind == .seal ? header.sequence &+ 1 : header.sequence
            if sequence >= expected, sequence - expected <= possible { return candidate }
        }
        return nil
    }
}
