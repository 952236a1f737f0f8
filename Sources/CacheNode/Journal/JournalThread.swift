// A thread and a bell for it. The journal's threads block on files, so they are neither event loops nor tasks.

import Glibc

/// How the system's scheduler treats a thread against others that want its core (sched(7)); needs no privilege. A system
/// that refuses leaves it as usual, which costs the event loops milliseconds and nothing else.
enum SchedulingClass {
    case usual
    /// An equal share of the core, but waking up never interrupts another thread.
    case batch
    /// Only what others leave of the core; any thread interrupts it at once. It must hold nothing that others wait for.
    case idle

    /// Puts the calling thread into this class; false where the system refuses.
    @discardableResult
    func enter() -> Bool {
        // SCHED_BATCH and SCHED_IDLE, which Swift's Glibc module leaves out.
        let policy: Int32 =
            switch self {
            case .usual: SCHED_OTHER
            case .batch: 3
            case .idle: 5
            }
        var parameters = sched_param()
        // Of Linux's call 0 means the calling thread, not the process.
        return sched_setscheduler(0, policy, &parameters) == 0
    }
}

/// A thread; ends when its body returns.
final class JournalThread: Sendable {
    private let handle: pthread_t

    private final class Body {
        let scheduling: SchedulingClass
        let run: @Sendable () -> Void
        init(_ scheduling: SchedulingClass, _ run: @escaping @Sendable () -> Void) {
            self.scheduling = scheduling
            self.run = run
        }
    }

    init(_ scheduling: SchedulingClass = .usual, _ run: @escaping @Sendable () -> Void) {
        var created = pthread_t()
        let result = pthread_create(
            &created, nil,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                if body.scheduling != .usual { body.scheduling.enter() }
                body.run()
                return nil
            }, Unmanaged.passRetained(Body(scheduling, run)).toOpaque())
        precondition(result == 0, "the system refuses the journal a thread")
        handle = created
    }

    /// Lets other threads that want the calling thread's core go first, once.
    static func standBack() { sched_yield() }

    /// Waits until the body has returned. Call this or `detach`, once.
    func join() { pthread_join(handle, nil) }

    /// Leaves the thread to end by itself, or with the process.
    func detach() { pthread_detach(handle) }
}

/// Wakes one waiting thread; a ring without a waiter is kept for the next wait.
///
/// `@unchecked Sendable`: `isRung` is guarded by the pthread mutex, which never moves.
final class Doorbell: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var isRung = false

    init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func ring() {
        pthread_mutex_lock(mutex)
        isRung = true
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Waits for a ring, at most this long; without a limit when nil.
    func wait(milliseconds: Int64?) {
        pthread_mutex_lock(mutex)
        if let milliseconds {
            var deadline = timespec()
            clock_gettime(CLOCK_MONOTONIC, &deadline)
            let nanoseconds = deadline.tv_nsec + Int(milliseconds % 1000) * 1_000_000
            deadline.tv_sec += Int(milliseconds / 1000) + nanoseconds / 1_000_000_000
            deadline.tv_nsec = nanoseconds % 1_000_000_000
            while !isRung, pthread_cond_timedwait(condition, mutex, &deadline) == 0 {}
        } else {
            while !isRung { pthread_cond_wait(condition, mutex) }
        }
        isRung = false
        pthread_mutex_unlock(mutex)
    }
}

enum JournalClock {
    /// Milliseconds that never go back.
    static func monotonic() -> Int64 { read(CLOCK_MONOTONIC) }
    /// Unix milliseconds.
    static func wall() -> Int64 { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var now = timespec()
        clock_gettime(clock, &now)
        return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    }
}
