// XXH64 against the check values its author publishes.

import HashRing
import Testing

struct RingHashTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        let length: Int
        let seed: UInt64
        let hash: UInt64

        var testDescription: String { "\(length) bytes, seed \(seed)" }
    }

    // Cyan4973/xxHash, cli/xsum_sanity_check.c, XSUM_XXH64_testdata; PRIME32 is its second seed.
    static let vectors = [
        Vector(length: 0, seed: 0, hash: 0xEF46_DB37_51D8_E999),
        Vector(length: 0, seed: 2_654_435_761, hash: 0xAC75_FDA2_929B_17EF),
        Vector(length: 1, seed: 0, hash: 0xE934_A84A_DB05_2768),
        Vector(length: 1, seed: 2_654_435_761, hash: 0x5014_6076_43A9_B4C3),
        Vector(length: 4, seed: 0, hash: 0x9136_A0DC_A574_57EE),
        Vector(length: 14, seed: 0, hash: 0x8282_DCC4_994E_35C8),
        Vector(length: 14, seed: 2_654_435_761, hash: 0xC3BD_6BF6_3DEB_6DF0),
        Vector(length: 222, seed: 0, hash: 0xB641_AE8C_B691_C174),
        Vector(length: 222, seed: 2_654_435_761, hash: 0x20CB_8AB7_AE10_C14A),
    ]

    @Test(arguments: vectors)
    func `The published check values come out`(vector: Vector) {
        // The buffer of XSUM_fillTestBuffer in the same file.
        var generator: UInt64 = 2_654_435_761
        let bytes = (0..<vector.length).map { _ in
            defer { generator = generator &* 11_400_714_785_074_694_797 }
            return UInt8(truncatingIfNeeded: generator >> 56)
        }
        #expect(bytes.withUnsafeBytes { RingHash.hash($0, seed: vector.seed) } == vector.hash)
    }

    @Test func `An unaligned key hashes as an aligned one`() {
        let padded = Array("-0123456789abcdef0123456789abcdef-longer".utf8)
        let hash = padded.withUnsafeBytes { RingHash.hash(UnsafeRawBufferPointer(rebasing: $0[1...])) }
        // xxHash 0.8.1's XXH64 of the 39 bytes after the first.
        #expect(hash == 0x6B54_96F2_E66E_D96E)
    }
}
