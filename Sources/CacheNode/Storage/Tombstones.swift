// Keys that were removed, so that older copies on other nodes do not bring them back. One for each shard, guarded by the
// shard's lock.
//
// Bounded: the oldest are dropped, and their versions count as forgotten (ForgottenVersions), so that a node that was away
// for longer than tombstones last has its older copies turned away rather than served.

import CacheStore

/// Removed keys with the versions of their removals, oldest first.
struct Tombstones: Sendable {
    private struct Grave {
        var key: [UInt8]
        var hash: KeyHash
        var serial: UInt64
    }

    private var versions: [[UInt8]: (version: UInt64, serial: UInt64)] = [:]
    /// In the order of removal; one whose key has another serial by now is passed over. Not versions: a removal may be told
    /// again after its key was put and evicted.
    private var order: [Grave] = []
    private var lastSerial: UInt64 = 0
    private var first = 0
    private(set) var bytes = 0

    /// What one costs beside its key, twice: dictionary and order; measured.
    private static let overheadBytes = 144
    /// Of one shard. 10,000 keys of 20 bytes.
    static let maxBytes = 2 << 20

    var count: Int { versions.count }

    /// The version of the key's removal; nil when it is not known as removed. O(bytes of the key).
    func version(_ key: UnsafeRawBufferPointer) -> UInt64? {
        versions.isEmpty ? nil : versions[Array(key)]?.version
    }

    /// Notes a removal; calls `drop` for each that has to be forgotten for it.
    mutating func insert(_ key: CacheKey, version: UInt64, _ drop: (KeyHash, UInt64) -> Void) {
        let bytes = Array(key.bytes)
        if let known = versions[bytes] {
            guard version > known.version else { return }
        } else {
            self.bytes += cost(bytes)
        }
        lastSerial += 1
        versions[bytes] = (version, lastSerial)
        order.append(Grave(key: bytes, hash: key.hash, serial: lastSerial))
        while self.bytes > Self.maxBytes || order.count - first > 2 * versions.count + 64 { dropFirst(drop) }
    }

    /// The key has been put again.
    mutating func remove(_ key: UnsafeRawBufferPointer) {
        let bytes = Array(key)
        if versions.removeValue(forKey: bytes) != nil { self.bytes -= cost(bytes) }
    }

    /// Removes everything up to a version: a flush covers it.
    mutating func removeAll(upTo version: UInt64) {
        let covered = versions.filter { $0.value.version <= version }
        for key in covered.keys {
            versions.removeValue(forKey: key)
            bytes -= cost(key)
        }
    }

    func forEach(_ body: (UnsafeRawBufferPointer, UInt64) -> Void) {
        for (key, grave) in versions { key.withUnsafeBytes { body($0, grave.version) } }
    }

    private mutating func dropFirst(_ drop: (KeyHash, UInt64) -> Void) {
        guard first < order.count else { return }
        let grave = order[first]
        first += 1
        if first > 1024 && first * 2 > order.count {
            order.removeFirst(first)
            first = 0
        }
        guard let known = versions[grave.key], known.serial == grave.serial else { return }
        guard bytes > Self.maxBytes else {
            // Only the order is too long: what still counts goes to its end.
            order.append(grave)
            return
        }
        versions.removeValue(forKey: grave.key)
        bytes -= cost(grave.key)
        drop(grave.hash, known.version)
    }

    private func cost(_ key: [UInt8]) -> Int { 2 * key.count + Self.overheadBytes }
}

extension ShardState {
    /// Remembers a flush: nothing as old as it may come back.
    mutating func flushed(upTo version: UInt64) {
        flushedVersion = max(flushedVersion, version)
        tombstones.removeAll(upTo: version)
    }

    /// Remembers a removal.
    mutating func bury(_ key: CacheKey, version: UInt64) {
        var dropped: [(KeyHash, UInt64)] = []
        tombstones.insert(key, version: version) { dropped.append(($0, $1)) }
        for (hash, version) in dropped { store.forget(version, hash: hash) }
    }
}
