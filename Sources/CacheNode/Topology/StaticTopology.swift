// `topology = static`: drives the membership core (MembershipState) by a clock and the peer channel. No rules here: it hands
// events in and carries actions out, on one event loop.

import Membership
import NIOCore
import Synchronization

final class StaticTopology: TopologySource {
    /// What lives on the loop.
    private final class Driver {
        var state: MembershipState
        let sink: any TopologySink
        var ticking: RepeatedTask?

        init(_ state: MembershipState, _ sink: any TopologySink) {
            self.state = state
            self.sink = sink
        }
    }

    private let loop: any EventLoop
    private let settings: MembershipSettings
    private let identity: MemberIdentity
    /// Set once by `start`; the driver itself is used on the loop alone.
    private let driver = Mutex<NIOLoopBound<Driver>?>(nil)
    private let known = Mutex<[Member]>([])

    init(settings: MembershipSettings, identity: MemberIdentity, loop: any EventLoop) {
        self.settings = settings
        self.identity = identity
        self.loop = loop
    }

    var members: [Member] { known.withLock { $0 } }

    func start(_ sink: any TopologySink) {
        loop.execute {
            let state = MembershipState(
                settings: self.settings, identity: self.identity, now: NodeClock.monotonicMilliseconds())
            let driver = Driver(state, sink)
            let bound = NIOLoopBound(driver, eventLoop: self.loop)
            self.driver.withLock { $0 = bound }
            let interval = TimeAmount.milliseconds(max(1, self.settings.tickInterval))
            driver.ticking = self.loop.scheduleRepeatedTask(initialDelay: .zero, delay: interval) { _ in
                self.run { $0.tick(now: $1) }
            }
        }
    }

    func settled(_ epoch: Epoch) { submit { $0.settled(epoch, now: $1) } }
    func processGone(_ member: MemberIdentity) {
        submit { $0.connectionRefused(by: member.address, incarnation: member.incarnation, now: $1) }
    }

    /// The nodes tell each other their views by themselves.
    func epochMet(_ number: UInt64) {}
    func connect(to address: String) { submit { $0.connect(to: address, now: $1) } }
    func remove(address: String) { submit { $0.remove(address: address, now: $1) } }
    func leave() { submit { $0.leave(now: $1) } }
    func messageReceived(_ message: PeerMessage) { submit { $0.messageReceived(message, now: $1) } }

    func stop() {
        try? loop.submit {
            self.driver.withLock { $0 }?.value.ticking?.cancel()
            self.driver.withLock { $0 = nil }
        }.wait()
    }

    private func submit(_ event: @escaping @Sendable (inout MembershipState, Int64) -> [MembershipAction]) {
        loop.execute { self.run(event) }
    }

    /// On the loop: an event in, its actions out.
    private func run(_ event: (inout MembershipState, Int64) -> [MembershipAction]) {
        guard let driver = driver.withLock({ $0 })?.value else { return }
        let actions = event(&driver.state, NodeClock.monotonicMilliseconds())
        if !actions.isEmpty { known.withLock { $0 = driver.state.members } }
        // Before anybody hears of a view: who is out of it must not act any more.
        driver.sink.mayAct(until: driver.state.actingUntil)
        for action in actions {
            switch action {
            case .send(let message, let address): driver.sink.send(message, to: address)
            case .memberBecame(let state, let member): driver.sink.handle(.memberBecame(state, member))
            case .viewInstalled(let view, let previous): driver.sink.handle(.viewInstalled(view, previous: previous))
            case .expelled: driver.sink.handle(.expelled)
            case .left: driver.sink.handle(.left)
            case .refused(let reason, let address): driver.sink.handle(.refused(reason, by: address))
            case .peerRefused(let member, let reason): driver.sink.handle(.peerRefused(member, reason))
            case .refusedByPeer(let reason, let address):
                driver.sink.handle(
                    .peerRefused(MemberIdentity(id: MemberID(""), address: address, incarnation: 0), reason))
            }
        }
    }
}
