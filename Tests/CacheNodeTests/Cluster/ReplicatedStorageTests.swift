// Changes that reach several nodes in any order, once or more often: all end with the same state.

import CacheStore
import TestSupport
import Testing

@testable import CacheNode

private enum Change {
    case put(key: String, value: String, version: UInt64)
    case remove(key: String, version: UInt64)
    case flush(version: UInt64)

    func apply(to storage: Storage) throws {
        switch self {
        case .put(let key, let value, let version): try storage.applyPut(key, value, version: version)
        case .remove(let key, let version): try storage.applyRemove(key, version: version)
        case .flush(let version): try storage.flush(upTo: version)
        }
    }
}

/// What must be left of changes, whatever their order.
private struct NaiveHistory {
    var puts: [String: (value: String, version: UInt64)] = [:]
    var removals: [String: UInt64] = [:]
    var flushed: UInt64 = 0

    init(_ changes: [Change]) {
        for change in changes {
            switch change {
            case .put(let key, let value, let version):
                if version > puts[key]?.version ?? 0 { puts[key] = (value, version) }
            case .remove(let key, let version): removals[key] = max(removals[key] ?? 0, version)
            case .flush(let version): flushed = max(flushed, version)
            }
        }
    }

    func entry(_ key: String) -> String? {
        guard let put = puts[key], put.version > max(flushed, removals[key] ?? 0) else { return nil }
        return "\(put.value)@\(put.version)"
    }

    func tombstone(_ key: String) -> UInt64? {
        guard let removal = removals[key], removal > max(flushed, puts[key]?.version ?? 0) else { return nil }
        return removal
    }
}

extension Storage {
    /// Removes what is due, as a tick does, without reading the clock.
    fileprivate func expire(now: Int64) {
        for shard in shards { shard.state.withLock { _ = $0.store.expire(now: now, limit: 1000) } }
    }
}

@Suite("Replicated storage")
struct ReplicatedStorageTests {
    @Test("Storages that get the same changes in different orders hold the same", arguments: UInt64(1)...200)
    func converges(seed: UInt64) throws {
        if seed == 1 { print("converging storages, seeds 1...200") }
        var random = SeededRandom(seed: seed)
        let keys = (0..<6).map { "key-\($0)" }
        let changes: [Change] = (1...UInt64.random(in: 5...60, using: &random)).map { version in
            let key = keys[Int.random(in: 0..<keys.count, using: &random)]
            return switch Int.random(in: 0..<40, using: &random) {
            case 0: .flush(version: version)
            case 1..<14: .remove(key: key, version: version)
            default: .put(key: key, value: "\(random.next() % 1000)", version: version)
            }
        }
        let model = NaiveHistory(changes)
        for shards in [1, 1, 4] {
            let storage = makeStorage(shards: shards)
            // Retries bring some a second time.
            let again = changes.filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
            for change in (changes + again).shuffled(using: &random) { try change.apply(to: storage) }
            for key in keys {
                #expect(storage.entry(key) == model.entry(key), "seed \(seed), \(key), \(changes)")
                #expect(storage.tombstone(key) == model.tombstone(key), "seed \(seed), \(key), \(changes)")
            }
            #expect(storage.count == keys.count { model.entry($0) != nil })
            #expect(storage.clock.newest >= model.puts.values.map(\.version).max() ?? 0)
        }
    }

    @Test("An owner's own changes, told in any order, leave its replicas as the owner", arguments: UInt64(1)...50)
    func followsOwner(seed: UInt64) throws {
        if seed == 1 { print("owner and replicas, seeds 1...50") }
        var random = SeededRandom(seed: seed)
        let keys = (0..<5).map { "key-\($0)" }
        let owner = makeStorage()
        var changes: [Change] = []
        for step in 0..<40 {
            let key = keys[Int.random(in: 0..<keys.count, using: &random)]
            try owner.with(key) { cacheKey in
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    let report = try owner.remove(cacheKey, ifVersion: nil, now: 0)
                    changes.append(.remove(key: key, version: report.version))
                case 1:
                    let current = owner.entry(key)
                    if let current, current.first?.isNumber != true { return }
                    let report = try owner.increment(cacheKey, by: 3, initial: 1, initialExpiry: .never, now: 0)
                    guard case .counted(let value, _) = report.outcome else {
                        Issue.record("not counted")
                        return
                    }
                    changes.append(.put(key: key, value: "\(value)", version: report.version))
                default:
                    let value = "\"value-\(step)\""
                    let report = try Array(value.utf8).withUnsafeBytes {
                        try owner.put(cacheKey, $0, form: .plain, expiry: .never, condition: .always, now: 0)
                    }
                    changes.append(.put(key: key, value: value, version: report.version))
                }
            }
        }
        for _ in 0..<3 {
            let replica = makeStorage()
            for change in changes.shuffled(using: &random) { try change.apply(to: replica) }
            for key in keys {
                #expect(replica.entry(key) == owner.entry(key), "seed \(seed)")
                #expect(replica.tombstone(key) == owner.tombstone(key), "seed \(seed)")
            }
            // Should it become the owner, its changes are the newer ones.
            #expect(replica.clock.next() > owner.clock.newest)
        }
    }

    @Test("Compressed values are held as they came")
    func compressedValues() throws {
        let sample = try CompressedSample(Array("\"\(String(repeating: "spider", count: 300))\"".utf8))
        let storage = makeStorage()
        let form = StoredForm.deflated(originalBytes: UInt32(sample.text.count), crc32: sample.crc)
        try storage.with("k") { key in
            try sample.blocks.withUnsafeBytes { blocks in
                _ = try storage.apply(
                    ReplicatedChange(kind: .put(blocks, form), key: key, version: 3), now: 0)
            }
            var copy: [UInt8] = []
            let facts = storage.read(key, now: 0) { copy = Array($0.value) }
            #expect(facts?.form == form && facts?.version == 3 && copy == sample.blocks)
        }
    }

    @Test("Only in a cluster are removals remembered, and a put of one's own ends that")
    func localRemovals() throws {
        let alone = makeStorage(isClustered: false)
        let clustered = makeStorage()
        for storage in [alone, clustered] {
            try storage.with("k") { key in
                // Another node may hold what is not here: a key that was not found is remembered too.
                let removal = try storage.remove(key, ifVersion: nil, now: 0)
                #expect(storage.tombstone("k") == (storage === clustered ? removal.version : nil))
                try Array("1".utf8).withUnsafeBytes { value in
                    let put = try storage.put(key, value, form: .plain, expiry: .never, condition: .always, now: 0)
                    #expect(storage.tombstone("k") == nil)
                    let mismatch = try storage.remove(key, ifVersion: put.version + 1, now: 0)
                    #expect(mismatch.outcome == .versionMismatch(version: put.version))
                    #expect(storage.tombstone("k") == nil)
                }
            }
        }
    }

    @Test("A flush removes in steps what is not newer, and nothing of that comes back")
    func flush() throws {
        let storage = makeStorage(shards: 4)
        for version in 1...3000 { try storage.applyPut("key-\(version)", "\(version)", version: UInt64(version)) }
        let removed = try storage.flush(upTo: 2500)
        #expect(removed == 2500 && storage.count == 500)
        try storage.applyPut("key-7", "7", version: 2500)
        #expect(storage.entry("key-7") == nil)
        try storage.applyPut("key-7", "7", version: 3001)
        #expect(storage.entry("key-7") == "7@3001")
        #expect(storage.clock.next() > 3001)
    }

    // MARK: Expiry

    @Test("A value keeps its time on its way, counted from Unix time")
    func expiryOnTheWay() throws {
        let storage = makeStorage()
        try storage.applyPut("k", "1", version: 1, wallExpiry: 500, now: 100)
        #expect(storage.entry("k", now: 499) == "1@1 until 500" && storage.entry("k", now: 500) == nil)
    }

    @Test("A value that has expired on its way ends the older one it replaced")
    func expiredOnArrival() throws {
        let storage = makeStorage()
        try storage.applyPut("k", "1", version: 1, now: 0)
        try storage.applyPut("k", "2", version: 2, wallExpiry: 50, now: 60)
        #expect(storage.entry("k", now: 60) == nil)
        #expect(storage.answer(offer: "k", version: 1, from: .awaySince(0), now: 60) == .stale)
    }

    @Test("An older value that comes behind a newer one which has expired on its way stays away")
    func expiredOnArrivalFirst() throws {
        let storage = makeStorage()
        try storage.applyPut("k", "2", version: 2, wallExpiry: 50, now: 60)
        try storage.applyPut("k", "1", version: 1, now: 61)
        #expect(storage.entry("k", now: 62) == nil)
    }

    @Test("An older value that comes behind a newer one which has just expired stays away")
    func delayedBehindUnnoticed() throws {
        let storage = makeStorage()
        try storage.applyPut("k", "2", version: 2, wallExpiry: 50, now: 0)
        try storage.applyPut("k", "1", version: 1, now: 60)
        #expect(storage.entry("k", now: 61) == nil)
    }

    @Test("An older value that comes behind a newer one which has expired and is gone stays away")
    func delayedBehindExpired() throws {
        let storage = makeStorage()
        try storage.applyPut("k", "2", version: 2, wallExpiry: 50, now: 0)
        storage.expire(now: 60)
        try storage.applyPut("k", "1", version: 1, now: 60)
        withKnownIssue("the upper bound of what was forgotten is other keys' too: a put is not held against it") {
            #expect(storage.entry("k", now: 61) == nil)
        }
    }

    @Test("Nodes told apart by their bits never stamp two changes alike, and follow each other's clocks")
    func clocks() {
        let clocks = (0..<8).map { VersionClock(node: $0 * 67) }
        var stamps: Set<UInt64> = []
        for round in 0..<2000 {
            for clock in clocks {
                let before = clock.newest
                let stamp = clock.next()
                #expect(stamp > before)
                stamps.insert(stamp)
            }
            if round % 100 == 0 {
                clocks[0].observe(clocks[7].newest)
                #expect(clocks[0].next() > clocks[7].newest)
            }
        }
        #expect(stamps.count == 2000 * clocks.count)
    }

    @Test("A touch changes the expiry of the version it was made for, of no other")
    func touch() throws {
        let storage = makeStorage()
        try storage.applyTouch("k", version: 1, wallExpiry: 100)
        #expect(storage.entry("k") == nil)
        try storage.applyPut("k", "1", version: 2)
        try storage.applyTouch("k", version: 2, wallExpiry: 900)
        #expect(storage.entry("k") == "1@2 until 900")
        try storage.applyTouch("k", version: 1, wallExpiry: 100)
        // The value that was touched is on its way: to be told again.
        #expect(throws: MethodFailure.self) { try storage.applyTouch("k", version: 3, wallExpiry: 100) }
        #expect(storage.entry("k") == "1@2 until 900")
        try storage.applyTouch("k", version: 2, wallExpiry: .max)
        #expect(storage.entry("k") == "1@2")
        try storage.applyTouch("k", version: 2, wallExpiry: -5)
        #expect(storage.entry("k") == nil)
        try storage.applyRemove("k", version: 4)
        try storage.applyTouch("k", version: 4, wallExpiry: 900)
        #expect(storage.entry("k") == nil && storage.tombstone("k") == 4)
    }

    @Test("A put and its touches leave the same expiry in whatever order they come")
    func touchOrder() throws {
        let (first, second, third) = (makeStorage(), makeStorage(), makeStorage())
        try first.applyPut("k", "1", version: 2)
        try first.applyTouch("k", version: 2, wallExpiry: 900)
        try first.applyTouch("k", version: 2, wallExpiry: 700)
        try second.applyPut("k", "1", version: 2)
        try second.applyTouch("k", version: 2, wallExpiry: 700)
        try second.applyTouch("k", version: 2, wallExpiry: 900)
        try third.applyTouch("k", version: 2, wallExpiry: 900)
        try third.applyTouch("k", version: 2, wallExpiry: 700)
        try third.applyPut("k", "1", version: 2)
        withKnownIssue("a touch has no version of its own: the last to come wins, and one before its put is lost") {
            #expect(first.entry("k") == second.entry("k"))
            #expect(first.entry("k") == third.entry("k"))
        }
    }
}
