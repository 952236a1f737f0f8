import Testing

@testable import CacheStore

@Suite struct ExpiryTests {
    @Test func anEntryIsGoneAtItsDeadlineAndNotBefore() {
        var store = makeStore()
        store.put("k", [1], expiry: .at(1000), now: 0)
        #expect(store.get("k", now: 999)?.expiresAt == 1000)
        #expect(store.peek("k", now: 1000) == nil)
        #expect(store.count == 1, "a peek removes nothing")
        #expect(store.get("k", now: 1000) == nil)
        #expect(store.count == 0)
        #expect(store.counters.expired == 1)
        #expect(store.expire(now: 2000, limit: 10) == 0)
        #expect(store.counters.expired == 1, "an entry expires once")
    }

    @Test func expiryIsPromptOnEveryLevelOfTheWheel() {
        var store = makeStore()
        // One deadline below, at and above every power of two: all levels and the borders between them.
        var deadlines: Set<Int64> = []
        for bit in 1..<62 { deadlines.formUnion([-1, 0, 1].map { Int64(1) << bit + $0 }) }
        for deadline in deadlines { store.put("k\(deadline)", [1], expiry: .at(deadline), now: 0) }
        for (position, deadline) in deadlines.sorted().enumerated() {
            #expect((store.nextExpiryHint ?? .max) <= deadline)
            #expect(store.expire(now: deadline - 1, limit: .max) == 0)
            #expect(store.count == deadlines.count - position)
            #expect(store.expire(now: deadline, limit: .max) == 1, "deadline \(deadline)")
        }
        #expect(store.nextExpiryHint == nil)
    }

    @Test func everyDeadlineIsMetWhateverTheStepsOfTheClock() {
        let seed: UInt64 = 20
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var store = makeStore()
        var pending: [Int64: Int] = [:]
        var now: Int64 = 0
        for step in 0..<60_000 {
            let span = 1 << (1 + random.below(24))
            let deadline = now + 1 + Int64(random.below(span))
            store.put("k\(step)", [1], expiry: .at(deadline), now: now)
            pending[deadline, default: 0] += 1
            guard random.below(50) == 0 else { continue }
            now += Int64(random.below(1 << (1 + random.below(18))))
            let due = pending.filter { $0.key <= now }
            for time in due.keys { pending[time] = nil }
            #expect(store.expire(now: now, limit: .max) == due.values.reduce(0, +))
        }
        #expect(store.count == pending.values.reduce(0, +))
        store.checkInvariants()
    }

    @Test func whatIsPastItsDeadlineIsRemovedWithoutBeingFiledAgain() {
        var store = makeStore()
        for number in 0..<1000 { store.put("k\(number)", [1], expiry: .at(100_000 + Int64(number % 100)), now: 0) }
        #expect(store.expire(now: 200_000, limit: 400) == 400, "each of them is one unit of work")
        #expect(store.expire(now: 200_000, limit: 1000) == 600)
    }

    @Test func noLivingEntryIsEvictedWhileDeadOnesAreThere() {
        var store = makeStore(maxKeys: 4000)
        for number in 0..<1000 { store.put("living \(number)", [1], expiry: .never, now: 0) }
        for number in 0..<3000 { store.put("dead \(number)", [1], expiry: .at(100_000), now: 0) }
        for number in 0..<3000 { store.put("new \(number)", [1], expiry: .never, now: 100_001) }
        #expect(store.counters.evictions == 0)
        #expect(store.counters.expired == 3000)
        #expect(store.count == 4000)
    }

    @Test func workIsBoundedByTheLimitAndResumedWhereItStopped() {
        var store = makeStore()
        // 4,096 ms are one slot: most of it is filed again when its time comes.
        for number in 0..<1000 { store.put("k\(number)", [1], expiry: .at(98_304 + Int64(number * 4)), now: 0) }
        var removed = 0
        var calls = 0
        while store.count > 0 {
            let before = store.count
            removed += store.expire(now: calls < 300 ? 98_400 : 200_000, limit: 7)
            #expect(before - store.count <= 7)
            calls += 1
            // A new deadline in the middle of a refiling is met as well.
            if calls == 20 { store.put("late", [1], expiry: .at(98_350), now: 98_300) }
            if calls == 300 { #expect(removed == 26, "those due by 98,400 and the late one") }
        }
        #expect(removed == 1001)
        #expect(calls > 1001 / 7)
    }

    @Test func overwritingResetsOrKeepsTheDeadlineAsAsked() {
        var store = makeStore()
        store.put("k", [1], expiry: .at(100))
        store.put("k", [2], expiry: .keep)
        #expect(store.peek("k")?.expiresAt == 100)
        store.put("k", [3, 3, 3, 3, 3, 3], expiry: .keep)
        #expect(store.peek("k")?.expiresAt == 100)
        store.put("k", [3], expiry: .at(50))
        #expect(store.peek("k", now: 50) == nil)
        store.put("k", [4], expiry: .never)
        #expect(store.expire(now: 1000, limit: 10) == 0)
        #expect(store.get("k", now: 1000)?.value == [4])
        store.put("new", [5], expiry: .keep)
        #expect(store.peek("new")?.expiresAt == .max)
    }

    @Test func touchMovesAddsAndTakesAwayADeadline() {
        var store = makeStore()
        let value = content("k", 1, count: 77)
        store.put("k", value, form: .deflated(originalBytes: 500, crc32: 9), version: 4)
        _ = store.get("k")
        #expect(store.touch("k", .at(500), now: 0) == .touched, "a first deadline")
        #expect(store.touch("k", .at(900), version: 5, now: 0) == .touched, "a later one")
        #expect(store.expire(now: 600, limit: 10) == 0)
        let found = store.peek("k", now: 600)
        #expect(found?.value == value && found?.version == 5 && found?.hits == 1 && found?.expiresAt == 900)
        #expect(found?.form == .deflated(originalBytes: 500, crc32: 9))
        #expect(store.touch("k", .keep, now: 600) == .touched)
        #expect(store.touch("k", .never, now: 700) == .touched)
        #expect(store.expire(now: 5000, limit: 10) == 0)
        #expect(store.touch("k", .at(6000), now: 5000) == .touched, "a deadline again")
        #expect(store.touch("k", .at(7000), now: 6000) == .notFound, "too late")
        #expect(store.touch("none", .never) == .notFound)
        store.checkInvariants()
    }
}
