// Between the journal and the rest of the node: settings in, events to the log, progress to the event loops.

import Compression
import Configuration
import Journal
import Synchronization

/// Passes on what the journal's threads tell. Made before the node's core exists; silent until it is attached.
final class JournalRelay: Sendable {
    private let nodeLog: NodeLog
    private let target = Mutex<(loops: EventLoops, core: NodeCore)?>(nil)
    private let failedAt = Atomic<Int64>(0)
    private let found = Mutex<RecoveryReport?>(nil)

    init(_ log: NodeLog) {
        nodeLog = log
    }

    func attach(_ loops: EventLoops, _ core: NodeCore) {
        target.withLock { $0 = (loops, core) }
    }

    /// The watermark has moved, or will not move any more.
    func advanced() {
        guard let (loops, core) = target.withLock({ $0 }) else { return }
        loops.journalAdvanced(core)
    }

    func log(_ event: JournalEvent) {
        switch event {
        case .segmentOpened:
            break
        case .segmentSealed(let number, let bytes, let records):
            nodeLog.emit(
                .journalSegmentSealed,
                ["file": .string(name(number)), "bytes": .int(bytes), "records": .int(Int(clamping: records))])
        case .segmentCompressed(let number, let rawBytes, let storedBytes):
            nodeLog.emit(
                .journalSegmentCompressed,
                ["file": .string(name(number)), "bytes": .int(rawBytes), "storedBytes": .int(storedBytes)])
        case .snapshotWritten(let number, let records, let bytes, let milliseconds, let removedFiles):
            nodeLog.emit(
                .journalCompacted,
                [
                    "file": .string(name(number)), "records": .int(Int(clamping: records)),
                    "segments": .int(removedFiles), "bytesAfter": .int(bytes), "durationMs": .int(Int(milliseconds)),
                ])
        case .jobFailed(let job, let reason):
            nodeLog.emit(.journalJobFailed, ["job": .string(job), "reason": .string(reason)])
        case .failed(let reason):
            failedAt.store(NodeClock.monotonicMilliseconds(), ordering: .relaxed)
            nodeLog.emit(.journalFailed, ["reason": .string(reason)])
        case .reopenFailed(let reason, let attempts):
            nodeLog.emit(.journalReopenFailed, ["reason": .string(reason), "attempts": .int(attempts)])
        case .reopened(let number):
            let duration = NodeClock.monotonicMilliseconds() - failedAt.load(ordering: .relaxed)
            nodeLog.emit(.journalReopened, ["file": .string(name(number)), "durationMs": .int(Int(duration))])
        }
    }

    /// What recovery found, once it has been reported.
    var recovery: RecoveryReport? { found.withLock { $0 } }

    /// Logs what recovery found.
    func report(_ recovered: RecoveredJournal, _ shards: [Shard], _ milliseconds: Int64) {
        let report = recovered.report
        found.withLock { $0 = report }
        for damage in report.damaged {
            nodeLog.emit(
                .journalDamaged,
                [
                    "file": .string(damage.file), "offsetBytes": .int(damage.offset),
                    "reason": .string(damage.reason.rawValue),
                ])
        }
        for path in recovered.kept {
            nodeLog.emit(.journalAside, ["path": .string(path), "reason": "damaged or torn"])
        }
        nodeLog.emit(
            .journalRecovered,
            [
                "records": .int(report.records),
                "keys": .int(shards.reduce(0) { $0 + $1.state.withLock { state in state.store.count } }),
                "droppedBytes": .int(report.droppedBytes), "tornBytes": .int(report.tornBytes),
                "droppedKeys": .int(report.droppedKeys), "segments": .int(report.segments + report.snapshots),
                "durationMs": .int(Int(milliseconds)),
            ])
    }

    private func name(_ number: UInt32) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(10 - digits.count, 0)) + digits
    }
}

extension JournalSettings {
    init(_ configuration: NodeConfiguration) {
        let journal = configuration.journal
        let synchronisation: Synchronisation =
            switch journal.fsync {
            case .always: .always
            case .interval: .interval(milliseconds: Int64(journal.fsyncIntervalMilliseconds))
            case .never: .never
            }
        self.init(
            synchronisation: synchronisation, segmentBytes: journal.segmentBytes, compress: journal.compress,
            deflatesWhenIdle: true, maxPendingBytes: max(8 << 20, configuration.local.memoryLimitBytes / 32),
            // Values of an earlier run may be larger than this run's limit: whatever the store can hold is read.
            limits: JournalLimits(maxValueBytes: max(configuration.limits.maxValueBytes, 128 << 20)))
    }
}

extension JournalCodec {
    /// Sealed segments are compressed as values are, by zlib, on a thread of the journal's.
    init(_ configuration: NodeConfiguration) {
        let level = configuration.compression.level
        func deflate() -> JournalDeflate? {
            guard configuration.journal.compress else { return nil }
            let deflater = JournalDeflater(level: level)
            return { deflater.deflate($0, into: $1) }
        }
        self.init(inflate: { Self.inflate($0, into: $1) }, deflate: deflate(), idleDeflate: deflate())
    }

    package static func inflate(_ blocks: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
        do {
            var inflater = try Inflater()
            try inflater.inflateBlocks(blocks, into: output)
            return true
        } catch {
            return false
        }
    }
}

/// A deflater for one block at a time, made when the first one comes and kept: it does not go to the allocator with every
/// block, whose locks the event loops need (IdleDeflater.swift).
private final class JournalDeflater: Sendable {
    /// `@unchecked Sendable`: used under the lock alone.
    private struct State: ~Copyable, @unchecked Sendable {
        var deflater: Deflater?
    }

    private let state = Mutex(State())
    private let level: Int

    init(level: Int) {
        self.level = level
    }

    func deflate(_ bytes: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
        state.withLock { state in
            if state.deflater == nil { state.deflater = try? Deflater(level: level) }
            return state.deflater?.deflateBlocks(bytes, into: output)
        }
    }
}
