// Recovery into the shards: what they are told beforehand.

import CacheStore
import Journal
import Testing

@testable import CacheNode

@Suite("Recovery into the shards")
struct RecoveryTests {
    /// Notes the order of what it is told.
    private struct Listener: RecoverySink {
        var expected: [Int] = []
        var puts = 0

        mutating func expect(records: Int) {
            #expect(puts == 0)
            expected.append(records)
        }
        mutating func put(_ record: JournalRecord) { puts += 1 }
        mutating func remove(_ record: JournalRecord) {}
        mutating func touch(_ record: JournalRecord) {}
        mutating func flush(_ record: JournalRecord) {}
        mutating func dropKey(_ record: JournalRecord) {}
        mutating func removeAll() -> Int { 0 }
    }

    @Test("A sink is told once, before the first record, how many will come", arguments: [true, false])
    func expectation(isCompressed: Bool) throws {
        let disk = SimulatedDisk()
        let settings = JournalSettings(segmentBytes: 8_000, compress: isCompressed)
        let harness = try JournalHarness(disk, settings: settings)
        for index in 0..<2_000 { harness.put(JournalHarness.key(index % 20), Array("value-\(index % 10)".utf8)) }
        harness.service.close()
        var listener = Listener()
        let directory = try JournalDirectory("/data", files: disk)
        _ = try directory.recover(limits: settings.limits, codec: HarnessCodec.codec, into: &listener)
        #expect(listener.puts == 2_000)
        #expect(listener.expected.count == 1)
        #expect(1_900...2_100 ~= listener.expected[0])
    }

    @Test("Every shard makes room for its share of the records before they come")
    func reservation() throws {
        let hasher = KeyHasher(seed: (1, 2))
        let settings = StoreSettings(maxKeys: 0, limitBytes: 64 << 20, hasher: hasher)
        let shards = (0..<4).map { _ in Shard(ShardState(store: Store(settings: settings), limitBytes: 64 << 20)) }
        var recovery = StorageRecovery(shards: shards, hasher: hasher, now: 0, wallOffset: 0)
        let before = shards[0].state.withLock { $0.store.memory.indexBytes }
        recovery.expect(records: 400_000)
        // 128 sub-tables of a page and a line each, for 100,000 entries.
        for shard in shards { #expect(shard.state.withLock { $0.store.memory.indexBytes } >= before + 128 * 512) }
    }

    @Test("Of two records of a key the newer one stays, in whatever order they come", arguments: [true, false])
    func order(newestFirst: Bool) throws {
        let hasher = KeyHasher(seed: (1, 2))
        let settings = StoreSettings(maxKeys: 0, limitBytes: 64 << 20, hasher: hasher)
        let shard = Shard(ShardState(store: Store(settings: settings), limitBytes: 64 << 20))
        var recovery = StorageRecovery(shards: [shard], hasher: hasher, now: 0, wallOffset: 0)
        let key = Array("key".utf8)
        for version in newestFirst ? [9, 5] : [5, 9] as [UInt64] {
            key.withUnsafeBytes { key in
                withUnsafeBytes(of: version) { value in
                    recovery.put(.put(key: key, value: value, form: .plain, wallExpiry: .max, version: version))
                }
            }
        }
        let version = key.withUnsafeBytes { key in
            shard.state.withLock { $0.store.peek(key, hash: hasher.hash(key), now: 0)?.version }
        }
        #expect(version == 9)
        #expect(recovery.refused == 0)
    }
}
