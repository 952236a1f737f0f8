// Issues the versions ("cas") of entries. Not a wall clock: only their order means anything.

import Synchronization

/// A hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014) in one 64-bit word:
///
///     63 ················ 16 │ 15 ····· 6 │ 5 ··· 0
///     Unix milliseconds      │ counter    │ node       two nodes do not issue the same version, but for one pair in 64
///
/// More than 1,024 versions a millisecond borrow from the next one.
///
/// Invariant: every stamp is greater than all stamps issued or observed before, also across restarts, because recovery
/// observes the newest version in the journal before the first stamp is issued.
package final class VersionClock: Sendable {
    private let last = Atomic<UInt64>(0)

    /// The node's bits.
    private let tag: UInt64
    private static let tagBits: UInt64 = 6

    /// How far ahead of this node's wall clock a version of another node may be, in milliseconds: a day.
    private static let toleranceMilliseconds: Int64 = 86_400_000

    /// `node`: anything that differs from node to node.
    package init(node: UInt64 = 0) {
        tag = node & (1 << Self.tagBits - 1)
    }

    /// Whether a version can come from a clock: others would make this node's run ahead for good.
    package func isPlausible(_ version: UInt64) -> Bool {
        let limit = UInt64(clamping: NodeClock.wallMilliseconds() + Self.toleranceMilliseconds) << 16
        return version <= max(limit, newest)
    }

    /// The next version; never zero, never repeated.
    package func next() -> UInt64 {
        let physical = UInt64(clamping: NodeClock.wallMilliseconds()) << 16
        var current = last.load(ordering: .relaxed)
        while true {
            let stamp = max((current >> Self.tagBits &+ 1) << Self.tagBits, physical) | tag
            let (exchanged, original) = last.weakCompareExchange(
                expected: current, desired: stamp, ordering: .relaxed)
            if exchanged { return stamp }
            current = original
        }
    }

    /// Makes every later stamp greater than `version`, which came from a journal or a peer.
    package func observe(_ version: UInt64) {
        last.max(version, ordering: .relaxed)
    }

    /// A stamp that is older than the newest one by this much.
    func newest(before milliseconds: Int64) -> UInt64 {
        let span = UInt64(clamping: milliseconds) << 16
        return newest > span ? newest - span : 0
    }

    /// The newest stamp issued or observed.
    package var newest: UInt64 { last.load(ordering: .relaxed) }
}
