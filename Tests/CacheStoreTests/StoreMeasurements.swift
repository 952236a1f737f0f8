// Numbers, not verdicts: run by hand in release mode with SPYDERCACHE_MEASURE=1, prints and expects nothing of the clock.
//
//   SPYDERCACHE_MEASURE=1 swift test -c release -Xswiftc -enable-testing --filter StoreMeasurements

import Foundation
import Testing

@testable import CacheStore

private let isMeasuring = ProcessInfo.processInfo.environment["SPYDERCACHE_MEASURE"] != nil

/// Resident set of this process, in bytes.
private func residentBytes() -> Int {
    let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
}

/// A 16-byte key in `buffer` for a number, by a bijection so that neighbours are not neighbours.
private func writeKey(_ number: Int, _ buffer: UnsafeMutableRawBufferPointer) {
    let mixed = UInt64(number) &* 0x9e37_79b9_7f4a_7c15
    for digit in 0..<16 {
        let nibble = UInt8(truncatingIfNeeded: mixed >> UInt64(digit * 4)) & 15
        buffer[digit] = nibble < 10 ? 48 + nibble : 87 + nibble
    }
}

@Suite(.serialized, .enabled(if: isMeasuring)) struct StoreMeasurements {
    private let clock = ContinuousClock()

    /// CPU time of this thread: a pause of the store's own making, without what else runs on the machine.
    private func cpuTime() -> Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// Fills a store, then measures gets, overwrites and the longest single call.
    @Test(arguments: [1_000_000, 10_000_000]) func bytesAndTimes(entries: Int) {
        let before = residentBytes()
        let hasher = KeyHasher(seed: testSeed)
        var store = Store(settings: StoreSettings(maxKeys: 0, limitBytes: 4 << 30, hasher: hasher))
        let key = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 8)
        let value = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 8)
        value.initializeMemory(as: UInt8.self, repeating: 49)
        let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(value)[..<100])
        var longest = Duration.zero
        func put(_ number: Int, _ value: UnsafeRawBufferPointer, expiry: PutExpiry = .never) {
            writeKey(number, key)
            let key = UnsafeRawBufferPointer(key)
            _ = store.put(
                key, hash: hasher.hash(key), value: value, form: .plain, expiry: expiry, version: UInt64(number),
                condition: .always, now: 0)
        }
        let fill = clock.measure { for number in 0..<entries { put(number, bytes) } }
        let resident = residentBytes() - before
        print("\(entries) entries: resident \(Double(resident) / Double(entries)) B each, \(store.memory)")
        print("  insert \(fill / entries)")

        var random = SeededGenerator(seed: 1)
        let operations = 2_000_000
        let numbers = (0..<operations).map { _ in random.below(entries) }
        var found = 0
        let keys = clock.measure {
            for number in numbers {
                writeKey(number, key)
                found &+= Int(hasher.hash(UnsafeRawBufferPointer(key)).bits & 1)
            }
        }
        found = 0
        let gets = clock.measure {
            for number in numbers {
                writeKey(number, key)
                let key = UnsafeRawBufferPointer(key)
                if store.get(key, hash: hasher.hash(key), now: 5) != nil { found += 1 }
            }
        }
        let peeks = clock.measure {
            for number in numbers {
                writeKey(number, key)
                let key = UnsafeRawBufferPointer(key)
                if store.peek(key, hash: hasher.hash(key), now: 5) != nil { found += 1 }
            }
        }
        let misses = clock.measure {
            for number in numbers {
                writeKey(number + entries, key)
                let key = UnsafeRawBufferPointer(key)
                if store.get(key, hash: hasher.hash(key), now: 5) != nil { found += 1 }
            }
        }
        let overwrites = clock.measure { for number in numbers { put(number, bytes) } }
        let churn = clock.measure {
            for number in numbers {
                put(number, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(value)[..<(60 + number % 68)]))
            }
        }
        print("  key and hash \(keys / operations), get \(gets / operations), peek \(peeks / operations)")
        print("  miss \(misses / operations), overwrite \(overwrites / operations), found \(found)")
        print("  overwrite by another size \(churn / operations), \(store.counters.cleanedBytes >> 20) MiB cleaned")
        for number in entries..<entries + entries / 4 {
            let start = cpuTime()
            put(number, bytes)
            longest = max(longest, cpuTime() - start)
        }
        print("  longest put of \(entries / 4) more \(longest)")
    }

    /// What eviction and cleaning cost at the limit, in the order of arrival and with random use in between.
    @Test(arguments: [false, true]) func putsAtTheLimit(useRandomly: Bool) {
        let hasher = KeyHasher(seed: testSeed)
        var store = Store(settings: StoreSettings(maxKeys: 0, limitBytes: 128 << 20, hasher: hasher))
        let key = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 8)
        let value = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 8)
        value.initializeMemory(as: UInt8.self, repeating: 49)
        var random = SeededGenerator(seed: 2)
        var longest = Duration.zero
        let operations = 4_000_000
        var gets = 0
        let total = clock.measure {
            for number in 0..<operations {
                writeKey(number, key)
                let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(value)[..<(20 + random.below(200))])
                let raw = UnsafeRawBufferPointer(key)
                let start = cpuTime()
                _ = store.put(
                    raw, hash: hasher.hash(raw), value: bytes, form: .plain, expiry: .never, version: 1,
                    condition: .always, now: 0)
                longest = max(longest, cpuTime() - start)
                guard useRandomly else { continue }
                writeKey(max(0, number - random.below(700_000)), key)
                if store.get(raw, hash: hasher.hash(raw), now: 0) != nil { gets += 1 }
            }
        }
        print("at the limit, random use \(useRandomly): \(total / operations) a put, longest \(longest), hits \(gets)")
        print("  cleaned \(store.counters.cleanedBytes >> 20) MiB, evicted \(store.counters.evictions)")
        print("  \(store.count) entries, \(store.memory)")
    }
}
