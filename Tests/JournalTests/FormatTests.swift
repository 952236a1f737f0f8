import CZlib
import Journal
import Testing

@Suite("Journal format")
struct FormatTests {
    @Test("What is encoded is decoded, byte for byte, over random changes, windows and file kinds")
    func roundTrips() throws {
        for seed in UInt64(1)...20 {
            var random = SplitMix(seed: seed)
            let changes = Change.random(300, keys: 40, maxValue: 3000, using: &random)
            let expected = Change.model(of: changes)
            let chunk = Int.random(in: 64...9000, using: &random)
            for file in [
                MemoryFile.segment(changes), .segment(changes, isSealed: true), .blocks(.compressedSegment, changes),
                .blocks(.compressedSegment, changes, deflate: nil),
            ] {
                let (sink, report) = try MemoryFile.replay([file], chunkBytes: chunk)
                #expect(sink.entries == expected, "seed \(seed)")
                #expect(report.isClean && report.records == 300 && report.lastSequence == 300, "seed \(seed)")
            }
        }
    }

    @Test("A record has the bytes that the format draws")
    func drawnBytes() {
        var out = RawBuffer()
        Change(kind: .put, key: Array("k".utf8), value: Array("42".utf8), wallExpiry: 5, version: 9)
            .withRecord { RecordEncoder.append($0, sequence: 7, seed: MemoryFile.seed, to: &out) }
        let bytes = Array(out.bytes)
        #expect(bytes.count == 60)
        #expect(bytes[0..<4] == [0xF5, 0x53, 0x52, 0xFA])
        #expect(bytes[8] == 1 && bytes[9] == 0)
        #expect(bytes[12..<16] == [1, 0, 0, 0] && bytes[16..<20] == [2, 0, 0, 0])
        #expect(bytes[24..<32] == [7, 0, 0, 0, 0, 0, 0, 0] && bytes[32] == 9 && bytes[40] == 5)
        #expect(bytes[56..<60] == [0x6B, 0x34, 0x32, 0xF5])
    }

    @Test("Checksums equal zlib's for every length and any starting value")
    func checksums() {
        var random = SplitMix(seed: 3)
        let bytes = (0..<3000).map { _ in UInt8.random(in: 0...255, using: &random) }
        #expect(Array("123456789".utf8).withUnsafeBytes { Checksum.crc32($0) } == 0xCBF4_3926)
        for length in Array(0...300) + [1023, 1024, 1025, 3000] {
            let start = UInt32.random(in: 0...UInt32.max, using: &random)
            let own = bytes.withUnsafeBytes {
                Checksum.crc32(UnsafeRawBufferPointer(rebasing: $0[0..<length]), from: start)
            }
            #expect(own == UInt32(crc32(UInt(start), bytes, UInt32(length))), "length \(length)")
        }
    }

    @Test("A value full of record headers cannot pass for records when the place before it is damaged")
    func forgedRecords() throws {
        var forged = RawBuffer()
        for sequence in UInt64(2)...5 {
            Change(kind: .put, key: Array("victim".utf8), value: Array("forged".utf8), version: 1000)
                .withRecord {
                    // The attacker knows the format, not the journal's epoch.
                    RecordEncoder.append($0, sequence: sequence, seed: EpochSeed(epoch: 1), to: &forged)
                }
        }
        let changes = [
            Change(kind: .put, key: Array("a".utf8), value: Array(forged.bytes), version: 1),
            Change(kind: .put, key: Array("b".utf8), value: [49], version: 2),
        ]
        var file = MemoryFile.segment(changes)
        file.bytes[file.starts[0] + 30] ^= 1
        let (sink, report) = try MemoryFile.replay([file])
        #expect(Set(sink.entries.keys) == [Array("b".utf8)])
        #expect(report.droppedRecords == 1 && report.damageCount == 1)
    }

    @Test("File names tell number and kind, and nothing else is taken for a journal's file")
    func names() {
        for kind in [JournalFileKind.segment, .compressedSegment, .snapshot] {
            let file = JournalFile(number: 4_000_000_001, kind: kind, bytes: 5)
            #expect(JournalFile(name: file.name, bytes: 5) == file)
        }
        for name in ["1.seg", "0000000001.seg.tmp", "0000000001.log", "x000000001.seg", "lock", "9999999999.seg"] {
            #expect(JournalFile(name: name, bytes: 0) == nil)
        }
    }
}
