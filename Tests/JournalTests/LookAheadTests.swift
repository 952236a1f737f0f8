// What a sink is told beforehand: each key once, soon before its record, and nothing that damage could turn into harm.

import Testing

@testable import Journal

@Suite("Keys announced before their records")
struct LookAheadTests {
    /// The model, and what was announced to it.
    private struct Listener: RecoverySink {
        var model = ModelSink()
        var announced: [[UInt8]] = []
        var records = 0
        var longestLead = 0

        private mutating func arrived(_ record: JournalRecord) {
            #expect(records < announced.count && announced[records] == Array(record.key), "record \(records)")
            longestLead = max(longestLead, announced.count - records)
            records += 1
        }
        mutating func comesSoon(_ key: UnsafeRawBufferPointer) { announced.append(Array(key)) }
        mutating func put(_ record: JournalRecord) {
            arrived(record)
            model.put(record)
        }
        mutating func remove(_ record: JournalRecord) {
            arrived(record)
            model.remove(record)
        }
        mutating func touch(_ record: JournalRecord) {
            arrived(record)
            model.touch(record)
        }
        mutating func flush(_ record: JournalRecord) {
            arrived(record)
            model.flush(record)
        }
        mutating func dropKey(_ record: JournalRecord) { model.dropKey(record) }
        mutating func removeAll() -> Int { model.removeAll() }
    }

    /// Reads all of every key it is told, and counts.
    private struct Toucher: RecoverySink {
        var model = ModelSink()
        var bytes = 0

        mutating func comesSoon(_ key: UnsafeRawBufferPointer) { for byte in key { bytes += Int(byte & 1) + 1 } }
        mutating func put(_ record: JournalRecord) { model.put(record) }
        mutating func remove(_ record: JournalRecord) { model.remove(record) }
        mutating func touch(_ record: JournalRecord) { model.touch(record) }
        mutating func flush(_ record: JournalRecord) { model.flush(record) }
        mutating func dropKey(_ record: JournalRecord) { model.dropKey(record) }
        mutating func removeAll() -> Int { model.removeAll() }
    }

    private func replay<Sink: RecoverySink>(_ file: MemoryFile, chunkBytes: Int, into sink: inout Sink) throws {
        var replay = Replay(limits: JournalLimits(), epoch: MemoryFile.epoch, startsAt: 1, inflate: TestCodec.inflate)
        let window = JournalWindow(size: file.bytes.count, chunkBytes: chunkBytes) { (offset, into) in
            let count = max(0, min(into.count, file.bytes.count - offset))
            if count > 0 { into.copyBytes(from: file.bytes[offset..<offset + count]) }
            return count
        }
        try replay.replay(window, name: "file", kind: file.kind, number: file.number, isLast: true, into: &sink)
        replay.finish(into: &sink)
    }

    @Test("Every key is announced once, in order, some records ahead", arguments: [512, 4096, 1 << 18])
    func order(chunkBytes: Int) throws {
        var random = SplitMix(seed: 91)
        let changes = Change.random(600, keys: 40, maxValue: 200, using: &random)
        for file in [MemoryFile.segment(changes), .blocks(.compressedSegment, changes), .blocks(.snapshot, changes)] {
            var listener = Listener()
            try replay(file, chunkBytes: chunkBytes, into: &listener)
            #expect(listener.records == changes.count && listener.announced.count == changes.count)
            // 2,048 bytes of records of 57 bytes at least, and one more.
            #expect(2...37 ~= listener.longestLead, "\(file.kind)")
            #expect(listener.model.entries == Change.model(of: changes))
        }
    }

    @Test("Announcements of damaged files stay within the file and change nothing")
    func damage() throws {
        var random = SplitMix(seed: 92)
        let changes = Change.random(60, keys: 10, maxValue: 60, using: &random)
        let file = MemoryFile.segment(changes)
        for _ in 0..<3_000 {
            var damaged = file
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: 128..<file.bytes.count, using: &random)
                damaged.bytes[index] = UInt8.random(in: 0...255, using: &random)
            }
            var toucher = Toucher()
            try replay(damaged, chunkBytes: 700, into: &toucher)
            #expect(toucher.bytes <= 2 * file.bytes.count)
            #expect(toucher.model.entries == (try MemoryFile.replay([damaged], chunkBytes: 700)).sink.entries)
        }
    }
}
