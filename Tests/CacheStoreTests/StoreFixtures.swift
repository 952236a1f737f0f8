// What the store's tests share: seeded randomness, keys and values as byte arrays, a store with plain calls.

import Testing

@testable import CacheStore

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: next() % UInt64(bound))
    }
}

let testSeed: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)

/// An entry copied out of the store.
struct Found: Equatable {
    var value: [UInt8]
    var version: UInt64
    var expiresAt: Int64
    var hits: UInt32
    var form: StoredForm
    var idle: Int64

    init(_ entry: Entry) {
        value = Array(entry.value)
        version = entry.version
        expiresAt = entry.expiresAt
        hits = entry.hits
        form = entry.form
        idle = entry.idleMilliseconds
    }
}

/// Bytes that only this key and version can have produced.
func content(_ key: String, _ version: UInt64, count: Int) -> [UInt8] {
    var generator = SeededGenerator(seed: key.utf8.reduce(version &* 31) { $0 &* 131 &+ UInt64($1) })
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count { withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) } }
    bytes.removeLast(bytes.count - count)
    return bytes
}

func makeStore(
    maxKeys: Int = 0, limitBytes: Int = 64 << 20, keptBits: UInt64 = .max
) -> Store {
    Store(
        settings: StoreSettings(
            maxKeys: maxKeys, limitBytes: limitBytes, hasher: KeyHasher(seed: testSeed, keptBits: keptBits)))
}

extension Store {
    /// Calls `body` with the key's bytes and hash.
    static func with<Result>(
        _ key: String, _ hasher: KeyHasher, _ body: (UnsafeRawBufferPointer, KeyHash) -> Result
    ) -> Result {
        var key = key
        return key.withUTF8 { utf8 in
            let bytes = UnsafeRawBufferPointer(utf8)
            return body(bytes, hasher.hash(bytes))
        }
    }

    @discardableResult mutating func put(
        _ key: String, _ value: [UInt8], form: StoredForm = .plain, expiry: PutExpiry = .never, version: UInt64 = 1,
        condition: PutCondition = .always, now: Int64 = 0
    ) -> PutOutcome {
        let hasher = hasher
        return Store.with(key, hasher) { bytes, hash in
            value.withUnsafeBytes {
                put(
                    bytes, hash: hash, value: $0, form: form, expiry: expiry, version: version, condition: condition,
                    now: now)
            }
        }
    }

    mutating func get(_ key: String, now: Int64 = 0) -> Found? {
        let hasher = hasher
        return Store.with(key, hasher) { bytes, hash in get(bytes, hash: hash, now: now).map(Found.init) }
    }

    mutating func peek(_ key: String, now: Int64 = 0) -> Found? {
        let hasher = hasher
        return Store.with(key, hasher) { bytes, hash in peek(bytes, hash: hash, now: now).map(Found.init) }
    }

    mutating func remove(_ key: String, ifVersion: UInt64? = nil, now: Int64 = 0) -> RemoveOutcome {
        let hasher = hasher
        return Store.with(key, hasher) { bytes, hash in remove(bytes, hash: hash, ifVersion: ifVersion, now: now) }
    }

    mutating func touch(
        _ key: String, _ expiry: PutExpiry, version: UInt64? = nil, now: Int64 = 0
    ) -> TouchOutcome {
        let hasher = hasher
        return Store.with(key, hasher) { bytes, hash in
            touch(bytes, hash: hash, expiry: expiry, version: version, now: now)
        }
    }
}
