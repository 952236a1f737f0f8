// Keeping under the limits.
//
// Two sums guard the byte limit. What lives: living records in segments * 8/7 + regions + index + tables + four segments
// (two open, one for the cleaner to move survivors to, one in hand) <= limit, kept by evicting. What is mapped:
// footprint <= limit with one empty segment kept or mappable for the cleaner, kept by cleaning. Since the first leaves an
// eighth of the segments dead or unused, the second can be reached by cleaning; greedy cleaning at that share copies a
// few bytes for each byte freed in the worst pattern (uniform random deaths), none when entries die in the order in
// which they came.
//
// Work a mutation: evicting about as many bytes as it brings, and walking at most 64 times as many in the segment
// being cleaned. Only when that pace falls behind (a value of several segments at once) a mutation cleans whole segments.

extension Store {
    /// True when a record of `bytes` (a capacity) fits into this store with nothing else in it.
    func couldHold(_ bytes: Int) -> Bool {
        fixedCost + cost(bytes) <= limitBytes
    }

    /// Makes sure that one more key is within `maxKeys`.
    mutating func admitKey(now: Int64) {
        guard maxKeys > 0 else { return }
        while count >= maxKeys {
            guard evictOne(now: now) else { return }
        }
    }

    /// Evicts until a record of `bytes` may live in place of one of `occupied`; false when nothing is left to evict.
    mutating func admit(_ bytes: Int, replacing occupied: Int, now: Int64) -> Bool {
        let change = cost(bytes) - cost(occupied)
        while fixedCost + arena.liveSegmentBytes + arena.liveSegmentBytes / 7 + arena.largeBytes + change > limitBytes {
            guard evictOne(now: now) else { return false }
        }
        return true
    }

    /// Cleans, and evicts where that does not help, until a record of `bytes` can be allocated; false when it cannot.
    mutating func makeRoom(for bytes: Int, now: Int64) -> Bool {
        while !fits(bytes) {
            if arena.freeSegments.count > 1 && arena.unmapFreeSegment() { continue }
            if isWorthCleaning && cleanSegment() { continue }
            guard evictOne(now: now) else { return false }
        }
        return true
    }

    /// True when a record of `bytes` can be allocated and the cleaner still has its empty segment afterwards.
    func fits(_ bytes: Int) -> Bool {
        var total = footprintBytes + index.worstGrowthBytes
        var free = arena.freeSegments.count
        if bytes > arena.largeThreshold {
            total += bytes
        } else if !arena.hasRoom(for: bytes, in: .fresh) {
            if free > 0 {
                free -= 1
            } else {
                guard arena.canMapSegment else { return false }
                total += arena.segmentBytes
            }
        }
        if free == 0 { total += arena.segmentBytes }
        return total <= limitBytes
    }

    /// Allocates for a record of `bytes` after `makeRoom`; nil when the system gives no memory.
    mutating func allocate(_ bytes: Int) -> EntryAddress? {
        if bytes > arena.largeThreshold { return arena.mapRegion(bytes) }
        guard arena.hasRoom(for: bytes, in: .fresh) || arena.openSegment(for: .fresh) else { return nil }
        return arena.append(bytes, to: .fresh)
    }

    /// Drops one entry: one past its deadline where a few steps find one, else the policy's victim; false when empty.
    private mutating func evictOne(now: Int64) -> Bool {
        if expireFirst(now: now, steps: 16) { return true }
        guard let victim = policy.victim(in: arena) else { return false }
        let record = arena.record(at: victim)
        if record.isExpired(at: now) {
            counters.expired &+= 1
        } else {
            counters.evictions &+= 1
        }
        let hash = hasher.hash(record.key)
        forgotten.note(record.version, hash)
        discard(victim, hash: hash)
        return true
    }

    /// What a record that occupies `bytes` takes of the limit, the cleaner's slack included.
    private func cost(_ bytes: Int) -> Int {
        bytes > arena.largeThreshold ? bytes : bytes + bytes / 7
    }

    /// What is taken of the limit before any record.
    private var fixedCost: Int {
        index.footprintBytes + index.worstGrowthBytes + arena.tableBytes + TimingWheel.tableBytes
            + 4 * arena.segmentBytes
    }

    /// All memory mapped that grows with use.
    var footprintBytes: Int {
        arena.mappedSegmentBytes + arena.largeBytes + index.footprintBytes + arena.tableBytes + wheel.footprintBytes
    }
}
