// How long to wait before the next attempt: exponential with full jitter ("Exponential Backoff And Jitter", AWS
// Architecture Blog, 2015), so that the nodes of a cluster do not come back to a restarted etcd all at once.

/// The waits of one kind of attempt.
struct Backoff: Sendable {
    /// Milliseconds; the first wait is below `base`.
    static let base: Int64 = 100
    static let cap: Int64 = 1000

    private var failures = 0
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    /// Milliseconds to wait after one more failure.
    mutating func next() -> Int64 {
        let limit = min(Self.cap, Self.base << Int64(min(failures, 10)))
        failures += 1
        return Int64(random() % UInt64(limit)) + 1
    }

    /// The next wait is short again.
    mutating func succeeded() {
        failures = 0
    }

    /// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): a value, so that
    /// whoever holds it stays one.
    private mutating func random() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
