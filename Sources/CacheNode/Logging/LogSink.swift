// The bounded queue and the one thread that writes it out. Callers never wait: a line is kept or counted as dropped.
// What the lines say is the business of others; the sink only asks for the text of its own notices.

import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// What the sink itself has to say.
enum LogNotice: Sendable {
    case dropped(lines: Int)
    case reopenFailed(LogError)
}

/// How a flush ended.
package enum LogFlushOutcome: Sendable {
    /// All lines offered before are written, or known to be lost.
    case flushed
    /// The reader of the log is too slow; the rest is left behind.
    case timedOut
}

/// Queue, lock and writer thread of a log.
///
/// `@unchecked Sendable`: `lock` guards `queue`, `reopenAsked` and `stopAsked`; `file`, `batch` and `torn` belong to the
/// writer thread once it runs; all else is immutable. A pthread mutex rather than `Mutex`, because the thread must sleep
/// on a condition, and a Dispatch semaphore would bring Dispatch in.
final class LogSink: @unchecked Sendable {
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    /// Signalled when there is something for the writer to do.
    private let work = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Signalled when the queue has become idle.
    private let idle = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// The text of a notice; called with the lock held too, so it only makes bytes.
    private let render: @Sendable (LogNotice) -> [UInt8]

    private var queue: LogQueue
    private var reopenAsked = false
    private var stopAsked = false

    private var file: LogFile
    private var batch = LogBatch()
    /// The rest of a line of which only the beginning could be written: it goes out before anything else, so that two
    /// lines never run into one.
    private var torn: ArraySlice<UInt8> = []

    /// Opens the destination and starts the thread, which keeps the sink alive until `stop`.
    init(
        _ destination: LogDestination, limits: LogQueue.Limits, render: @escaping @Sendable (LogNotice) -> [UInt8]
    ) throws(LogError) {
        self.render = render
        queue = LogQueue(limits: limits)
        file = try LogFile(destination)
        pthread_mutex_init(lock, nil)
        pthread_cond_init(work, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Deadlines must not move with the wall clock.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(idle, &attributes)
        pthread_condattr_destroy(&attributes)

        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { sink in
                guard let sink else { return nil }
                Unmanaged<LogSink>.fromOpaque(sink).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(status == 0, "a process that cannot start its log thread has no room for any other either")
        pthread_detach(thread)
    }

    deinit {
        pthread_cond_destroy(idle)
        pthread_cond_destroy(work)
        pthread_mutex_destroy(lock)
        idle.deallocate()
        work.deallocate()
        lock.deallocate()
    }

    /// Queues a whole line with its newline, or counts it as dropped when the queue is full. Never waits for the writer.
    func offer(_ line: [UInt8]) {
        locked {
            queue.offer(line) { render(.dropped(lines: $0)) }
            pthread_cond_signal(work)
        }
    }

    /// Lines dropped since the start.
    var droppedInAll: Int { locked { queue.droppedInAll } }

    /// Asks the writer to open the file anew after what it is writing now; a failure is a line in the old file.
    func reopen() {
        locked {
            reopenAsked = true
            pthread_cond_signal(work)
        }
    }

    /// Waits until nothing is left to write, at most that long.
    func flush(deadlineMilliseconds: Int) -> LogFlushOutcome {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        let nanoseconds = deadline.tv_nsec + deadlineMilliseconds % 1_000 * 1_000_000
        deadline.tv_sec += deadlineMilliseconds / 1_000 + nanoseconds / 1_000_000_000
        deadline.tv_nsec = nanoseconds % 1_000_000_000
        return locked {
            while !queue.isIdle || reopenAsked {
                if pthread_cond_timedwait(idle, lock, &deadline) == ETIMEDOUT { return .timedOut }
            }
            return .flushed
        }
    }

    /// Lets the thread end, and the file close, once what is queued is written or cannot be.
    func stop() {
        locked {
            stopAsked = true
            pthread_cond_signal(work)
        }
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body()
    }

    // MARK: The writer thread

    private func run() {
        // All signals go to other threads. A SIGPIPE from write() stays pending on this one and the write reports EPIPE.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        while true {
            let (reopens, stops) = locked {
                while !queue.take(into: &batch), !reopenAsked, !stopAsked {
                    pthread_cond_wait(work, lock)
                }
                return (reopenAsked, stopAsked)
            }
            var loss = LogLoss()
            if !batch.marks.isEmpty {
                loss = writeBatch()
            } else if stops {
                return
            }
            var failure: LogError?
            if reopens { failure = reopenFile(&loss) }
            locked {
                queue.settle(loss) { render(.dropped(lines: $0)) }
                if let failure { queue.offer(render(.reopenFailed(failure))) { render(.dropped(lines: $0)) } }
                if reopens { reopenAsked = false }
                if queue.isIdle { pthread_cond_broadcast(idle) }
            }
        }
    }

    private func writeBatch() -> LogLoss {
        defer { batch.removeAll() }
        let isStopping = { self.locked { self.stopAsked } }
        if !torn.isEmpty {
            torn = torn.dropFirst(file.write(torn, isStopping: isStopping))
            guard torn.isEmpty else { return batch.loss(afterWriting: 0) }
        }
        let written = file.write(batch.bytes[...], isStopping: isStopping)
        guard written < batch.bytes.count else { return LogLoss() }
        torn = ArraySlice(Array(batch.bytes[written..<batch.endOfLine(at: written)]))
        return batch.loss(afterWriting: written)
    }

    private func reopenFile(_ loss: inout LogLoss) -> LogError? {
        do throws(LogError) {
            // The rest of a torn line has no place in a new file.
            if try file.reopen(), !torn.isEmpty {
                torn = []
                loss.lines += 1
            }
            return nil
        } catch {
            return error
        }
    }
}
