import Testing

@testable import Journal

/// Damage by byte surgery, compared with a model. The rule under test everywhere: a key that is served has its newest
/// value.
@Suite("Journal damage")
struct DamageTests {
    /// No key has a value that is not its newest, and every key last changed in or after `servedFrom` is there.
    private func check(
        _ sink: ModelSink, _ changes: [Change], servedFrom: Int, _ comment: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let final = Change.model(of: changes)
        for (key, entry) in sink.entries where final[key] != entry {
            Issue.record(
                "wrong value of \(String(decoding: key, as: UTF8.self)): \(comment)", sourceLocation: sourceLocation)
        }
        var lastPut: [[UInt8]: Int] = [:]
        for (index, change) in changes.enumerated() where change.kind == .put { lastPut[change.key] = index }
        for (key, index) in lastPut where index >= servedFrom && final[key] != nil && sink.entries[key] == nil {
            Issue.record(
                "lost \(String(decoding: key, as: UTF8.self)), written after: \(comment)",
                sourceLocation: sourceLocation)
        }
    }

    @Test("A cut at every byte costs only the record that is cut")
    func everyCut() throws {
        var random = SplitMix(seed: 11)
        let changes = Change.random(60, keys: 12, maxValue: 60, using: &random)
        let file = MemoryFile.segment(changes)
        let ends = Array(file.starts.dropFirst()) + [file.bytes.count]
        for size in 0..<file.bytes.count {
            for zeros in [0, 1, 55, 200] {
                var cut = file
                cut.bytes = Array(file.bytes[0..<size]) + [UInt8](repeating: 0, count: zeros)
                let whole = ends.filter { $0 <= size }.count
                let (sink, report) = try MemoryFile.replay([cut], chunkBytes: 512)
                #expect(sink.entries == Change.model(of: changes.prefix(whole)), "cut at \(size), \(zeros) zeros")
                #expect(report.damageCount == 0 && report.records == whole, "cut at \(size), \(zeros) zeros")
                let end = size < 128 ? 0 : whole == 0 ? 128 : ends[whole - 1]
                #expect(report.tornBytes == size + zeros - end, "cut at \(size), \(zeros) zeros")
            }
        }
    }

    @Test("Every single flipped bit of a small segment: no wrong value, and what was written after it is served")
    func everyBitOfSegment() throws {
        var random = SplitMix(seed: 12)
        let changes = Change.random(24, keys: 8, maxValue: 30, using: &random)
        for isSealed in [false, true] {
            let file = MemoryFile.segment(changes, isSealed: isSealed)
            for bit in 0..<file.bytes.count * 8 {
                var hit = file
                hit.bytes[bit / 8] ^= 1 << (bit % 8)
                let (sink, report) = try MemoryFile.replay([hit])
                let after = file.starts.firstIndex { $0 > bit / 8 } ?? changes.count
                check(sink, changes, servedFrom: bit / 8 < 128 ? 0 : after, "bit \(bit), sealed \(isSealed)")
                let mark = file.starts.dropFirst().contains(bit / 8 + 1) || bit / 8 == file.bytes.count - 1
                let lastMark =
                    isSealed
                    && file.starts.last.map { bit / 8 == $0 + changes[23].withRecord(\.encodedBytes) - 1 } ?? false
                #expect(!report.isClean || mark || lastMark, "bit \(bit) went unnoticed")
            }
        }
    }

    @Test("Every single flipped bit of a small compressed segment and snapshot: no wrong value")
    func everyBitOfBlocks() throws {
        var random = SplitMix(seed: 13)
        let changes = Change.random(24, keys: 8, maxValue: 30, using: &random)
        let later = Change.random(6, keys: 8, maxValue: 10, flushes: false, using: &random).map { change in
            var change = change
            change.version += 1000
            return change
        }
        for kind in [JournalFileKind.compressedSegment, .snapshot] {
            let puts = kind == .snapshot ? Array(Self.distinctPuts(changes)) : changes
            let number: UInt32 = kind == .snapshot ? 2 : 1
            let first: UInt64 = kind == .snapshot ? 101 : 1
            let next = kind == .snapshot ? 101 : UInt64(puts.count + 1)
            let file = MemoryFile.blocks(kind, puts, number: number, first: first)
            let tail = MemoryFile.segment(later, number: 2, first: next)
            for bit in 0..<file.bytes.count * 8 {
                var hit = file
                hit.bytes[bit / 8] ^= 1 << (bit % 8)
                let (sink, report) = try MemoryFile.replay([hit, tail], startsAt: kind == .snapshot ? nil : 1)
                check(sink, puts + later, servedFrom: bit / 8 < 128 ? 0 : puts.count, "\(kind), bit \(bit)")
                #expect(!report.isClean, "\(kind), bit \(bit) went unnoticed")
            }
        }
    }

    private static func distinctPuts(_ changes: [Change]) -> [Change] {
        var seen: Set<[UInt8]> = []
        return changes.filter { $0.kind == .put && seen.insert($0.key).inserted }
    }

    @Test(
        "400 seeded flips in a journal of a snapshot, compressed and plain segments: no wrong value",
        arguments: [21, 22])
    func flipsInLargerJournal(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let changes = Change.random(3000, keys: 400, maxValue: 2500, using: &random)
        let model = Change.model(of: changes[0..<1000])
        let snapshot = model.map { key, entry in
            Change(
                kind: .put, key: key, value: entry.value, form: entry.form, wallExpiry: entry.wallExpiry,
                version: entry.version)
        }
        let files = [
            MemoryFile.blocks(.snapshot, snapshot, number: 5, first: 1001),
            .blocks(.compressedSegment, changes[1000..<1700], number: 5, first: 1001),
            .segment(changes[1700..<2400], number: 6, first: 1701, isSealed: true),
            .segment(changes[2400..<3000], number: 7, first: 2401),
        ]
        #expect(try MemoryFile.replay(files, startsAt: nil).sink.entries == Change.model(of: changes))
        let ends = [1000, 1700, 2400, 3000]
        for _ in 0..<200 {
            let index = Int.random(in: 0..<files.count, using: &random)
            let bit = Int.random(in: 0..<files[index].bytes.count * 8, using: &random)
            var hit = files
            hit[index].bytes[bit / 8] ^= 1 << (bit % 8)
            let (sink, _) = try MemoryFile.replay(hit, startsAt: nil)
            check(sink, changes, servedFrom: bit / 8 < 128 ? 0 : ends[index], "seed \(seed), file \(index), bit \(bit)")
        }
    }

    @Test("Garbage, zeros or a hole in the middle: older keys are misses, later ones are served")
    func stretches() throws {
        var random = SplitMix(seed: 31)
        let changes = Change.random(300, keys: 50, maxValue: 200, using: &random)
        let file = MemoryFile.segment(changes)
        for round in 0..<300 {
            var hit = file
            let from = Int.random(in: 128..<file.bytes.count - 300, using: &random)
            let length = Int.random(in: 1...250, using: &random)
            switch round % 3 {
            case 0: for index in from..<from + length { hit.bytes[index] = UInt8.random(in: 0...255, using: &random) }
            case 1: for index in from..<from + length { hit.bytes[index] = 0 }
            default: hit.bytes.removeSubrange(from..<from + length)
            }
            let (sink, _) = try MemoryFile.replay([hit])
            let after = file.starts.firstIndex { $0 >= from + length } ?? changes.count
            check(sink, changes, servedFrom: after, "round \(round), \(from)+\(length)")
        }
    }

    @Test("Sequences that no journal can reach are damage, and nothing is counted on from them")
    func impossibleSequences() throws {
        var random = SplitMix(seed: 33)
        let changes = Change.random(20, keys: 10, maxValue: 50, using: &random)
        let good = MemoryFile.segment(changes, isSealed: true)
        for first in [JournalFormat.maxSequence + 1, UInt64.max - 100] {
            for file in [
                MemoryFile.segment(changes, number: 2, first: first),
                .blocks(.compressedSegment, changes, number: 2, first: first),
            ] {
                let (_, report) = try MemoryFile.replay([good, file])
                #expect(!report.isClean)
                #expect(report.lastSequence < JournalFormat.maxSequence)
                // The header alone is right.
                var mixed = MemoryFile.segment([], number: 2, first: 22)
                mixed.bytes += file.bytes[JournalFormat.contentStart...]
                let (_, later) = try MemoryFile.replay([good, mixed])
                #expect(!later.isClean)
                #expect(later.lastSequence < JournalFormat.maxSequence)
            }
        }
    }

    @Test("However many records gaps stand for, their count does not overflow")
    func countOfLostRecords() throws {
        let far = JournalFormat.maxSequence
        let files = (1...5).map { MemoryFile.segment([], number: UInt32($0), first: $0 % 2 == 0 ? far : 1) }
        _ = try MemoryFile.replay(files)
        var report = RecoveryReport()
        for _ in 0..<3 { report.dropped(records: .max) }
        #expect(report.droppedRecords == .max)
    }

    @Test("Garbage at the end is damage: what it replaced is unknown, so nothing older is served")
    func garbageTail() throws {
        let changes = (1...5).map { Change(kind: .put, key: [UInt8($0)], value: [1], version: $0) }
        var file = MemoryFile.segment(changes)
        file.bytes += [UInt8](repeating: 0xAB, count: 500)
        let (sink, report) = try MemoryFile.replay([file])
        #expect(sink.entries.isEmpty)
        #expect(report.droppedKeys == 5 && report.droppedBytes == 500 && report.lastSequence > 5)
    }

    @Test("A missing segment makes everything older a miss and is reported")
    func missingSegment() throws {
        var random = SplitMix(seed: 41)
        let changes = Change.random(90, keys: 20, maxValue: 50, using: &random)
        let files = [
            MemoryFile.segment(changes[0..<30], number: 1, first: 1, isSealed: true),
            .segment(changes[30..<60], number: 2, first: 31, isSealed: true),
            .segment(changes[60..<90], number: 3, first: 61),
        ]
        for missing in 0..<2 {
            var left = files
            left.remove(at: missing)
            let (sink, report) = try MemoryFile.replay(left)
            check(sink, changes, servedFrom: missing * 30 + 30, "segment \(missing + 1) missing")
            #expect(report.droppedRecords == 30 && report.damaged.map(\.reason) == [.sequenceGap])
        }
    }

    @Test("A segment cut short by an earlier crash costs nothing when the next one goes on where it stops")
    func continuedAfterTear() throws {
        var random = SplitMix(seed: 42)
        let changes = Change.random(20, keys: 6, maxValue: 40, using: &random)
        var first = MemoryFile.segment(changes[0..<11], number: 1)
        first.bytes.removeLast(3)
        let second = MemoryFile.segment(changes[10..<20], number: 2, first: 11)
        let (sink, report) = try MemoryFile.replay([first, second])
        #expect(sink.entries == Change.model(of: changes))
        #expect(report.droppedKeys == 0)
    }

    @Test("A snapshot taken while writes went on, replayed with the segments it overlaps, gives the final state")
    func fuzzySnapshot() throws {
        for seed in UInt64(51)...70 {
            var random = SplitMix(seed: seed)
            let changes = Change.random(400, keys: 30, maxValue: 20, using: &random)
            // Each key is caught in the state it had at some moment of the walk.
            var snapshot: [Change] = []
            for key in 0..<30 {
                let moment = Int.random(in: 100...400, using: &random)
                let bytes = Array("key-\(key)".utf8)
                guard let entry = Change.model(of: changes[0..<moment])[bytes] else { continue }
                snapshot.append(
                    Change(
                        kind: .put, key: bytes, value: entry.value, form: entry.form, wallExpiry: entry.wallExpiry,
                        version: entry.version))
            }
            let (sink, report) = try MemoryFile.replay(
                [
                    .blocks(.snapshot, snapshot, number: 2, first: 101),
                    .segment(changes[100...], number: 2, first: 101),
                ],
                startsAt: nil)
            #expect(sink.entries == Change.model(of: changes), "seed \(seed)")
            #expect(report.isClean, "seed \(seed)")
        }
    }

    @Test("Absurd lengths and random bytes end quickly, in bounded memory and without a crash")
    func absurdInput() throws {
        for seed in UInt64(81)...140 {
            var random = SplitMix(seed: seed)
            var file = MemoryFile.segment(Change.random(20, keys: 5, maxValue: 100, using: &random))
            for _ in 0..<Int.random(in: 1...200, using: &random) {
                let index = Int.random(in: 0..<file.bytes.count, using: &random)
                file.bytes[index] = [0, 0xFF, 0x7F, 0xF5, 0xF6].randomElement(using: &random) ?? 0
            }
            for kind in [JournalFileKind.segment, .compressedSegment, .snapshot] {
                file.kind = kind
                _ = try MemoryFile.replay([file])
            }
            // A genuine header around a length that no limit allows: nothing of that size is allocated.
            let large = Change(kind: .put, key: [1], value: [UInt8](repeating: 65, count: 5000), version: 1)
            let limited = MemoryFile.segment([large, Change(kind: .put, key: [2], value: [66], version: 2)])
            let (sink, report) = try MemoryFile.replay(
                [limited], limits: JournalLimits(maxKeyBytes: 16, maxValueBytes: 4096))
            #expect(sink.entries.count == 1 && report.damaged.first?.reason == .valueTooLarge)
        }
    }
}
