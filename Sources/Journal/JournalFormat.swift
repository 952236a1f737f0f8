// The bytes of the journal, drawn before any code that reads or writes them. Layout only: no I/O, no policy.
//
// All integers are little-endian. CRCs are zlib's crc32. Header CRCs start from a seed made of the journal's epoch (a
// random number chosen when the journal is created), so that bytes inside a client's value can never pass for a
// header when a damaged place is scanned for the next intact one.
//
// A file is a file header, written twice (one damaged copy costs nothing), then its content:
//
//      0         64        128
//      | header  | header  | records (active segment)  |  blocks (compressed segment, snapshot)
//
// A segment of version 2 is written with every commit durable before the next one begins, and over zeros that were laid
// out ahead of it (SegmentFile.swift):
//
//      | header  | header  | commit | commit | commit | 0 0 0 0 0 … |
//                            ^ mark   ^ mark   ^ mark in the type of each commit's first record
//
// - Content ends where nothing but zeros follows. They are no damage and no torn tail; who closes the file cuts them off.
// - A power loss can leave any sectors of the last commit as zeros, with later ones written. A place that holds a sector of
//   zeros and has no mark after it is that: the commit was never acknowledged, and is a torn tail from there on. With a mark
//   after it the place was durable once, and is damage. (Version 1 files grow; what is lost of them is their end.)
//
// File header, 64 bytes:
//
//      0   magic       8   "SpyderJ" 0xF7
//      8   version     u16 1, or 2: see above
//      10  kind        u8  1 segment, 2 compressed segment, 3 snapshot
//      11  zero        u8
//      12  number      u32 the number in the file's name
//      16  first       u64 sequence of the segment's first record; in a snapshot: of the first record it does not cover
//      24  epoch       u64 the same in every file of one journal
//      32  created     i64 wall clock, Unix milliseconds
//      40  zero        20 bytes
//      60  crc         u32 of bytes 0..<60
//
// Record, 57 bytes around key and value:
//
//      0   magic       u32 F5 53 52 FA (not UTF-8, and not zero: a zeroed tail is no record)
//      4   header crc  u32 of bytes 8..<56 and the key, seeded
//      8   type        u8  1 put, 2 remove, 3 touch, 4 flush, 5 seal; +128: everything before it is durable (version 2)
//      9   form        u8  0 plain, 1 deflated
//      10  length check u16 of type, form and both lengths: tells a record cut short from a damaged length
//      12  key bytes   u32
//      16  value bytes u32 as stored
//      20  original    u32 bytes of the inflated value; 0 when plain
//      24  sequence    u64 +1 a record, never reused; a gap means that something was lost
//      32  version     u64 of the entry; in a seal: the number of records
//      40  wall expiry i64 Unix milliseconds; Int64.max never
//      48  original crc u32 of the inflated value; 0 when plain
//      52  value crc   u32 of the value as stored
//      56  key, value
//      ..  end mark    u8  F5: an intact record never ends in a zero byte
//
// Because the header CRC covers the key and not the value, damage to a value still names the key that was hit.
//
// Block, 48 bytes before its payload: up to 256 KiB of records (or one larger record), deflated when that is smaller:
//
//      0   magic       u32 F6 53 42 FB
//      4   header crc  u32 of bytes 8..<48, seeded
//      8   raw bytes   u32 records before deflate
//      12  stored bytes u32 payload
//      16  first       u64 sequence of the first record (snapshot: ordinal from 1)
//      24  last        u64
//      32  payload crc u32 of the payload as stored
//      36  method      u8  0 stored, 1 deflated
//      37  role        u8  0 records, 1 trailer (last block: no payload, first..last of the whole file)
//      38  zero        u16
//      40  records     u64 in the block; in the trailer: in the file
//      48  payload

package enum JournalFormat {
    package static let formatVersion: UInt16 = 1
    /// Of a segment with marks, over zeros.
    package static let laidOutVersion: UInt16 = 2
    /// In a record's type: everything before it is durable.
    static let commitMark: UInt8 = 0x80
    /// What a disk writes whole or not at all, at the least.
    static let sectorBytes = 512
    package static let fileMagic: UInt64 = 0xF74A_7265_6479_7053
    package static let fileHeaderBytes = 64
    /// Where content starts: after both copies of the file header.
    package static let contentStart = 128
    package static let recordMagic: UInt32 = 0xFA52_53F5
    package static let recordHeaderBytes = 56
    package static let endMark: UInt8 = 0xF5
    /// Bytes of a record beside its key and value.
    package static let recordOverhead = 57
    package static let blockMagic: UInt32 = 0xFB42_53F6
    package static let blockHeaderBytes = 48
    /// Raw bytes after which a block is closed.
    package static let blockBytes = 256 * 1024
    /// No journal lives to write so many records: a file that says so was not written by one, and counting on from there
    /// would overflow.
    package static let maxSequence: UInt64 = 1 << 62
    package static let neverExpires = Int64.max
}

/// What a file of the journal holds.
package enum JournalFileKind: UInt8, Sendable {
    case segment = 1
    case compressedSegment = 2
    case snapshot = 3
}

/// Sizes above which a length is taken for damage or its value for too large to load; bounds memory on any input.
package struct JournalLimits: Sendable {
    package var maxKeyBytes: Int
    package var maxValueBytes: Int

    package init(maxKeyBytes: Int = 64 * 1024, maxValueBytes: Int = 16 * 1024 * 1024) {
        self.maxKeyBytes = maxKeyBytes
        self.maxValueBytes = maxValueBytes
    }

    var maxRecordBytes: Int { JournalFormat.recordOverhead + maxKeyBytes + maxValueBytes }
    var maxBlockBytes: Int { max(JournalFormat.blockBytes, maxRecordBytes) }
}

/// Inflates raw deflate blocks to exactly fill `output`; false, leaving rubbish there, when the input is damaged or of
/// another length.
package typealias JournalInflate =
    @Sendable (_ stored: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) -> Bool

/// Deflates to raw deflate blocks in `output` and returns their length; nil, leaving rubbish there, when they do not fit.
package typealias JournalDeflate =
    @Sendable (_ raw: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) -> Int?
