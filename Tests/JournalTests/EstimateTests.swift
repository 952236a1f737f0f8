// Guessing a file's records: right for files in order, harmless for any other.

import Testing

@testable import Journal

@Suite("The number of records guessed beforehand")
struct EstimateTests {
    private func estimate(_ bytes: [UInt8], chunkBytes: Int = 4096) throws -> Int {
        let window = JournalWindow(size: bytes.count, chunkBytes: chunkBytes) { (offset, into) in
            let count = max(0, min(into.count, bytes.count - offset))
            if count > 0 { into.copyBytes(from: bytes[offset..<offset + count]) }
            return count
        }
        return try window.estimatedRecords(limits: JournalLimits())
    }

    private func puts(_ count: Int, valueBytes: (Int) -> Int) -> [Change] {
        (0..<count).map { index in
            Change(
                kind: .put, key: Array("key-\(index % 10)".utf8),
                value: [UInt8](repeating: 7, count: valueBytes(index)),
                version: UInt64(index) + 1)
        }
    }

    @Test("A segment of records of one size is counted exactly, sealed or torn a record more or less")
    func segments() throws {
        let changes = puts(1_000) { _ in 100 }
        #expect(try estimate(MemoryFile.segment(changes).bytes) == 1_000)
        #expect(abs(try estimate(MemoryFile.segment(changes, isSealed: true).bytes) - 1_000) <= 1)
        #expect(abs(try estimate(MemoryFile.segment(changes).bytes.dropLast(30)) - 1_000) <= 1)
        #expect(try estimate(MemoryFile.segment(puts(3) { _ in 100 }).bytes) == 3)
        #expect(try estimate(MemoryFile.segment([Change]()).bytes) == 0)
    }

    @Test("Records of other sizes later on make it a guess, values larger than the window a good one")
    func mixedSizes() throws {
        let mixed = try estimate(MemoryFile.segment(puts(1_000) { 50 + $0 * 37 % 100 }).bytes)
        #expect(900...1_100 ~= mixed)
        #expect(try estimate(MemoryFile.segment(puts(80) { _ in 10_000 }).bytes) == 80)
    }

    @Test(
        "A trailer tells the records of a snapshot and of a compressed segment",
        arguments: [
            JournalFileKind.snapshot, .compressedSegment,
        ])
    func blocks(kind: JournalFileKind) throws {
        let bytes = MemoryFile.blocks(kind, puts(5_000) { _ in 100 }).bytes
        #expect(try estimate(bytes) == 5_000)
        #expect(try estimate(bytes.dropLast(1)) == 0)
    }

    @Test("No cut and no flipped byte is more than a wrong guess")
    func damage() throws {
        let changes = puts(40) { _ in 30 }
        for file in [MemoryFile.segment(changes), .blocks(.snapshot, changes)] {
            for length in 0...file.bytes.count {
                #expect(0...60 ~= (try estimate(Array(file.bytes.prefix(length)), chunkBytes: 256)))
            }
            for index in file.bytes.indices {
                var bytes = file.bytes
                bytes[index] ^= 0x41
                #expect(0...200 ~= (try estimate(bytes, chunkBytes: 256)))
            }
        }
    }
}
