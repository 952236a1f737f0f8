// What a node says to another one's copies: held, wanted, or stale.

import TestSupport
import Testing

@testable import CacheNode
@testable import CacheStore

/// All that is known of a few keys, in the plainest form. Keys share nothing here.
private struct NaiveHolder {
    var entries: [String: (version: UInt64, expiry: Int64)] = [:]
    var tombstones: [String: UInt64] = [:]
    var forgotten: [String: UInt64] = [:]
    var flushed: UInt64 = 0

    func answer(_ key: String, _ version: UInt64, from holder: HolderStanding) -> OfferAnswer {
        if tombstones[key] ?? 0 > version || flushed >= version { return .stale }
        if let entry = entries[key] { return entry.version >= version ? .held : .wanted }
        switch holder {
        case .present: return .wanted
        case .unknown: return .stale
        case .awaySince(let left):
            let gone = forgotten[key] ?? 0
            return gone >= version && gone > left ? .stale : .wanted
        }
    }

    mutating func put(_ key: String, _ version: UInt64, expiry: Int64) {
        guard version > max(entries[key]?.version ?? 0, tombstones[key] ?? 0, flushed) else { return }
        entries[key] = (version, expiry)
        tombstones[key] = nil
    }

    mutating func remove(_ key: String, _ version: UInt64) {
        guard version > max(entries[key]?.version ?? 0, tombstones[key] ?? 0, flushed) else { return }
        entries[key] = nil
        tombstones[key] = version
    }

    mutating func flush(_ version: UInt64) {
        flushed = max(flushed, version)
        entries = entries.filter { $0.value.version > version }
        tombstones = tombstones.filter { $0.value > version }
    }

    mutating func expire(now: Int64) {
        for (key, entry) in entries where entry.expiry <= now {
            forgotten[key] = max(forgotten[key] ?? 0, entry.version)
            entries[key] = nil
        }
    }
}

@Suite("Offers")
struct OfferTests {
    /// Keys that share none of the numbers of what was forgotten.
    private static let keys: [String] = {
        let hasher = KeyHasher(seed: (1, 2))
        var taken: Set<UInt16> = []
        return (0..<100).map { "key-\($0)" }.filter { key in
            taken.insert(Array(key.utf8).withUnsafeBytes { hasher.hash($0).fragment >> 2 }).inserted
        }.prefix(6).map { $0 }
    }()

    @Test("An offer is answered as the model answers it", arguments: UInt64(1)...20)
    func againstModel(seed: UInt64) throws {
        if seed == 1 { print("offers, seeds 1...20") }
        var random = SeededRandom(seed: seed)
        let keys = Self.keys
        let storage = makeStorage()
        var model = NaiveHolder()
        var now: Int64 = 1000
        var version: UInt64 = 100
        var seen: [OfferAnswer: Int] = [:]
        for step in 0..<300 {
            let key = keys[Int.random(in: 0..<keys.count, using: &random)]
            version += 1
            let stamp = version - UInt64.random(in: 0...10, using: &random)
            now += Int64.random(in: 0...5, using: &random)
            // What is due goes at once: the time until the next tick is another test's.
            storage.shards[0].state.withLock { _ = $0.store.expire(now: now, limit: 1000) }
            model.expire(now: now)
            switch Int.random(in: 0..<30, using: &random) {
            case 0:
                let upTo = version - UInt64.random(in: 5...40, using: &random)
                try storage.flush(upTo: upTo)
                model.flush(upTo)
            case 1..<6:
                try storage.applyRemove(key, version: stamp, now: now)
                model.remove(key, stamp)
            case 6..<8:
                storage.with(key) { storage.drop($0, version: stamp, now: now) }
                if let entry = model.entries[key], entry.version <= stamp { model.entries[key] = nil }
            case 8..<16:
                let expiry = now + Int64.random(in: 1...30, using: &random)
                try storage.applyPut(key, "1", version: stamp, wallExpiry: expiry, now: now)
                model.put(key, stamp, expiry: expiry)
            default:
                try storage.applyPut(key, "1", version: stamp, now: now)
                model.put(key, stamp, expiry: .max)
            }
            for key in keys {
                let away = HolderStanding.awaySince(version - UInt64.random(in: 0...30, using: &random))
                for holder in [.present, .unknown, away] {
                    let offered = version - UInt64.random(in: 0...30, using: &random)
                    let answer = storage.answer(offer: key, version: offered, from: holder, now: now)
                    seen[answer, default: 0] += 1
                    guard answer != model.answer(key, offered, from: holder) else { continue }
                    Issue.record("step \(step): \(answer) for \(key) at \(offered), from \(holder)")
                    return
                }
            }
        }
        #expect(seen.count == 3 && seen.values.allSatisfy { $0 > 50 }, "\(seen)")
    }

    @Test("A copy as old as what was evicted is wanted from a member, and stale from one that was away")
    func evicted() throws {
        let storage = makeStorage(maxKeys: 2)
        for (version, key) in ["a", "b", "c"].enumerated() {
            try storage.applyPut(key, "1", version: UInt64(10 + version))
        }
        #expect(storage.entry("a") == nil && storage.count == 2)
        #expect(storage.answer(offer: "a", version: 10, from: .present) == .wanted)
        #expect(storage.answer(offer: "a", version: 10, from: .awaySince(0)) == .stale)
        #expect(storage.answer(offer: "a", version: 9, from: .awaySince(0)) == .stale)
        #expect(storage.answer(offer: "a", version: 11, from: .awaySince(0)) == .wanted)
        // What was forgotten while it was still here it had too; of a stranger nothing is known.
        #expect(storage.answer(offer: "a", version: 10, from: .awaySince(10)) == .wanted)
        #expect(storage.answer(offer: "a", version: 10, from: .awaySince(9)) == .stale)
        #expect(storage.answer(offer: "a", version: 99, from: .unknown) == .stale)
        #expect(storage.answer(offer: "c", version: 12, from: .awaySince(0)) == .held)
        #expect(storage.answer(offer: "c", version: 13, from: .awaySince(0)) == .wanted)
    }

    @Test("A copy older than what has expired is stale from one that was away")
    func expired() throws {
        let storage = makeStorage()
        try storage.applyPut("a", "1", version: 10, wallExpiry: 50)
        #expect(storage.answer(offer: "a", version: 9, from: .awaySince(0)) == .held)
        storage.shards[0].state.withLock { _ = $0.store.expire(now: 60, limit: 10) }
        #expect(storage.answer(offer: "a", version: 9, from: .awaySince(0), now: 60) == .stale)
        #expect(storage.answer(offer: "a", version: 9, from: .present, now: 60) == .wanted)
    }

    @Test("What a node flushed while it was alone is not brought back by one that was away")
    func flushedAlone() throws {
        let storage = makeStorage()
        try storage.applyPut("a", "1", version: 10)
        _ = try storage.flush()
        #expect(storage.answer(offer: "a", version: 10, from: .awaySince(0)) == .stale)
        #expect(storage.answer(offer: "a", version: 10, from: .present) == .stale)
    }

    @Test("What has expired counts at once, not only when a tick has removed it")
    func expiredUnnoticed() throws {
        let storage = makeStorage()
        try storage.applyPut("a", "1", version: 10, wallExpiry: 50)
        #expect(storage.answer(offer: "a", version: 9, from: .awaySince(0), now: 60) == .stale)
    }

    @Test("A tombstone that had to be dropped still turns away what was removed, unless a member offers it")
    func droppedTombstone() throws {
        let storage = makeStorage()
        let bytes = String(repeating: "x", count: 4000)
        let count = Tombstones.maxBytes / (2 * 4000 + 144) + 50
        for number in 0..<count { try storage.applyRemove("\(number)-\(bytes)", version: UInt64(100 + number)) }
        #expect(storage.tombstone("0-\(bytes)") == nil)
        #expect(storage.answer(offer: "0-\(bytes)", version: 100, from: .awaySince(0)) == .stale)
        #expect(storage.answer(offer: "0-\(bytes)", version: 100, from: .present) == .wanted)
        let last = "\(count - 1)-\(bytes)"
        #expect(storage.answer(offer: last, version: UInt64(98 + count), from: .present) == .stale)
    }

    @Test("A copy is dropped unless it is newer than what was offered")
    func drop() throws {
        let storage = makeStorage()
        try storage.applyPut("a", "1", version: 10)
        storage.with("a") { storage.drop($0, version: 9, now: 0) }
        #expect(storage.entry("a") == "1@10")
        storage.with("a") { storage.drop($0, version: 10, now: 0) }
        #expect(storage.entry("a") == nil && storage.tombstone("a") == nil)
        storage.with("a") { storage.drop($0, version: 10, now: 0) }
    }
}
