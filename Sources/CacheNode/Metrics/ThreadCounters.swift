// Counters of the request path. Each thread has its own set and is its only writer; readers add the sets up.

import Synchronization

/// A number with one writing thread and any number of readers.
final class Counter: Sendable {
    private let value = Atomic<UInt64>(0)

    /// Only ever called on the owning thread: a plain load and store, no locked instruction.
    @inline(__always)
    func add(_ amount: Int = 1) {
        value.store(value.load(ordering: .relaxed) &+ UInt64(truncatingIfNeeded: amount), ordering: .relaxed)
    }

    var current: UInt64 { value.load(ordering: .relaxed) }
}

/// Durations counted in buckets of powers of two microseconds; each bucket counts what is not over its limit.
final class DurationHistogram: Sendable {
    /// Upper limits are 2^0 … 2^22 µs (4.2 s); the last bucket takes the rest.
    static let bucketCount = 24
    private let buckets = (0..<bucketCount).map { _ in Counter() }
    private let sum = Counter()

    @inline(__always)
    func record(nanoseconds: Int64) {
        let microseconds = UInt64(max(nanoseconds, 0)) / 1000
        let bits = microseconds <= 1 ? 0 : UInt64.bitWidth - (microseconds - 1).leadingZeroBitCount
        buckets[min(bits, Self.bucketCount - 1)].add()
        sum.add(Int(truncatingIfNeeded: nanoseconds))
    }

    var counts: [UInt64] { buckets.map(\.current) }
    var sumNanoseconds: UInt64 { sum.current }
}

/// What one thread counts.
final class ThreadCounters: Sendable {
    let messages = Counter()
    let failures = Counter()
    let bytesRead = Counter()
    let bytesWritten = Counter()
    let httpErrors = Counter()
    let compressedFromBytes = Counter()
    let compressedToBytes = Counter()
    let splicedReplies = Counter()
    /// Calls sent to their owners; those that no owner answered in time.
    let forwardedCalls = Counter()
    let forwardFailures = Counter()
    /// Calls of other nodes carried out here.
    let peerCalls = Counter()
    /// Changes sent to other holders.
    let replicatedRecords = Counter()
    let durations = DurationHistogram()
    /// Calls of each method, in the order of the method table.
    let calls: [Counter]

    init(methodCount: Int) {
        calls = (0..<methodCount).map { _ in Counter() }
    }

    @inline(__always)
    func called(method index: Int) {
        calls[index].add()
    }

    func failed() {
        failures.add()
    }

    func compressed(fromBytes: Int, toBytes: Int) {
        compressedFromBytes.add(fromBytes)
        compressedToBytes.add(toBytes)
    }
}

/// The sets of all threads.
final class NodeMetrics: Sendable {
    private let methodCount: Int
    /// Guards the list; taken when a thread registers and when somebody asks for numbers.
    private let threads = Mutex<[ThreadCounters]>([])
    let connectionsAccepted = Atomic<UInt64>(0)
    let connectionsRefused = Atomic<UInt64>(0)
    let connectionTimeouts = Atomic<UInt64>(0)

    init(methodCount: Int) {
        self.methodCount = methodCount
    }

    func registerThread() -> ThreadCounters {
        let counters = ThreadCounters(methodCount: methodCount)
        threads.withLock { $0.append(counters) }
        return counters
    }

    /// The sum of one counter over all threads.
    func total(_ counter: (ThreadCounters) -> Counter) -> UInt64 {
        threads.withLock { $0.reduce(0) { $0 &+ counter($1).current } }
    }

    /// Calls of one method over all threads.
    func calls(ofMethod index: Int) -> UInt64 {
        total { $0.calls[index] }
    }

    /// The duration histograms of all threads added up: counts a bucket, and the sum in nanoseconds.
    func durations() -> (counts: [UInt64], sumNanoseconds: UInt64) {
        threads.withLock { threads in
            var counts = [UInt64](repeating: 0, count: DurationHistogram.bucketCount)
            var sum: UInt64 = 0
            for thread in threads {
                for (index, count) in thread.durations.counts.enumerated() { counts[index] &+= count }
                sum &+= thread.durations.sumNanoseconds
            }
            return (counts, sum)
        }
    }
}
