// The current routing table, and until when this node may act as an owner. Written by the cluster's thread, read by all.

import Membership
import Synchronization

/// Publishes routing tables.
final class RoutingState: Sendable {
    /// Guards the table alone.
    private let current: Mutex<RoutingTable>
    private let stamp = Atomic<UInt64>(1)
    private let until = Atomic<Int64>(.min)
    /// Of the newest view installed here.
    private let number = Atomic<UInt64>(0)

    init(_ table: RoutingTable) {
        current = Mutex(table)
    }

    var table: RoutingTable { current.withLock { $0 } }

    /// Makes `table` the one that requests from now on are routed by.
    func publish(_ table: RoutingTable) {
        current.withLock { $0 = table }
        number.store(table.epoch.number, ordering: .relaxed)
        stamp.add(1, ordering: .releasing)
    }

    /// Brings a thread's own copy up to date; a load, and false, where nothing has changed.
    @discardableResult
    func refresh(_ table: inout RoutingTable, _ seen: inout UInt64) -> Bool {
        let newest = stamp.load(ordering: .acquiring)
        guard newest != seen else { return false }
        table = current.withLock { $0 }
        seen = newest
        return true
    }

    @inline(__always)
    func hasChanged(since seen: UInt64) -> Bool { stamp.load(ordering: .acquiring) != seen }

    func mayAct(until limit: Int64) { until.store(limit, ordering: .releasing) }

    /// Whether this node may act as an owner; `now` is monotonic milliseconds, read after anything that may have taken long.
    @inline(__always)
    func mayAct(now: Int64) -> Bool { now < until.load(ordering: .acquiring) }

    var epochNumber: UInt64 { number.load(ordering: .relaxed) }
}
