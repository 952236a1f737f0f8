// Expiry as the node drives it: a tick does a bounded slice and says whether more is due, until everything due is gone.

import CacheStore
import Testing

@testable import CacheNode

@Suite struct StorageExpiryTests {
    private func storage() -> Storage {
        let hasher = KeyHasher(seed: (1, 2))
        let budget = MemoryBudget(limitBytes: 64 << 20, largestBodyBytes: 1 << 20)
        let settings = StoreSettings(maxKeys: 0, limitBytes: 64 << 20, hasher: hasher)
        let shard = Shard(ShardState(store: Store(settings: settings), limitBytes: 64 << 20))
        return Storage(
            shards: [shard], hasher: hasher, clock: VersionClock(), budget: budget, journal: nil, wallOffset: 0)
    }

    @Test(arguments: [Int64(50), 2_000, 5_000, 400_000])
    func `ticks that follow while more is due remove all of it, a slice each`(timeToLive: Int64) throws {
        let storage = storage()
        let start = NodeClock.monotonicMilliseconds()
        for index in 0..<10_000 {
            let key = Array("key-\(index)".utf8)
            try key.withUnsafeBytes { bytes in
                let key = CacheKey(bytes: bytes, hash: storage.hash(bytes))
                // A few milliseconds apart, so that they lie in many slots of the wheel.
                let deadline = start + timeToLive + Int64(index % 37)
                _ = try storage.put(
                    key, bytes, form: .plain, expiry: .at(deadline), condition: .always, now: start)
            }
        }
        // Entries may have to move down the timing wheel before any of them is due.
        while storage.tick(now: start + timeToLive - 1).isMoreDue { #expect(storage.count == 10_000) }
        #expect(storage.count == 10_000)
        var ticks = 0
        var isMoreDue = true
        while isMoreDue {
            let before = storage.count
            isMoreDue = storage.tick(now: start + timeToLive + 37).isMoreDue
            ticks += 1
            #expect(before - storage.count <= 4 * Storage.expiryStep)
        }
        #expect(storage.count == 0)
        // Each entry is removed once and filed again at most once a level of the wheel.
        #expect(10_000 / (4 * Storage.expiryStep)...40_000 / Storage.expiryStep ~= ticks)
    }

    @Test func `a tick does more the later expiry is, within limits that all shards share`() {
        #expect(
            [0, 499, 500, 1_000, 1_500, .max].map { Storage.expirySteps(lateMilliseconds: $0, shards: 1) } == [
                1, 1, 2, 3, 4, 4,
            ])
        #expect([0, 1_000, .max].map { Storage.expirySteps(lateMilliseconds: $0, shards: 2) } == [1, 1, 2])
        #expect(Storage.expirySteps(lateMilliseconds: .max, shards: 64) == 1)
    }

    @Test func `a tick says that no more is due when nothing expires`() throws {
        let storage = storage()
        #expect(!storage.tick(now: 1_000).isMoreDue)
        try Array("key".utf8).withUnsafeBytes { bytes in
            let key = CacheKey(bytes: bytes, hash: storage.hash(bytes))
            _ = try storage.put(key, bytes, form: .plain, expiry: .at(9_000), condition: .always, now: 1_000)
        }
        #expect(!storage.tick(now: 1_050).isMoreDue)
    }
}
