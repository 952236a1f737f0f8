import Testing

@testable import CacheStore

@Suite struct MemoryLimitTests {
    /// A size between 10 B and 1 MB, every order of magnitude as likely as any other, or all sizes alike.
    private func size(_ random: inout SeededGenerator, logarithmic: Bool) -> Int {
        guard logarithmic else { return 10 + random.below(1_000_000) }
        return min(1_000_000, 10 + random.below(10 << random.below(17)))
    }

    @Test(arguments: [true, false]) func fillingWithFiveTimesTheLimitNeverGoesOverIt(logarithmic: Bool) {
        let seed: UInt64 = 31
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let limit = 48 << 20
        var store = makeStore(limitBytes: limit)
        let bytes = [UInt8](repeating: 5, count: 1_000_010)
        var put = 0
        var step = 0
        var highest = 0
        while put < 5 * limit {
            let count = size(&random, logarithmic: logarithmic)
            #expect(store.put("key-\(step)", Array(bytes[..<count])) == .stored)
            highest = max(highest, store.memory.footprintBytes)
            put += count
            step += 1
        }
        #expect(highest <= limit)
        #expect(store.counters.evictions > 0)
        // Most of the memory holds entries: the slack is an eighth, a few segments and pages' ends.
        #expect(store.memory.liveBytes > limit * 3 / 4, "\(store.memory)")
        #expect(store.peek("key-\(step - 1)") != nil, "the newest is there")
        store.checkInvariants()
    }

    @Test func contentsSurviveChurnCleaningAndEviction() {
        let seed: UInt64 = 32
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let limit = 4 << 20
        var store = makeStore(limitBytes: limit)
        var versions: [String: (version: UInt64, count: Int)] = [:]
        var now: Int64 = 0
        for step in 0..<80_000 {
            let version = UInt64(step + 1)
            let key = "key-\(random.below(9000))"
            now += Int64(random.below(3))
            switch random.below(10) {
            case 0..<6:
                let count = random.below(100) == 0 ? random.below(60_000) : random.below(400)
                let expiry: PutExpiry = random.below(3) == 0 ? .at(now + Int64(random.below(30_000))) : .never
                #expect(
                    store.put(key, content(key, version, count: count), expiry: expiry, version: version, now: now)
                        == .stored)
                versions[key] = (version, count)
            case 6: _ = store.remove(key, now: now)
            case 7: _ = store.touch(key, .at(now + Int64(random.below(30_000))), now: now)
            default:
                guard let found = store.get(key, now: now), let wanted = versions[key] else { break }
                #expect(found.version == wanted.version)
                #expect(found.value == content(key, wanted.version, count: wanted.count))
            }
            if random.below(40) == 0 { _ = store.expire(now: now, limit: 50) }
            if store.memory.footprintBytes > limit { Issue.record("step \(step): over the limit") }
            if step % 5000 == 0 { store.checkInvariants() }
        }
        #expect(store.counters.cleanedBytes > 0, "the cleaner had work")
        #expect(store.counters.evictions > 0)
        for (key, wanted) in versions {
            guard let found = store.peek(key, now: now) else { continue }
            #expect(found.value == content(key, wanted.version, count: wanted.count))
        }
        store.checkInvariants()
    }

    @Test func deadSpaceStaysSmallBelowTheLimitToo() {
        var store = makeStore(limitBytes: 64 << 20)
        var random = SeededGenerator(seed: 33)
        for step in 0..<60_000 {
            let key = "key-\(random.below(2000))"
            store.put(key, [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: 100 + random.below(3000)))
        }
        let memory = store.memory
        let fewSegments = 6 * store.arena.segmentBytes
        #expect(memory.arenaBytes <= memory.liveBytes * 8 / 7 + fewSegments, "\(memory)")
        #expect(store.counters.evictions == 0)
        store.checkInvariants()
    }

    @Test func whatCannotFitIsRefusedAndNothingIsEvictedForIt() {
        let limit = 2 << 20
        var store = makeStore(limitBytes: limit)
        for number in 0..<100 { store.put("k\(number)", [1]) }
        store.put("big", [UInt8](repeating: 1, count: 100))
        #expect(store.put("big", [UInt8](repeating: 2, count: limit)) == .memoryFull)
        #expect(store.peek("big")?.value.count == 100, "the old value stands")
        #expect(store.count == 101)
        #expect(store.counters.evictions == 0)
        #expect(store.counters.refused == 1)
        #expect(store.put("fits", [UInt8](repeating: 2, count: limit * 3 / 4)) == .stored)
        store.checkInvariants()
    }

    @Test func aLargeValueIsReplacedWhereOnlyOneOfTheTwoFits() {
        var store = makeStore(limitBytes: 4 << 20)
        for count in [2_500_000, 2_600_000, 2_400_000, 100, 2_500_000] {
            #expect(store.put("big", [UInt8](repeating: 2, count: count)) == .stored)
            #expect(store.peek("big")?.value.count == count)
            store.checkInvariants()
        }
        #expect(store.counters.evictions == 0, "replacing is not evicting")
    }

    @Test func aLimitTooSmallForAnythingRefusesEverything() {
        var store = makeStore(limitBytes: 1000)
        #expect(store.put("k", [1]) == .memoryFull)
        #expect(store.get("k") == nil)
        #expect(store.count == 0)
    }

    @Test func loweringTheLimitEvictsDownToItAndRaisingItGivesRoom() {
        var store = makeStore(limitBytes: 16 << 20)
        for number in 0..<50_000 { store.put("k\(number)", content("k\(number)", 1, count: 180)) }
        #expect(store.counters.evictions == 0)
        #expect(store.setLimit(bytes: 6 << 20, now: 0) == true)
        #expect(store.memory.footprintBytes <= 6 << 20)
        #expect(store.counters.evictions > 0 && store.count > 10_000)
        #expect(store.peek("k49999")?.value == content("k49999", 1, count: 180))
        store.checkInvariants()
        #expect(store.setLimit(bytes: 64 << 20, now: 0) == true)
        let evictions = store.counters.evictions
        for number in 0..<50_000 { store.put("k\(number)", content("k\(number)", 2, count: 180)) }
        #expect(store.counters.evictions == evictions)
        #expect(store.count == 50_000)
    }
}
