// GzipSplice against Python's gzip, and the inflating of request bodies under their cap.

import Compression
import Testing

@Suite struct GzipTests {
    private enum Part {
        case literal([UInt8])
        case value([UInt8])
    }

    private func inflate(_ body: [UInt8], limitBytes: Int) throws -> [UInt8] {
        var inflater = try Inflater()
        let inflated = try body.withUnsafeBytes { try inflater.inflateGzip($0, limitBytes: limitBytes) }
        return inflated.withBytes { Array($0) }
    }

    private func error(_ body: [UInt8], limitBytes: Int = 10_000_000) -> CompressionError? {
        do {
            _ = try inflate(body, limitBytes: limitBytes)
            return nil
        } catch {
            return error as? CompressionError
        }
    }

    private func gzip(_ text: [UInt8], level: Int = 6) throws -> [UInt8] {
        var deflater = try Deflater(level: level)
        return text.withUnsafeBytes { deflater.gzip($0) }
    }

    /// Encodes the parts, checks the announced length, and returns member and expected text.
    private func splice(_ parts: [Part]) throws -> (member: [UInt8], text: [UInt8]) {
        var deflater = try Deflater(level: 6)
        var splice = GzipSplice()
        var (member, text): ([UInt8], [UInt8]) = ([], [])
        var literals: [Int] = []
        var splicedBytes = 0
        splice.begin(into: &member)
        for part in parts {
            switch part {
            case .literal(let bytes):
                bytes.withUnsafeBytes { splice.literal($0, into: &member) }
                literals.append(bytes.count)
                text += bytes
            case .value(let value):
                var blocks: [UInt8] = []
                let length = value.withUnsafeBytes { deflater.deflateBlocks($0, into: &blocks, maxOutput: .max) }
                splicedBytes += try #require(length)
                let crc = value.withUnsafeBytes { crc32($0) }
                blocks.withUnsafeBytes {
                    splice.spliced($0, originalBytes: value.count, crc: crc, into: &member)
                }
                text += value
            }
        }
        splice.finish(into: &member)
        #expect(member.count == GzipSplice.encodedLength(literals: literals, splicedBytes: splicedBytes))
        return (member, text)
    }

    @Test func splicesOfAnyPartsAreReadByPythonAndByUs() throws {
        let head = Array(#"{"jsonrpc":"2.0","result":{"found":true,"value":"#.utf8)
        let cases: [[Part]] = [
            [],
            [.literal([])],
            [.value([])],
            [.literal(head), .value(jsonText(bytes: 5_000)), .literal(Array("}}".utf8))],
            [.value(jsonText(bytes: 2_000, seed: 5)), .value(jsonText(bytes: 2_000, seed: 6)), .value([0x30])],
            [
                .literal([]), .value(jsonText(bytes: 1_000_000)), .literal([]), .value(noise(bytes: 70_000)),
                .literal([]),
            ],
            (0..<100).flatMap { [.literal(head), .value(jsonText(bytes: 1_200, seed: $0)), .literal([0x2C])] },
        ]
        for parts in cases {
            let (member, text) = try splice(parts)
            #expect(try python("result = gzip.decompress(data)", input: member) == text)
            #expect(try inflate(member, limitBytes: text.count) == text)
        }
    }

    @Test(arguments: [0, 1, 65_534, 65_535, 65_536, 131_070, 131_071, 200_000])
    func literalsOfEveryBlockBoundaryAreWhole(length: Int) throws {
        let (member, text) = try splice([
            .literal(noise(bytes: length)), .value([0x30]), .literal(noise(bytes: length)),
        ])
        #expect(try python("result = gzip.decompress(data)", input: member) == text)
        #expect(try inflate(member, limitBytes: text.count) == text)
    }

    @Test func theCRCOfJoinedTextsIsCombinedFromTheirParts() {
        let text = noise(bytes: 5_000)
        text.withUnsafeBytes { whole in
            #expect(crc32(UnsafeRawBufferPointer(rebasing: whole[0..<0])) == 0)
            for cut in stride(from: 0, through: whole.count, by: 37) {
                let (a, b) = (whole[..<cut], whole[cut...])
                let (crcA, crcB) = (
                    crc32(UnsafeRawBufferPointer(rebasing: a)), crc32(UnsafeRawBufferPointer(rebasing: b))
                )
                #expect(crc32Combine(crcA, crcB, bLength: b.count) == crc32(whole))
                #expect(crc32(UnsafeRawBufferPointer(rebasing: b), running: crcA) == crc32(whole))
            }
        }
        // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms (reveng.sourceforge.io).
        #expect(Array("123456789".utf8).withUnsafeBytes { crc32($0) } == 0xCBF4_3926)
    }

    @Test func plainTextsAreOneMemberEvenIncompressibleOnes() throws {
        for text in DeflateTests.texts {
            let member = try gzip(text)
            #expect(try python("result = gzip.decompress(data)", input: member) == text)
            #expect(member.count <= GzipSplice.encodedLength(literals: [text.count], splicedBytes: 0))
        }
    }

    @Test func membersOfPythonAndSeveralInARowAreAccepted() throws {
        let text = jsonText(bytes: 50_000)
        let script = "result = gzip.compress(data[:100]) + gzip.compress(b'') + gzip.compress(data[100:], 1)"
        let members = try python(script, input: text)
        #expect(try inflate(members, limitBytes: text.count) == text)
        #expect(error(members, limitBytes: text.count - 1) == .tooLarge(limitBytes: text.count - 1))
    }

    @Test func aHeaderWithEveryOptionalFieldIsAccepted() throws {
        // RFC 1952 section 2.3: FTEXT, FHCRC, FEXTRA, FNAME and FCOMMENT at once.
        let script = """
            head = bytes([31, 139, 8, 31, 0, 0, 0, 0, 0, 255]) + b'\\x04\\x00abcd' + b'name\\x00' + b'comment\\x00'
            head += (zlib.crc32(head) & 0xffff).to_bytes(2, 'little')
            result = head + gzip.compress(data)[10:]
            """
        let text = jsonText(bytes: 1_000)
        #expect(try inflate(try python(script, input: text), limitBytes: 1_000_000) == text)
    }

    @Test func aBombIsStoppedAtTheLimit() throws {
        let bomb = try gzip([UInt8](repeating: 0x30, count: 20_000_000), level: 9)
        #expect(bomb.count < 30_000)
        for limit in [0, 1, 16_383, 16_384, 16_385, 1_000_000, 19_999_999] {
            #expect(error(bomb, limitBytes: limit) == .tooLarge(limitBytes: limit))
        }
        #expect(try inflate(bomb, limitBytes: 20_000_000).count == 20_000_000)
    }

    @Test func theLimitIsExact() throws {
        for length in [0, 1, 16_383, 16_384, 16_385, 32_768, 32_769] {
            let text = jsonText(bytes: max(length, 100)).prefix(length)
            let member = try gzip(Array(text))
            #expect(try inflate(member, limitBytes: text.count) == Array(text))
            if !text.isEmpty {
                #expect(error(member, limitBytes: text.count - 1) == .tooLarge(limitBytes: text.count - 1))
            }
        }
    }

    @Test func cutsDamageAndTrailingBytesAreCorrupt() throws {
        let text = jsonText(bytes: 1_500)
        let member = try gzip(text)
        for length in 0..<member.count { #expect(error(Array(member.prefix(length))) == .corrupt) }
        for extra in [[0], [0x1F], [0x1F, 0x8B], Array(repeating: 0, count: 20)] as [[UInt8]] {
            #expect(error(member + extra) == .corrupt)
        }
        for position in member.indices {
            for bit in 0..<8 {
                var damaged = member
                damaged[position] ^= 1 << bit
                // Modification time, system and flags of the header say nothing about the text.
                let result = try? inflate(damaged, limitBytes: 100_000)
                #expect(result == nil || result == text)
                #expect(position < member.count - 8 || result == nil, "a changed CRC or length must be noticed")
            }
        }
        #expect(error(Array("{}".utf8)) == .corrupt)
    }
}
