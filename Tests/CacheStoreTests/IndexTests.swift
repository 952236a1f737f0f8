import Testing

@testable import CacheStore

@Suite struct IndexTests {
    @Test func sipHash24MatchesThePapersVectors() {
        // Aumasson, Bernstein 2012, appendix A (message 00..0e), and the first lines of the reference vectors.
        let vectors: [Int: UInt64] = [
            0: 0x726f_db47_dd0e_0e31, 1: 0x74f8_39c5_93dc_67fd, 2: 0x0d6c_8009_d9a9_4f5a, 15: 0xa129_ca61_49be_45e5,
        ]
        for (count, wanted) in vectors {
            #expect(sip((0..<count).map { UInt8($0) }, compression: 2, finalization: 4) == wanted)
        }
    }

    @Test func sipHash13MatchesTheVectorsOfRustsTests() {
        // rust-lang/rust, library/coretests/tests/hash/sip.rs, test_siphash_1_3: lengths 0-4, 8, 9 and 63.
        let vectors: [Int: UInt64] = [
            0: 0xabac_0158_050f_c4dc, 1: 0xc9f4_9bf3_7d57_ca93, 2: 0x82cb_9b02_4dc7_d44d, 3: 0x8bf8_0ab8_e7dd_f7fb,
            4: 0xcf75_5760_88d3_8328, 8: 0x3690_9511_8d29_9a8e, 9: 0x25a4_8eb3_6c06_3de4, 63: 0x9d19_9062_b7bb_b3a8,
        ]
        for (count, wanted) in vectors {
            #expect(sip((0..<count).map { UInt8($0) }, compression: 1, finalization: 3) == wanted)
        }
    }

    private func sip(_ bytes: [UInt8], compression: Int, finalization: Int) -> UInt64 {
        bytes.withUnsafeBytes {
            sipHash($0, seed: testSeed, compressionRounds: compression, finalizationRounds: finalization)
        }
    }

    @Test func shardsAreInRangeAndAboutEvenlyUsed() {
        let hasher = KeyHasher(seed: testSeed)
        var used = [Int](repeating: 0, count: 7)
        for number in 0..<70_000 { Store.with("k\(number)", hasher) { used[$1.shard(of: 7)] += 1 } }
        #expect(used.allSatisfy { 9_000...11_000 ~= $0 }, "\(used)")
    }

    @Test func differentKeysUnderOneHashAreDifferentEntries() {
        // No bit of the hash is kept: every key collides with every other.
        var store = makeStore(keptBits: 0)
        for number in 0..<1000 { #expect(store.put("k\(number)", [UInt8(number & 255)]) == .stored) }
        for number in stride(from: 0, to: 1000, by: 3) { #expect(store.remove("k\(number)") == .removed) }
        for number in 0..<1000 {
            #expect(store.get("k\(number)")?.value == (number % 3 == 0 ? nil : [UInt8(number & 255)]))
        }
        store.checkInvariants()
    }

    @Test func moreCollisionsThanAnySeedAllowsAreRefusedNotFatal() {
        var store = makeStore(keptBits: 0xffff)
        var stored = 0
        for number in 0..<3000 where store.put("k\(number)", [1]) == .stored { stored += 1 }
        #expect(stored >= 1000 && stored < 3000)
        #expect(store.count == stored)
        store.checkInvariants()
    }

    @Test(arguments: [0xffff_ffff_ffff, 0x3fff_ffff_f00f] as [UInt64])
    func theIndexGrowsFromNothingAndFindsEverything(keptBits: UInt64) {
        var store = makeStore(limitBytes: 128 << 20, keptBits: keptBits)
        let count = 30_000
        for number in 0..<count {
            if store.put("key-\(number)", [1, 2, 3]) != .stored { Issue.record("put \(number)") }
            if number % 7 == 0 { #expect(store.remove("key-\(number / 2)") != .versionMismatch(version: 0)) }
        }
        var held = 0
        for number in 0..<count where store.peek("key-\(number)") != nil { held += 1 }
        #expect(held == store.count)
        #expect(held > count * 8 / 10)
        store.checkInvariants()
        for number in 0..<count { _ = store.remove("key-\(number)") }
        #expect(store.count == 0)
        for number in 0..<store.index.subtableCount {
            let table = store.index.subtables.pointer(to: number)
            for position in 0..<table.pointee.bucketCount {
                let bucket = store.index.bucket(position, of: table)
                #expect(bucket.occupied == 0 && bucket.passedBy == 0, "removal takes every trace back")
            }
        }
    }

    @Test func aPageOfTheIndexIsThreeQuartersFullWithManyEntries() {
        var store = makeStore(limitBytes: 256 << 20)
        for number in 0..<100_000 { store.put("key-\(number)", [1]) }
        let bytesPerEntry = Double(store.index.pageCount * HashIndex.pageBytes) / 100_000
        #expect(bytesPerEntry < 8.6)
    }
}
