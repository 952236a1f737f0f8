// Removed keys: remembered under a limit, and whatever had to be forgotten is told.

import CacheStore
import Foundation
import TestSupport
import Testing

@testable import CacheNode

private let hasher = KeyHasher(seed: (1, 2))

extension Tombstones {
    fileprivate mutating func insert(_ key: [UInt8], _ version: UInt64, _ drop: (KeyHash, UInt64) -> Void = { _, _ in })
    {
        key.withUnsafeBytes { insert(CacheKey(bytes: $0, hash: hasher.hash($0)), version: version, drop) }
    }

    fileprivate mutating func remove(_ key: [UInt8]) { key.withUnsafeBytes { remove($0) } }
    fileprivate func version(of key: [UInt8]) -> UInt64? { key.withUnsafeBytes { version($0) } }

    fileprivate var all: [[UInt8]: UInt64] {
        var all: [[UInt8]: UInt64] = [:]
        forEach { all[Array($0)] = $1 }
        return all
    }
}

/// A key of a size, told apart by its number.
private func key(_ number: Int, bytes: Int = 20) -> [UInt8] {
    let text = Array("key-\(number)-".utf8)
    return text + [UInt8](repeating: UInt8(ascii: "x"), count: max(0, bytes - text.count))
}

@Suite("Tombstones")
struct TombstonesTests {
    @Test(
        "Removals, keys put again and flushes leave what a dictionary would, and no drop goes untold",
        arguments: UInt64(1)...6)
    func againstModel(seed: UInt64) {
        print("tombstones, seed \(seed)")
        var random = SeededRandom(seed: seed)
        // Few large keys, so that the limit is met; many small ones, so that the order has to be cleared.
        let keyBytes = seed % 2 == 0 ? 4096 : 12
        let keys = (0..<(seed % 2 == 0 ? 400 : 50)).map { key($0, bytes: keyBytes) }
        let hashes = keys.map { key in key.withUnsafeBytes { hasher.hash($0) } }
        var tombstones = Tombstones()
        var model = [UInt64?](repeating: nil, count: keys.count)
        var version: UInt64 = 1
        var drops = 0
        for step in 0..<2000 {
            let place = Int.random(in: 0..<keys.count, using: &random)
            switch Int.random(in: 0..<1000, using: &random) {
            case 0..<800:
                version += 1
                // Some come late, behind a newer removal of the same key.
                let late = UInt64.random(in: 0..<40, using: &random)
                let stamp = Bool.random(using: &random) || version <= late ? version : version - late
                if stamp > model[place] ?? 0 { model[place] = stamp }
                tombstones.insert(keys[place], stamp) { hash, dropped in
                    drops += 1
                    let gone = hashes.firstIndex(of: hash)
                    #expect(gone.map { model[$0] } == dropped, "step \(step)")
                    if let gone { model[gone] = nil }
                }
            case 800..<998:
                tombstones.remove(keys[place])
                model[place] = nil
            default:
                let upTo = version - min(version, UInt64.random(in: 0..<400, using: &random))
                tombstones.removeAll(upTo: upTo)
                for place in model.indices where model[place] ?? .max <= upTo { model[place] = nil }
            }
            let count = model.count { $0 != nil }
            #expect(tombstones.count == count)
            #expect(tombstones.bytes == count * (2 * keyBytes + 144) && tombstones.bytes <= Tombstones.maxBytes)
            guard step % 100 == 99 else { continue }
            let wrong = keys.indices.first { tombstones.version(of: keys[$0]) != model[$0] }
            #expect(wrong == nil, "step \(step)")
            #expect(tombstones.all.count == count)
        }
        #expect(drops > 100 || keyBytes < 4096)
    }

    @Test("Above the limit the oldest are dropped first, each told with its version")
    func oldestFirst() {
        var tombstones = Tombstones()
        var dropped: [UInt64] = []
        let fitting = Tombstones.maxBytes / (2 * 1000 + 144)
        for number in 0..<fitting {
            tombstones.insert(key(number, bytes: 1000), UInt64(number + 1)) { dropped.append($1) }
        }
        #expect(dropped.isEmpty && tombstones.count == fitting)
        for number in fitting..<fitting + 100 {
            tombstones.insert(key(number, bytes: 1000), UInt64(number + 1)) { dropped.append($1) }
        }
        #expect(dropped == Array(1...100))
        #expect(tombstones.count == fitting)
    }

    @Test("A key removed again is as young as its last removal")
    func removedAgain() {
        var tombstones = Tombstones()
        var dropped: [UInt64] = []
        let fitting = Tombstones.maxBytes / (2 * 1000 + 144)
        for number in 0..<fitting { tombstones.insert(key(number, bytes: 1000), UInt64(number + 1)) }
        tombstones.insert(key(0, bytes: 1000), 1_000_000) { dropped.append($1) }
        #expect(dropped.isEmpty)
        tombstones.insert(key(-1, bytes: 1000), 1_000_001) { dropped.append($1) }
        #expect(dropped == [2])
        #expect(tombstones.version(of: key(0, bytes: 1000)) == 1_000_000)
    }

    @Test("A key that is removed and put again for ever costs no memory", arguments: [1, 3, 200])
    func churn(keys: Int) {
        var tombstones = Tombstones()
        for version in 1...20_000 {
            tombstones.insert(key(version % keys), UInt64(version)) { _, _ in Issue.record("nothing has to go") }
            if version % 3 > 0 { tombstones.remove(key(version % keys)) }
        }
        #expect(tombstones.count <= keys)
    }

    @Test("An older removal than the one known changes nothing")
    func olderRemoval() {
        var tombstones = Tombstones()
        tombstones.insert(key(1), 9)
        tombstones.insert(key(1), 9)
        tombstones.insert(key(1), 4)
        #expect(tombstones.version(of: key(1)) == 9 && tombstones.count == 1)
    }

    @Test("One removal told again and again, with puts in between, ends")
    func repeatedRemoval() async {
        // Known as removed, put again, evicted, and told as removed again by a node that has the tombstone still.
        await #expect(processExitsWith: .success) {
            alarm(1)
            var tombstones = Tombstones()
            for _ in 0..<200 {
                tombstones.insert(key(1), 5)
                tombstones.remove(key(1))
            }
            alarm(0)
        }
    }
}
