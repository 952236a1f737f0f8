// Feeds the journal's snapshots: walks the shards in short steps while the node serves.

import CacheStore
import Journal
import Synchronization

/// A walk through all shards; one at a time, as the journal takes one snapshot at a time.
final class StorageSnapshot: Sendable {
    private let shards: [Shard]
    /// Where the walk stands within the shard of the journal's cursor. Used by the journal's upkeep thread alone; the lock
    /// only tells the compiler so.
    private let scan = Mutex(ScanCursor())

    /// Copied under one lock at most, about: entries, and bytes of them; a step of about 100 µs.
    private static let stepEntries = 256
    private static let stepBytes = 1 << 20

    init(shards: [Shard]) {
        self.shards = shards
    }

    /// Emits the next entries; false when there are no more. The contract is that of `SnapshotSource`.
    func next(_ cursor: inout SnapshotCursor, emit: (JournalRecord) -> Void) -> Bool {
        guard cursor.shard < shards.count else { return false }
        var scan = cursor.position == 0 ? ScanCursor() : self.scan.withLock { $0 }
        let now = NodeClock.monotonicMilliseconds()
        let wallOffset = NodeClock.wallMilliseconds() - now
        let hasMore = shards[cursor.shard].state.withLock { state in
            let averageBytes = state.store.memory.payloadBytes / max(state.store.count, 1)
            // In front of what was put after it.
            if cursor.position == 0, state.flushedVersion > 0 { emit(.flush(version: state.flushedVersion)) }
            let limit = max(1, min(Self.stepEntries, Self.stepBytes / max(averageBytes, 1)))
            let hasMore = state.store.forEachEntry(from: &scan, limit: limit, now: now) { entry in
                emit(
                    .put(
                        key: entry.key, value: entry.value, form: entry.form.journalForm,
                        wallExpiry: entry.expiresAt == .max ? .max : entry.expiresAt &+ wallOffset,
                        version: entry.version))
            }
            if !hasMore { state.tombstones.forEach { emit(.remove(key: $0, version: $1)) } }
            return hasMore
        }
        self.scan.withLock { [scan] in $0 = scan }
        cursor.position += 1
        if !hasMore {
            cursor.shard += 1
            cursor.position = 0
        }
        return cursor.shard < shards.count
    }
}
