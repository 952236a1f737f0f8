import Testing

@testable import CacheStore

@Suite struct ScanTests {
    @Test func aScanSeesEachUntouchedEntryExactlyOnceWhileOthersComeAndGo() {
        let seed: UInt64 = 51
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var store = makeStore(limitBytes: 128 << 20)
        for number in 0..<12_000 { store.put("stays-\(number)", content("stays-\(number)", 1, count: number % 200)) }
        for number in 0..<12_000 { store.put("goes-\(number)", [1, 2, 3]) }
        var seen: [String: Int] = [:]
        var cursor = ScanCursor()
        var more = true
        var steps = 0
        var fresh = 0
        while more {
            more = store.forEachEntry(from: &cursor, limit: 20, now: 0) { entry in
                let key = String(decoding: entry.key, as: UTF8.self)
                seen[key, default: 0] += 1
                if key.hasPrefix("stays") && Array(entry.value) != content(key, 1, count: entry.value.count) {
                    Issue.record("the value of \(key) is another's")
                }
            }
            steps += 1
            // Enough new keys for the index to split under the cursor again and again, and for the cleaner to move entries.
            for _ in 0..<30 {
                fresh += 1
                store.put("fresh-\(fresh)", [UInt8](repeating: 1, count: random.below(100)))
                _ = store.remove("goes-\(random.below(12_000))")
                store.put("goes-\(random.below(12_000))", [UInt8](repeating: 1, count: random.below(300)))
            }
        }
        #expect(steps > 500)
        for number in 0..<12_000 where seen["stays-\(number)"] != 1 {
            Issue.record("stays-\(number) was seen \(seen["stays-\(number)"] ?? 0) times")
        }
        #expect(store.counters.evictions == 0)
    }

    @Test func stepsKeepToAboutTheLimit() {
        var store = makeStore()
        for number in 0..<30_000 { store.put("k\(number)", [1]) }
        var cursor = ScanCursor()
        var largest = 0
        var total = 0
        var more = true
        while more {
            var step = 0
            more = store.forEachEntry(from: &cursor, limit: 16, now: 0) { _ in step += 1 }
            largest = max(largest, step)
            total += step
        }
        #expect(total == 30_000)
        #expect(largest <= 48)
    }

    @Test func expiredEntriesAndEmptyStoresYieldNothing() {
        var store = makeStore()
        func visited(_ cursor: inout ScanCursor, now: Int64) -> Int {
            var visited = 0
            let more = store.forEachEntry(from: &cursor, limit: 10, now: now) { _ in visited += 1 }
            #expect(more == false)
            return visited
        }
        var cursor = ScanCursor()
        #expect(visited(&cursor, now: 0) == 0)
        store.put("k", [1], expiry: .at(5))
        cursor = ScanCursor()
        #expect(visited(&cursor, now: 5) == 0)
        #expect(visited(&cursor, now: 0) == 0, "the scan is over")
    }
}
