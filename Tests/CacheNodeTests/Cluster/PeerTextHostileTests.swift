// Bodies between nodes that were cut or changed: never a trap, and no numbers that do not fit together.

import Compression
import JSONRPC
import NIOCore
import TestSupport
import Testing

@testable import CacheNode

@Suite("Text between nodes, hostile")
struct PeerTextHostileTests {
    private func body(_ seed: UInt64) throws -> (body: ByteBuffer, holes: Int) {
        var random = SeededRandom(seed: seed)
        while true {
            let sample = try PeerTextSample(&random, elements: 4)
            guard sample.compressedCount > 1 else { continue }
            return (sample.reply.finishForPeer().body, sample.compressedCount)
        }
    }

    /// A body by its numbers, for those that no node writes.
    private func body(
        textBytes: UInt32? = nil, count: UInt32? = nil, holes: [(offset: UInt32, stored: UInt32, original: UInt32)],
        text: String, blockBytes: Int
    ) -> ByteBuffer {
        var body = ByteBuffer()
        body.writeInteger(textBytes ?? UInt32(text.utf8.count), endianness: .little)
        body.writeInteger(count ?? UInt32(holes.count), endianness: .little)
        for hole in holes {
            for number in [hole.offset, hole.stored, hole.original, 0] {
                body.writeInteger(number, endianness: .little)
            }
        }
        body.writeString(text)
        body.writeRepeatingByte(0, count: blockBytes)
        return body
    }

    @Test("A body with holes that is cut at any byte, or followed by one, is refused", arguments: UInt64(1)...5)
    func truncated(seed: UInt64) throws {
        print("peer text cut, seed \(seed)")
        let (whole, _) = try body(seed)
        #expect(PeerText(holed: whole) != nil)
        for count in 0..<whole.readableBytes {
            var cut = whole
            #expect(PeerText(holed: cut.readSlice(length: count) ?? ByteBuffer()) == nil, "cut at \(count)")
        }
        var longer = whole
        longer.writeInteger(UInt8(0))
        #expect(PeerText(holed: longer) == nil)
    }

    @Test("Numbers that do not fit the text or each other are refused")
    func inconsistentNumbers() {
        let text = "[null,null]"
        func isRead(
            textBytes: UInt32? = nil, count: UInt32? = nil, _ holes: [(UInt32, UInt32)], blockBytes: Int
        ) -> Bool {
            PeerText(
                holed: body(
                    textBytes: textBytes, count: count, holes: holes.map { ($0.0, $0.1, 9) }, text: text,
                    blockBytes: blockBytes)) != nil
        }
        #expect(isRead([(1, 3), (6, 4)], blockBytes: 7))
        #expect(isRead([], blockBytes: 0))
        // The second before the first, on it, or overlapping it.
        #expect(!isRead([(6, 3), (1, 4)], blockBytes: 7))
        #expect(!isRead([(1, 3), (1, 4)], blockBytes: 7))
        #expect(!isRead([(1, 3), (4, 4)], blockBytes: 7))
        // Beside `null`, behind the text, at the end of all numbers.
        for offset: UInt32 in [0, 2, 5, 7, 8, 11, 12, .max - 4, .max - 3, .max] {
            #expect(!isRead([(offset, UInt32(3))], blockBytes: 3), "offset \(offset)")
        }
        // More and less blocks than there are.
        #expect(!isRead([(1, 3), (6, 4)], blockBytes: 6))
        #expect(!isRead([(1, 3), (6, 4)], blockBytes: 8))
        #expect(!isRead([(1, .max), (6, .max)], blockBytes: 7))
        #expect(!isRead([(1, .max), (6, 8)], blockBytes: 7))
        // Counts and lengths that say something else.
        for count: UInt32 in [0, 1, 3, 0x1000_0000, .max] {
            #expect(!isRead(count: count, [(1, 3), (6, 4)], blockBytes: 7), "count \(count)")
        }
        for bytes: UInt32 in [0, 10, 12, 18, 19, .max] {
            #expect(!isRead(textBytes: bytes, [(1, 3), (6, 4)], blockBytes: 7), "text \(bytes)")
        }
    }

    @Test("20,000 changed bodies never trap, and those that are read hold together", arguments: UInt64(1)...4)
    func corrupted(seed: UInt64) throws {
        print("peer text corruption, seed \(seed)")
        var random = SeededRandom(seed: seed)
        var inflater = try Inflater()
        let bodies = try (0..<5).map { try body(seed &* 100 &+ $0) }
        let models = bodies.map { PeerText(holed: $0.body)?.inflated(with: &inflater) }
        var read = 0
        var damaged = 0
        for round in 0..<5_000 {
            let place = round % bodies.count
            var bytes = Array(bodies[place].body.readableBytesView)
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                // Half of the changes go to the numbers in front.
                let numbers = 8 + 16 * bodies[place].holes
                let limit = Bool.random(using: &random) ? numbers : bytes.count
                let at = Int.random(in: 0..<limit, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                default: bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][Int.random(in: 0..<5, using: &random)]
                }
            }
            guard let text = PeerText(holed: ByteBuffer(bytes: bytes)) else { continue }
            read += 1
            var least = 0
            var blocks = 0
            for hole in text.holes {
                let fits =
                    hole.offset >= least && hole.offset + 4 <= text.text.readableBytes
                    && hole.blocks.lowerBound == blocks && text.withBlocks(of: hole) { $0.count } == hole.blocks.count
                    && text.bytes[hole.offset..<hole.offset + 4].elementsEqual("null".utf8)
                #expect(fits, "round \(round)")
                least = hole.offset + 4
                blocks = hole.blocks.upperBound
            }
            #expect(8 + 16 * text.holes.count + text.text.readableBytes + blocks == bytes.count)
            // Lengths that these values can't have are other tests'.
            guard text.holes.allSatisfy({ (1..<1 << 20).contains($0.originalBytes) }) else { continue }
            guard let inflated = text.inflated(with: &inflater) else {
                damaged += 1
                continue
            }
            // The check sums leave changes of the text alone, which is as long as before.
            #expect(inflated.count == models[place]?.count, "seed \(seed), round \(round)")
        }
        #expect(read > 500 && damaged > 200, "\(read) read, \(damaged) damaged")
    }

    @Test("A value that claims to be empty and is not is refused", arguments: [true, false])
    func emptyLength(isRubbish: Bool) throws {
        let sample = try CompressedSample(Array("[1,2,3]".utf8))
        let blocks = isRubbish ? [UInt8](repeating: 0xFF, count: 9) : sample.blocks
        var inflater = try Inflater()
        var reply = ReplyBuffer.empty(acceptsGzip: false)
        let isWhole = blocks.withUnsafeBytes {
            reply.append(inflating: $0, originalBytes: 0, crc32: sample.crc, with: &inflater)
        }
        #expect(reply.plainText == [])
        #expect(!isWhole)
    }

    @Test("A value that claims to be longer than its blocks can make it is refused")
    func impossibleLength() async {
        // One byte of blocks can't give four gigabytes (RFC 1951: at most 1,032 bytes for one).
        await #expect(processExitsWith: .success) {
            var body = ByteBuffer()
            for number: UInt32 in [4, 1, 0, 5, .max, 0] { body.writeInteger(number, endianness: .little) }
            body.writeString("null\u{0}\u{0}\u{0}\u{0}\u{0}")
            guard let text = PeerText(holed: body) else { return }
            var inflater = try Inflater()
            _ = text.inflated(with: &inflater)
        }
    }
}
