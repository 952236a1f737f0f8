// Recorded answers, and the ring against a slow ring that looks at every point.

import HashRing
import TestSupport
import Testing

/// Every point in a plain list; the owner is found by looking at all of them.
struct LinearRing {
    var points: [(position: UInt64, id: String)] = []

    init(members: [String], points count: Int) {
        for id in Set(members) {
            for seed in 0..<count {
                points.append((Array(id.utf8).withUnsafeBytes { RingHash.hash($0, seed: UInt64(seed)) }, id))
            }
        }
    }

    func successors(at position: UInt64, count: Int) -> [String] {
        // Distance upwards with wrapping: the closest points first.
        let byDistance = points.sorted { ($0.position &- position, $0.id) < ($1.position &- position, $1.id) }
        var found: [String] = []
        for point in byDistance where !found.contains(point.id) && found.count < count { found.append(point.id) }
        return found
    }
}

extension HashRing {
    func ids(_ key: String, count: Int) -> [String] {
        Array(key.utf8).withUnsafeBytes { successors(of: $0, count: count) }.map(id(of:))
    }
}

struct HashRingTests {
    /// Computed by an independent C program over xxHash 0.8.1. A change here means that nodes of two versions disagree.
    @Test(arguments: [
        ("a", ["4", "2", "3"]), ("key", ["3", "1", "2"]), ("spyder", ["4", "3", "1"]), ("user:42", ["2", "4", "3"]),
        ("foo", ["5", "1", "4"]), ("0123456789abcdef0123456789abcdef-longer", ["1", "2", "4"]),
    ])
    func `Recorded keys keep their owners`(key: String, owners: [String]) {
        let ring = HashRing(members: ["1", "2", "3", "4", "5"])
        #expect(ring.ids(key, count: 3) == owners)
    }

    @Test func `The order of the member list and repeated ids do not matter`() {
        var random = SeededRandom(seed: 7)
        let ids = (1...40).map { "node-\($0)" }
        let ring = HashRing(members: ids)
        let shuffled = HashRing(members: ids.shuffled(using: &random) + ["node-3", "node-9"])
        #expect(ring.members == shuffled.members)
        for key in 0..<1000 { #expect(ring.ids("key-\(key)", count: 3) == shuffled.ids("key-\(key)", count: 3)) }
    }

    @Test(arguments: 0..<20)
    func `A ring answers as one that looks at every point`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let members = (0..<Int.random(in: 1...9, using: &random)).map { _ in
            "n\(UInt8.random(in: 0...99, using: &random))"
        }
        let virtualNodes = Int.random(in: 1...6, using: &random)
        let ring = HashRing(members: members, virtualNodes: virtualNodes)
        let model = LinearRing(members: members, points: ring.pointsPerMember)
        var positions = (0..<60).map { _ in UInt64.random(in: 0 ... .max, using: &random) } + [0, .max]
        // The points themselves and their neighbours: "at or above" is decided there.
        positions += model.points.prefix(20).flatMap { [$0.position, $0.position &+ 1, $0.position &- 1] }
        for position in positions {
            let count = Int.random(in: 0...11, using: &random)
            let found = ring.successors(at: position, count: count).map(ring.id(of:))
            #expect(found == model.successors(at: position, count: count), "seed \(seed), position \(position)")
            #expect(ring.owner(at: position).map(ring.id(of:)) == model.successors(at: position, count: 1).first)
        }
    }

    @Test func `All members follow when as many are asked for`() {
        let ring = HashRing(members: (1...30).map { "n\($0)" }, virtualNodes: 8)
        for key in 0..<50 {
            let all = ring.ids("k\(key)", count: 100)
            #expect(all.count == 30)
            #expect(Set(all).count == 30)
            #expect(Array(all.prefix(5)) == ring.ids("k\(key)", count: 5))
        }
    }

    @Test func `An empty ring has no owner and a single member owns everything`() {
        let empty = HashRing(members: [])
        #expect(empty.owner(at: 42) == nil)
        #expect(empty.successors(at: 42, count: 3).isEmpty)
        #expect(empty.shares().isEmpty)
        let single = HashRing(members: ["1"])
        #expect(single.ids("any", count: 3) == ["1"])
        #expect(single.shares() == [1])
    }

    @Test func `Ids are found by their bytes`() {
        let ring = HashRing(members: ["é", "e\u{301}", "b", "a"], virtualNodes: 1)
        #expect(ring.members.count == 4)
        for (place, id) in ring.members.enumerated() { #expect(ring.index(of: id) == RingIndex(place)) }
        #expect(ring.index(of: "c") == nil)
    }
}
