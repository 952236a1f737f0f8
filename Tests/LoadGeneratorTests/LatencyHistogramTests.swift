import TestSupport
import Testing

@testable import LoadGenerator

@Suite("Latency histogram")
struct LatencyHistogramTests {
    @Test("Every value lies in a bucket whose upper edge is at most 1/64 above it")
    func bucketsAreNarrow() {
        var values: [UInt64] = Array(0...1000)
        for shift in 7..<42 { values += [1 << shift - 1, 1 << shift, 1 << shift + 1] }
        for value in values {
            let edge = LatencyHistogram.upperEdge(of: LatencyHistogram.bucket(of: value))
            #expect(edge >= value && edge - value <= value / 64, "value \(value), edge \(edge)")
        }
    }

    @Test("Neighbouring buckets leave no gap and do not overlap")
    func bucketsAreContiguous() {
        for bucket in 0..<2000 {
            let edge = LatencyHistogram.upperEdge(of: bucket)
            #expect(LatencyHistogram.bucket(of: edge) == bucket)
            #expect(LatencyHistogram.bucket(of: edge + 1) == bucket + 1)
        }
    }

    @Test("Percentiles agree with a sorted list to 1/64")
    func percentilesMatchSorting() {
        var random = SeededRandom(seed: 11)
        var histogram = LatencyHistogram()
        var values: [UInt64] = []
        for _ in 0..<20_000 {
            let value = UInt64.random(in: 0..<(1 << UInt64.random(in: 1..<36, using: &random)), using: &random)
            values.append(value)
            histogram.record(value)
        }
        values.sort()
        for percent in [1, 25, 50, 90, 99, 99.9, 100] as [Double] {
            let exact = values[max(0, Int((Double(values.count) * percent / 100).rounded(.up)) - 1)]
            let found = histogram.percentile(percent)
            #expect(found >= exact && found <= exact + exact / 64 + 1, "seed 11, \(percent) %: \(found), \(exact)")
        }
    }

    @Test("Two histograms merged are one that saw everything; an empty one tells zero; the largest values are kept")
    func mergesAndEdges() {
        var one = LatencyHistogram()
        var two = LatencyHistogram()
        #expect(one.percentile(99) == 0)
        one.record(10)
        two.record(.max)
        one.merge(two)
        #expect(one.count == 2 && one.max == .max)
        #expect(one.percentile(50) == 10)
        #expect(one.percentile(100) > 1 << 41)
    }
}
