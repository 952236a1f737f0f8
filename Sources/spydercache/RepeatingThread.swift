// A plain thread that does one small thing at a fixed pace. Not a Task: the server uses no concurrency runtime, whose
// workers would call setpriority(2), which a hardened service must not.

#if canImport(Glibc)
    import Glibc
#endif

enum RepeatingThread {
    private final class Job: Sendable {
        let milliseconds: Int64
        let body: @Sendable () -> Void

        init(_ milliseconds: Int64, _ body: @escaping @Sendable () -> Void) {
            self.milliseconds = milliseconds
            self.body = body
        }
    }

    /// Runs `body` at once and then every `milliseconds`, until the process ends.
    static func start(everyMilliseconds milliseconds: Int64, _ body: @escaping @Sendable () -> Void) {
        let job = Unmanaged.passRetained(Job(milliseconds, body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let job = Unmanaged<Job>.fromOpaque(argument).takeRetainedValue()
                while true {
                    job.body()
                    usleep(UInt32(clamping: job.milliseconds * 1000))
                }
            }, job.toOpaque())
        if status == 0 { pthread_detach(thread) } else { job.release() }
    }
}
