// Replaying compressed segments and snapshots: checked blocks of the same records.

extension Replay {
    mutating func replayBlocks(
        _ window: JournalWindow, seed: EpochSeed, isSnapshot: Bool, sink: inout some RecoverySink
    ) throws(JournalError) {
        // Records of a snapshot carry ordinals, which have nothing to do with the sequence that comes after it.
        let sequenceAfter = expected
        var recordsRead: UInt64 = 0
        var offset = JournalFormat.contentStart
        var hasTrailer = false
        // One for all blocks: memory fresh from the system for each was a sixth of a recovery's time.
        var raw = RawBuffer()
        while offset < window.size, !hasTrailer, isSnapshot || !isDone {
            let bytes = try window.view(at: offset, atLeast: JournalFormat.blockHeaderBytes)
            guard let header = BlockHeader.read(bytes, limits: limits, seed: seed), fits(header, at: offset, window)
            else {
                let next = try nextBlock(window, after: offset, seed: seed) ?? window.size
                damage(.blockHeader, offset: offset, droppedBytes: next - offset)
                if !isSnapshot { tailUncertain = true }
                offset = next
                continue
            }
            if header.isTrailer {
                hasTrailer = true
                finishFile(header, offset: offset, isSnapshot: isSnapshot, recordsRead: recordsRead, sink: &sink)
            } else if let records = try records(of: header, window, offset: offset, inflatingInto: &raw) {
                let good = replay(block: records, offset: offset, seed: seed, sink: &sink)
                recordsRead += UInt64(good)
                if UInt64(good) < header.records, !isSnapshot, !isDone { tailUncertain = true }
            } else {
                damage(.blockPayload, offset: offset, droppedBytes: header.storedBytes)
                if !isSnapshot { tailUncertain = true }
            }
            offset += JournalFormat.blockHeaderBytes + header.storedBytes
        }
        if isSnapshot { expected = sequenceAfter }
        if !hasTrailer, isSnapshot || !isDone {
            damage(.noTrailer, offset: window.size, droppedBytes: 0)
            if !isSnapshot { endUncertain(after: window.size) }
        } else if offset < window.size, isSnapshot || !isDone {
            damage(.afterSeal, offset: offset, droppedBytes: window.size - offset)
        }
    }

    private mutating func finishFile(
        _ trailer: BlockHeader, offset: Int, isSnapshot: Bool, recordsRead: UInt64, sink: inout some RecoverySink
    ) {
        if isSnapshot {
            report.dropped(records: trailer.records - min(trailer.records, recordsRead))
        } else if trailer.records > 0 {
            if let expected, trailer.last &+ 1 > expected { arrive(at: trailer.last &+ 1, offset: offset, sink: &sink) }
            tailUncertain = tailUncertain && expected == nil
        }
    }

    private func fits(_ header: BlockHeader, at offset: Int, _ window: JournalWindow) -> Bool {
        offset + JournalFormat.blockHeaderBytes + header.storedBytes <= window.size
            && header.storedBytes <= limits.maxBlockBytes && header.rawBytes <= limits.maxBlockBytes
    }

    /// The block's records, valid until `raw` or the window is used again; nil when the payload is damaged.
    private func records(
        of header: BlockHeader, _ window: JournalWindow, offset: Int, inflatingInto raw: inout RawBuffer
    ) throws(JournalError) -> UnsafeRawBufferPointer? {
        let end = JournalFormat.blockHeaderBytes + header.storedBytes
        let bytes = try window.view(at: offset, atLeast: end)
        guard bytes.count >= end else { return nil }
        let payload = bytes.slice(JournalFormat.blockHeaderBytes..<end)
        guard Checksum.crc32(payload) == header.payloadChecksum else { return nil }
        guard header.isDeflated else { return header.rawBytes == payload.count ? payload : nil }
        raw.removeAll(keepingCapacityUpTo: JournalFormat.blockBytes)
        return inflate(payload, raw.extend(by: header.rawBytes)) ? raw.bytes : nil
    }

    /// Replays the records of one block; returns how many were read.
    private mutating func replay(
        block: UnsafeRawBufferPointer, offset: Int, seed: EpochSeed, sink: inout some RecoverySink
    ) -> Int {
        var position = 0
        var records = 0
        var ahead = LookAhead()
        while position < block.count, current.kind == .snapshot || !isDone {
            let bytes = block.slice(position..<block.count)
            ahead.announce(bytes, at: position, to: &sink)
            guard case .intact(let header) = RecordDecoder.header(bytes, limits: limits, seed: seed),
                header.recordBytes <= bytes.count
            else {
                // The payload's CRC held, so this was written so: the rest of the block cannot be trusted.
                damage(.notARecord, offset: offset, droppedBytes: block.count - position)
                return records
            }
            records += 1
            position += header.recordBytes
            let record = header.record(in: bytes, withValue: true)
            if current.kind != .snapshot {
                guard follow(header.sequence, offset: offset, bytes: header.recordBytes, sink: &sink) else { continue }
            }
            if record.value.isEmpty || Checksum.crc32(record.value) == header.valueChecksum {
                apply(record, sink: &sink)
            } else {
                dropValue(
                    record, bytes: header.recordBytes, reason: .valueChecksum, offset: offset, sink: &sink)
            }
        }
        return records
    }

    /// The next offset after `offset` where an intact block header stands. O(bytes passed).
    private func nextBlock(_ window: JournalWindow, after offset: Int, seed: EpochSeed) throws(JournalError) -> Int? {
        var from = offset + 1
        while let candidate = try window.find(magic: JournalFormat.blockMagic, from: from) {
            from = candidate + 1
            let bytes = try window.view(at: candidate, atLeast: JournalFormat.blockHeaderBytes)
            guard let header = BlockHeader.read(bytes, limits: limits, seed: seed), fits(header, at: candidate, window)
            else { continue }
            if current.kind == .snapshot || header.last >= expected ?? 0 { return candidate }
        }
        return nil
    }
}
