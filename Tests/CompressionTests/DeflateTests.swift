// Deflater and Inflater against each other and against Python's zlib, and Inflater against broken input.

import Compression
import Testing

@Suite struct DeflateTests {
    static let texts: [[UInt8]] = [
        [], [0x30], Array(#""x""#.utf8), jsonText(bytes: 500), jsonText(bytes: 70_000), jsonText(bytes: 1_000_000),
        [UInt8](repeating: 0x20, count: 300_000), noise(bytes: 5_000),
    ]

    private func blocks(_ text: [UInt8], level: Int = 6) throws -> [UInt8] {
        var deflater = try Deflater(level: level)
        var output: [UInt8] = []
        let count = text.withUnsafeBytes { deflater.deflateBlocks($0, into: &output, maxOutput: $0.count + 1_000) }
        #expect(count == output.count)
        return output
    }

    private func inflate(_ blocks: [UInt8], length: Int, crc: UInt32? = nil) throws(CompressionError) -> [UInt8] {
        var inflater = try Inflater()
        var output = [UInt8](repeating: 0xAA, count: length)
        do {
            try blocks.withUnsafeBytes { blocks in
                try output.withUnsafeMutableBytes { try inflater.inflateBlocks(blocks, into: $0, crc: crc) }
            }
        } catch let error as CompressionError {
            throw error
        } catch {
            Issue.record(error)
        }
        return output
    }

    @Test(arguments: Deflater.levels) func textsComeBackWholeAtEveryLevel(level: Int) throws {
        for text in Self.texts {
            let compressed = try blocks(text, level: level)
            #expect(compressed.suffix(4) == [0, 0, 0xFF, 0xFF])
            #expect(try inflate(compressed, length: text.count, crc: text.withUnsafeBytes { crc32($0) }) == text)
        }
    }

    @Test func pythonReadsTheBlocks() throws {
        for text in Self.texts {
            let script =
                "d = zlib.decompressobj(-15); result = d.decompress(data); assert not d.eof and not d.unused_data"
            #expect(try python(script, input: try blocks(text)) == text)
        }
    }

    @Test func oneDeflaterServesManyTextsWithoutCarryingAnythingOver() throws {
        var deflater = try Deflater(level: 6)
        var output: [UInt8] = []
        for text in Self.texts + Self.texts.reversed() {
            _ = text.withUnsafeBytes { deflater.deflateBlocks($0, into: &output, maxOutput: $0.count + 1_000) }
            #expect(output == (try blocks(text)))
        }
    }

    @Test func outputBeyondTheMaximumIsGivenUpAndTheNextTextIsUnharmed() throws {
        var deflater = try Deflater(level: 6)
        var output: [UInt8] = []
        let incompressible = noise(bytes: 100_000)
        let given = incompressible.withUnsafeBytes { deflater.deflateBlocks($0, into: &output, maxOutput: 90_000) }
        #expect(given == nil && output.isEmpty)
        let text = jsonText(bytes: 100_000)
        let length = text.withUnsafeBytes { deflater.deflateBlocks($0, into: &output, maxOutput: 90_000) }
        #expect(length == output.count)
        #expect(try inflate(output, length: text.count) == text)
    }

    @Test func theMaximumIsExact() throws {
        let text = jsonText(bytes: 3_000)
        let length = try blocks(text).count
        var deflater = try Deflater(level: 6)
        for maximum in 0...(length + 10) {
            var output: [UInt8] = []
            let result = text.withUnsafeBytes { deflater.deflateBlocks($0, into: &output, maxOutput: maximum) }
            #expect(result == (maximum < length ? nil : length))
            var memory = [UInt8](repeating: 0, count: maximum)
            let inPlace = text.withUnsafeBytes { text in
                memory.withUnsafeMutableBytes { deflater.deflateBlocks(text, into: $0) }
            }
            #expect(inPlace == (maximum <= length ? nil : length))
        }
    }

    @Test func anyOtherLengthOrCRCIsCorrupt() throws {
        for text in Self.texts where text.count < 100_000 {
            let compressed = try blocks(text)
            for wrong in [text.count - 1, text.count + 1, 0, text.count * 2] where wrong >= 0 && wrong != text.count {
                #expect(throws: CompressionError.corrupt) { try inflate(compressed, length: wrong) }
            }
            let crc = text.withUnsafeBytes { crc32($0) }
            #expect(throws: CompressionError.corrupt) { try inflate(compressed, length: text.count, crc: crc ^ 1) }
            #expect(throws: CompressionError.corrupt) { try inflate(compressed + [0], length: text.count, crc: crc) }
        }
    }

    @Test func aCutOrAFlippedBitNeverYieldsAWrongText() throws {
        let text = jsonText(bytes: 2_000)
        let crc = text.withUnsafeBytes { crc32($0) }
        let compressed = try blocks(text)
        for length in 0..<compressed.count {
            #expect(throws: CompressionError.corrupt) {
                try inflate(Array(compressed.prefix(length)), length: text.count, crc: crc)
            }
        }
        for position in compressed.indices {
            for bit in 0..<8 {
                var damaged = compressed
                damaged[position] ^= 1 << bit
                // Padding bits and unused code lengths may change without changing the text; a wrong text never passes.
                let result = try? inflate(damaged, length: text.count, crc: crc)
                #expect(result == nil || result == text)
            }
        }
    }

    @Test func rubbishIsCorruptWhateverItsBytes() {
        for seed in 1...500 as ClosedRange<UInt64> {
            let rubbish = noise(bytes: Int(seed), seed: seed)
            #expect(throws: CompressionError.corrupt) { try inflate(rubbish, length: 1_000, crc: 1) }
        }
    }
}
