// Counts of latencies in buckets that grow with the value, for percentiles with a bounded relative error.
//
//     value          buckets of
//     0…127          1 ns
//     128…255        2 ns     64 buckets for every doubling: a bucket is at most 1/64 = 1.6 % wide
//     256…511        4 ns
//     …
//
// The layout of HdrHistogram (Gil Tene), of which one record, one merge and one percentile are needed here; the library
// would be a dependency of the server's executable for sixty lines.

/// A histogram of nanoseconds.
package struct LatencyHistogram: Sendable {
    private static let halfBits = 6
    private static let half = 1 << Self.halfBits
    /// Up to 2^42 ns, more than an hour; larger values are counted in the last bucket.
    private static let doublings = 42 - Self.halfBits

    private var counts = [UInt64](repeating: 0, count: (Self.doublings + 1) * Self.half)
    package private(set) var count: UInt64 = 0
    package private(set) var max: UInt64 = 0

    package init() {}

    /// Counts one value in nanoseconds.
    package mutating func record(_ nanoseconds: UInt64) {
        self.counts[Self.bucket(of: nanoseconds)] &+= 1
        self.count &+= 1
        if nanoseconds > self.max { self.max = nanoseconds }
    }

    package mutating func merge(_ other: LatencyHistogram) {
        for index in self.counts.indices { self.counts[index] &+= other.counts[index] }
        self.count &+= other.count
        self.max = Swift.max(self.max, other.max)
    }

    /// The value in nanoseconds that `percent` of the recorded ones do not exceed, at most 1.6 % above the true one; zero
    /// when nothing was recorded. O(buckets).
    package func percentile(_ percent: Double) -> UInt64 {
        guard self.count > 0 else { return 0 }
        let wanted = Swift.max(1, UInt64((Double(self.count) * percent / 100).rounded(.up)))
        var seen: UInt64 = 0
        for (index, count) in self.counts.enumerated() {
            seen &+= count
            if seen >= wanted { return min(Self.upperEdge(of: index), self.max) }
        }
        return self.max
    }

    static func bucket(of nanoseconds: UInt64) -> Int {
        let bits = UInt64.bitWidth - nanoseconds.leadingZeroBitCount
        let shift = Swift.max(0, bits - Self.halfBits - 1)
        guard shift < Self.doublings else { return (Self.doublings + 1) * Self.half - 1 }
        return shift * Self.half + Int(nanoseconds >> UInt64(shift))
    }

    /// The largest value that is counted in a bucket.
    static func upperEdge(of bucket: Int) -> UInt64 {
        guard bucket >= 2 * Self.half else { return UInt64(bucket) }
        let shift = bucket / Self.half - 1
        let mantissa = bucket - shift * Self.half
        return (UInt64(mantissa + 1) << UInt64(shift)) - 1
    }
}
