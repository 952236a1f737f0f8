// One number for all memory the node keeps: `memory_limit`, divided between the store and everything in flight.
// What is not counted here (code, stacks, allocator slack) is covered by the documented 64 MiB above the limit.

import Synchronization

/// Shares `memory_limit` between stored entries and buffers in flight.
///
/// The store may use what buffers do not: when request bodies, replies or the journal's pending bytes grow, the store's
/// share shrinks and it evicts. Bodies are refused (503) before they could take more than `bufferLimitBytes`.
package final class MemoryBudget: Sendable {
    /// `memory_limit` in bytes.
    package let limitBytes: Int
    /// The most that request bodies and replies in flight may hold, in bytes.
    package let bufferLimitBytes: Int
    /// Kept for copies of other nodes' entries.
    private let reservedBytes: Int

    private let buffers = Atomic<Int>(0)
    private let journal = Atomic<Int>(0)
    private let connections = Atomic<Int>(0)

    /// What one open connection costs beside its bodies (channel, decoder, pipeline), in bytes; measured.
    package static let bytesPerConnection = 8 * 1024
    /// The store's share moves in steps, so that small bodies do not make it evict one entry back and forth.
    private static let stepBytes = 1 << 20

    package init(limitBytes: Int, largestBodyBytes: Int, reservedBytes: Int = 0) {
        self.reservedBytes = reservedBytes
        self.limitBytes = limitBytes
        self.bufferLimitBytes = max(limitBytes / 4, largestBodyBytes)
    }

    /// Bytes of request bodies and replies in flight.
    package var bufferBytes: Int { buffers.load(ordering: .relaxed) }

    /// Bytes of records that wait to be written, as last noted.
    package var journalBytes: Int { journal.load(ordering: .relaxed) }

    /// Notes what the journal holds back; a few times a second is enough, as it is bounded.
    package func note(journalBytes: Int) { journal.store(journalBytes, ordering: .relaxed) }

    /// Bytes that the store may use now.
    package var storeLimitBytes: Int {
        let others =
            buffers.load(ordering: .relaxed) + journal.load(ordering: .relaxed)
            + connections.load(ordering: .relaxed) * Self.bytesPerConnection
        let rounded = (others / Self.stepBytes) * Self.stepBytes
        return max(limitBytes - reservedBytes - rounded, limitBytes / 4)
    }

    /// Whether more bodies may come in.
    var hasRoom: Bool { bufferBytes <= bufferLimitBytes }

    /// Reserves room for a body or reply; false when the node has too much in flight already.
    package func reserve(bytes: Int) -> Bool {
        let before = buffers.add(bytes, ordering: .relaxed).oldValue
        if before > 0 && before + bytes > bufferLimitBytes {
            buffers.subtract(bytes, ordering: .relaxed)
            return false
        }
        return true
    }

    /// Counts bytes that can't be refused any more (a reply that is already written).
    package func add(bytes: Int) {
        buffers.add(bytes, ordering: .relaxed)
    }

    /// Gives back what `reserve` or `add` took.
    package func release(bytes: Int) {
        buffers.subtract(bytes, ordering: .relaxed)
    }

    package func connectionOpened() { connections.add(1, ordering: .relaxed) }
    package func connectionClosed() { connections.subtract(1, ordering: .relaxed) }
    package var openConnections: Int { connections.load(ordering: .relaxed) }
}
