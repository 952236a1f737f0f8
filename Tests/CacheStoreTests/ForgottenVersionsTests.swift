// Versions that left a store unasked: noted when an entry is evicted or expires, and only then.

import Testing

@testable import CacheStore

extension Store {
    fileprivate func forgotten(_ key: String) -> UInt64 {
        Store.with(key, hasher) { _, hash in forgottenVersion(hash) }
    }

    /// Which of the numbers a key shares.
    fileprivate func slot(_ key: String) -> UInt16 { Store.with(key, hasher) { _, hash in hash.fragment >> 2 } }
}

@Suite struct ForgottenVersionsTests {
    @Test func anEvictedEntrysVersionIsNoted() {
        var store = makeStore(maxKeys: 2)
        store.rememberForgotten()
        store.put("a", [1], version: 7)
        store.put("b", [1], version: 8)
        #expect(store.forgotten("a") == 0)
        store.put("c", [1], version: 9)
        #expect(store.peek("a") == nil && store.forgotten("a") == 7)
    }

    @Test func anEntryThatExpiresIsNotedWhoeverNoticesIt() {
        let notices: [(inout Store) -> Void] = [
            { _ = $0.expire(now: 20, limit: 100) }, { _ = $0.get("a", now: 20) },
            { $0.put("a", [2], version: 3, now: 20) }, { _ = $0.touch("a", .never, now: 20) },
            { _ = $0.remove("a", now: 20) }, { $0.put("b", [2], version: 4, now: 20) },
        ]
        for (index, notice) in notices.enumerated() {
            var store = makeStore(maxKeys: 1)
            store.rememberForgotten()
            store.put("a", [1], expiry: .at(10), version: 5, now: 0)
            #expect(store.forgotten("a") == 0)
            notice(&store)
            #expect(store.forgotten("a") == 5, "notice \(index)")
        }
    }

    @Test func whatIsRemovedReplacedOrFlushedIsNotNoted() {
        var store = makeStore()
        store.rememberForgotten()
        store.put("a", [1], version: 5)
        store.put("a", [1, 2, 3], version: 6)
        _ = store.touch("a", .at(100), version: 7)
        #expect(store.remove("a") == .removed)
        store.put("a", [1], version: 8)
        #expect(store.removeAll() == 1)
        #expect(store.forgotten("a") == 0)
        // Refused puts and entries that are looked for in vain leave nothing either.
        #expect(store.put("a", [1], version: 9, condition: .ifPresent) == .notFound)
        #expect(store.get("a") == nil && store.forgotten("a") == 0)
    }

    @Test func aSmallerLimitNotesAllThatItEvicts() {
        var store = makeStore(limitBytes: 16 << 20)
        store.rememberForgotten()
        for number in 0..<2000 {
            store.put("k\(number)", content("k\(number)", 1, count: 3000), version: UInt64(number + 1))
        }
        #expect(store.count == 2000)
        let fits = store.setLimit(bytes: 4 << 20, now: 0)
        #expect(fits)
        var gone = 0
        for number in 0..<2000 where store.peek("k\(number)") == nil {
            gone += 1
            #expect(store.forgotten("k\(number)") >= UInt64(number + 1))
        }
        #expect(gone > 500 && gone < 2000)
    }

    @Test func whatTheCallerHasForgottenCounts() {
        var store = makeStore()
        store.rememberForgotten()
        let hash = Store.with("a", store.hasher) { _, hash in hash }
        store.forget(9, hash: hash)
        store.forget(4, hash: hash)
        #expect(store.forgotten("a") == 9)
    }

    @Test func aStoreThatNobodyAskedTakesNoNotes() {
        var store = makeStore(maxKeys: 1)
        store.put("a", [1], version: 7)
        store.put("b", [1], version: 8)
        #expect(store.forgotten("a") == 0)
        // Asked twice, it keeps what it has noted.
        store.rememberForgotten()
        store.put("c", [1], version: 9)
        store.rememberForgotten()
        #expect(store.forgotten("a") == 0 && store.forgotten("b") == 8)
    }

    @Test(arguments: UInt64(1)...5) func aStoreForgetsExactlyWhatAModelForgets(seed: UInt64) {
        print("forgotten versions, seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var store = makeStore(maxKeys: 20)
        store.rememberForgotten()
        let keys = (0..<60).map { "k\($0)" }
        // What is held, and the newest version that went unasked by the number its key shares.
        var held: [String: UInt64] = [:]
        var forgotten: [UInt16: UInt64] = [:]
        func noticeLosses(except spared: String? = nil, now: Int64) {
            for (key, version) in held where key != spared && store.peek(key, now: .min) == nil {
                forgotten[store.slot(key)] = max(forgotten[store.slot(key)] ?? 0, version)
                held[key] = nil
            }
        }
        var now: Int64 = 0
        for version in 1...UInt64(2000) {
            let key = keys[random.below(keys.count)]
            now += Int64(random.below(3))
            // Noticed first, so that a put is told from the expiry it would notice itself.
            _ = store.expire(now: now, limit: 1000)
            noticeLosses(now: now)
            switch random.below(10) {
            case 0:
                _ = store.remove(key, now: now)
                held[key] = nil
            case 1, 2: _ = store.get(key, now: now)
            default:
                let expiry: PutExpiry = random.below(3) == 0 ? .at(now + 1 + Int64(random.below(50))) : .never
                store.put(
                    key, content(key, version, count: random.below(40)), expiry: expiry, version: version, now: now)
                held[key] = version
                noticeLosses(except: key, now: now)
            }
            #expect(store.count == held.count)
            let wrong = keys.first { store.forgotten($0) != forgotten[store.slot($0)] ?? 0 }
            #expect(wrong == nil, "version \(version)")
        }
        #expect(forgotten.count > 20 && store.counters.evictions > 100 && store.counters.expired > 100)
    }
}
