// Drives EtcdMembership: gives it time, replies and the watch, and does what its actions say. Holds no rules.

import Membership
import NIOCore

/// Confined to its event loop.
final class EtcdDriver {
    private var core: EtcdMembership
    private let client: EtcdClient
    private let loop: any EventLoop
    private let sink: any TopologySink
    private let report: (String) -> Void
    private let publishMembers: ([Member]) -> Void
    private var watch: WatchStream?
    private var ticks: Scheduled<Void>?
    /// Not yet carried out: a call may end at once, while others still wait for their turn.
    private var pending: [EtcdAction] = []
    private var isPerforming = false
    private var isStopped = false
    private var members: [Member] = []

    /// `report` gets what was dropped, `publishMembers` the known nodes whenever they change.
    init(
        settings: EtcdSettings, identity: MemberIdentity, seed: UInt64, loop: any EventLoop, sink: any TopologySink,
        report: @escaping (String) -> Void, publishMembers: @escaping ([Member]) -> Void
    ) {
        core = EtcdMembership(
            settings: settings, identity: identity, now: MonotonicClock.milliseconds(), seed: seed)
        client = EtcdClient(endpoints: settings.endpoints, loop: loop)
        self.loop = loop
        self.sink = sink
        self.report = report
        self.publishMembers = publishMembers
    }

    /// Begins to tick; all else follows from the first tick.
    func start() {
        tick()
    }

    private func tick() {
        input { $0.tick(now: $1) }
        guard !isStopped else { return }
        ticks = loop.assumeIsolated().scheduleTask(in: .milliseconds(core.settings.tickMilliseconds)) { self.tick() }
    }

    /// Nothing reaches the sink after it.
    func stop() {
        loop.assertInEventLoop()
        isStopped = true
        pending = []
        ticks?.cancel()
        watch = nil
        client.shutDown()
    }

    /// Gives the core one input at the present time.
    func input(_ body: (inout EtcdMembership, Int64) -> [EtcdAction]) {
        loop.assertInEventLoop()
        guard !isStopped else { return }
        let actions = body(&core, MonotonicClock.milliseconds())
        guard !actions.isEmpty else { return }
        pending += actions
        perform()
        let members = core.members
        guard members != self.members else { return }
        self.members = members
        publishMembers(members)
    }

    private func perform() {
        guard !isPerforming else { return }
        isPerforming = true
        defer { isPerforming = false }
        while !pending.isEmpty { perform(pending.removeFirst()) }
    }

    private func perform(_ action: EtcdAction) {
        switch action {
        case .call(let purpose, let request, let timeoutMilliseconds):
            let sentAt = MonotonicClock.milliseconds()
            client.call(request, timeoutMilliseconds: timeoutMilliseconds) { result in
                self.input { $0.replied(to: purpose, with: result, sentAt: sentAt, now: $1) }
            }
        case .watch(let revision): beginWatch(from: revision)
        case .cancelWatch: cancelWatch()
        case .emit(let event): sink.handle(event)
        case .mayAct(let until): sink.mayAct(until: until)
        case .dropped(let what): report(what)
        }
    }

    private func beginWatch(from revision: Revision) {
        cancelWatch()
        watch = client.watch(
            prefix: core.layout.root, from: revision, timeoutMilliseconds: core.callTimeout
        ) { result in
            switch result {
            case .success(let message):
                self.input { $0.watched(message, now: $1) }
            case .failure(let error):
                self.watch = nil
                self.input { $0.watchEnded(error, now: $1) }
            }
        }
    }

    private func cancelWatch() {
        if let watch { client.cancel(watch) }
        watch = nil
    }
}

@available(*, unavailable)
extension EtcdDriver: Sendable {}
