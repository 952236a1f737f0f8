// The hash that places keys and virtual nodes on the ring: XXH64 (Yann Collet, "xxHash fast digest algorithm",
// doc/xxhash_spec.md, XXH64 algorithm description). Public and unseeded on purpose: every node, client and script must
// come to the same owner. Not a defence against chosen keys; the store's own tables use a keyed hash for that.
//
// Chosen for its published check values, its 64-bit positions and its speed: about 15 ns for a key of 20 bytes. A look-up
// with it takes 45, 72 and 86 ns at 10, 100 and 1,000 members (measured on a busy machine).

/// XXH64 of bytes; the position of a key is its hash under seed 0.
package enum RingHash {
    private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
    private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
    private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
    private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

    /// XXH64 of `bytes` under `seed`; O(bytes).
    package static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
        var offset = 0
        var digest: UInt64
        if bytes.count >= 32 {
            var lane1 = seed &+ prime1 &+ prime2
            var lane2 = seed &+ prime2
            var lane3 = seed
            var lane4 = seed &- prime1
            while offset &+ 32 <= bytes.count {
                lane1 = round(lane1, word(bytes, offset))
                lane2 = round(lane2, word(bytes, offset &+ 8))
                lane3 = round(lane3, word(bytes, offset &+ 16))
                lane4 = round(lane4, word(bytes, offset &+ 24))
                offset &+= 32
            }
            digest = rotated(lane1, 1) &+ rotated(lane2, 7) &+ rotated(lane3, 12) &+ rotated(lane4, 18)
            digest = merged(merged(merged(merged(digest, lane1), lane2), lane3), lane4)
        } else {
            digest = seed &+ prime5
        }
        digest &+= UInt64(bytes.count)
        while offset &+ 8 <= bytes.count {
            digest = rotated(digest ^ round(0, word(bytes, offset)), 27) &* prime1 &+ prime4
            offset &+= 8
        }
        if offset &+ 4 <= bytes.count {
            let half = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            digest = rotated(digest ^ UInt64(half) &* prime1, 23) &* prime2 &+ prime3
            offset &+= 4
        }
        while offset < bytes.count {
            digest = rotated(digest ^ UInt64(bytes[offset]) &* prime5, 11) &* prime1
            offset &+= 1
        }
        digest = (digest ^ digest &>> 33) &* prime2
        digest = (digest ^ digest &>> 29) &* prime3
        return digest ^ digest &>> 32
    }

    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    private static func rotated(_ value: UInt64, _ bits: UInt64) -> UInt64 {
        value &<< bits | value &>> (64 &- bits)
    }

    private static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
        rotated(lane &+ input &* prime2, 31) &* prime1
    }

    private static func merged(_ digest: UInt64, _ lane: UInt64) -> UInt64 {
        (digest ^ round(0, lane)) &* prime1 &+ prime4
    }
}
