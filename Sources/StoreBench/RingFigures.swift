// The ring of many members: building it, keeping it, asking it.

import HashRing
import TestSupport

struct RingFigures: Encodable {
    var members: Int
    var buildMilliseconds: Double
    var bytes: Int
    var ownerNanoseconds: Double
    /// For the owner and two replicas.
    var threeHoldersNanoseconds: Double

    private static let lookups = 2_000_000

    /// The least of five builds, and look-ups of random keys of 16 bytes.
    static func measure(members: Int) -> RingFigures {
        let ids = (0..<members).map { "node-\($0)" }
        let build = (0..<5).map { _ in
            let start = threadNanoseconds()
            _ = HashRing(members: ids)
            return threadNanoseconds() - start
        }.min()
        let before = allocatedBytes()
        let ring = HashRing(members: ids)
        let bytes = allocatedBytes() - before
        var random = SeededRandom(seed: 1)
        let keys = (0..<lookups).map { _ in (random.next(), random.next()) }
        var found = 0
        func nanosecondsALookup(_ look: (UnsafeRawBufferPointer) -> Int) -> Double {
            let start = threadNanoseconds()
            for key in keys { withUnsafeBytes(of: key) { found &+= look($0) } }
            return Double(threadNanoseconds() - start) / Double(keys.count)
        }
        let owner = nanosecondsALookup { ring.owner(of: $0)?.rawValue ?? 0 }
        let holders = nanosecondsALookup { ring.successors(of: $0, count: 3).last?.rawValue ?? 0 }
        precondition(found > 0 || members == 1, "a look-up that nobody needs is not made")
        return RingFigures(
            members: members, buildMilliseconds: Double(build ?? 0) / 1e6, bytes: bytes, ownerNanoseconds: owner,
            threeHoldersNanoseconds: holders)
    }
}
