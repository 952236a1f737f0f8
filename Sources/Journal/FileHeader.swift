// The header at the start of every journal file, kept twice.

/// What a file says about itself.
package struct JournalFileHeader: Sendable, Equatable {
    package var kind: JournalFileKind
    package var number: UInt32
    /// Segment: its first record's sequence. Snapshot: the first sequence it does not cover.
    package var firstSequence: UInt64
    package var epoch: UInt64
    /// Unix milliseconds.
    package var created: Int64
    /// A segment of version 2: commits are marked, and zeros may follow the content.
    package var isLaidOut: Bool

    package init(
        kind: JournalFileKind, number: UInt32, firstSequence: UInt64, epoch: UInt64, created: Int64,
        isLaidOut: Bool = false
    ) {
        self.kind = kind
        self.number = number
        self.firstSequence = firstSequence
        self.epoch = epoch
        self.created = created
        self.isLaidOut = isLaidOut
    }

    /// Appends both copies.
    package func append(to buffer: inout RawBuffer) {
        for _ in 0..<2 {
            let out = buffer.extend(by: JournalFormat.fileHeaderBytes)
            out.initializeMemory(as: UInt8.self, repeating: 0)
            out.store(JournalFormat.fileMagic, at: 0)
            out.store(isLaidOut ? JournalFormat.laidOutVersion : JournalFormat.formatVersion, at: 8)
            out.store(kind.rawValue, at: 10)
            out.store(number, at: 12)
            out.store(firstSequence, at: 16)
            out.store(epoch, at: 24)
            out.store(created, at: 32)
            out.store(Checksum.crc32(UnsafeRawBufferPointer(rebasing: out[0..<60])), at: 60)
        }
    }

    package struct Reading {
        package var header: JournalFileHeader
        /// One of the two copies is damaged.
        package var copyDamaged: Bool
    }

    /// Reads the header from the first 128 bytes of a file; nil when both copies are damaged or of another format.
    package static func read(_ bytes: UnsafeRawBufferPointer) -> Reading? {
        let size = JournalFormat.fileHeaderBytes
        let first = bytes.count >= size ? decode(bytes.slice(0..<size)) : nil
        let second = bytes.count >= 2 * size ? decode(bytes.slice(size..<2 * size)) : nil
        guard let header = first ?? second else { return nil }
        return Reading(header: header, copyDamaged: first == nil || second == nil)
    }

    private static func decode(_ bytes: UnsafeRawBufferPointer) -> JournalFileHeader? {
        let version = bytes.number(at: 8, as: UInt16.self)
        guard bytes.number(at: 60, as: UInt32.self) == Checksum.crc32(bytes.slice(0..<60)),
            bytes.number(at: 0, as: UInt64.self) == JournalFormat.fileMagic,
            let kind = JournalFileKind(rawValue: bytes[10]),
            version == JournalFormat.formatVersion || version == JournalFormat.laidOutVersion && kind == .segment,
            bytes.number(at: 16, as: UInt64.self) <= JournalFormat.maxSequence
        else { return nil }
        return JournalFileHeader(
            kind: kind, number: bytes.number(at: 12), firstSequence: bytes.number(at: 16), epoch: bytes.number(at: 24),
            created: bytes.number(at: 32), isLaidOut: version == JournalFormat.laidOutVersion)
    }
}
