// The store against a model that is too simple to be wrong: a dictionary and an array in order of use.

import Testing

@testable import CacheStore

/// A cache by the book; every operation is a linear search.
struct NaiveCache {
    struct Item {
        var value: [UInt8]
        var version: UInt64
        var expiresAt: Int64
        var hits: UInt32
        var lastUse: Int
    }

    var items: [Int: Item] = [:]
    var counters = StoreCounters()
    let maxKeys: Int
    private var uses = 0

    init(maxKeys: Int) {
        self.maxKeys = maxKeys
    }

    /// Removes every expired entry; for a store that is told to do so at each step.
    mutating func expire(_ now: Int64) -> Int {
        let due = items.filter { $0.value.expiresAt <= now }
        for key in due.keys { items[key] = nil }
        counters.expired += UInt64(due.count)
        return due.count
    }

    private mutating func live(_ key: Int, _ now: Int64) -> Item? {
        guard let item = items[key] else { return nil }
        guard item.expiresAt <= now else { return item }
        items[key] = nil
        counters.expired += 1
        return nil
    }

    private mutating func use(_ key: Int) {
        uses += 1
        items[key]?.lastUse = uses
    }

    mutating func get(_ key: Int, _ now: Int64) -> Item? {
        guard let item = live(key, now) else {
            counters.getMisses += 1
            return nil
        }
        counters.getHits += 1
        items[key]?.hits += 1
        use(key)
        return item
    }

    mutating func put(
        _ key: Int, _ value: [UInt8], _ expiry: PutExpiry, _ version: UInt64, _ condition: PutCondition, _ now: Int64
    ) -> PutOutcome {
        let old = live(key, now)
        switch condition {
        case .always: break
        case .ifAbsent: if let old { return .exists(version: old.version) }
        case .ifPresent: if old == nil { return .notFound }
        case .ifVersion(let wanted):
            guard let old else { return .notFound }
            if old.version != wanted { return .versionMismatch(version: old.version) }
        case .ifNewer: if let old, old.version >= version { return .exists(version: old.version) }
        }
        let deadline: Int64 =
            switch expiry {
            case .never: .max
            case .at(let time): time
            case .keep: old?.expiresAt ?? .max
            }
        if old == nil && maxKeys > 0 && items.count == maxKeys {
            if let victim = items.min(by: { $0.value.lastUse < $1.value.lastUse }) { items[victim.key] = nil }
            counters.evictions += 1
        }
        items[key] = Item(value: value, version: version, expiresAt: deadline, hits: 0, lastUse: 0)
        use(key)
        counters.totalItems += 1
        return .stored
    }

    mutating func remove(_ key: Int, _ version: UInt64?, _ now: Int64) -> RemoveOutcome {
        guard let item = live(key, now) else {
            counters.removeMisses += 1
            return .notFound
        }
        if let version, version != item.version { return .versionMismatch(version: item.version) }
        items[key] = nil
        counters.removeHits += 1
        return .removed
    }

    mutating func touch(_ key: Int, _ deadline: Int64, _ version: UInt64?, _ now: Int64) -> TouchOutcome {
        guard live(key, now) != nil else {
            counters.touchMisses += 1
            return .notFound
        }
        items[key]?.expiresAt = deadline
        if let version { items[key]?.version = version }
        use(key)
        counters.touchHits += 1
        return .touched
    }
}

@Suite struct ModelTests {
    /// Runs `operations` random operations on both and compares each outcome.
    private func compare(operations: Int, maxKeys: Int, keySpace: Int, promptExpiry: Bool, seed: UInt64) {
        print("model test: seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var store = makeStore(maxKeys: maxKeys, limitBytes: 8 << 20)
        var model = NaiveCache(maxKeys: maxKeys)
        let names = (0..<keySpace).map { "key-\($0)" }
        var now: Int64 = 1000
        var mismatches = 0
        func check(_ equal: Bool, _ what: String, _ step: Int) {
            guard !equal else { return }
            mismatches += 1
            if mismatches < 5 { Issue.record("step \(step): \(what) differs") }
        }
        for step in 0..<operations {
            let version = UInt64(step + 1)
            // Squared: some keys are used much more than others.
            let fraction = Double(random.below(1 << 20)) / Double(1 << 20)
            let key = Int(fraction * fraction * Double(keySpace))
            if random.below(32) == 0 {
                now += Int64(random.below(16) == 0 ? random.below(5000) : random.below(80))
                if promptExpiry { check(store.expire(now: now, limit: .max) == model.expire(now), "expire", step) }
            }
            switch random.below(100_000) {
            case 0..<45_000:
                let (found, wanted) = (store.get(names[key], now: now), model.get(key, now))
                check(
                    found?.value == wanted?.value && found?.version == wanted?.version
                        && found?.expiresAt == wanted?.expiresAt && found?.hits == wanted?.hits, "get", step)
            case 45_000..<80_000:
                let value = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: random.below(120))
                let expiry: PutExpiry =
                    switch random.below(4) {
                    case 0: .at(now + Int64(1 + random.below(20_000)))
                    case 1: .keep
                    default: .never
                    }
                let condition: PutCondition =
                    switch random.below(10) {
                    case 0: .ifAbsent
                    case 1: .ifPresent
                    case 2: .ifVersion(model.items[key]?.version ?? 0)
                    case 3: .ifVersion(version / 2)
                    case 4, 5: .ifNewer
                    default: .always
                    }
                // Half of the conditional puts of a newer version are of an older one.
                let version =
                    condition == .ifNewer && random.below(2) == 0
                    ? version - min(version, UInt64(random.below(500))) : version
                check(
                    store.put(
                        names[key], value, expiry: expiry, version: version, condition: condition, now: now)
                        == model.put(key, value, expiry, version, condition, now), "put", step)
            case 80_000..<88_000:
                let wanted = random.below(3) == 0 ? version / 2 : nil
                check(
                    store.remove(names[key], ifVersion: wanted, now: now) == model.remove(key, wanted, now), "remove",
                    step)
            case 88_000..<94_000:
                let deadline = random.below(3) == 0 ? Int64.max : now + Int64(1 + random.below(9000))
                let newVersion = random.below(2) == 0 ? version : nil
                check(
                    store.touch(names[key], deadline == .max ? .never : .at(deadline), version: newVersion, now: now)
                        == model.touch(key, deadline, newVersion, now), "touch", step)
            case 94_000..<99_990:
                // An increment as the shell does it: read, then put back under the version read, expiry kept.
                guard let item = store.peek(names[key], now: now) else { break }
                let value = Array("\(step)".utf8)
                check(
                    store.put(
                        names[key], value, expiry: .keep, version: version, condition: .ifVersion(item.version),
                        now: now) == model.put(key, value, .keep, version, .ifVersion(item.version), now), "incr", step)
            default:
                check(store.removeAll() == model.items.count, "flush", step)
                model.items = [:]
            }
            check(store.count == model.items.count, "count", step)
            if step % 10_000 == 0 { store.checkInvariants() }
        }
        var counters = store.counters
        counters.cleanedBytes = 0
        #expect(counters == model.counters)
        if maxKeys > 0 && maxKeys < keySpace { #expect(counters.evictions > 0, "the limit was reached") }
        #expect(counters.expired > 0)
        for key in 0..<keySpace {
            let wanted = model.items[key].flatMap { $0.expiresAt <= now ? nil : $0.value }
            check(store.peek(names[key], now: now)?.value == wanted, "survivor \(key)", operations)
        }
        store.checkInvariants()
        #expect(mismatches == 0)
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func aQuarterMillionRandomOperationsAgreeWithTheModel(seed: UInt64) {
        compare(operations: 250_000, maxKeys: 1000, keySpace: 2000, promptExpiry: true, seed: seed)
    }

    @Test func expiryNoticedOnlyOnAccessAgreesWithTheModel() {
        compare(operations: 200_000, maxKeys: 0, keySpace: 700, promptExpiry: false, seed: 5)
    }

    @Test func tinyKeyLimitsAgreeWithTheModel() {
        for maxKeys in 1...4 {
            compare(operations: 20_000, maxKeys: maxKeys, keySpace: 8, promptExpiry: true, seed: UInt64(10 + maxKeys))
        }
    }
}
