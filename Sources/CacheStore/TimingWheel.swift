// Deadlines in a hierarchical timing wheel (Varghese, Lauck: "Hashed and hierarchical timing wheels", 1987), with the
// slot arithmetic of Tokio's timer: 11 levels of 64 slots over 64-bit milliseconds, so every deadline has a place and
// nothing is clamped. A deadline goes to the level of the highest 6-bit digit in which it differs from `elapsed`:
//
//   level 0: 64 slots of 1 ms | level 1: 64 of 64 ms | level 2: 64 of 4,096 ms | ...
//
// When `elapsed` reaches a slot of a higher level its entries are filed again, one at a time, in lower levels; an entry
// is filed at most once a level. A bit mask a level finds the next slot without stepping through empty ones. Entries are
// linked through their records; the first one's `wheelPrevious` names its slot, so unlinking never searches.
// Invariant: while a slot of level > 0 whose digits equal those of `elapsed` has entries (a refiling was cut short), it
// is dealt with before anything else.

/// Due times of entries; all operations O(1) but for the refiling an entry pays once a level.
struct TimingWheel: ~Copyable {
    private static let levels = 11
    private static let slotsPerLevel = 64

    /// What the wheel asks its owner to do next.
    enum Step {
        /// This entry's deadline has come; the owner removes it (which unlinks it here).
        case due(EntryAddress)
        /// One entry was filed again; nothing to do but ask once more.
        case refiled
        /// Nothing is due.
        case idle
    }

    private var slots = FlatTable<EntryAddress>()
    private var occupied = FlatTable<UInt64>()
    /// Milliseconds up to which slots have been emptied.
    private var elapsed: UInt64 = 0
    private(set) var count = 0

    var footprintBytes: Int { slots.footprintBytes + occupied.footprintBytes }
    /// What the first deadline maps.
    static let tableBytes = 2 * Pages.byteCount

    /// Maps the tables before the first deadline; false when the system refuses.
    mutating func prepare() -> Bool {
        guard slots.capacity == 0 else { return true }
        guard occupied.reserve(Self.levels), slots.reserve(Self.levels * Self.slotsPerLevel) else { return false }
        for slot in 0..<slots.capacity { slots[slot] = .none }
        return true
    }

    /// Files a record that has a deadline; `prepare` has been called.
    mutating func insert(_ entry: EntryAddress, in arena: borrowing Arena) {
        let record = arena.record(at: entry)
        let deadline = max(UInt64(clamping: record.deadline), elapsed)
        let difference = deadline ^ elapsed
        let level = difference == 0 ? 0 : (63 - difference.leadingZeroBitCount) / 6
        let digit = Int(truncatingIfNeeded: deadline >> UInt64(level * 6)) & 63
        let slot = level * Self.slotsPerLevel + digit
        let head = slots[slot]
        record.wheelPrevious = EntryAddress(
            raw: EntryAddress.largeBit | EntryAddress.wheelBit | UInt32(truncatingIfNeeded: slot))
        record.wheelNext = head
        if head != .none { arena.record(at: head).wheelPrevious = entry }
        slots[slot] = entry
        occupied[level] |= 1 << UInt64(digit)
        count += 1
    }

    /// Takes a filed record out.
    mutating func remove(_ entry: EntryAddress, in arena: borrowing Arena) {
        let record = arena.record(at: entry)
        relink(record, as: record.wheelNext, in: arena)
        if record.wheelNext != .none { arena.record(at: record.wheelNext).wheelPrevious = record.wheelPrevious }
        count -= 1
    }

    /// Points the neighbours of a filed record that moved at its new address.
    mutating func moved(to entry: EntryAddress, in arena: borrowing Arena) {
        let record = arena.record(at: entry)
        relink(record, as: entry, in: arena)
        if record.wheelNext != .none { arena.record(at: record.wheelNext).wheelPrevious = entry }
    }

    /// Makes what points at `record` from before point at `successor`.
    private mutating func relink(_ record: EntryRecord, as successor: EntryAddress, in arena: borrowing Arena) {
        let previous = record.wheelPrevious
        let headBits = EntryAddress.largeBit | EntryAddress.wheelBit
        guard previous.raw & headBits == headBits else {
            arena.record(at: previous).wheelNext = successor
            return
        }
        let slot = Int(previous.raw & ~headBits)
        slots[slot] = successor
        if successor == .none {
            occupied[slot / Self.slotsPerLevel] &= ~(1 << UInt64(slot % Self.slotsPerLevel))
        }
    }

    /// Advances towards `now` (monotonic milliseconds) by one unit of work.
    mutating func step(now: Int64, in arena: borrowing Arena) -> Step {
        let now = UInt64(clamping: now)
        guard count > 0, let next = nextSlot(), next.start <= now else {
            elapsed = max(elapsed, now)
            return .idle
        }
        elapsed = max(elapsed, next.start)
        let entry = slots[next.slot]
        assert(entry != .none, "an occupied slot has an entry")
        // In a slot of a higher level, too, what is past its deadline need not be filed again first.
        if next.slot < Self.slotsPerLevel || UInt64(clamping: arena.record(at: entry).deadline) <= now {
            return .due(entry)
        }
        remove(entry, in: arena)
        insert(entry, in: arena)
        return .refiled
    }

    /// The earliest time at which `step` may find work, in monotonic milliseconds; not later than the first deadline.
    var nextDue: Int64? {
        guard count > 0, let next = nextSlot() else { return nil }
        return Int64(clamping: next.start)
    }

    /// The next slot to empty and the time it stands for.
    private func nextSlot() -> (slot: Int, start: UInt64)? {
        // A refiling that was cut short comes first, from the highest level down.
        for level in stride(from: Self.levels - 1, to: 0, by: -1) {
            let digit = elapsed >> UInt64(level * 6) & 63
            if occupied[level] & (1 << digit) != 0 { return (level * Self.slotsPerLevel + Int(digit), elapsed) }
        }
        for level in 0..<Self.levels {
            let shift = UInt64(level * 6)
            let digit = elapsed >> shift & 63
            // Digits before the current one belong to the past and are empty: a deadline that differs first at this
            // level is later than `elapsed`.
            assert(occupied[level] & ((1 << digit) - 1) == 0, "no entry lies in a slot that has passed")
            guard occupied[level] != 0 else { continue }
            let first = UInt64(occupied[level].trailingZeroBitCount)
            let above = shift + 6 >= 64 ? 0 : (elapsed >> (shift + 6)) << (shift + 6)
            return (level * Self.slotsPerLevel + Int(first), above | first << shift)
        }
        return nil
    }
}
