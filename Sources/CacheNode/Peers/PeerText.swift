// JSON text between nodes, with compressed values beside it as they are stored: neither end inflates or compresses them.
//
//     plain body      the JSON text
//     holed body      Content-Encoding: x-spydercache-holes, all numbers little-endian
//
//       0      4        8                                 8+16n          8+16n+t
//       │ t    │ n      │ n × offset, stored, original, crc │ text        │ blocks of all holes, one after the other │
//         text   holes    where the hole is in the text       `null` in each hole
//
// Clients get gzip with spliced blocks instead (GzipSplice); between nodes that would cost a CRC to combine and a stream to
// take apart again, only to learn where the blocks lie.

import Compression
import JSONRPC
import NIOCore

/// A body that came from a node.
struct PeerText: Sendable {
    static let contentCoding: StaticString = "x-spydercache-holes"
    private static let headerBytes = 8
    private static let holeBytes = 16

    /// A compressed value in the text.
    struct Hole: Sendable {
        /// Where `null` stands for it, in bytes from the start of the text.
        var offset: Int
        var blocks: Range<Int>
        var originalBytes: UInt32
        var crc32: UInt32
    }

    let text: ByteBuffer
    /// In the order of their offsets.
    let holes: [Hole]
    private let blocks: ByteBuffer

    /// A body without holes.
    init(plain text: ByteBuffer) {
        self.text = text
        holes = []
        blocks = ByteBuffer()
    }

    /// Takes a holed body apart; nil when its numbers do not fit together.
    init?(holed body: ByteBuffer) {
        var rest = body
        guard let textBytes = rest.readInteger(endianness: .little, as: UInt32.self),
            let count = rest.readInteger(endianness: .little, as: UInt32.self),
            Int(count) <= rest.readableBytes / Self.holeBytes
        else { return nil }
        var holes: [Hole] = []
        holes.reserveCapacity(Int(count))
        var start = 0
        var least = 0
        for _ in 0..<count {
            guard let offset = rest.readInteger(endianness: .little, as: UInt32.self),
                let stored = rest.readInteger(endianness: .little, as: UInt32.self),
                let original = rest.readInteger(endianness: .little, as: UInt32.self),
                let crc = rest.readInteger(endianness: .little, as: UInt32.self),
                Int(offset) >= least, Int(offset) + 4 <= Int(textBytes)
            else { return nil }
            holes.append(
                Hole(
                    offset: Int(offset), blocks: start..<start + Int(stored), originalBytes: original, crc32: crc))
            start += Int(stored)
            least = Int(offset) + 4
        }
        guard let text = rest.readSlice(length: Int(textBytes)), rest.readableBytes == start else { return nil }
        self.text = text
        self.holes = holes
        blocks = rest
        let isNull = text.withUnsafeReadableBytes { bytes in
            holes.allSatisfy { UnsafeRawBufferPointer(rebasing: bytes[$0.offset..<$0.offset + 4]).equals("null") }
        }
        guard isNull else { return nil }
    }

    /// The hole a JSON value is; nil when it is text. O(log holes).
    func hole(at value: JSONSlice) -> Hole? {
        var low = 0
        var high = holes.count
        while low < high {
            let middle = (low + high) / 2
            if holes[middle].offset < Int(value.start) { low = middle + 1 } else { high = middle }
        }
        return low < holes.count && holes[low].offset == Int(value.start) ? holes[low] : nil
    }

    /// Lends the blocks of a hole.
    func withBlocks<Result, Failure: Error>(
        of hole: Hole, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try blocks.readableBytesSpan.withUnsafeBytes { bytes throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: bytes[hole.blocks]))
        }
    }
}

extension ReplyBuffer {
    /// Appends a part of what a node sent, values included; false, with nothing appended, when one of them is damaged.
    mutating func append(_ slice: JSONSlice, of source: PeerText, with inflater: inout Inflater) -> Bool {
        let before = mark
        var isWhole = true
        source.text.withUnsafeReadableBytes { text in
            guard !source.holes.isEmpty else { return append(bytes: slice.bytes(in: text)) }
            var position = Int(slice.start)
            for hole in source.holes where hole.offset >= position && hole.offset < Int(slice.end) && isWhole {
                append(bytes: UnsafeRawBufferPointer(rebasing: text[position..<hole.offset]))
                position = hole.offset + 4
                isWhole = source.withBlocks(of: hole) { blocks in
                    append(
                        splicing: blocks, originalBytes: hole.originalBytes, crc32: hole.crc32, with: &inflater)
                }
            }
            append(bytes: UnsafeRawBufferPointer(rebasing: text[position..<Int(slice.end)]))
        }
        if !isWhole { rollBack(to: before) }
        return isWhole
    }

    /// The body for a node, and whether it has holes.
    consuming func finishForPeer() -> (body: ByteBuffer, isHoled: Bool) {
        guard !splices.isEmpty else {
            var body = bytes
            body.moveReaderIndex(to: Self.headRoomBytes)
            return (body, false)
        }
        let storedBytes = splices.reduce(0) { $0 + $1.storedBytes }
        let textBytes = bytes.writerIndex - Self.headRoomBytes - storedBytes + 4 * splices.count
        var body = ByteBuffer()
        body.reserveCapacity(8 + 16 * splices.count + textBytes + storedBytes)
        body.writeInteger(UInt32(clamping: textBytes), endianness: .little)
        body.writeInteger(UInt32(clamping: splices.count), endianness: .little)
        var offset = 0
        eachPart { literal, splice in
            guard let splice else { return }
            offset += literal.count
            body.writeInteger(UInt32(clamping: offset), endianness: .little)
            body.writeInteger(UInt32(clamping: splice.storedBytes), endianness: .little)
            body.writeInteger(splice.originalBytes, endianness: .little)
            body.writeInteger(splice.crc32, endianness: .little)
            offset += 4
        }
        bytes.withVeryUnsafeBytes { storage in
            eachPart { literal, splice in
                body.writeBytes(UnsafeRawBufferPointer(rebasing: storage[literal]))
                if splice != nil { body.writeStaticString("null") }
            }
            for splice in splices {
                body.writeBytes(
                    UnsafeRawBufferPointer(
                        rebasing: storage[splice.offset..<splice.offset + splice.storedBytes]))
            }
        }
        return (body, true)
    }
}
