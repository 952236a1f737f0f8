// Blocks of compressed segments and snapshots: grouping framed records, deflating them, and checking them again.

/// Groups framed records into blocks. Deflating happens in `drain`, so that records can be collected under a lock.
package struct BlockWriter: ~Copyable {
    private struct Span {
        var bytes = 0
        var first: UInt64 = 0
        var last: UInt64 = 0
        var records: UInt64 = 0
    }

    package let seed: EpochSeed
    package private(set) var records: UInt64 = 0
    package private(set) var rawBytes = 0
    private let deflate: JournalDeflate?
    private var raw = RawBuffer(capacity: JournalFormat.blockBytes)
    /// A block's deflated bytes, used again for the next one.
    private var packed = RawBuffer()
    private var closed: [Span] = []
    private var open = Span()
    private var first: UInt64 = 0
    private var last: UInt64 = 0

    /// `deflate` nil: blocks are stored as they are.
    package init(seed: EpochSeed, deflate: JournalDeflate?) {
        self.seed = seed
        self.deflate = deflate
    }

    /// Bytes collected and not drained yet.
    package var pendingBytes: Int { raw.count }

    /// Adds a record, framed with its own sequence in a segment or with its ordinal in a snapshot.
    package mutating func append(_ record: JournalRecord, sequence: UInt64) {
        admit(record.encodedBytes, sequence: sequence)
        RecordEncoder.append(record, sequence: sequence, seed: seed, to: &raw)
    }

    /// Adds a record that is framed already.
    package mutating func append(framed: UnsafeRawBufferPointer, sequence: UInt64) {
        admit(framed.count, sequence: sequence)
        raw.append(framed)
    }

    private mutating func admit(_ bytes: Int, sequence: UInt64) {
        if open.records > 0, open.bytes + bytes > JournalFormat.blockBytes {
            closed.append(open)
            open = Span()
        }
        if open.records == 0 { open.first = sequence }
        if records == 0 { first = sequence }
        open.bytes += bytes
        open.last = sequence
        open.records += 1
        last = sequence
        records += 1
        rawBytes += bytes
    }

    /// Appends the complete blocks to `out`; with `all` the unfinished one too.
    package mutating func drain(into out: inout RawBuffer, all: Bool = false) {
        if all, open.records > 0 {
            closed.append(open)
            open = Span()
        }
        guard !closed.isEmpty else { return }
        var start = 0
        for span in closed {
            append(span, payload: raw.bytes.slice(start..<start + span.bytes), to: &out)
            start += span.bytes
        }
        closed.removeAll(keepingCapacity: true)
        var rest = RawBuffer(capacity: max(JournalFormat.blockBytes, raw.count - start))
        rest.append(raw.bytes.slice(start..<raw.count))
        swap(&raw, &rest)
    }

    /// Appends what is left and the trailer.
    package mutating func finish(into out: inout RawBuffer) {
        drain(into: &out, all: true)
        let trailer = Span(bytes: 0, first: first, last: last, records: records)
        BlockHeader(
            rawBytes: 0, storedBytes: 0, first: trailer.first, last: trailer.last, payloadChecksum: 0,
            isDeflated: false,
            isTrailer: true, records: trailer.records
        ).append(to: &out, seed: seed)
    }

    private mutating func append(_ span: Span, payload: UnsafeRawBufferPointer, to out: inout RawBuffer) {
        // Room for less than the payload: otherwise deflating does not pay.
        packed.removeAll(keepingCapacityUpTo: JournalFormat.blockBytes)
        let packedBytes = deflate?(payload, packed.extend(by: payload.count)) ?? payload.count
        let isDeflated = packedBytes < payload.count
        func emit(_ stored: UnsafeRawBufferPointer, to out: inout RawBuffer) {
            BlockHeader(
                rawBytes: payload.count, storedBytes: stored.count, first: span.first, last: span.last,
                payloadChecksum: Checksum.crc32(stored), isDeflated: isDeflated, isTrailer: false, records: span.records
            ).append(to: &out, seed: seed)
            out.append(stored)
        }
        emit(isDeflated ? packed.bytes.slice(0..<packedBytes) : payload, to: &out)
    }
}

/// The fixed part of a block.
package struct BlockHeader: Sendable {
    package var rawBytes: Int
    package var storedBytes: Int
    package var first: UInt64
    package var last: UInt64
    package var payloadChecksum: UInt32
    package var isDeflated: Bool
    package var isTrailer: Bool
    package var records: UInt64

    func append(to out: inout RawBuffer, seed: EpochSeed) {
        let bytes = out.extend(by: JournalFormat.blockHeaderBytes)
        bytes.store(JournalFormat.blockMagic, at: 0)
        bytes.store(UInt32(rawBytes), at: 8)
        bytes.store(UInt32(storedBytes), at: 12)
        bytes.store(first, at: 16)
        bytes.store(last, at: 24)
        bytes.store(payloadChecksum, at: 32)
        bytes.store(UInt8(isDeflated ? 1 : 0), at: 36)
        bytes.store(UInt8(isTrailer ? 1 : 0), at: 37)
        bytes.store(UInt16(0), at: 38)
        bytes.store(records, at: 40)
        let covered = UnsafeRawBufferPointer(rebasing: bytes[8..<JournalFormat.blockHeaderBytes])
        bytes.store(Checksum.crc32(covered, from: seed.checksum), at: 4)
    }

    /// The header at the start of `bytes`; nil when its magic, CRC, sizes or sequences do not hold.
    static func read(_ bytes: UnsafeRawBufferPointer, limits: JournalLimits, seed: EpochSeed) -> BlockHeader? {
        guard bytes.count >= JournalFormat.blockHeaderBytes,
            bytes.number(at: 0, as: UInt32.self) == JournalFormat.blockMagic,
            bytes.number(at: 4, as: UInt32.self)
                == Checksum.crc32(bytes.slice(8..<JournalFormat.blockHeaderBytes), from: seed.checksum),
            [16, 24, 40].allSatisfy({ bytes.number(at: $0, as: UInt64.self) <= JournalFormat.maxSequence })
        else { return nil }
        return BlockHeader(
            rawBytes: Int(bytes.number(at: 8, as: UInt32.self)),
            storedBytes: Int(bytes.number(at: 12, as: UInt32.self)),
            first: bytes.number(at: 16), last: bytes.number(at: 24), payloadChecksum: bytes.number(at: 32),
            isDeflated: bytes[36] == 1, isTrailer: bytes[37] == 1, records: bytes.number(at: 40))
    }
}
