// The time of every single operation of a run that is repeated with the same operations. A pause of the store's own making
// is there every time; an interrupt or another process is not, and goes with the least of the times.

import LoadGenerator

/// What an operation made the store do beside serving its own key.
struct SideWork: Equatable {
    /// Other entries evicted or expired.
    var removed = 0
    /// Bytes of entries moved by the cleaner.
    var cleanedBytes = 0
    /// Bytes of memory newly mapped.
    var mappedBytes = 0
}

/// The least time of each of a fixed sequence of operations, and what each did beside.
struct OperationTimes<Kind: Hashable & CaseIterable & RawRepresentable> where Kind.RawValue == String {
    private var least: [UInt32]
    private var kinds: [UInt8]
    private var work: [SideWork?]
    private var next = 0
    private let names = Array(Kind.allCases)

    /// For sequences of so many operations.
    init(operations: Int) {
        least = Array(repeating: .max, count: operations)
        kinds = Array(repeating: 0, count: operations)
        work = Array(repeating: nil, count: operations)
    }

    /// The same operations are about to be done once more, from the first.
    mutating func beginRound() { next = 0 }

    /// One operation was done; the next one in the order of all rounds.
    mutating func note(_ kind: Kind, nanoseconds: UInt64, _ done: SideWork) {
        least[next] = min(least[next], UInt32(clamping: nanoseconds))
        kinds[next] = UInt8(names.firstIndex(of: kind) ?? 0)
        if done != SideWork() { work[next] = done }
        next += 1
    }

    /// Distribution of the operations of one kind, at most those in `range`; nil when there was none.
    func summary(_ kind: Kind, in range: Range<Int>? = nil) -> TimeSummary? {
        let code = UInt8(names.firstIndex(of: kind) ?? 0)
        return summary(in: range) { kinds[$0] == code }
    }

    /// Distribution of the operations that mapped memory, or of those that did not; nil when there was none.
    ///
    /// Apart, because the first touch of a page is the kernel's time: about 0.1 ms for a huge page of 2 MiB, 5 ms where a
    /// hypervisor has to find the memory first.
    func summary(mapping: Bool, in range: Range<Int>? = nil) -> TimeSummary? {
        summary(in: range) { ((work[$0]?.mappedBytes ?? 0) > 0) == mapping }
    }

    private func summary(in range: Range<Int>?, where isCounted: (Int) -> Bool) -> TimeSummary? {
        var histogram = LatencyHistogram()
        var summary = TimeSummary()
        for index in range ?? 0..<next where isCounted(index) {
            histogram.record(UInt64(least[index]))
            if least[index] >= 100_000 { summary.above100Microseconds += 1 }
            if least[index] >= 1_000_000 { summary.aboveMillisecond += 1 }
        }
        guard histogram.count > 0 else { return nil }
        summary.count = Int(histogram.count)
        (summary.p50, summary.p99) = (histogram.percentile(50), histogram.percentile(99))
        (summary.p999, summary.max) = (histogram.percentile(99.9), histogram.max)
        return summary
    }

    /// The longest operations, longest first.
    func longest(_ count: Int) -> [LongOperation] {
        let order = (0..<next).sorted { least[$0] > least[$1] }.prefix(count)
        return order.map { index in
            let done = work[index] ?? SideWork()
            return LongOperation(
                operation: index, kind: names[Int(kinds[index])].rawValue, nanoseconds: UInt64(least[index]),
                removed: done.removed, cleanedBytes: done.cleanedBytes, mappedBytes: done.mappedBytes)
        }
    }

    /// The most that one operation did of each kind of work.
    var mostWork: SideWork {
        var most = SideWork()
        for case let done? in work[..<next] {
            most.removed = max(most.removed, done.removed)
            most.cleanedBytes = max(most.cleanedBytes, done.cleanedBytes)
            most.mappedBytes = max(most.mappedBytes, done.mappedBytes)
        }
        return most
    }
}

/// Nanoseconds of one kind of operation.
struct TimeSummary: Encodable, Equatable {
    var count = 0
    var p50: UInt64 = 0
    var p99: UInt64 = 0
    var p999: UInt64 = 0
    var max: UInt64 = 0
    var above100Microseconds = 0
    var aboveMillisecond = 0
}

struct LongOperation: Encodable, Equatable {
    var operation: Int
    var kind: String
    var nanoseconds: UInt64
    var removed: Int
    var cleanedBytes: Int
    var mappedBytes: Int
}

/// What reading the clock twice costs, in nanoseconds: it is part of every time here.
func clockNanoseconds() -> UInt64 {
    (0..<10_000).map { _ in
        let before = threadNanoseconds()
        return threadNanoseconds() - before
    }.min() ?? 0
}
