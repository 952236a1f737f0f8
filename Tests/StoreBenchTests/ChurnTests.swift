// The day's operations are what they are said to be, and a small day goes through a store as a long one would.

import Testing

@testable import storebench

struct ChurnTests {
    private static func operations(_ sizes: ChurnWorkload.Sizes, seed: UInt64 = 7) -> [ChurnWorkload.Operation] {
        var workload = ChurnWorkload(operations: 40_000, sizes: sizes, seed: seed)
        return (0..<40_000).map { workload.operation($0) }
    }

    @Test func `The same seed gives the same day, another one another`() {
        #expect(Self.operations(.mixed) == Self.operations(.mixed))
        #expect(Self.operations(.mixed) != Self.operations(.mixed, seed: 8))
    }

    @Test func `A third reads, six in ten write, a quarter of those for a time, the rest removes`() {
        var (gets, puts, lifetimes, removals) = (0, 0, 0, 0)
        for operation in Self.operations(.mixed) {
            switch operation {
            case .get: gets += 1
            case .put(_, _, let lifetime):
                puts += 1
                guard let lifetime else { continue }
                lifetimes += 1
                #expect(1000...ChurnWorkload.dayMilliseconds ~= lifetime)
            case .remove: removals += 1
            }
        }
        #expect(12_800...13_900 ~= gets)
        #expect(23_500...24_500 ~= puts)
        #expect(2400...2950 ~= removals)
        #expect(puts / 5..<puts * 3 / 10 ~= lifetimes)
    }

    @Test func `Mixed sizes are log-uniform, shifting ones wander to the largest and back four times`() {
        func sizes(_ operations: some Sequence<ChurnWorkload.Operation>) -> [Int] {
            operations.compactMap { if case .put(_, let bytes, _) = $0 { bytes } else { nil } }
        }
        let mixed = sizes(Self.operations(.mixed))
        #expect(mixed.allSatisfy(ChurnWorkload.bytes.contains))
        let small = mixed.count { $0 < 202 }
        // Half of them below the geometric mean of 10 and 4096.
        #expect(mixed.count * 48 / 100..<mixed.count * 52 / 100 ~= small)
        let shifting = Self.operations(.shifting)
        #expect(sizes(shifting).allSatisfy(ChurnWorkload.bytes.contains))
        for quarter in 0..<4 {
            let start = quarter * 10_000
            #expect(sizes(shifting[start..<start + 20]).allSatisfy { $0 < 50 })
            #expect(sizes(shifting[start + 4990..<start + 5010]).allSatisfy { $0 > 1000 })
        }
    }

    @Test(arguments: ChurnWorkload.Sizes.allCases)
    func `A day at the limit evicts, expires and cleans, and the sums of each sample fit into each other`(
        sizes: ChurnWorkload.Sizes
    ) throws {
        let workload = ChurnWorkload(operations: 60_000, sizes: sizes, seed: 3)
        let report = Churn(workload: workload, limitBytes: 4 << 20).measure(rounds: 2)
        #expect(report.evictions > 0)
        #expect(report.expired > 0)
        #expect(report.cleanedBytes > 0)
        #expect(report.refused == 0)
        #expect(report.samples.count == 200)
        #expect(report.samples.last?.operation == 60_000)
        for sample in report.samples {
            #expect(sample.payloadBytes < sample.liveBytes)
            #expect(sample.liveBytes < sample.footprintBytes)
            #expect(sample.footprintBytes <= 4 << 20)
        }
        let served = ["put", "get", "remove"].compactMap { report.times[$0]?.count }.reduce(0, +)
        #expect(served == 60_000)
        #expect(report.longest.count == 20)
    }

    @Test func `A filling is looked at in powers of ten, and every put counts in one stage`() throws {
        #expect(Filling(entries: 25_000).stages == [1000, 10_000, 25_000])
        #expect(Filling(entries: 10_000).stages == [1000, 10_000])
        #expect(Filling(entries: 10).stages == [10])
        let report = Filling(entries: 12_000).measure(rounds: 2)
        #expect(report.stages.map(\.entries) == [1000, 10_000, 12_000])
        #expect(report.stages.compactMap { $0.puts?.count } == [1000, 9000, 2000])
        #expect(report.stages.allSatisfy { $0.footprintBytesPerEntry > 144 })
    }
}
