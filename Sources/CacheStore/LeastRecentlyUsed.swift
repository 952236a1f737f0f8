// Exact least-recently-used: the entry whose last get, put or touch lies furthest back is evicted first.
//
// A plain list, moved on every hit. The alternative (a hit stores a tick, eviction repairs the order lazily) writes one
// cache line a hit instead of four, but needs an ordered queue of its own beside the records, and those writes do not
// stall a look-up: nothing waits for them.

/// One list, newest first.
struct LeastRecentlyUsed: EvictionPolicy {
    static let name: StaticString = "lru"

    private var order = EntryList()

    init() {}

    mutating func inserted(_ entry: EntryAddress, in arena: borrowing Arena) {
        order.pushFirst(entry, in: arena)
    }

    mutating func used(_ entry: EntryAddress, in arena: borrowing Arena) {
        order.moveToFirst(entry, in: arena)
    }

    mutating func moved(from old: EntryAddress, to new: EntryAddress, in arena: borrowing Arena) {
        order.moved(from: old, to: new, in: arena)
    }

    mutating func removed(_ entry: EntryAddress, in arena: borrowing Arena) {
        order.remove(entry, in: arena)
    }

    func victim(in arena: borrowing Arena) -> EntryAddress? {
        order.last == .none ? nil : order.last
    }
}
