// What a journal service is told and what it tells: settings, hooks, events, status. Types only.

import Journal

package struct JournalSettings: Sendable {
    package enum Synchronisation: Sendable, Equatable {
        /// A write is acknowledged after fdatasync.
        case always
        /// A write is acknowledged after write(); fdatasync follows at this interval.
        case interval(milliseconds: Int64)
        /// A write is acknowledged after write(); only segments being closed are synchronised.
        case never
    }

    package var synchronisation: Synchronisation
    package var segmentBytes: Int
    package var compress: Bool
    /// Deflating waits for a core that has nothing else to do, as long as upkeep does not fall behind.
    package var deflatesWhenIdle: Bool
    /// Bytes that may wait to be written before `isCongested` says so.
    package var maxPendingBytes: Int
    package var limits: JournalLimits
    /// How segments are laid out ahead where every commit is synchronised.
    package var layout = SegmentLayout()

    /// Segments' layout under this mode.
    var segmentLayout: SegmentLayout? { synchronisation == .always ? layout : nil }

    package init(
        synchronisation: Synchronisation = .interval(milliseconds: 1000), segmentBytes: Int = 64 * 1024 * 1024,
        compress: Bool = true, deflatesWhenIdle: Bool = false, maxPendingBytes: Int = 32 * 1024 * 1024,
        limits: JournalLimits = JournalLimits()
    ) {
        self.synchronisation = synchronisation
        self.segmentBytes = segmentBytes
        self.compress = compress
        self.deflatesWhenIdle = deflatesWhenIdle
        self.maxPendingBytes = maxPendingBytes
        self.limits = limits
    }
}

/// Where a snapshot's walk through the store stands; the store's owner gives the numbers their meaning.
package struct SnapshotCursor: Sendable, Equatable {
    package var shard = 0
    package var position = 0
    package init() {}
}

/// Emits the next entries of the store as put records, under short locks, and moves the cursor; false when there are
/// no more.
///
/// Duties: an entry not changed during the walk is emitted exactly once; a changed one may be emitted in any state it
/// had. The emitted bytes are copied at once. Called on the journal's maintenance thread; keep a chunk below about 1
/// MiB.
package typealias SnapshotSource =
    @Sendable (_ cursor: inout SnapshotCursor, _ emit: (JournalRecord) -> Void) -> Bool

/// What the journal calls back. All run on the journal's threads, without its lock held; they must not block.
package struct JournalHooks: Sendable {
    /// Everything up to this sequence may be acknowledged.
    package var onAdvance: @Sendable (UInt64) -> Void
    /// Nothing after `acknowledged` will be: answer what is parked with 1201.
    package var onFailure: @Sendable (_ reason: String, _ acknowledged: UInt64) -> Void
    package var onEvent: @Sendable (JournalEvent) -> Void
    package var snapshotSource: SnapshotSource

    package init(
        onAdvance: @escaping @Sendable (UInt64) -> Void, onFailure: @escaping @Sendable (String, UInt64) -> Void,
        onEvent: @escaping @Sendable (JournalEvent) -> Void, snapshotSource: @escaping SnapshotSource
    ) {
        self.onAdvance = onAdvance
        self.onFailure = onFailure
        self.onEvent = onEvent
        self.snapshotSource = snapshotSource
    }
}

/// What is worth a log line.
package enum JournalEvent: Sendable, Equatable {
    case segmentOpened(number: UInt32, firstSequence: UInt64)
    case segmentSealed(number: UInt32, bytes: Int, records: UInt64)
    case segmentCompressed(number: UInt32, rawBytes: Int, storedBytes: Int)
    case snapshotWritten(number: UInt32, records: UInt64, bytes: Int, milliseconds: Int64, removedFiles: Int)
    /// A background job failed; the journal itself goes on.
    case jobFailed(job: String, reason: String)
    case failed(reason: String)
    case reopenFailed(reason: String, attempts: Int)
    case reopened(number: UInt32)
}

/// The journal's part of `node.stats`.
package struct JournalStatus: Sendable, Equatable {
    package var isOpen: Bool
    package var reason: String?
    package var segments: Int
    /// Of all files.
    package var bytes: Int
    package var lastSequence: UInt64
    /// Acknowledgeable.
    package var watermark: UInt64
    /// Known to survive a power loss.
    package var durableSequence: UInt64
    package var snapshots: Int
    package var snapshotBytes: Int
    package var lastFsyncMilliseconds: Int64
    package var fsyncs: Int
    package var fsyncFailures: Int
    package var compressedSegments: Int
    package var compressedRawBytes: Int
    package var compressedStoredBytes: Int
    package var compactions: Int
    package var pendingBytes: Int
}
