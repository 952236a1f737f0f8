// The queue's bookkeeping against a plain model: nothing is lost uncounted and no limit is passed.

import Testing

@testable import CacheNode

@Suite struct LoggingQueueTests {
    private static func notice(_ count: Int) -> [UInt8] { Array("dropped \(count)\n".utf8) }

    /// Lines that got out, counting those a notice speaks for.
    private func accountedFor(_ batch: LogBatch, upTo written: Int) -> (lines: Int, reported: Int) {
        var (lines, reported, start) = (0, 0, 0)
        for mark in batch.marks {
            if start < written {
                if mark.reports > 0 { reported += mark.reports } else { lines += 1 }
            }
            start = mark.end
        }
        return (lines, reported)
    }

    /// Takes what waits, which must be something.
    private func take(_ queue: inout LogQueue, _ batch: inout LogBatch) {
        let hasTaken = queue.take(into: &batch)
        #expect(hasTaken)
    }

    @Test func everyLineIsWrittenOrReportedOrStillCounted() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = LogRandom(seed: seed)
        var queue = LogQueue(limits: .init(bytes: 2_000, lines: 20))
        var batch = LogBatch()
        var (offered, written, reported) = (0, 0, 0)
        for _ in 0..<100_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<8:
                queue.offer(
                    [UInt8](repeating: 0x61, count: Int.random(in: 1..<400, using: &random)), notice: Self.notice)
                offered += 1
            case 8:
                if batch.marks.isEmpty { _ = queue.take(into: &batch) }
            default:
                guard let end = batch.marks.last?.end else { continue }
                #expect(end <= 2_000 && batch.marks.count <= 20)
                let out = Bool.random(using: &random) ? end : Int.random(in: 0...end, using: &random)
                let sum = accountedFor(batch, upTo: out)
                written += sum.lines
                reported += sum.reported
                queue.settle(batch.loss(afterWriting: out), notice: Self.notice)
                batch.removeAll()
            }
        }
        if let end = batch.marks.last?.end {
            let sum = accountedFor(batch, upTo: end)
            written += sum.lines
            reported += sum.reported
            queue.settle(LogLoss(), notice: Self.notice)
            batch.removeAll()
        }
        while queue.take(into: &batch) {
            let sum = accountedFor(batch, upTo: .max)
            written += sum.lines
            reported += sum.reported
            queue.settle(LogLoss(), notice: Self.notice)
            batch.removeAll()
        }
        #expect(queue.isIdle && queue.dropped == 0)
        #expect(written + reported == offered, "seed \(seed)")
        #expect(queue.droppedInAll == reported, "seed \(seed)")
        #expect(written > 1_000 && reported > 1_000, "both must occur to mean something")
    }

    @Test func theNoticeComesBetweenWhatWasKeptBeforeAndAfter() {
        var queue = LogQueue(limits: .init(bytes: 1_000, lines: 2))
        var batch = LogBatch()
        for line in ["1\n", "2\n", "3\n", "4\n"] { queue.offer(Array(line.utf8), notice: Self.notice) }
        take(&queue, &batch)
        queue.offer(Array("5\n".utf8), notice: Self.notice)
        #expect(String(decoding: batch.bytes, as: UTF8.self) == "1\n2\n")
        queue.settle(LogLoss(), notice: Self.notice)
        batch.removeAll()
        queue.offer(Array("6\n".utf8), notice: Self.notice)
        take(&queue, &batch)
        #expect(String(decoding: batch.bytes, as: UTF8.self) == "dropped 3\n6\n")
    }

    @Test func aLineBegunIsFinishedLaterAndTheOthersAreLost() {
        var batch = LogBatch()
        batch.append(Array("first\n".utf8), reports: 0)
        batch.append(Array("dropped 7\n".utf8), reports: 7)
        batch.append(Array("third\n".utf8), reports: 0)
        #expect(batch.loss(afterWriting: 0) == LogLoss(lines: 2, unreported: 7))
        #expect(batch.endOfLine(at: 0) == 0)
        #expect(batch.loss(afterWriting: 3) == LogLoss(lines: 1, unreported: 7))
        #expect(batch.endOfLine(at: 3) == 6)
        #expect(batch.endOfLine(at: 6) == 6)
        #expect(batch.loss(afterWriting: 7) == LogLoss(lines: 1))
        #expect(batch.endOfLine(at: 7) == 16)
        #expect(batch.loss(afterWriting: 22) == LogLoss())
    }

    @Test func aFailedDestinationDoesNotMakeTheWriterSpin() {
        var queue = LogQueue(limits: .init(bytes: 1_000, lines: 10))
        var batch = LogBatch()
        queue.offer(Array("1\n".utf8), notice: Self.notice)
        take(&queue, &batch)
        queue.settle(batch.loss(afterWriting: 0), notice: Self.notice)
        batch.removeAll()
        let hasMore = queue.take(into: &batch)
        #expect(queue.dropped == 1 && queue.isIdle && !hasMore)
    }
}
