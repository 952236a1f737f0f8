// Who owns a key: a consistent-hash ring (Karger et al., "Consistent Hashing and Random Trees", 1997) as an immutable
// value. Knows neither addresses nor who is alive: a change of membership makes a new ring.
//
//      0                                                               2^64
//      |--b0---a3-----c1--a0----b2--------c0-----a1---b1---c2----a2------|  -> wraps to b0
//                  ^ hash(key): owner a? no, the next point upwards: c1
//
// Rules
// - Point i of a member is XXH64(id, seed i); a key is at XXH64(key, seed 0). The owner is the member of the first point at
//   or above the key; its replicas are the next distinct members upwards.
// - Points depend on the id alone, so a change moves only keys to the member that comes or from the one that goes, and
//   when an owner goes its keys are at their next replica.
// - Two points at one position (odds of 10^-8 at 1,000 members) are ordered by id, so the member list's order is irrelevant.
// - A virtual node is four points, not one. A member's share varies by sqrt((N-1)/(N * points)): with 160 points at N = 10
//   that is 7.5 %, and one naming of members in four has a node above 1.15 times the mean; with 640 it is 3.8 %, and one
//   in two thousand has. Weighting points by load instead would move keys between members that did not change.

/// A member's place in `HashRing.members`; valid for that ring only.
package struct RingIndex: Hashable, Sendable {
    package let rawValue: Int

    package init(_ rawValue: Int) {
        self.rawValue = rawValue
    }
}

/// An immutable ring of members; equal for equal sets of ids on every node.
package struct HashRing: Sendable {
    /// What a setting that does not say otherwise gives a member.
    package static let defaultVirtualNodes = 160
    /// Points on the ring for each virtual node; the file's head has the reason.
    package static let pointsPerVirtualNode = 4

    /// Ids of the members, distinct and sorted by their UTF-8 bytes.
    package let members: [String]
    /// Points of each member on the ring.
    package let pointsPerMember: Int

    /// Positions of all points, ascending, and the member of each.
    private let positions: [UInt64]
    private let owners: [UInt32]
    /// `directory[d]` is the first point at or above `d << directoryShift`: a lookup starts there and looks at one or two
    /// points, where a binary search would miss the processor's cache at each of its twenty steps.
    private let directory: [UInt32]
    private let directoryShift: UInt64

    /// A ring of `members`, in any order; repeated ids count once. At most 1,000,000 members times virtual nodes are
    /// sensible: 16 bytes a point, O(points log points).
    package init(members ids: [String], virtualNodes: Int = defaultVirtualNodes) {
        precondition(virtualNodes > 0, "a member needs at least one virtual node")
        let points = virtualNodes * Self.pointsPerVirtualNode
        precondition(ids.count * points < Int(UInt32.max), "point numbers are 32 bits")
        members = Self.sortedDistinct(ids)
        pointsPerMember = points
        var placed: [(position: UInt64, owner: UInt32)] = []
        placed.reserveCapacity(members.count * points)
        for (owner, id) in members.enumerated() {
            let bytes = Array(id.utf8)
            bytes.withUnsafeBytes { bytes in
                for point in 0..<points {
                    placed.append((RingHash.hash(bytes, seed: UInt64(point)), UInt32(owner)))
                }
            }
        }
        placed.sort { $0.position != $1.position ? $0.position < $1.position : $0.owner < $1.owner }
        positions = placed.map(\.position)
        owners = placed.map(\.owner)
        (directory, directoryShift) = Self.makeDirectory(positions)
    }

    /// The member that owns `key`; nil only for an empty ring. Expected O(bytes of the key).
    package func owner(of key: UnsafeRawBufferPointer) -> RingIndex? {
        owner(at: RingHash.hash(key))
    }

    /// The member that owns a position.
    package func owner(at position: UInt64) -> RingIndex? {
        guard !positions.isEmpty else { return nil }
        return RingIndex(Int(owners[firstPoint(from: position)]))
    }

    /// The owner of `key` and the next distinct members in ring order, at most `count`; fewer when the ring has fewer.
    package func successors(of key: UnsafeRawBufferPointer, count: Int) -> [RingIndex] {
        successors(at: RingHash.hash(key), count: count)
    }

    /// The owner of a position and the next distinct members, at most `count`. Looks at about `count` points while `count`
    /// is far below the number of members, at all of them in the worst case.
    package func successors(at position: UInt64, count: Int) -> [RingIndex] {
        let wanted = min(count, members.count)
        guard wanted > 0 else { return [] }
        var found: [RingIndex] = []
        found.reserveCapacity(wanted)
        var point = firstPoint(from: position)
        // Searching the few found costs less than a set of a thousand; a request for many is an operator's.
        var isFound = wanted > 16 ? [Bool](repeating: false, count: members.count) : []
        while found.count < wanted {
            let candidate = RingIndex(Int(owners[point]))
            if isFound.isEmpty {
                if !found.contains(candidate) { found.append(candidate) }
            } else if !isFound[candidate.rawValue] {
                isFound[candidate.rawValue] = true
                found.append(candidate)
            }
            point = point + 1 == positions.count ? 0 : point + 1
        }
        return found
    }

    /// The member's id; the index must be of this ring.
    package func id(of index: RingIndex) -> String {
        members[index.rawValue]
    }

    /// Where `id` stands in this ring; nil when it is no member. O(log members).
    package func index(of id: String) -> RingIndex? {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if members[middle].utf8.lexicographicallyPrecedes(id.utf8) { low = middle + 1 } else { high = middle }
        }
        guard low < members.count, members[low].utf8.elementsEqual(id.utf8) else { return nil }
        return RingIndex(low)
    }

    /// The part of all positions that each member owns, in the order of `members`; sums to 1. O(points).
    package func shares() -> [Double] {
        var shares = [Double](repeating: 0, count: members.count)
        guard let last = positions.last else { return shares }
        guard members.count > 1 else { return [1] }
        var previous = last
        for (position, owner) in zip(positions, owners) {
            shares[Int(owner)] += Double(position &- previous) * 0x1p-64
            previous = position
        }
        return shares
    }

    /// The first point at or above `position`, from below after the last one.
    private func firstPoint(from position: UInt64) -> Int {
        var point = Int(directory[Int(truncatingIfNeeded: position &>> directoryShift)])
        while point < positions.count, positions[point] < position { point &+= 1 }
        return point == positions.count ? 0 : point
    }

    /// As many parts, a power of two, as there are points, so that a part holds one on average.
    private static func makeDirectory(_ positions: [UInt64]) -> ([UInt32], UInt64) {
        var bits: UInt64 = 1
        while 1 << bits < positions.count { bits += 1 }
        let shift = 64 - bits
        var directory: [UInt32] = []
        directory.reserveCapacity(1 << bits)
        var point = 0
        for part in 0..<(UInt64(1) << bits) {
            while point < positions.count, positions[point] < part << shift { point += 1 }
            directory.append(UInt32(point))
        }
        return (directory, shift)
    }

    private static func sortedDistinct(_ ids: [String]) -> [String] {
        // Not `String.<`: it compares canonically equivalent spellings as equal, which ids are not.
        let sorted = ids.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        var distinct: [String] = []
        distinct.reserveCapacity(sorted.count)
        for id in sorted where distinct.last.map({ !$0.utf8.elementsEqual(id.utf8) }) ?? true { distinct.append(id) }
        return distinct
    }
}
