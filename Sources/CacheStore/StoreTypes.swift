// What goes into a store and comes out of it: settings, entries, conditions, outcomes, counters. No behaviour.

/// What a store is made with.
package struct StoreSettings: Sendable {
    /// Most keys held at once; 0 = no key limit, memory alone decides.
    package var maxKeys: Int
    /// Most bytes mapped for entries, index and tables together.
    package var limitBytes: Int
    package var policy: EvictionPolicyName
    package var hasher: KeyHasher

    package init(maxKeys: Int, limitBytes: Int, policy: EvictionPolicyName = .lru, hasher: KeyHasher) {
        self.maxKeys = maxKeys
        self.limitBytes = limitBytes
        self.policy = policy
        self.hasher = hasher
    }
}

/// How a value's bytes are kept.
package enum StoredForm: Equatable, Sendable {
    /// The JSON text as it was sent.
    case plain
    /// Raw deflate blocks; length and CRC-32 are those of the original text.
    case deflated(originalBytes: UInt32, crc32: UInt32)
}

/// One entry as it lies in memory; the buffers are valid until the next mutating call on the store.
package struct Entry {
    package let key: UnsafeRawBufferPointer
    /// The stored bytes, in the form that `form` names.
    package let value: UnsafeRawBufferPointer
    package let form: StoredForm
    package let version: UInt64
    /// Monotonic milliseconds; `.max` = never.
    package let expiresAt: Int64
    /// Gets since the value was put, this one not included; saturates at 65,535.
    package let hits: UInt32
    /// Time since the last put, get or touch before this one; resolution 16 ms.
    package let idleMilliseconds: Int64
}

/// What must hold for a put to store.
package enum PutCondition: Equatable, Sendable {
    case always, ifAbsent, ifPresent
    case ifVersion(UInt64)
    /// There is no entry, or one whose version is lower than the new one's.
    case ifNewer
}

/// The expiry a put or touch leaves behind.
package enum PutExpiry: Equatable, Sendable {
    case never
    /// Monotonic milliseconds; a time already reached stores an entry that is never returned.
    case at(Int64)
    /// The deadline of the entry it replaces, `never` for a new key.
    case keep
}

package enum PutOutcome: Equatable, Sendable {
    case stored
    /// `ifAbsent` met an entry of this version, or `ifNewer` one that is not older.
    case exists(version: UInt64)
    case notFound
    case versionMismatch(version: UInt64)
    /// Nothing that may be evicted makes room; the entry it would have replaced is kept where there was one.
    case memoryFull
}

package enum RemoveOutcome: Equatable, Sendable {
    case removed, notFound
    case versionMismatch(version: UInt64)
}

package enum TouchOutcome: Equatable, Sendable {
    case touched, notFound
    /// Adding a first deadline moves the entry, and there is no room for the move; the entry stands unchanged.
    case memoryFull
}

/// Monotonic counts since the store was made, under memcached's names where it has one.
package struct StoreCounters: Equatable, Sendable {
    package var getHits: UInt64 = 0
    package var getMisses: UInt64 = 0
    /// Puts that stored.
    package var totalItems: UInt64 = 0
    package var removeHits: UInt64 = 0
    package var removeMisses: UInt64 = 0
    package var touchHits: UInt64 = 0
    package var touchMisses: UInt64 = 0
    /// Live entries dropped by the policy to make room.
    package var evictions: UInt64 = 0
    /// Entries dropped because their deadline came, once each.
    package var expired: UInt64 = 0
    /// Puts refused for want of memory.
    package var refused: UInt64 = 0
    /// Bytes the cleaner copied to compact the arena.
    package var cleanedBytes: UInt64 = 0

    package init() {}
}

/// Where the store's memory goes, in bytes; `footprintBytes` is what counts against the limit.
package struct MemoryUse: Equatable, Sendable {
    /// Segments mapped, with their dead and unused parts.
    package var arenaBytes = 0
    /// Regions of entries too large for a segment.
    package var largeBytes = 0
    package var indexBytes = 0
    /// Segment directory, timing wheel and the like.
    package var tableBytes = 0
    /// Entries alive, headers included.
    package var liveBytes = 0
    /// Keys and stored values alone.
    package var payloadBytes = 0
    /// Bytes of dead records not yet reclaimed, in closed segments.
    package var deadBytes = 0

    package static let zero = MemoryUse()

    package var footprintBytes: Int { arenaBytes + largeBytes + indexBytes + tableBytes }
}
