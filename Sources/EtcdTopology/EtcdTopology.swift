// Membership through etcd (`topology = etcd`): EtcdMembership on a thread of its own, behind TopologySource.

import Membership
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Takes part in a cluster whose members, coordinator and epochs live in etcd.
///
/// May be used from any thread. The sink is called on the topology's own thread.
package final class EtcdTopology: TopologySource {
    private let settings: EtcdSettings
    private let identity: MemberIdentity
    private let seed: UInt64
    private let report: @Sendable (String) -> Void
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let loop: any EventLoop
    private let driver: NIOLoopBoundBox<EtcdDriver?>
    private let knownMembers = NIOLockedValueBox<[Member]>([])
    /// Whether the loop takes work; its lock orders every `execute` before the shutdown.
    private let isRunning = NIOLockedValueBox(true)

    /// - Parameters: - identity: this run; its incarnation is above those of all earlier runs of the id. Views may show
    ///   a higher one:
    ///     it rises whenever the node has to join again.
    ///   - seed: of the waits between attempts. - report: gets a line for each thing that was dropped, with the reason;
    /// on the topology's thread, must not block.
    package init(
        settings: EtcdSettings, identity: MemberIdentity, seed: UInt64 = .random(in: .min ... .max),
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.settings = settings
        self.identity = identity
        self.seed = seed
        self.report = report
        loop = group.next()
        driver = NIOLoopBoundBox.makeEmptyBox(valueType: EtcdDriver.self, eventLoop: loop)
    }

    /// To be called once.
    package func start(_ sink: any TopologySink) {
        execute { [self] in
            precondition(driver.value == nil, "a topology is started once")
            let started = EtcdDriver(
                settings: settings, identity: identity, seed: seed, loop: loop, sink: sink, report: report,
                publishMembers: { [knownMembers] members in knownMembers.withLockedValue { $0 = members } })
            driver.value = started
            started.start()
        }
    }

    /// Lets the coordinator know, when newcomers wait for it.
    package func settled(_ epoch: Epoch) {
        input { $0.settled(epoch, now: $1) }
    }

    /// Removes the member's claim, so that fail-over does not wait for its lease. Nothing happens to one that came
    /// back from that before as the same process.
    package func processGone(_ member: MemberIdentity) {
        input { $0.processGone(member, now: $1) }
    }

    /// Ends this node's acting until it is in that epoch, or a later one, itself.
    package func epochMet(_ number: UInt64) {
        input { $0.epochMet(number, now: $1) }
    }

    /// Rejoins after `left`; otherwise etcd knows whom to connect to.
    package func connect(to address: String) {
        input { $0.rejoin(now: $1) }
    }

    /// The node at that address leaves, as if it had been told to; it may come back with `connect`.
    package func remove(address: String) {
        input { $0.remove(address: address, now: $1) }
    }

    /// Withdraws from the cluster; `left` follows within a failure time, also without etcd.
    package func leave() {
        input { $0.leave(now: $1) }
    }

    /// Nodes tell each other nothing: etcd does.
    package func messageReceived(_ message: PeerMessage) {}

    package var members: [Member] { knownMembers.withLockedValue { $0 } }

    /// Ends without a word to etcd: the lease runs out. Blocks until the thread has seen it.
    package func stop() {
        let wasRunning = isRunning.withLockedValue { running in
            defer { running = false }
            return running
        }
        guard wasRunning else { return }
        if loop.inEventLoop {
            endDriver()
        } else {
            // Only a loop that was shut down refuses, and that is done below.
            try? loop.submit { self.endDriver() }.wait()
        }
        group.shutdownGracefully { _ in }
    }

    private func endDriver() {
        driver.value?.stop()
        driver.value = nil
    }

    private func input(_ body: @escaping @Sendable (inout EtcdMembership, Int64) -> [EtcdAction]) {
        execute { [driver] in driver.value?.input(body) }
    }

    private func execute(_ body: @escaping @Sendable () -> Void) {
        isRunning.withLockedValue { running in
            if running { loop.execute(body) }
        }
    }
}
