// Keyed hashing of keys: SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012), the variant that
// Rust's HashMap and Swift's own Hasher use against hash flooding. The seed is secret and drawn once a process by the
// caller. Not a ring hash: owners in a cluster are chosen by a public function elsewhere.

/// A key's 64-bit hash; the bits have fixed duties so that they stay independent of each other.
///
/// ```
///  63 ........ 48 | 47 ................ 16 | 15 ........ 0
///  shard (caller) | index directory prefix | index fragment
/// ```
package struct KeyHash: Equatable, Sendable {
    @usableFromInline let bits: UInt64

    @usableFromInline init(bits: UInt64) {
        self.bits = bits
    }

    /// The shard out of `count` (1...65,536) this key belongs to, from bits that the index does not use.
    @inlinable package func shard(of count: Int) -> Int {
        Int(((bits >> 48) &* UInt64(truncatingIfNeeded: count)) >> 16)
    }

    /// The 16 bits kept beside an entry's address in the index; their range also chooses its bucket.
    var fragment: UInt16 { UInt16(truncatingIfNeeded: bits) }

    /// The 32 bits whose leading ones choose a sub-table.
    var prefix: UInt32 { UInt32(truncatingIfNeeded: bits >> 16) }
}

/// Hashes keys under one secret seed; every store of a process shares one.
package struct KeyHasher: Sendable {
    @usableFromInline let seed: (UInt64, UInt64)
    /// All ones in production; a test narrows it to force different keys onto one hash.
    @usableFromInline let keptBits: UInt64

    /// A hasher under `seed`, which must come from a random source the clients cannot see.
    package init(seed: (UInt64, UInt64), keptBits: UInt64 = .max) {
        self.seed = seed
        self.keptBits = keptBits
    }

    /// The hash of `key`; O(bytes), about 10 ns for 16 bytes.
    @inlinable package func hash(_ key: UnsafeRawBufferPointer) -> KeyHash {
        KeyHash(bits: sipHash(key, seed: seed, compressionRounds: 1, finalizationRounds: 3) & keptBits)
    }
}

/// SipHash-c-d of `bytes`; the round counts are parameters so that the paper's 2-4 vectors check the same code.
@inlinable @inline(__always) func sipHash(
    _ bytes: UnsafeRawBufferPointer, seed: (UInt64, UInt64), compressionRounds: Int, finalizationRounds: Int
) -> UInt64 {
    var state = SipState(seed: seed)
    var offset = 0
    while offset &+ 8 <= bytes.count {
        let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        state.absorb(word, rounds: compressionRounds)
        offset &+= 8
    }
    var last = UInt64(truncatingIfNeeded: bytes.count) << 56
    var shift: UInt64 = 0
    while offset < bytes.count {
        last |= UInt64(bytes[offset]) << shift
        shift &+= 8
        offset &+= 1
    }
    state.absorb(last, rounds: compressionRounds)
    state.v2 ^= 0xff
    for _ in 0..<finalizationRounds { state.round() }
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3
}

/// The four words of SipHash's state, named as in the paper.
@usableFromInline struct SipState {
    @usableFromInline var v0: UInt64
    @usableFromInline var v1: UInt64
    @usableFromInline var v2: UInt64
    @usableFromInline var v3: UInt64

    @inlinable @inline(__always) init(seed: (UInt64, UInt64)) {
        v0 = seed.0 ^ 0x736f_6d65_7073_6575
        v1 = seed.1 ^ 0x646f_7261_6e64_6f6d
        v2 = seed.0 ^ 0x6c79_6765_6e65_7261
        v3 = seed.1 ^ 0x7465_6462_7974_6573
    }

    @inlinable @inline(__always) mutating func absorb(_ word: UInt64, rounds: Int) {
        v3 ^= word
        for _ in 0..<rounds { round() }
        v0 ^= word
    }

    @inlinable @inline(__always) mutating func round() {
        v0 = v0 &+ v1
        v1 = (v1 << 13 | v1 >> 51) ^ v0
        v0 = v0 << 32 | v0 >> 32
        v2 = v2 &+ v3
        v3 = (v3 << 16 | v3 >> 48) ^ v2
        v0 = v0 &+ v3
        v3 = (v3 << 21 | v3 >> 43) ^ v0
        v2 = v2 &+ v1
        v1 = (v1 << 17 | v1 >> 47) ^ v2
        v2 = v2 << 32 | v2 >> 32
    }
}
