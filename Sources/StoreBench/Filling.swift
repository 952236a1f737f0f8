// New keys into one store from nothing to the end: what an entry takes, and whether any put pays for the growth of all.

/// Puts of 16 B keys and 100 B values, one after another.
struct Filling {
    enum Kind: String, CaseIterable { case put }

    /// The store when it had just reached a size.
    struct Stage: Encodable {
        var entries: Int
        var residentBytesPerEntry: Double
        var footprintBytesPerEntry: Double
        var indexBytesPerEntry: Double
        /// Of the puts since the stage before: all, those that mapped memory, and the others.
        var puts: TimeSummary?
        var mapping: TimeSummary?
        var others: TimeSummary?
    }

    struct Report: Encodable {
        var clockNanoseconds: UInt64
        var stages: [Stage]
        var longest: [LongOperation]
    }

    let entries: Int

    /// The sizes at which the store is looked at: powers of ten, and the last.
    var stages: [Int] {
        var sizes: [Int] = []
        var size = 1000
        while size < entries {
            sizes.append(size)
            size *= 10
        }
        return sizes + [entries]
    }

    /// Fills a new store so many times. The limit leaves room for all: nothing is evicted.
    func measure(rounds: Int) -> Report {
        var times = OperationTimes<Kind>(operations: entries)
        let sizes = stages
        var found: [Stage] = []
        for round in 0..<rounds {
            times.beginRound()
            let before = residentBytes()
            var store = BenchStore(limitBytes: max(64 << 20, entries * 400), largestValueBytes: 100)
            var next = 0
            for number in 0..<entries {
                let (nanoseconds, work) = store.put(number, bytes: 100, expiresAt: nil, now: 0)
                times.note(.put, nanoseconds: nanoseconds, work)
                guard number + 1 == sizes[next] else { continue }
                let (memory, size) = (store.store.memory, Double(number + 1))
                if round == 0 {
                    found.append(
                        Stage(
                            entries: number + 1, residentBytesPerEntry: Double(residentBytes() - before) / size,
                            footprintBytesPerEntry: Double(memory.footprintBytes) / size,
                            indexBytesPerEntry: Double(memory.indexBytes) / size))
                }
                next += 1
            }
        }
        for (index, stage) in found.enumerated() {
            let range = (index == 0 ? 0 : found[index - 1].entries)..<stage.entries
            found[index].puts = times.summary(.put, in: range)
            found[index].mapping = times.summary(mapping: true, in: range)
            found[index].others = times.summary(mapping: false, in: range)
        }
        return Report(clockNanoseconds: clockNanoseconds(), stages: found, longest: times.longest(10))
    }
}
