// The slow, obvious least-recently-used cache that the node is compared with.

/// Keys in the order of their last use; every operation is what the definition of LRU says, nothing else.
package struct NaiveLRU<Key: Hashable> {
    private var order: [UInt64: Key] = [:]
    private var ticks: [Key: UInt64] = [:]
    private var oldestTick: UInt64 = 0
    private var nextTick: UInt64 = 0
    package let maxKeys: Int
    package private(set) var hits = 0
    package private(set) var misses = 0
    package private(set) var evictions = 0

    /// - Parameter maxKeys: keys kept at most, at least 1.
    package init(maxKeys: Int) {
        precondition(maxKeys > 0, "a cache of no keys has no order")
        self.maxKeys = maxKeys
    }

    package var count: Int { ticks.count }

    package func contains(_ key: Key) -> Bool { ticks[key] != nil }

    /// Looks `key` up and makes it the most recently used if it is there; counts a hit or a miss.
    package mutating func get(_ key: Key) -> Bool {
        guard contains(key) else {
            misses += 1
            return false
        }
        hits += 1
        use(key)
        return true
    }

    /// Stores `key` as the most recently used; returns the key that had to leave.
    @discardableResult
    package mutating func put(_ key: Key) -> Key? {
        use(key)
        guard count > maxKeys else { return nil }
        while true {
            defer { oldestTick += 1 }
            guard let victim = order.removeValue(forKey: oldestTick) else { continue }
            ticks[victim] = nil
            evictions += 1
            return victim
        }
    }

    /// Forgets `key`.
    package mutating func remove(_ key: Key) {
        if let tick = ticks.removeValue(forKey: key) { order[tick] = nil }
    }

    private mutating func use(_ key: Key) {
        if let tick = ticks[key] { order[tick] = nil }
        ticks[key] = nextTick
        order[nextTick] = key
        nextTick += 1
    }
}
