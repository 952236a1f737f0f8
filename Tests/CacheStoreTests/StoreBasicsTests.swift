import Testing

@testable import CacheStore

@Suite struct StoreBasicsTests {
    @Test func aValueComesBackAsItWasPut() {
        var store = makeStore()
        #expect(store.put("k", [1, 2, 3], version: 7) == .stored)
        let found = store.get("k")
        #expect(found?.value == [1, 2, 3])
        #expect(found?.version == 7)
        #expect(found?.expiresAt == .max)
        #expect(found?.form == .plain)
        #expect(store.get("other") == nil)
        #expect(store.counters.getHits == 1 && store.counters.getMisses == 1 && store.counters.totalItems == 1)
    }

    @Test func emptyValuesAndLongKeysAreEntriesLikeAnyOther() {
        var store = makeStore()
        let long = String(repeating: "k", count: 65_535)
        #expect(store.put(long, []) == .stored)
        #expect(store.get(long)?.value == [])
        #expect(store.put(long + "x", []) == .memoryFull, "a key that cannot be held is refused")
    }

    @Test func theFormOfAValueIsKeptWithIt() {
        var store = makeStore()
        let form = StoredForm.deflated(originalBytes: 4_000_000_000, crc32: 0xdead_beef)
        store.put("k", [9], form: form, expiry: .at(50))
        #expect(store.get("k")?.form == form)
        #expect(store.get("k")?.expiresAt == 50)
        store.put("k", [9])
        #expect(store.get("k")?.form == .plain)
    }

    @Test func conditionsDecideWhetherAPutStores() {
        var store = makeStore()
        #expect(store.put("k", [1], condition: .ifPresent) == .notFound)
        #expect(store.put("k", [1], condition: .ifVersion(3)) == .notFound)
        #expect(store.put("k", [1], version: 3, condition: .ifAbsent) == .stored)
        #expect(store.put("k", [2], version: 4, condition: .ifAbsent) == .exists(version: 3))
        #expect(store.put("k", [2], version: 4, condition: .ifVersion(2)) == .versionMismatch(version: 3))
        #expect(store.put("k", [2], version: 4, condition: .ifVersion(3)) == .stored)
        #expect(store.put("k", [3, 3], version: 5, condition: .ifPresent) == .stored)
        #expect(store.get("k")?.value == [3, 3])
        #expect(store.count == 1)
    }

    @Test func removalAsksForTheVersionOnlyWhenGivenOne() {
        var store = makeStore()
        #expect(store.remove("k") == .notFound)
        store.put("k", [1], version: 3)
        #expect(store.remove("k", ifVersion: 2) == .versionMismatch(version: 3))
        #expect(store.remove("k", ifVersion: 3) == .removed)
        #expect(store.count == 0 && store.memory.payloadBytes == 0 && store.memory.liveBytes == 0)
    }

    @Test func hitsCountGetsOfTheCurrentValue() {
        var store = makeStore()
        store.put("k", [1], now: 1600)
        #expect(store.get("k", now: 3200)?.hits == 0)
        let second = store.get("k", now: 3200)
        #expect(second?.hits == 1 && second?.idle == 0)
        #expect(store.peek("k", now: 6400)?.hits == 2)
        #expect(store.peek("k", now: 6400)?.idle == 3200)
        store.put("k", [2])
        #expect(store.peek("k")?.hits == 0)
        for _ in 0..<70_000 { _ = store.get("k") }
        #expect(store.peek("k")?.hits == 65_535, "the counter saturates")
    }

    @Test func removeAllEmptiesAndGivesMemoryBack() {
        var store = makeStore()
        let empty = store.memory.footprintBytes
        for number in 0..<5000 {
            store.put("k\(number)", content("k", 1, count: number), expiry: number % 2 == 0 ? .at(99_999) : .never)
        }
        #expect(store.removeAll() == 5000)
        #expect(store.count == 0)
        #expect(store.memory.footprintBytes == empty)
        #expect(store.peek("k1") == nil)
        #expect(store.put("k1", [1]) == .stored)
        #expect(store.get("k1")?.value == [1])
    }

    @Test func aPeekLeavesNoTrace() {
        var store = makeStore(maxKeys: 2)
        store.put("old", [1])
        store.put("new", [2])
        _ = store.peek("old")
        store.put("third", [3])
        #expect(store.peek("old") == nil, "a peek is no use")
        #expect(store.counters.getHits == 0 && store.counters.getMisses == 0)
    }

    @Test func policyNamesComeFromTheTable() {
        #expect(EvictionPolicyName("lru") == .lru)
        #expect(EvictionPolicyName("nonesuch") == nil)
        #expect(EvictionPolicyName.all.map(\.description) == ["lru"])
    }
}
