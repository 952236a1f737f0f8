// The clock of `mayAct`, the same as CacheNode's NodeClock.

import Glibc

/// Unaffected by changes of the date; stands still with the machine, not with the process.
enum MonotonicClock {
    /// Since some time before the program began.
    static func milliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) &* 1000 &+ Int64(time.tv_nsec) / 1_000_000
    }
}
