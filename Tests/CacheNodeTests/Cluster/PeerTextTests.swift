// Text with compressed values between nodes: whatever way it takes, it stands for the text that was put together.

import Compression
import JSONRPC
import NIOCore
import TestSupport
import Testing

@testable import CacheNode

@Suite("Text between nodes")
struct PeerTextTests {
    @Test("A text comes out as it went in, its compressed values untouched on the way", arguments: UInt64(1)...20)
    func roundTrip(seed: UInt64) throws {
        print("peer text, seed \(seed)")
        var random = SeededRandom(seed: seed)
        var inflater = try Inflater()
        for _ in 0..<20 {
            let sample = try PeerTextSample(&random, elements: Int.random(in: 0...12, using: &random))
            #expect(sample.reply.textBytes == sample.model.count)
            let (body, isHoled) = sample.reply.finishForPeer()
            #expect(isHoled == (sample.compressedCount > 0))
            let text = try #require(isHoled ? PeerText(holed: body) : PeerText(plain: body))
            #expect(text.holes.count == sample.compressedCount)
            #expect(text.inflated(with: &inflater) == sample.model)
            // With its holes it is JSON of the same shape.
            #expect(text.bytes.withUnsafeBytes { (try? validateJSON($0)) != nil })
            let slices = text.elementSlices
            try #require(slices.count == sample.elements.count)
            for (slice, element) in zip(slices, sample.elements) {
                var plain = ReplyBuffer.empty(acceptsGzip: false)
                #expect(plain.append(slice, of: text, with: &inflater))
                #expect(plain.plainText == element)
                #expect(plain.textBytes == element.count)
            }
        }
    }

    @Test("A body may lie anywhere in a buffer")
    func offsetBody() throws {
        var random = SeededRandom(seed: 5)
        var inflater = try Inflater()
        let sample = try PeerTextSample(&random, elements: 9)
        try #require(sample.compressedCount > 1)
        let (body, _) = sample.reply.finishForPeer()
        var shifted = ByteBuffer(bytes: [1, 2, 3])
        shifted.writeImmutableBuffer(body)
        shifted.moveReaderIndex(forwardBy: 3)
        let text = try #require(PeerText(holed: shifted))
        #expect(text.inflated(with: &inflater) == sample.model)
    }

    @Test("A hole is found by the value it stands for, and no other value is one")
    func findsHoles() throws {
        let sample = try CompressedSample(Array("[1,2,3,4,5,6,7,8,9]".utf8))
        var reply = ReplyBuffer.empty()
        reply.append("{\"a\":null,\"b\":")
        reply.append(sample)
        reply.append(",\"c\":[")
        reply.append(sample)
        reply.append(",null]}")
        let text = try #require(reply.sent())
        #expect(String(decoding: text.bytes, as: UTF8.self) == #"{"a":null,"b":null,"c":[null,null]}"#)
        func hole(_ start: Int32) -> PeerText.Hole? { text.hole(at: JSONSlice(start: start, end: start + 4)) }
        #expect(hole(5) == nil && hole(29) == nil && hole(0) == nil && hole(34) == nil)
        for start: Int32 in [14, 24] {
            let found = try #require(hole(start))
            #expect(found.originalBytes == UInt32(sample.text.count) && found.crc32 == sample.crc)
            #expect(text.withBlocks(of: found) { Array($0) } == sample.blocks)
        }
    }

    @Test(
        "Texts put together from others stand for the same, whether copied whole or in parts", arguments: UInt64(1)...20
    )
    func composition(seed: UInt64) throws {
        print("peer text composition, seed \(seed)")
        var random = SeededRandom(seed: seed)
        var inflater = try Inflater()
        for _ in 0..<10 {
            let samples = try (0..<3).map { _ in
                try PeerTextSample(&random, elements: Int.random(in: 1...6, using: &random))
            }
            let received = try samples.map { try #require($0.reply.sent()) }
            for acceptsGzip in [true, false] {
                var reply = ReplyBuffer.empty(acceptsGzip: acceptsGzip)
                var model: [UInt8] = []
                func literal(_ text: String) {
                    reply.append(text: text)
                    model += Array(text.utf8)
                }
                literal("{\"parts\":[")
                for _ in 0..<8 {
                    let place = Int.random(in: 0..<samples.count, using: &random)
                    let (sample, text) = (samples[place], received[place])
                    let element = Int.random(in: 0..<sample.elements.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0 where acceptsGzip:
                        reply.append(whole: sample.reply)
                        model += sample.model
                    case 1:
                        #expect(
                            reply.append(
                                sample.reply, from: sample.marks[element].start, to: sample.marks[element].end,
                                with: &inflater))
                        model += sample.elements[element]
                    case 2:
                        #expect(reply.append(text.wholeSlice, of: text, with: &inflater))
                        model += sample.model
                    default:
                        #expect(reply.append(text.elementSlices[element], of: text, with: &inflater))
                        model += sample.elements[element]
                    }
                    literal(",")
                }
                literal("0]}")
                #expect(reply.textBytes == model.count)
                if acceptsGzip {
                    let composed = try #require(reply.sent())
                    #expect(composed.inflated(with: &inflater) == model)
                } else {
                    #expect(reply.plainText == model)
                }
            }
        }
    }

    @Test("Everything between two marks is copied, however they lie to the compressed values")
    func marks() throws {
        var random = SeededRandom(seed: 11)
        var inflater = try Inflater()
        let sample = try PeerTextSample(&random, elements: 8)
        try #require(sample.compressedCount > 1)
        let marks = [sample.reply.start] + sample.marks.flatMap { [$0.start, $0.end] } + [sample.reply.mark]
        for (index, start) in marks.enumerated() {
            for end in marks[index...] {
                var part = ReplyBuffer.empty(acceptsGzip: false)
                #expect(part.append(sample.reply, from: start, to: end, with: &inflater))
                #expect(part.plainText == Array(sample.model[start.textBytes..<end.textBytes]))
            }
        }
    }

    @Test("A damaged value is refused and leaves nothing behind")
    func damage() throws {
        var inflater = try Inflater()
        let sample = try CompressedSample(Array("\"\(String(repeating: "abc", count: 100))\"".utf8))
        var source = ReplyBuffer.empty()
        source.append("[1,")
        source.append(sample)
        source.append(",")
        sample.blocks.withUnsafeBytes {
            source.append(blocks: $0, originalBytes: UInt32(sample.text.count), crc32: sample.crc ^ 1)
        }
        source.append(",2]")
        let text = try #require(source.sent())
        var reply = ReplyBuffer.empty(acceptsGzip: false)
        reply.append("before")
        let before = reply
        #expect(!reply.append(text.wholeSlice, of: text, with: &inflater))
        #expect(reply.plainText == before.plainText && reply.textBytes == before.textBytes)
        #expect(!reply.append(source, from: source.start, to: source.mark, with: &inflater))
        #expect(reply.plainText == before.plainText && reply.textBytes == before.textBytes)
        // The values beside it are as good as before.
        let slices = text.elementSlices
        #expect(reply.append(slices[1], of: text, with: &inflater))
        #expect(reply.plainText == Array("before".utf8) + sample.text)
        #expect(!reply.append(slices[2], of: text, with: &inflater))
    }
}
