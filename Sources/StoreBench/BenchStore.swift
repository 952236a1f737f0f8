// A store with calls by key number, each timed, and what each made the store do beside.

import CacheStore

/// A store whose keys are numbers: 16 hexadecimal digits, neighbours far apart.
struct BenchStore: ~Copyable {
    private(set) var store: Store
    private let hasher: KeyHasher
    private let key = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 8)
    private let value: UnsafeMutableRawBufferPointer
    private var version: UInt64 = 0

    static let hasher = KeyHasher(seed: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))

    init(limitBytes: Int, largestValueBytes: Int) {
        hasher = Self.hasher
        store = Store(settings: StoreSettings(maxKeys: 0, limitBytes: limitBytes, hasher: hasher))
        value = .allocate(byteCount: largestValueBytes, alignment: 8)
        value.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "1"))
    }

    deinit {
        key.deallocate()
        value.deallocate()
    }

    /// Stores a value of so many bytes; `expiresAt`: nil for never.
    mutating func put(_ number: Int, bytes: Int, expiresAt: Int64?, now: Int64) -> (nanoseconds: UInt64, SideWork) {
        let value = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(self.value)[..<bytes])
        version += 1
        let version = version
        return timed(number) { store, key, hash in
            _ = store.put(
                key, hash: hash, value: value, form: .plain, expiry: expiresAt.map { .at($0) } ?? .never,
                version: version, condition: .always, now: now)
        }
    }

    mutating func get(_ number: Int, now: Int64) -> (nanoseconds: UInt64, SideWork) {
        timed(number) { store, key, hash in _ = store.get(key, hash: hash, now: now) }
    }

    mutating func remove(_ number: Int, now: Int64) -> (nanoseconds: UInt64, SideWork) {
        timed(number) { store, key, hash in _ = store.remove(key, hash: hash, ifVersion: nil, now: now) }
    }

    /// One bounded step of expiry, as a node takes it under a shard's lock.
    mutating func expire(now: Int64) -> (nanoseconds: UInt64, SideWork) {
        timed(0) { store, _, _ in _ = store.expire(now: now, limit: 256) }
    }

    private mutating func timed(
        _ number: Int, _ body: (inout Store, UnsafeRawBufferPointer, KeyHash) -> Void
    ) -> (nanoseconds: UInt64, SideWork) {
        Self.write(number, to: key)
        let key = UnsafeRawBufferPointer(key)
        let hash = hasher.hash(key)
        let before = store.counters
        let mapped = store.memory.footprintBytes
        let start = threadNanoseconds()
        body(&store, key, hash)
        let took = threadNanoseconds() - start
        let after = store.counters
        return (
            took,
            SideWork(
                removed: Int(after.evictions - before.evictions + after.expired - before.expired),
                cleanedBytes: Int(after.cleanedBytes - before.cleanedBytes),
                mappedBytes: max(0, store.memory.footprintBytes - mapped))
        )
    }

    /// The 16 bytes of a key.
    static func write(_ number: Int, to key: UnsafeMutableRawBufferPointer) {
        let mixed = UInt64(number) &* 0x9e37_79b9_7f4a_7c15
        for digit in 0..<16 {
            let nibble = UInt8(truncatingIfNeeded: mixed >> UInt64(digit * 4)) & 15
            key[digit] = nibble < 10 ? 48 + nibble : 87 + nibble
        }
    }
}
