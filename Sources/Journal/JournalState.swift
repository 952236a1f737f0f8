// Which files a journal consists of, what to load and what to drop, and whether it takes writes. Rules only; the
// shell acts.

/// A file of the journal directory, as its name tells.
package struct JournalFile: Sendable, Equatable {
    package let number: UInt32
    package let kind: JournalFileKind
    package var bytes: Int

    package init(number: UInt32, kind: JournalFileKind, bytes: Int) {
        self.number = number
        self.kind = kind
        self.bytes = bytes
    }

    /// `0000000001.seg`, `.segz` or `.snap`.
    package var name: String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 10 - digits.count)) + digits + kind.suffix
    }

    /// Reads a file name; nil for names that are not the journal's.
    package init?(name: String, bytes: Int) {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 10, let number = UInt32(parts[0]),
            let kind = JournalFileKind(suffix: "." + parts[1])
        else { return nil }
        self.init(number: number, kind: kind, bytes: bytes)
    }
}

extension JournalFileKind {
    package var suffix: String {
        switch self {
        case .segment: ".seg"
        case .compressedSegment: ".segz"
        case .snapshot: ".snap"
        }
    }

    init?(suffix: String) {
        switch suffix {
        case ".seg": self = .segment
        case ".segz": self = .compressedSegment
        case ".snap": self = .snapshot
        default: return nil
        }
    }
}

/// What to load, oldest first, and what a finished job left behind.
package struct LoadPlan: Sendable, Equatable {
    package var snapshot: JournalFile?
    package var segments: [JournalFile] = []
    /// Covered by the snapshot, or half of a pair: safe to remove.
    package var obsolete: [JournalFile] = []

    /// Snapshot N covers every segment below N. Of `N.seg` and `N.segz` the first is loaded: it is removed only after
    /// the other is durable.
    package init(_ files: [JournalFile]) {
        snapshot = files.filter { $0.kind == .snapshot }.max { $0.number < $1.number }
        let from = snapshot?.number ?? 0
        var byNumber: [UInt32: JournalFile] = [:]
        for file in files {
            guard file.kind != .snapshot, file.number >= from else {
                if file != snapshot { obsolete.append(file) }
                continue
            }
            if let other = byNumber[file.number] {
                obsolete.append(file.kind == .segment ? other : file)
                if file.kind == .segment { byNumber[file.number] = file }
            } else {
                byNumber[file.number] = file
            }
        }
        segments = byNumber.values.sorted { $0.number < $1.number }
    }

    package var files: [JournalFile] { (snapshot.map { [$0] } ?? []) + segments }
    /// The number that a new segment can take.
    package var nextNumber: UInt32 { (files.map(\.number).max() ?? 0) + 1 }
}

/// The files of a running journal and whether it takes writes.
package struct JournalState: Sendable {
    package enum Phase: Sendable, Equatable {
        case open
        /// Nothing is written until a fresh snapshot and segment are durable; the next attempt is due at `retryAt`
        /// (monotonic milliseconds).
        case readOnly(reason: String, retryAt: Int64, attempts: Int)
    }

    /// Milliseconds before the first attempt to reopen; doubled up to `maxRetry`.
    package static let firstRetry: Int64 = 1000
    package static let maxRetry: Int64 = 30_000
    /// Compaction never starts below this many bytes.
    package static let minCompactionBytes = 64 * 1024 * 1024
    /// Half a gibibyte at least: a second's recovery.
    package static let urgentGrowth = 8
    /// Compaction starts at this many files whatever their size: each restart adds a segment.
    package static let maxFiles = 256

    package private(set) var phase = Phase.open
    package private(set) var snapshot: JournalFile?
    /// Closed segments, oldest first.
    package private(set) var closed: [JournalFile] = []
    package private(set) var activeNumber: UInt32 = 0
    package var activeBytes = 0
    /// Numbers of closed segments that cannot be compressed because they are damaged.
    private var notCompressible: Set<UInt32> = []

    package init(loaded plan: LoadPlan) {
        snapshot = plan.snapshot
        closed = plan.segments
    }

    /// Bytes of all segments; what compaction would save.
    package var segmentBytes: Int { closed.reduce(activeBytes) { $0 + $1.bytes } }
    package var totalBytes: Int { segmentBytes + (snapshot?.bytes ?? 0) }
    package var fileCount: Int { closed.count + 1 + (snapshot == nil ? 0 : 1) }

    package var isCompactionDue: Bool {
        guard phase == .open else { return false }
        return segmentBytes > max(Self.minCompactionBytes, 2 * (snapshot?.bytes ?? 0)) || fileCount > Self.maxFiles
    }

    /// Upkeep takes its share of the processor instead of what others leave of it: the journal takes no writes until a
    /// snapshot is done, has grown to `urgentGrowth` times what makes compaction due, or is in twice as many files as that.
    package var isUpkeepUrgent: Bool {
        guard phase == .open else { return true }
        return segmentBytes > Self.urgentGrowth * max(Self.minCompactionBytes, 2 * (snapshot?.bytes ?? 0))
            || fileCount > 2 * Self.maxFiles
    }

    package func nextToCompress() -> JournalFile? {
        guard phase == .open else { return nil }
        return closed.first { $0.kind == .segment && !notCompressible.contains($0.number) }
    }

    package mutating func segmentOpened(number: UInt32) {
        activeNumber = number
        activeBytes = 0
    }

    package mutating func segmentClosed() {
        closed.append(JournalFile(number: activeNumber, kind: .segment, bytes: activeBytes))
        activeBytes = 0
    }

    package mutating func segmentCompressed(number: UInt32, bytes: Int) {
        guard let index = closed.firstIndex(where: { $0.number == number }) else { return }
        closed[index] = JournalFile(number: number, kind: .compressedSegment, bytes: bytes)
    }

    package mutating func segmentNotCompressible(number: UInt32) { notCompressible.insert(number) }

    /// A durable snapshot covers everything below its number; returns the files that can go.
    package mutating func snapshotPublished(_ published: JournalFile) -> [JournalFile] {
        var covered = closed.filter { $0.number < published.number }
        closed.removeAll { $0.number < published.number }
        notCompressible = notCompressible.filter { $0 >= published.number }
        if let snapshot, snapshot.number != published.number { covered.append(snapshot) }
        snapshot = published
        return covered
    }

    /// A write or sync failed. What was not durable then must not be taken for written, whatever a later call returns.
    package mutating func failed(reason: String, now: Int64) {
        switch phase {
        case .open: phase = .readOnly(reason: reason, retryAt: now + Self.firstRetry, attempts: 0)
        case .readOnly(let first, _, let attempts):
            let delay = min(Self.firstRetry << Int64(min(attempts + 1, 10)), Self.maxRetry)
            phase = .readOnly(reason: first, retryAt: now + delay, attempts: attempts + 1)
        }
    }

    /// A fresh snapshot and segment are durable.
    package mutating func reopened() { phase = .open }
}
