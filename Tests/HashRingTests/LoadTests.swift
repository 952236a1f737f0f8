// How evenly keys fall and how few of them move, with the numbers the design promises.

import HashRing
import TestSupport
import Testing

struct LoadTests {
    /// Owners of the same million positions in each ring. Keys' hashes are uniform, so that random positions stand for them.
    static func counts(_ ring: HashRing, keys: Int = 1_000_000, seed: UInt64 = 1) -> [Int] {
        var random = SeededRandom(seed: seed)
        var counts = [Int](repeating: 0, count: ring.members.count)
        for _ in 0..<keys {
            guard let owner = ring.owner(at: random.next()) else { continue }
            counts[owner.rawValue] += 1
        }
        return counts
    }

    @Test(arguments: ["", "node-", "10.0.0.", "cache"])
    func `The most loaded of ten nodes has at most 1.15 times the mean of a million keys`(prefix: String) throws {
        let ring = HashRing(members: (1...10).map { prefix + String($0) })
        let counts = Self.counts(ring)
        let most = try #require(counts.max())
        print("ring load, 10 nodes '\(prefix)N': max/mean \(Double(most) / 100_000)")
        #expect(most <= 115_000)
    }

    @Test func `Real keys fall as evenly as positions`() throws {
        let ring = HashRing(members: (1...10).map(String.init))
        var counts = [Int](repeating: 0, count: 10)
        for number in 0..<100_000 {
            var key = "user:\(number):profile"
            let owner = key.withUTF8 { ring.owner(of: UnsafeRawBufferPointer($0)) }
            counts[try #require(owner).rawValue] += 1
        }
        #expect(try #require(counts.max()) <= 11_500)
    }

    /// Shares are exact, so that many namings can be tried: none may be unlucky.
    @Test func `No naming of ten nodes out of 100 has a share above 1.15 times the mean`() throws {
        var worst = 0.0
        for naming in 0..<100 {
            let shares = HashRing(members: (1...10).map { "n\(naming)-\($0)" }).shares()
            #expect(abs(shares.reduce(0, +) - 1) < 1e-9)
            worst = max(worst, try #require(shares.max()) * 10)
        }
        print("ring load, 10 nodes, 100 namings: worst max/mean \(worst)")
        #expect(worst <= 1.15)
    }

    @Test(arguments: [3, 10, 20])
    func `A node that comes or goes moves at most 1.15 of its share and nothing between the others`(count: Int) {
        let ids = (1...count).map(String.init)
        let before = HashRing(members: ids)
        for changed in [ids[0], ids[count / 2], ids[count - 1]] {
            let after = HashRing(members: ids.filter { $0 != changed })
            var random = SeededRandom(seed: 5)
            var moved = 0
            for _ in 0..<50_000 {
                let position = random.next()
                let owners = before.successors(at: position, count: 2).map(before.id(of:))
                let now = after.owner(at: position).map(after.id(of:))
                if owners[0] == changed {
                    moved += 1
                    // The replica becomes the owner: that is where the copy is.
                    #expect(now == owners[1])
                } else {
                    #expect(now == owners[0])
                }
            }
            #expect(Double(moved) <= 50_000 * 1.15 / Double(count))
        }
    }
}
