// Which key comes next: seeded, so that two runs ask for the same keys in the same order.

#if canImport(Glibc)
    import Glibc
#endif

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
struct LoadRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ mixed &>> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed &>> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed &>> 31
    }

    /// In 0..<1.
    mutating func unit() -> Double {
        Double(self.next() >> 11) * 0x1p-53
    }
}

/// An endless sequence of key numbers in 0..<keys.
package struct KeySequence: Sendable {
    private let keys: UInt64
    private let zipf: ZipfSampler?
    private let isOneHot: Bool
    private var random: LoadRandom

    package init(keys: Int, choice: KeyChoice, seed: UInt64) {
        precondition(keys > 0, "a sequence needs a key to name")
        self.keys = UInt64(keys)
        self.random = LoadRandom(seed: seed)
        switch choice {
        case .uniform:
            self.zipf = nil
            self.isOneHot = false
        case .zipf(let exponent):
            self.zipf = ZipfSampler(count: keys, exponent: exponent)
            self.isOneHot = false
        case .oneHot:
            self.zipf = nil
            self.isOneHot = true
        }
    }

    package mutating func next() -> Int {
        if self.isOneHot { return 0 }
        if let zipf = self.zipf { return zipf.sample(&self.random) - 1 }
        return Int(self.random.next().multipliedFullWidth(by: self.keys).high)
    }

    /// True in the given share of calls.
    package mutating func chance(_ share: Double) -> Bool {
        if share >= 1 { return true }
        if share <= 0 { return false }
        return self.random.unit() < share
    }
}

/// Zipf-distributed ranks 1…count by rejection-inversion: no table, the same cost for any count
/// (Hörmann, Derflinger: "Rejection-inversion to generate variates from monotone discrete distributions", 1996).
private struct ZipfSampler: Sendable {
    private let count: Double
    private let exponent: Double
    private let integralOfFirst: Double
    private let integralOfLast: Double
    private let shortcut: Double

    init(count: Int, exponent: Double) {
        self.count = Double(count)
        self.exponent = exponent
        self.integralOfFirst = Self.integral(1.5, exponent) - 1
        self.integralOfLast = Self.integral(Double(count) + 0.5, exponent)
        self.shortcut =
            2 - Self.inverse(Self.integral(2.5, exponent) - Self.density(2, exponent), exponent)
    }

    func sample(_ random: inout LoadRandom) -> Int {
        while true {
            let u = self.integralOfLast + random.unit() * (self.integralOfFirst - self.integralOfLast)
            let x = Self.inverse(u, self.exponent)
            let rank = min(max((x + 0.5).rounded(.down), 1), self.count)
            if rank - x <= self.shortcut
                || u >= Self.integral(rank + 0.5, self.exponent) - Self.density(rank, self.exponent)
            {
                return Int(rank)
            }
        }
    }

    private static func density(_ x: Double, _ exponent: Double) -> Double {
        exp(-exponent * log(x))
    }

    /// (x^(1 - e) - 1) / (1 - e), and log x for e = 1, without loss of digits near it.
    private static func integral(_ x: Double, _ exponent: Double) -> Double {
        let logarithm = log(x)
        let scaled = (1 - exponent) * logarithm
        return (abs(scaled) > 1e-8 ? expm1(scaled) / scaled : 1 + scaled / 2) * logarithm
    }

    private static func inverse(_ y: Double, _ exponent: Double) -> Double {
        let scaled = max(y * (1 - exponent), -1)
        return exp((abs(scaled) > 1e-8 ? log1p(scaled) / scaled : 1 - scaled / 2) * y)
    }
}
