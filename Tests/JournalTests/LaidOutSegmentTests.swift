// Segments of version 2: written over zeros, commit by commit, and what a power loss leaves of the last one.

import Testing

@testable import Journal

@Suite("Laid-out segments")
struct LaidOutSegmentTests {
    private static let zeros = 1500

    /// Random changes in random commits, and where each commit's bytes are.
    private struct Sample {
        var changes: [Change]
        var commits: [Int] = []
        var file: MemoryFile
        var ranges: [Range<Int>] = []

        init(_ count: Int, keys: Int, maxValue: Int, zeros: Int, using random: inout SplitMix) {
            changes = Change.random(count, keys: keys, maxValue: maxValue, using: &random)
            var left = count
            while left > 0 {
                let size = min(left, Int.random(in: 1...8, using: &random))
                commits.append(size)
                left -= size
            }
            file = MemoryFile.laidOut(changes, commits: commits, zeros: zeros)
            let ends = file.starts + [file.bytes.count - zeros]
            var first = 0
            for size in commits {
                ranges.append(ends[first]..<ends[first + size])
                first += size
            }
        }

        var contentEnd: Int { file.bytes.count - LaidOutSegmentTests.zeros }
    }

    @Test("Zeros after the content are neither damage nor a torn tail, after a seal either")
    func zerosAfterContent() throws {
        var random = SplitMix(seed: 31)
        let changes = Change.random(20, keys: 8, maxValue: 60, using: &random)
        for isSealed in [false, true] {
            for zeros in [0, 1, 55, 56, 57, 200, 5000] {
                let file = MemoryFile.laidOut(changes, commits: [4, 9, 7], zeros: zeros, isSealed: isSealed)
                let (sink, report) = try MemoryFile.replay([file], chunkBytes: 512)
                #expect(report.isClean && sink.entries == Change.model(of: changes), "\(zeros) zeros")
                #expect(report.files[0].bytes == file.bytes.count - zeros)
            }
        }
    }

    @Test("A cut at every byte costs only the record that is cut, whatever zeros follow")
    func everyCut() throws {
        var random = SplitMix(seed: 32)
        let sample = Sample(40, keys: 12, maxValue: 60, zeros: Self.zeros, using: &random)
        let ends = Array(sample.file.starts.dropFirst()) + [sample.contentEnd]
        for size in 128..<sample.contentEnd {
            for zeros in [0, 1, 55, 700] {
                var cut = sample.file
                cut.bytes = Array(cut.bytes[0..<size]) + [UInt8](repeating: 0, count: zeros)
                let whole = ends.filter { $0 <= size }.count
                let (sink, report) = try MemoryFile.replay([cut], chunkBytes: 512)
                #expect(
                    sink.entries == Change.model(of: sample.changes.prefix(whole)), "cut at \(size), \(zeros) zeros")
                #expect(report.damageCount == 0 && report.records == whole, "cut at \(size), \(zeros) zeros")
                let end = whole == 0 ? 128 : ends[whole - 1]
                // Zeros are no part of what is torn, nor are those that the record itself has there.
                let content = (cut.bytes.lastIndex { $0 != 0 } ?? -1) + 1
                #expect(report.tornBytes == max(content, end) - end, "cut at \(size), \(zeros) zeros")
            }
        }
    }

    @Test("Every single flipped bit, of the zeros too, is noticed and serves no wrong value")
    func everyBit() throws {
        var random = SplitMix(seed: 33)
        let sample = Sample(24, keys: 8, maxValue: 30, zeros: Self.zeros, using: &random)
        let final = Change.model(of: sample.changes)
        for bit in 0..<sample.file.bytes.count * 8 {
            var hit = sample.file
            hit.bytes[bit / 8] ^= 1 << (bit % 8)
            let (sink, report) = try MemoryFile.replay([hit])
            for (key, entry) in sink.entries { #expect(final[key] == entry, "bit \(bit)") }
            let mark = sample.file.starts.dropFirst().contains(bit / 8 + 1) || bit / 8 == sample.contentEnd - 1
            #expect(!report.isClean || mark, "bit \(bit) went unnoticed")
            // In the zeros: a sector that was not written yet, unless it is the one in which the content ends.
            if bit / 8 >= (sample.contentEnd + 511) / 512 * 512 {
                #expect(sink.entries == final && report.damageCount == 0, "bit \(bit)")
            }
        }
    }

    @Test("Sectors lost of the last commit are a torn tail, sectors lost of one before it damage", arguments: 1...60)
    func lostSectors(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let sample = Sample(80, keys: 20, maxValue: 900, zeros: Self.zeros, using: &random)
        let final = Change.model(of: sample.changes)
        for (commit, range) in sample.ranges.enumerated() {
            var lossy = sample.file
            var lost: [Int] = []
            for start in stride(from: range.lowerBound / 512 * 512, to: range.upperBound, by: 512)
            where Bool.random(using: &random) {
                for index in max(start, range.lowerBound)..<min(start + 512, range.upperBound) {
                    if lossy.bytes[index] != 0 { lost.append(index) }
                    lossy.bytes[index] = 0
                }
            }
            let (sink, report) = try MemoryFile.replay([lossy], chunkBytes: 512)
            let first = sample.commits[..<commit].reduce(0, +)
            if commit == sample.ranges.count - 1 {
                #expect(report.damageCount == 0, "seed \(seed): \(report.damaged)")
                #expect(report.records >= first, "seed \(seed)")
                #expect(sink.entries == Change.model(of: sample.changes.prefix(report.records)), "seed \(seed)")
                #expect(lost.isEmpty || report.tornBytes > 0 || report.records < sample.changes.count)
            } else if !lost.isEmpty {
                // A lost end mark alone, in the last byte of a sector, costs nothing.
                let isMark = lost.allSatisfy { sample.file.starts.contains($0 + 1) }
                #expect(report.damageCount > 0 || isMark, "seed \(seed), commit \(commit) went unnoticed")
                for (key, entry) in sink.entries { #expect(final[key] == entry, "seed \(seed), commit \(commit)") }
                let after = sample.changes[(first + sample.commits[commit])...]
                for change in after where change.kind == .put && final[change.key]?.version == change.version {
                    #expect(sink.entries[change.key] != nil, "seed \(seed), commit \(commit): a later key is lost")
                }
            }
        }
    }

    @Test("The last record of the last commit with a flipped bit is damage: no sector of it was left out")
    func lastRecord() throws {
        let changes = (0..<12).map { index in
            Change(kind: .put, key: Array("key-\(index % 3)".utf8), value: [65, 66, 67], version: UInt64(index) + 1)
        }
        let file = MemoryFile.laidOut(changes, commits: [4, 4, 4], zeros: Self.zeros)
        let last = file.starts[11]
        for bit in last * 8..<(file.bytes.count - Self.zeros - 1) * 8 {
            var hit = file
            hit.bytes[bit / 8] ^= 1 << (bit % 8)
            let (sink, report) = try MemoryFile.replay([hit])
            #expect(report.damageCount > 0 && sink.entries[Array("key-2".utf8)] == nil, "bit \(bit)")
        }
    }

    @Test("A closed segment that ends in zeros where records are missing is the damaged one, not the one after it")
    func zeroedTail() throws {
        var random = SplitMix(seed: 36)
        let changes = Change.random(30, keys: 8, maxValue: 60, flushes: false, using: &random)
        for isSealed in [false, true] {
            var first = MemoryFile.laidOut(Array(changes[..<20]), commits: [8, 8, 4], zeros: 0, isSealed: isSealed)
            let next = MemoryFile.segment(changes[20...], number: 2, first: 21)
            #expect(try MemoryFile.replay([first, next]).report.isClean)
            for index in first.starts[12]..<first.bytes.count { first.bytes[index] = 0 }
            let (sink, report) = try MemoryFile.replay([first, next])
            #expect(report.damaged.map(\.file) == [report.files[0].name], "\(report.damaged)")
            guard case .corrupt = report.files[0].outcome, report.files[1].outcome == .clean else {
                Issue.record("the wrong file is damaged: \(report.files)")
                continue
            }
            #expect(sink.entries.count <= changes[20...].count)
        }
    }

    @Test("A place torn after another one was damaged is told, so that it can be cut off")
    func tornBesideDamage() throws {
        var random = SplitMix(seed: 37)
        let sample = Sample(60, keys: 10, maxValue: 400, zeros: Self.zeros, using: &random)
        let range = try #require(sample.ranges.last { $0.count > 1200 })
        let kept = sample.ranges.prefix { $0.lowerBound <= range.lowerBound }.count
        let commits = Array(sample.commits[..<kept])
        var file = MemoryFile.laidOut(
            Array(sample.changes[..<commits.reduce(0, +)]), commits: commits, zeros: Self.zeros)
        let hole = (range.lowerBound / 512 + 1) * 512
        for index in hole..<hole + 512 { file.bytes[index] = 0 }
        file.bytes[70] ^= 1
        let report = try MemoryFile.replay([file]).report
        guard case .corrupt = report.files[0].outcome else {
            Issue.record("the header's damage went unnoticed")
            return
        }
        let tornAt = try #require(report.files[0].tornAt)
        #expect(range.contains(tornAt))
    }

    @Test("Thousands of damaged places in one commit are read in one pass, with a mark after them or without")
    func manyDamagedPlaces() throws {
        let count = 4000
        let changes = (0..<count).map { index in
            Change(
                kind: .put, key: Array("key-\(index)".utf8), value: [UInt8](repeating: 65, count: 200),
                version: UInt64(index) + 1)
        }
        for commits in [[count], [count - 1, 1]] {
            var file = MemoryFile.laidOut(changes, commits: commits, zeros: 0)
            for start in file.starts { file.bytes[start + 100] ^= 1 }
            let counting = ReadCounter()
            let window = JournalWindow(size: file.bytes.count, chunkBytes: 4096) { (offset, into) in
                let part = file.bytes[offset..<min(file.bytes.count, offset + into.count)]
                into.copyBytes(from: part)
                counting.bytes += part.count
                return part.count
            }
            var replay = Replay(
                limits: JournalLimits(maxKeyBytes: 64), epoch: MemoryFile.epoch, startsAt: 1,
                inflate: TestCodec.inflate)
            var sink = ModelSink()
            try replay.replay(window, name: "x", kind: .segment, number: 1, isLast: true, into: &sink)
            #expect(replay.report.damageCount == count && sink.entries.isEmpty)
            #expect(counting.bytes < 40 * file.bytes.count, "\(counting.bytes) bytes read of \(file.bytes.count)")
        }
    }

    private final class ReadCounter {
        var bytes = 0
    }

    @Test("A segment of version 1 makes no such allowance: a sector of zeros with records after it is damage")
    func versionOne() throws {
        var random = SplitMix(seed: 35)
        let changes = Change.random(40, keys: 12, maxValue: 300, using: &random)
        var file = MemoryFile.segment(changes)
        for index in 1024..<1536 { file.bytes[index] = 0 }
        #expect(try MemoryFile.replay([file]).report.damageCount > 0)
    }
}
