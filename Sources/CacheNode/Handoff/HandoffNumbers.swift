// What hand-off has done and has left to do, for anybody to read. Written on the cluster's event loop.

import Synchronization

final class HandoffNumbers: Sendable {
    private let total = Atomic<Int>(0)
    private let done = Atomic<Int>(0)
    private let settled = Atomic<Bool>(false)
    private let owesCopies = Atomic<Bool>(false)
    private let records = Atomic<UInt64>(0)
    private let bytes = Atomic<UInt64>(0)

    func began(keys: Int, owesCopies: Bool) {
        settled.store(false, ordering: .relaxed)
        total.store(keys, ordering: .relaxed)
        done.store(0, ordering: .relaxed)
        self.owesCopies.store(owesCopies, ordering: .relaxed)
    }

    func finished() { settled.store(true, ordering: .relaxed) }
    func checked(_ keys: Int) { done.add(keys, ordering: .relaxed) }

    func sent(records count: Int, bytes size: Int) {
        records.add(UInt64(count), ordering: .relaxed)
        bytes.add(UInt64(size), ordering: .relaxed)
    }

    var progress: HandoffProgress {
        guard !settled.load(ordering: .relaxed) else { return HandoffProgress(percent: 100, underReplicated: 0) }
        let total = total.load(ordering: .relaxed)
        let left = max(total - done.load(ordering: .relaxed), 1)
        let percent = total == 0 ? 0 : min(99, max(0, (total - left) * 100 / total))
        return HandoffProgress(percent: percent, underReplicated: owesCopies.load(ordering: .relaxed) ? left : 0)
    }

    var sent: (records: UInt64, bytes: UInt64) {
        (records.load(ordering: .relaxed), bytes.load(ordering: .relaxed))
    }
}
