// An index laid out beforehand holds what a grown one holds, and costs no more memory than it must.

import Testing

@testable import CacheStore

@Suite struct ReservationTests {
    private func filled(_ count: Int, reserving keys: Int?, limitBytes: Int = 256 << 20) -> Store {
        var store = makeStore(limitBytes: limitBytes)
        if let keys { store.reserve(keys: keys) }
        for number in 0..<count { store.put("key-\(number)", [1]) }
        return store
    }

    @Test(arguments: [40_000, 1_500, 400_000, 0])
    func aReservedIndexAnswersAsAGrownOneUnderRandomOperations(reserved: Int) {
        var generator = SeededGenerator(seed: 4711)
        var model: [String: [UInt8]] = [:]
        var store = makeStore(limitBytes: 256 << 20)
        store.reserve(keys: reserved)
        for step in 0..<120_000 {
            let key = "key-\(generator.below(40_000))"
            if generator.below(4) == 0 {
                let wanted: RemoveOutcome = model.removeValue(forKey: key) == nil ? .notFound : .removed
                if store.remove(key) != wanted { Issue.record("remove at step \(step)") }
            } else {
                let value = [UInt8(step & 255), UInt8(step >> 8 & 255)]
                if store.put(key, value) != .stored { Issue.record("put at step \(step)") }
                model[key] = value
            }
        }
        #expect(store.count == model.count)
        for number in 0..<40_000 where store.peek("key-\(number)")?.value != model["key-\(number)"] {
            Issue.record("key-\(number) differs")
        }
        store.checkInvariants()
    }

    @Test func anExpectedNumberOfEntriesSplitsHardlyAnySubtable() {
        let store = filled(100_000, reserving: 100_000)
        #expect(store.index.depth == 7)
        // 128 sub-tables of 781 entries each: a split needs 1,050.
        #expect(store.index.subtableCount == 128)
        #expect(filled(100_000, reserving: nil).index.subtableCount > 64)
    }

    @Test(arguments: [100_000, 62_000, 120_000])
    func whatWasReservedTakesNoMorePagesThanAGrownIndex(count: Int) {
        let grown = filled(count, reserving: nil).index.pageCount
        let reserved = filled(count, reserving: count).index.pageCount
        #expect(Double(reserved) <= Double(grown) * 1.08)
    }

    @Test func entriesThatNeverCameCostAPageAndALineForAThousand() {
        let store = filled(1_000, reserving: 1_000_000)
        #expect(store.index.subtableCount == 1024)
        #expect(Double(store.index.footprintBytes) < 0.7 * 1_000_000)
    }

    @Test func anIndexInUseIsNotLaidOutAnew() {
        var store = filled(3_000, reserving: nil)
        let (tables, pages) = (store.index.subtableCount, store.index.pageCount)
        store.reserve(keys: 100_000)
        #expect(store.index.subtableCount == tables && store.index.pageCount == pages)
        for number in 0..<3_000 { _ = store.remove("key-\(number)") }
        store.reserve(keys: 100_000)
        #expect(store.index.subtableCount == tables && store.index.pageCount == pages)
    }

    @Test(arguments: [512 << 10, 1 << 20, 64 << 20])
    func aReservationStaysWithinTheLimitsWhateverIsAskedFor(limitBytes: Int) {
        var store = makeStore(limitBytes: limitBytes)
        let empty = store.memory.footprintBytes
        store.reserve(keys: .max)
        #expect(store.memory.footprintBytes - empty <= limitBytes / 32)
        for number in 0..<20_000 where store.put("key-\(number)", [1]) != .stored { Issue.record("put \(number)") }
        store.checkInvariants()
        var few = makeStore(maxKeys: 500, limitBytes: limitBytes)
        few.reserve(keys: .max)
        #expect(few.index.subtableCount == 1)
    }

    @Test func aPutIfNewerStoresOverAnOlderVersionOnly() {
        var store = makeStore()
        #expect(store.put("a", [1], version: 5, condition: .ifNewer) == .stored)
        #expect(store.put("a", [2], version: 5, condition: .ifNewer) == .exists(version: 5))
        #expect(store.put("a", [3], version: 4, condition: .ifNewer) == .exists(version: 5))
        #expect(store.get("a")?.value == [1])
        #expect(store.put("a", [4], version: 6, condition: .ifNewer) == .stored)
        #expect(store.get("a")?.value == [4])
        store.checkInvariants()
    }

    @Test func prefetchingChangesNothingForAnyHash() {
        var store = filled(5_000, reserving: nil)
        let counters = store.counters
        for number in 0..<10_000 { Store.with("key-\(number)", store.hasher) { store.prefetch($1) } }
        #expect(store.counters == counters && store.count == 5_000)
        store.checkInvariants()
    }
}
