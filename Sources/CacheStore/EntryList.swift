// A doubly linked list threaded through the records' two policy links: the building block of eviction policies.

/// Entries in order, newest first; every operation is O(1). An entry is in at most one list.
struct EntryList: Sendable {
    private(set) var first = EntryAddress.none
    private(set) var last = EntryAddress.none

    mutating func pushFirst(_ entry: EntryAddress, in arena: borrowing Arena) {
        let record = arena.record(at: entry)
        record.previous = .none
        record.next = first
        if first == .none {
            last = entry
        } else {
            arena.record(at: first).previous = entry
        }
        first = entry
    }

    mutating func remove(_ entry: EntryAddress, in arena: borrowing Arena) {
        let record = arena.record(at: entry)
        let (previous, next) = (record.previous, record.next)
        if previous == .none {
            assert(first == entry, "an entry without a predecessor heads the list")
            first = next
        } else {
            arena.record(at: previous).next = next
        }
        if next == .none {
            assert(last == entry, "an entry without a successor ends the list")
            last = previous
        } else {
            arena.record(at: next).previous = previous
        }
    }

    mutating func moveToFirst(_ entry: EntryAddress, in arena: borrowing Arena) {
        guard first != entry else { return }
        remove(entry, in: arena)
        pushFirst(entry, in: arena)
    }

    /// Points the neighbours of an entry that moved at its new address; its own links came along with its bytes.
    mutating func moved(from old: EntryAddress, to new: EntryAddress, in arena: borrowing Arena) {
        let record = arena.record(at: new)
        if record.previous == .none {
            assert(first == old)
            first = new
        } else {
            arena.record(at: record.previous).next = new
        }
        if record.next == .none {
            assert(last == old)
            last = new
        } else {
            arena.record(at: record.next).previous = new
        }
    }
}
