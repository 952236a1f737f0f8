import Testing

@testable import CacheStore

@Suite struct EvictionTests {
    @Test(arguments: [1, 2, 10, 1000]) func theKeyBeyondTheLimitEvictsExactlyTheLeastRecentlyUsed(limit: Int) {
        var store = makeStore(maxKeys: limit)
        for number in 0..<limit { store.put("k\(number)", [1]) }
        #expect(store.counters.evictions == 0)
        // Everything but one is used again; that one is the oldest now.
        let spared = limit / 2
        for number in 0..<limit where number != spared { _ = store.get("k\(number)") }
        store.put("beyond", [1])
        #expect(store.counters.evictions == 1)
        #expect(store.count == limit)
        #expect(store.peek("k\(spared)") == nil)
        for number in 0..<limit where number != spared { #expect(store.peek("k\(number)") != nil) }
    }

    @Test func putsAndTouchesAreUsesAndRefusedPutsAreNot() {
        var store = makeStore(maxKeys: 3)
        for key in ["a", "b", "c"] { store.put(key, [1]) }
        store.put("a", [2])
        #expect(store.touch("b", .never) == .touched)
        #expect(store.put("c", [3], condition: .ifAbsent) == .exists(version: 1))
        store.put("d", [1])
        #expect(store.peek("c") == nil)
        store.put("e", [1])
        #expect(store.peek("a") == nil)
        #expect(store.peek("b") != nil)
    }

    @Test func aLoopOverMoreKeysThanFitNeverHits() {
        var store = makeStore(maxKeys: 512)
        let keys = (0..<1010).map { "\($0)" }
        for _ in 0..<500 {
            for key in keys where store.get(key) == nil { store.put(key, [1]) }
        }
        #expect(store.counters.getHits == 0)
        #expect(store.counters.evictions == 500 * 1010 - 512)
    }

    @Test func aOneShotStreamLeavesTheLastKeysInOrder() {
        var store = makeStore(maxKeys: 100)
        for key in 0..<100_000 { store.put("\(key)", [UInt8](repeating: 7, count: key % 50)) }
        #expect(store.counters.evictions == 99_900)
        for key in 99_900..<100_000 { #expect(store.peek("\(key)")?.value.count == key % 50) }
        store.checkInvariants()
    }

    @Test func anExpiredEntryGoesBeforeALivingOne() {
        var store = makeStore(maxKeys: 3)
        store.put("living", [1], now: 0)
        store.put("mortal", [1], expiry: .at(10), now: 0)
        store.put("other", [1], now: 0)
        store.put("new", [1], now: 20)
        #expect(store.peek("living", now: 20) != nil)
        #expect(store.counters.expired == 1 && store.counters.evictions == 0)
    }
}
