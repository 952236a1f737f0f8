// A day in fast motion: puts of random sizes, gets, removals and expiry in one store at its memory limit. What counts is how
// much of the memory holds living entries as the day goes on, and how long any single operation takes.

import Glibc
import LoadGenerator

/// The operations of the day: the same for the same seed.
struct ChurnWorkload {
    enum Sizes: String, CaseIterable {
        /// Log-uniform from 10 B to 4 KiB all day: as many values between 10 and 20 as between 2,000 and 4,000 bytes.
        case mixed
        /// A band of a factor of four that wanders from 10 B to 4 KiB and back four times a day: what an allocator that set
        /// memory aside for one size suffers from.
        case shifting
    }

    enum Operation: Equatable {
        case get(Int)
        case put(Int, bytes: Int, lifetime: Int64?)
        case remove(Int)
    }

    static let bytes = 10...4096
    /// About three times what the limit of 256 MiB holds.
    static let keys = 1_000_000
    static let dayMilliseconds: Int64 = 86_400_000
    /// How often a node lets entries expire, in milliseconds.
    static let expiryInterval: Int64 = 50

    let operations: Int
    let sizes: Sizes
    private var numbers: KeySequence
    private var random: KeySequence

    init(operations: Int, sizes: Sizes, seed: UInt64) {
        self.operations = operations
        self.sizes = sizes
        numbers = KeySequence(keys: Self.keys, choice: .zipf(exponent: 0.8), seed: seed)
        random = KeySequence(keys: 1 << 53, choice: .uniform, seed: seed &+ 1)
    }

    /// Virtual milliseconds of the operation with this index.
    func time(of index: Int) -> Int64 { Int64(Double(index) / Double(operations) * Double(Self.dayMilliseconds)) }

    /// The operation with this index; to be asked for in order. A third reads, 60 % write, a quarter of those with a lifetime
    /// between a second and a day, the rest removes.
    mutating func operation(_ index: Int) -> Operation {
        let key = numbers.next()
        let kind = unit()
        if kind < 1 / 3 { return .get(key) }
        if kind > 14.0 / 15 { return .remove(key) }
        let lifetime = unit() < 0.25 ? Int64(logUniform(1000, Double(Self.dayMilliseconds))) : nil
        return .put(key, bytes: size(index), lifetime: lifetime)
    }

    private mutating func size(_ index: Int) -> Int {
        let (least, most) = (Double(Self.bytes.lowerBound), Double(Self.bytes.upperBound))
        switch sizes {
        case .mixed: return Int(logUniform(least, most))
        case .shifting:
            let phase = Double(index) / Double(operations) * 4
            // Up and down in a straight line on the logarithmic scale.
            let height = 1 - abs(2 * (phase - phase.rounded(.down)) - 1)
            let low = least * pow(most / 4 / least, height)
            return Int(logUniform(low, low * 4))
        }
    }

    private mutating func unit() -> Double { Double(random.next()) * 0x1p-53 }
    private mutating func logUniform(_ least: Double, _ most: Double) -> Double {
        least * pow(most / least, unit())
    }
}

struct Churn {
    enum Kind: String, CaseIterable { case put, get, remove, expire }

    /// The store at a moment of the day.
    struct Sample: Encodable {
        var operation: Int
        var entries: Int
        /// Keys and values of living entries.
        var payloadBytes: Int
        /// With their headers and padding.
        var liveBytes: Int
        /// All that counts against the limit.
        var footprintBytes: Int
        var residentBytes: Int
    }

    struct Report: Encodable {
        var limitBytes: Int
        var operations: Int
        var clockNanoseconds: UInt64
        var samples: [Sample]
        var times: [String: TimeSummary]
        var mapping: TimeSummary?
        var others: TimeSummary?
        var longest: [LongOperation]
        var mostRemoved: Int
        var mostCleanedBytes: Int
        var evictions: UInt64
        var expired: UInt64
        var refused: UInt64
        var cleanedBytes: UInt64
        /// Bytes of all values put.
        var writtenBytes: Int
    }

    private static let samples = 200

    let workload: ChurnWorkload
    let limitBytes: Int

    /// Plays the day so many times.
    func measure(rounds: Int) -> Report {
        let ticks = Int(ChurnWorkload.dayMilliseconds / ChurnWorkload.expiryInterval) + 1
        // A tick comes at most with every operation; one with more to do than a step takes further steps.
        var times = OperationTimes<Kind>(operations: 2 * workload.operations + ticks)
        var report = Report(
            limitBytes: limitBytes, operations: workload.operations, clockNanoseconds: clockNanoseconds(), samples: [],
            times: [:], longest: [], mostRemoved: 0, mostCleanedBytes: 0, evictions: 0, expired: 0, refused: 0,
            cleanedBytes: 0, writtenBytes: 0)
        for round in 0..<rounds { play(&times, &report, isFirst: round == 0) }
        for kind in Kind.allCases { report.times[kind.rawValue] = times.summary(kind) }
        (report.mapping, report.others) = (times.summary(mapping: true), times.summary(mapping: false))
        report.longest = times.longest(20)
        (report.mostRemoved, report.mostCleanedBytes) = (times.mostWork.removed, times.mostWork.cleanedBytes)
        return report
    }

    private func play(_ times: inout OperationTimes<Kind>, _ report: inout Report, isFirst: Bool) {
        times.beginRound()
        let before = residentBytes()
        var workload = workload
        var store = BenchStore(limitBytes: limitBytes, largestValueBytes: ChurnWorkload.bytes.upperBound)
        var nextTick: Int64 = 0
        let step = max(1, workload.operations / Self.samples)
        for index in 0..<workload.operations {
            let now = workload.time(of: index)
            if now >= nextTick {
                nextTick = now + ChurnWorkload.expiryInterval
                repeat {
                    let (nanoseconds, work) = store.expire(now: now)
                    times.note(.expire, nanoseconds: nanoseconds, work)
                } while (store.store.nextExpiryHint ?? .max) <= now
            }
            switch workload.operation(index) {
            case .get(let key):
                let (nanoseconds, work) = store.get(key, now: now)
                times.note(.get, nanoseconds: nanoseconds, work)
            case .put(let key, let bytes, let lifetime):
                let (nanoseconds, work) = store.put(key, bytes: bytes, expiresAt: lifetime.map { now + $0 }, now: now)
                times.note(.put, nanoseconds: nanoseconds, work)
                if isFirst { report.writtenBytes += bytes }
            case .remove(let key):
                let (nanoseconds, work) = store.remove(key, now: now)
                times.note(.remove, nanoseconds: nanoseconds, work)
            }
            if isFirst, (index + 1) % step == 0 {
                let memory = store.store.memory
                report.samples.append(
                    Sample(
                        operation: index + 1, entries: store.store.count, payloadBytes: memory.payloadBytes,
                        liveBytes: memory.liveBytes, footprintBytes: memory.footprintBytes,
                        residentBytes: residentBytes() - before))
            }
        }
        let counters = store.store.counters
        (report.evictions, report.expired) = (counters.evictions, counters.expired)
        (report.refused, report.cleanedBytes) = (counters.refused, counters.cleanedBytes)
    }
}
