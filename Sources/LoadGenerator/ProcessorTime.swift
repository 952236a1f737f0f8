// Processor time of other processes and of this one, as Linux tells it in /proc.

#if canImport(Glibc)
    import Glibc
#endif

/// Readings of consumed processor time.
package enum ProcessorTime {
    /// Nanoseconds that all living threads of `process` have run so far, in user and system mode; nil where /proc does not
    /// tell.
    ///
    /// From `/proc/N/task/*/schedstat` (proc(5)), which counts nanoseconds; the usual `utime` and `stime` count ticks of
    /// 10 ms by sampling. A server whose threads end during a measurement is measured too low.
    package static func nanoseconds(ofProcess process: Int32) -> UInt64? {
        guard let directory = opendir("/proc/\(process)/task") else { return nil }
        defer { closedir(directory) }
        var total: UInt64 = 0
        var found = false
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.first != ".", let time = self.firstNumber(inFile: "/proc/\(process)/task/\(name)/schedstat")
            else { continue }
            total += time
            found = true
        }
        return found ? total : nil
    }

    /// Nanoseconds that this process has run.
    static func nanosecondsOfThisProcess() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func firstNumber(inFile path: String) -> UInt64? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: 128)
        let count = read(descriptor, &text, text.count)
        guard count > 0 else { return nil }
        let digits = text.prefix(count).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return UInt64(String(decoding: digits, as: UTF8.self))
    }
}

/// Nanoseconds of the monotonic clock.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}
