// Replaying an active (uncompressed) segment, and finding the next intact record after damage.

extension Replay {
    mutating func replaySegment(
        _ window: JournalWindow, seed: EpochSeed, isLast: Bool, sink: inout some RecoverySink
    ) throws(JournalError) {
        var offset = JournalFormat.contentStart
        var needed = JournalFormat.recordHeaderBytes
        // Where to look for headers when the next one is damaged: inside a record whose value was, for bytes may be
        // missing there.
        var lookFrom: Int?
        var ahead = LookAhead()
        if isLaidOut { try leaveOutZeros(window) }
        while offset < window.size, !isDone {
            let bytes = try window.view(at: offset, atLeast: needed)
            ahead.announce(bytes, at: offset, to: &sink)
            let reason: DamageReason
            switch RecordDecoder.header(bytes, limits: limits, seed: seed) {
            case .needs(let count) where offset + count <= window.size && count > needed:
                needed = count
                continue
            case .needs:
                reason = .endsInsideRecord
            case .damaged(let found):
                reason = found
                let covered = claimedHeaderBytes(bytes, found)
                // Intact records end in a byte that is not zero, so a flipped bit in the last one never looks torn.
                if try window.trailingZerosStart() < offset + covered {
                    endsInside(at: offset, size: window.size, isLast: isLast)
                    return
                }
                if isLast, try isUnfinishedCommit(window, at: offset, seed: seed) {
                    tear(at: offset, size: window.size)
                    return
                }
            case .intact(let header):
                switch try accept(header, window, offset: offset, seed: seed, isLast: isLast, sink: &sink) {
                case .applied: lookFrom = nil
                case .dropped: lookFrom = offset + 1
                case .unfinished:
                    endsInside(at: offset, size: window.size, isLast: isLast)
                    return
                }
                needed = JournalFormat.recordHeaderBytes
                offset += header.recordBytes
                if header.kind == .seal, offset < window.size {
                    damage(.afterSeal, offset: offset, droppedBytes: window.size - offset)
                    return
                }
                if offset < window.size || lookFrom == nil { continue }
                reason = .endsInsideRecord
            }
            guard let next = try nextRecord(window, after: (lookFrom ?? offset + 1) - 1, seed: seed) else {
                if offset >= window.size { return }
                guard reason != .endsInsideRecord else {
                    endsInside(at: offset, size: window.size, isLast: isLast)
                    return
                }
                damage(reason, offset: offset, droppedBytes: window.size - offset)
                endUncertain(after: window.size - offset)
                return
            }
            damage(reason, offset: min(offset, next), droppedBytes: max(0, next - offset))
            // What follows tells by its sequence what is missing; the gap needs no second report.
            tailUncertain = true
            needed = JournalFormat.recordHeaderBytes
            lookFrom = nil
            offset = next
        }
    }

    private enum Acceptance {
        case applied
        /// Its value is damaged: its key was dropped.
        case dropped
        /// Cut off by the end of the file or by zeros up to it.
        case unfinished
    }

    /// Takes a record whose header is intact.
    private mutating func accept(
        _ header: RecordHeader, _ window: JournalWindow, offset: Int, seed: EpochSeed, isLast: Bool,
        sink: inout some RecoverySink
    ) throws(JournalError) -> Acceptance {
        let end = offset + header.recordBytes
        if header.kind == .seal, end <= window.size {
            if let expected, header.sequence &+ 1 > expected {
                arrive(at: header.sequence &+ 1, offset: offset, sink: &sink)
            }
            tailUncertain = false
            current.isSealed = true
            return .applied
        }
        if end > window.size {
            // Bytes missing in the middle of the file look like this too, but then intact records follow.
            guard try nextRecord(window, after: offset, seed: seed) != nil else { return .unfinished }
        }
        let isTooLarge = header.valueBytes > limits.maxValueBytes
        if !isTooLarge, end <= window.size {
            func isUnfinished() throws(JournalError) -> Bool {
                guard try window.trailingZerosStart() >= end else { return true }
                guard isLast else { return false }
                return try isUnfinishedCommit(window, at: offset, seed: seed)
            }
            var bytes = try window.view(at: offset, atLeast: header.recordBytes)
            if bytes.count >= header.recordBytes, bytes[header.recordBytes - 1] == 0 {
                if try isUnfinished() { return .unfinished }
                bytes = try window.view(at: offset, atLeast: header.recordBytes)
            }
            // The file may be cut while somebody only looks at it.
            guard bytes.count >= header.recordBytes else { return .unfinished }
            let record = header.record(in: bytes, withValue: true)
            if record.value.isEmpty || Checksum.crc32(record.value) == header.valueChecksum {
                if follow(header.sequence, offset: offset, bytes: header.recordBytes, sink: &sink) {
                    apply(record, sink: &sink)
                }
                return .applied
            }
            if try isUnfinished() { return .unfinished }
        }
        if follow(header.sequence, offset: offset, bytes: header.recordBytes, sink: &sink) {
            let bytes = try window.view(at: offset, atLeast: header.valueStart)
            dropValue(
                header.record(in: bytes, withValue: false), bytes: min(header.recordBytes, window.size - offset),
                reason: isTooLarge ? .valueTooLarge : .valueChecksum, offset: offset, sink: &sink)
        }
        return .dropped
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

    /// The content of a laid-out segment ends where nothing but zeros follows. Determined once, before it is read: of a file
    /// that is being written the bytes below stay as they are.
    private mutating func leaveOutZeros(_ window: JournalWindow) throws(JournalError) {
        let end = max(try window.trailingZerosStart(), JournalFormat.contentStart)
        guard end < window.size else { return }
        window.end(at: end)
        current.bytes = end
        current.endsInZeros = true
    }

    /// Whether a damaged place in the newest segment is what a power loss leaves of a commit under way: it holds a sector
    /// that was never written, and nothing after it says that it was durable. O(bytes to the next intact record), and once
    /// for a commit O(bytes to the next mark).
    private mutating func isUnfinishedCommit(
        _ window: JournalWindow, at offset: Int, seed: EpochSeed
    ) throws(JournalError) -> Bool {
        guard isLaidOut, !marks.hasMark(after: offset) else { return false }
        var end: Int?
        var from = offset + 1
        while let (candidate, header) = try intactHeader(window, from: from, seed: seed) {
            from = candidate + 1
            end = end ?? candidate
            if marks.hasNone(after: offset) { break }
            if header.beginsCommit || header.kind == .seal {
                marks.next = candidate
                return false
            }
        }
        if !marks.hasNone(after: offset) { marks.noneAfter = offset }
        return try hasUnwrittenSector(window, in: offset..<(end ?? window.size))
    }

    /// Whether some sector is zeros as far as it lies in `range` and up to its end.
    private func hasUnwrittenSector(_ window: JournalWindow, in range: Range<Int>) throws(JournalError) -> Bool {
        let sector = JournalFormat.sectorBytes
        var start = range.lowerBound
        while start < range.upperBound {
            let end = (start / sector + 1) * sector
            guard end <= range.upperBound else { return false }
            let bytes = try window.view(at: start, atLeast: end - start)
            guard bytes.count >= end - start else { return false }
            if bytes.prefix(end - start).allSatisfy({ $0 == 0 }) { return true }
            start = end
        }
        return false
    }

    /// The bytes of a damaged header, with its key where the lengths can be believed: zeros from somewhere inside
    /// them to the end of the file make it an unfinished one.
    private func claimedHeaderBytes(_ bytes: UnsafeRawBufferPointer, _ reason: DamageReason) -> Int {
        guard reason == .headerChecksum else { return JournalFormat.recordHeaderBytes }
        return JournalFormat.recordHeaderBytes + Int(bytes.number(at: 12, as: UInt32.self))
    }

    /// The first intact header from `from` on, and where it stands. O(bytes passed).
    private func intactHeader(
        _ window: JournalWindow, from: Int, seed: EpochSeed
    ) throws(JournalError) -> (offset: Int, header: RecordHeader)? {
        var from = from
        while let candidate = try window.find(magic: JournalFormat.recordMagic, from: from) {
            from = candidate + 1
            let reach = JournalFormat.recordHeaderBytes + limits.maxKeyBytes
            let bytes = try window.view(at: candidate, atLeast: min(reach, window.size - candidate))
            if case .intact(let header) = RecordDecoder.header(bytes, limits: limits, seed: seed) {
                return (candidate, header)
            }
        }
        return nil
    }

    /// The next offset after `offset` where an intact header stands whose sequence can follow what was read. O(bytes
    /// passed).
    private func nextRecord(
        _ window: JournalWindow, after offset: Int, seed: EpochSeed
    ) throws(JournalError) -> Int? {
        var from = offset + 1
        while let (candidate, header) = try intactHeader(window, from: from, seed: seed) {
            from = candidate + 1
            guard candidate + header.recordBytes <= window.size else { continue }
            guard let expected else { return candidate }
            let possible = UInt64((candidate - offset) / JournalFormat.recordOverhead) + 1
            let sequence = header.kind == .seal ? header.sequence &+ 1 : header.sequence
            if sequence >= expected, sequence - expected <= possible { return candidate }
        }
        return nil
    }
}

/// What is known of the commit marks of a segment that is read from its start to its end.
struct CommitMarks {
    /// There is one here.
    var next: Int?
    /// There is none after this place.
    var noneAfter: Int?

    func hasMark(after offset: Int) -> Bool { next.map { offset < $0 } ?? false }

    func hasNone(after offset: Int) -> Bool { noneAfter.map { offset >= $0 } ?? false }
}
