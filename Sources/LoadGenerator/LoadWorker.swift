// One thread of the generator: its connections behind one epoll, one receive and one send a wake of each.

import CEpoll
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Switches that the run sets and the workers read.
final class LoadControl: Sendable {
    let isMeasuring = Atomic<Bool>(false)
    let isStopping = Atomic<Bool>(false)
}

/// What one worker saw while measuring.
struct LoadTally: Sendable {
    var latencies = LatencyHistogram()
    var hits = 0
    var misses = 0
    var failures = 0
    var reads = 0
    var writes = 0
    var reconnects = 0

    mutating func merge(_ other: LoadTally) {
        self.latencies.merge(other.latencies)
        self.hits += other.hits
        self.misses += other.misses
        self.failures += other.failures
        self.reads += other.reads
        self.writes += other.writes
        self.reconnects += other.reconnects
    }
}

/// Which keys a worker names.
enum KeySource {
    case random(KeySequence)
    /// All keys in turn, for filling.
    case sequential(next: Int, count: Int)
}

/// A worker. `@unchecked`: its fields belong to its thread from `start()` until `join()` has returned; only the atomics are
/// read meanwhile.
final class LoadWorker: @unchecked Sendable {
    /// Replies so far, measured or not.
    let replies = Atomic<Int>(0)
    let isFinished = Atomic<Bool>(false)
    private(set) var tally = LoadTally()
    private(set) var failure: LoadError?

    private let plan: LoadPlan
    private let target: LoadTarget
    private let control: LoadControl
    private let read: RequestTemplate
    private let write: RequestTemplate
    private let intervalNanoseconds: UInt64?
    private var keys: KeySequence
    private var nextSequential: Int?
    /// Requests that may still be sent; nil for no limit.
    private var quota: Int?
    private var connections: [LoadConnection] = []
    private var poll: Int32 = -1
    private var nextDue: UInt64 = 0
    private var replyCount = 0
    private var isMeasuring = false
    private var reconnectsInARow = 0
    private var replyCountAtReconnect = 0
    private var thread = pthread_t()

    private static let stallMilliseconds = 10_000
    private static let drainMilliseconds: UInt64 = 1000

    /// `share`: the connections, and where limited the requests, that fall to this worker of `plan.threads`.
    init(
        _ plan: LoadPlan, target: LoadTarget, control: LoadControl, index: Int, keySource: KeySource
    ) throws(LoadError) {
        self.plan = plan
        self.target = target
        self.control = control
        self.read = .read(plan)
        self.write = .write(plan) ?? .read(plan)
        switch keySource {
        case .random(let keys):
            self.keys = keys
        case .sequential(let next, let count):
            self.keys = KeySequence(keys: count, choice: .uniform, seed: 0)
            self.nextSequential = next
        }
        if case .requests(let count) = plan.length {
            self.quota = Self.share(of: count, index, plan.threads)
        }
        self.intervalNanoseconds = plan.ratePerSecond.map { UInt64(1_000_000_000 * plan.threads / max($0, 1)) }
        self.poll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard self.poll >= 0 else { throw .system(call: "epoll_create1", reason: currentErrorText()) }
        let checker = ReplyChecker(plan)
        for place in 0..<Self.share(of: plan.connections, index, plan.threads) {
            let connection = LoadConnection(
                descriptor: try target.connect(), depth: plan.pipeline,
                maxKeys: max(self.read.keys, self.write.keys),
                maxRequestBytes: max(self.read.bytes.count, self.write.bytes.count), checker: checker)
            self.connections.append(connection)
            self.watch(place, EPOLL_CTL_ADD)
        }
    }

    deinit {
        if self.poll >= 0 { close(self.poll) }
    }

    func start() throws(LoadError) {
        let reference = Unmanaged.passRetained(self)
        let status = pthread_create(
            &self.thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<LoadWorker>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, reference.toOpaque())
        guard status == 0 else {
            reference.release()
            throw .system(call: "pthread_create", reason: String(cString: strerror(status)))
        }
    }

    /// Waits for the end of the thread, after which `tally` and `failure` may be read.
    func join() {
        pthread_join(self.thread, nil)
    }

    // MARK: The thread

    private func run() {
        defer { self.isFinished.store(true, ordering: .releasing) }
        do throws(LoadError) {
            try self.serve()
        } catch {
            self.failure = error
        }
    }

    private func serve() throws(LoadError) {
        var events = [epoll_event](repeating: epoll_event(), count: 256)
        var lastReply = monotonicNanoseconds()
        self.nextDue = lastReply
        if self.intervalNanoseconds == nil {
            for place in self.connections.indices { try self.topUp(place) }
        }
        var stopAt: UInt64?
        while !self.isDone {
            if self.control.isStopping.load(ordering: .relaxed) {
                // What is in flight is awaited, briefly: a server may hand the replies of a connection that was cut to
                // the next one (Webdis does), and the next run would count them as wrong.
                self.quota = 0
                stopAt = stopAt ?? monotonicNanoseconds() + Self.drainMilliseconds * 1_000_000
                if let stopAt, monotonicNanoseconds() > stopAt { return }
            }
            self.isMeasuring = self.control.isMeasuring.load(ordering: .relaxed)
            if self.intervalNanoseconds != nil { try self.sendWhatIsDue() }
            // With a rate the thread spins: a sleep of a millisecond would turn an even load into bursts.
            let count = epoll_wait(self.poll, &events, Int32(events.count), self.intervalNanoseconds == nil ? 100 : 0)
            if count < 0 && errno != EINTR { throw .system(call: "epoll_wait", reason: currentErrorText()) }
            let repliesBefore = self.replyCount
            for index in 0..<Int(max(count, 0)) {
                try self.serve(Int(events[index].data.u32), events[index].events)
            }
            if self.replyCount != repliesBefore {
                self.replies.store(self.replyCount, ordering: .relaxed)
                lastReply = monotonicNanoseconds()
            } else if count == 0, self.intervalNanoseconds == nil,
                monotonicNanoseconds() - lastReply > UInt64(Self.stallMilliseconds) * 1_000_000
            {
                throw .stalled(milliseconds: Self.stallMilliseconds)
            }
        }
    }

    private var isDone: Bool {
        self.quota == 0 && self.connections.allSatisfy { $0.inFlight == 0 }
    }

    private func serve(_ place: Int, _ events: UInt32) throws(LoadError) {
        let connection = self.connections[place]
        if events & EPOLLOUT.rawValue != 0 {
            guard connection.flush() else { return try self.reconnect(place) }
            if !connection.wantsRoom { self.watch(place, EPOLL_CTL_MOD) }
        }
        guard events & ~EPOLLOUT.rawValue != 0 else { return }
        var isLost = false
        var now: UInt64 = 0
        connection.receive { event in
            switch event {
            case .replied(let verdict, let sentAt, let isRead):
                // One reading for all replies of one receive: they came together.
                if now == 0 { now = monotonicNanoseconds() }
                self.replyCount += 1
                guard self.isMeasuring else { return }
                self.count(verdict, isRead: isRead)
                self.tally.latencies.record(now &- min(sentAt, now))
            case .lost(let operations):
                isLost = true
                if self.isMeasuring { self.tally.failures += operations }
            }
        }
        if isLost { return try self.reconnect(place) }
        if self.intervalNanoseconds == nil { try self.topUp(place) }
    }

    private func count(_ verdict: ReplyVerdict, isRead: Bool) {
        self.tally.failures += verdict.failures
        if isRead {
            self.tally.reads += verdict.hits + verdict.misses
            self.tally.hits += verdict.hits
            self.tally.misses += verdict.misses
        } else {
            self.tally.writes += verdict.hits
        }
    }

    /// Fills the connection's pipeline and sends.
    private func topUp(_ place: Int) throws(LoadError) {
        let connection = self.connections[place]
        guard connection.hasRoom, self.quota != 0 else { return }
        let now = monotonicNanoseconds()
        while connection.hasRoom, self.quota != 0 { self.enqueue(connection, at: now) }
        try self.flush(place)
    }

    /// Sends requests whose time has come, while connections have room for them; the rest stay due, and their latency
    /// grows.
    private func sendWhatIsDue() throws(LoadError) {
        guard let interval = self.intervalNanoseconds else { return }
        let now = monotonicNanoseconds()
        guard self.nextDue <= now else { return }
        for place in self.connections.indices where self.connections[place].hasRoom {
            guard self.nextDue <= now, self.quota != 0 else { return }
            self.enqueue(self.connections[place], at: self.nextDue)
            self.nextDue += interval
            try self.flush(place)
        }
    }

    private func enqueue(_ connection: LoadConnection, at time: UInt64) {
        if let quota = self.quota { self.quota = quota - 1 }
        let reads = self.nextSequential == nil && self.keys.chance(self.plan.readRatio)
        connection.enqueue(reads ? self.read : self.write, at: time) { self.nextKey() }
    }

    private func nextKey() -> Int {
        guard let next = self.nextSequential else { return self.keys.next() }
        self.nextSequential = next + 1
        return next % self.plan.keys
    }

    private func flush(_ place: Int) throws(LoadError) {
        let connection = self.connections[place]
        guard connection.flush() else { return try self.reconnect(place) }
        if connection.wantsRoom { self.watch(place, EPOLL_CTL_MOD) }
    }

    /// A server may close a connection (a limit of requests, a refusal): counted, and opened again.
    private func reconnect(_ place: Int) throws(LoadError) {
        if self.replyCount != self.replyCountAtReconnect { self.reconnectsInARow = 0 }
        self.replyCountAtReconnect = self.replyCount
        self.reconnectsInARow += 1
        guard self.reconnectsInARow <= 3 * self.connections.count else { throw .dropsConnections }
        if self.isMeasuring { self.tally.reconnects += 1 }
        // Closing takes the old descriptor out of the epoll set.
        self.connections[place].replace(descriptor: try self.target.connect())
        self.watch(place, EPOLL_CTL_ADD)
        if self.intervalNanoseconds == nil { try self.topUp(place) }
    }

    private func watch(_ place: Int, _ operation: Int32) {
        let connection = self.connections[place]
        var event = epoll_event()
        event.events = EPOLLIN.rawValue | (connection.wantsRoom ? EPOLLOUT.rawValue : 0)
        event.data.u32 = UInt32(place)
        epoll_ctl(self.poll, operation, connection.descriptor, &event)
    }

    private static func share(of total: Int, _ index: Int, _ threads: Int) -> Int {
        total / threads + (index < total % threads ? 1 : 0)
    }
}
