// Log lines about what is refused in bulk: at most one in ten seconds of each kind, with the number that it stands for.

import Synchronization

/// Counts refusals and logs them now and then.
final class Refusals: Sendable {
    private let unloggedConnections = Atomic<Int>(0)
    private let nextConnectionLine = Atomic<Int64>(0)
    private let loggedWrites = Atomic<UInt64>(0)
    private let nextWriteLine = Atomic<Int64>(0)

    private static let intervalMilliseconds: Int64 = 10_000

    /// A connection over the limit was turned away.
    func connectionRefused(_ node: NodeCore) {
        node.metrics.connectionsRefused.add(1, ordering: .relaxed)
        let unlogged = unloggedConnections.add(1, ordering: .relaxed).newValue
        guard isDue(nextConnectionLine) else { return }
        unloggedConnections.subtract(unlogged, ordering: .relaxed)
        node.log.emit(
            .connectionRefused,
            [
                "reason": "max_connections", "connections": .int(node.budget.openConnections),
                "suppressed": .int(unlogged - 1),
            ])
    }

    /// Told the number of writes refused for want of memory since the start; logs when it has grown.
    func memoryRefusals(_ refused: UInt64, usedBytes: Int, _ node: NodeCore) {
        let logged = loggedWrites.load(ordering: .relaxed)
        guard refused > logged, isDue(nextWriteLine) else { return }
        loggedWrites.store(refused, ordering: .relaxed)
        node.log.emit(
            .memoryPressure,
            [
                "usedBytes": .int(usedBytes), "limitBytes": .int(node.budget.limitBytes),
                "refusedWrites": .int(Int(clamping: refused - logged)),
            ])
    }

    private func isDue(_ next: borrowing Atomic<Int64>) -> Bool {
        let now = NodeClock.monotonicMilliseconds()
        let due = next.load(ordering: .relaxed)
        guard now >= due else { return false }
        return next.compareExchange(
            expected: due, desired: now + Self.intervalMilliseconds, ordering: .relaxed
        ).exchanged
    }
}
