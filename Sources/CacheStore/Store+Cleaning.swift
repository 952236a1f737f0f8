// The cleaner: moves what lives in the victim segment to the survivors' segment until the victim is empty.

extension Store {
    /// True when a segment is being cleaned, or the best one to clean is at least a sixteenth dead.
    var isWorthCleaning: Bool {
        arena.cleaning != nil || arena.closedDeadBytes * 16 >= arena.mappedSegmentBytes
    }

    /// The cleaner's share of a mutation: twice what keeps dead bytes from growing, so that it catches up.
    mutating func payForCleaning() {
        let bytes = unpaidBytes
        unpaidBytes = 0
        if arena.cleaning == nil {
            guard arena.closedDeadBytes >= arena.tolerableDeadBytes || (isShort && isWorthCleaning) else { return }
            guard arena.chooseVictim() else { return }
        }
        // Overwrites and evictions count a byte when it comes and when it goes; that is the factor of two.
        var budget = bytes * (arena.cleaning?.walkPerFreedByte ?? 1)
        _ = clean(budget: &budget)
    }

    /// Cleans one segment to its end; false when that is not possible.
    mutating func cleanSegment() -> Bool {
        guard arena.chooseVictim() else { return false }
        var budget = Int.max
        return clean(budget: &budget)
    }

    /// True when fewer than three more segments can be had.
    private var isShort: Bool {
        arena.freeSegments.count * arena.segmentBytes + limitBytes - footprintBytes < 3 * arena.segmentBytes
    }

    /// Moves survivors until the budget of bytes to walk is spent or the segment is free; true when it is free.
    private mutating func clean(budget: inout Int) -> Bool {
        while let old = arena.nextSurvivor(budget: &budget) {
            guard relocate(old) else { return false }
        }
        return arena.cleaning == nil
    }

    /// Moves one record; false when there is no empty segment for survivors.
    private mutating func relocate(_ old: EntryAddress) -> Bool {
        let bytes = arena.capacity(of: old)
        if !arena.hasRoom(for: bytes, in: .survivors) {
            guard !arena.freeSegments.isEmpty || footprintBytes + arena.segmentBytes <= limitBytes,
                arena.openSegment(for: .survivors)
            else { return false }
        }
        let new = arena.append(bytes, to: .survivors)
        let record = arena.record(at: new)
        record.copy(arena.record(at: old), bytes: bytes)
        index.replace(hasher.hash(record.key), old, with: new)
        policy.moved(from: old, to: new, in: arena)
        if record.deadline != .max { wheel.moved(to: new, in: arena) }
        arena.kill(old)
        counters.cleanedBytes &+= UInt64(bytes)
        return true
    }
}
