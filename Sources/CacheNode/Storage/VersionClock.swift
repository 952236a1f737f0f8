// Issues the versions ("cas") of entries. Not a wall clock: only their order means anything.

import Synchronization

/// A hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014) in one 64-bit word: 48 bits of Unix
/// milliseconds, 16 bits of counter.
///
/// Invariant: every stamp is greater than all stamps issued or observed before, also across restarts, because recovery
/// observes the newest version in the journal before the first stamp is issued.
package final class VersionClock: Sendable {
    private let last = Atomic<UInt64>(0)

    package init() {}

    /// The next version; never zero, never repeated.
    package func next() -> UInt64 {
        let physical = UInt64(clamping: NodeClock.wallMilliseconds()) << 16
        var current = last.load(ordering: .relaxed)
        while true {
            let stamp = max(current &+ 1, physical)
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

    /// The newest stamp issued or observed.
    package var newest: UInt64 { last.load(ordering: .relaxed) }
}
