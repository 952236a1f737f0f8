// Expiry as the node drives it: one tick removes everything that is due, however many steps the timing wheel needs.

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
    func `one tick after their time removes any number of entries`(timeToLive: Int64) throws {
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
        _ = storage.tick(now: start + timeToLive - 1)
        #expect(storage.count == 10_000)
        _ = storage.tick(now: start + timeToLive + 37)
        #expect(storage.count == 0)
    }
}
