// The node's clocks. Pure modules receive times as parameters; this is where they come from.

#if canImport(Glibc)
    import Glibc
#endif

/// Reads the system's clocks in milliseconds.
package enum NodeClock {
    /// Milliseconds of the monotonic clock: for deadlines and time-to-live, unaffected by clock changes.
    @inline(__always)
    package static func monotonicMilliseconds() -> Int64 {
        milliseconds(CLOCK_MONOTONIC)
    }

    /// Milliseconds since the Unix epoch: for what outlives the process (journal, versions, logs).
    @inline(__always)
    package static func wallMilliseconds() -> Int64 {
        milliseconds(CLOCK_REALTIME)
    }

    /// Nanoseconds of the monotonic clock: for measuring durations.
    @inline(__always)
    package static func monotonicNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    /// The current UTC time as a file name that sorts by age: `20261123T214133.042Z`.
    static func utcName() -> String {
        let now = wallMilliseconds()
        var seconds = time_t(now / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(count - text.count, 0)) + text
        }
        let date =
            digits(Int(parts.tm_year) + 1900, 4) + digits(Int(parts.tm_mon) + 1, 2) + digits(Int(parts.tm_mday), 2)
        let time = digits(Int(parts.tm_hour), 2) + digits(Int(parts.tm_min), 2) + digits(Int(parts.tm_sec), 2)
        return "\(date)T\(time).\(digits(Int(now % 1000), 3))Z"
    }

    @inline(__always)
    private static func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1000 &+ Int64(time.tv_nsec) / 1_000_000
    }
}
