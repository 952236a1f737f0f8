// The node's place in its cluster: takes views from a topology source, publishes them as routing tables, has Handoff bring
// keys to where they belong, and says so. Everything that changes runs on one event loop of its own.
//
//     source ─▶ view ─▶ RoutingTable ─▶ RoutingState ─▶ data path
//                        ╰▶ Handoff ─▶ settled ─▶ source (the coordinator then has the joining members serve)

import Configuration
import Membership
import NIOCore
import NIOPosix
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// How far hand-off is.
struct HandoffProgress: Sendable {
    /// 100: every key is where the view wants it.
    var percent: Int
    /// Keys of this node that may have fewer copies than they should.
    var underReplicated: Int
}

final class Cluster: TopologySink, Sendable {
    let routing: RoutingState
    let network: NodeConfiguration.Network
    let selfID: MemberID
    private let log: NodeLog
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop: any EventLoop
    /// Set by `start`, before anything else happens here.
    let attached = Mutex<Attached?>(nil)
    private let until = Atomic<Int64>(.min)
    /// What is known of nodes that were away.
    private let absences = Mutex(Absences())
    /// Why the node has to end, once it does.
    private let fatal = Mutex<String?>(nil)

    /// What exists once the node does.
    struct Attached: Sendable {
        var core: NodeCore
        var source: any TopologySource
        var confined: NIOLoopBound<Confined>
    }

    /// What lives on the loop.
    final class Confined {
        let thread: ThreadState
        let handoff: Handoff
        var view: View?
        /// The members of the last view, also while there is none.
        var lastMembers: Set<MemberID> = []
        var isLeaving = false
        var hasLeft = false
        /// The coordinator's: who may leave now, and until when it may take.
        var leaver: (id: MemberID, until: Int64)?
        var onLeft: [@Sendable (Bool) -> Void] = []
        var wasServing = false
        /// The data directory says that this node was in a cluster.
        var isMarked = false

        init(_ thread: ThreadState, _ handoff: Handoff) {
            self.thread = thread
            self.handoff = handoff
        }
    }

    init(_ configuration: NodeConfiguration, _ log: NodeLog) {
        network = configuration.network
        selfID = MemberID(configuration.local.nodeID)
        self.log = log
        loop = group.next()
        routing = RoutingState(.none(selfID: selfID))
    }

    /// Joins the cluster; `address` is where other nodes reach this one. Blocks until the parts exist, not until it has joined.
    func start(_ core: NodeCore, address: String) throws {
        let identity = MemberIdentity(
            id: selfID, address: address, incarnation: UInt64(clamping: NodeClock.wallMilliseconds()),
            mirrors: network.mirrors.map(\.description))
        let source = TopologyTable.makeSource(network, identity, loop, log)
        let confined = try loop.submit {
            let thread = try ThreadState(node: core)
            let handoff = Handoff(core, thread) { [weak self] epoch, wasLeaving in
                self?.settled(epoch, wasLeaving: wasLeaving)
            }
            return NIOLoopBound(Confined(thread, handoff), eventLoop: self.loop)
        }.wait()
        attached.withLock { $0 = Attached(core: core, source: source, confined: confined) }
        if core.near.isOn {
            onLoop(everyMilliseconds: core.near.renewalMilliseconds) { self.renewLeases(confined.value, core) }
        }
        if core.doubts.isOn {
            onLoop(everyMilliseconds: Int64(network.heartbeatMilliseconds)) {
                core.doubts.sweep(now: NodeClock.monotonicMilliseconds())
            }
        }
        if network.isClustered || ClusterMark.isSet(in: core.configuration) { core.storage.becomeClustered() }
        source.start(self)
    }

    /// Goes without handing keys over, and waits until the others know, `limitMilliseconds` at most.
    func stop(limitMilliseconds: Int) {
        guard let attached = attached.withLock({ $0 }) else { return }
        if routing.table.view.map({ $0.members.count > 1 }) ?? false {
            let left = Doorbell()
            loop.execute {
                attached.confined.value.onLeft.append { _ in left.ring() }
                attached.source.leave()
            }
            left.wait(milliseconds: Int64(limitMilliseconds))
        }
        attached.source.stop()
    }

    /// Why a living cluster does not want this node; nil while it does.
    var refusal: String? { fatal.withLock { $0 } }

    // MARK: For the data path

    var epochNumber: UInt64 { routing.epochNumber }

    /// Whether this node owns its share of the keys.
    var isServing: Bool { routing.table.isServing && routing.mayAct(now: NodeClock.monotonicMilliseconds()) }

    /// Whether the lease that a majority granted has run out, rather than that there is none yet.
    var hasLostMajority: Bool {
        let limit = until.load(ordering: .acquiring)
        return limit > .min / 4 && limit <= NodeClock.monotonicMilliseconds()
    }

    /// What is known of a node that offers copies.
    func standing(of id: MemberID, in table: RoutingTable) -> HolderStanding {
        if table.isUpToDate(id) { return .present }
        return absences.withLock { absences in
            // Who was here first knows everything since the beginning.
            absences.left[id].map { .awaySince($0) } ?? (absences.isFounder ? .awaySince(0) : .unknown)
        }
    }

    /// A node's host refused a connection.
    func connectionRefused(by target: PeerTarget) {
        source?.processGone(MemberIdentity(id: target.id, address: target.address, incarnation: target.incarnation))
    }

    func epochMet(_ number: UInt64) {
        if number > routing.epochNumber { source?.epochMet(number) }
    }

    func messageReceived(_ message: PeerMessage) { source?.messageReceived(message) }

    /// A change was acknowledged, or refused, without all of its holders: they get it by another round of hand-off.
    func missedReplica() { onLoop { $0.handoff.missedReplica() } }

    // MARK: For operators

    func connect(to address: String) {
        attached.withLock { $0 }?.core.storage.becomeClustered()
        source?.connect(to: address)
    }

    func remove(address: String) { source?.remove(address: address) }

    var members: [Member] { source?.members ?? [] }

    var progress: HandoffProgress {
        attached.withLock { $0 }?.core.handoffNumbers.progress ?? .init(percent: 0, underReplicated: 0)
    }

    var handoffCounters: (records: UInt64, bytes: UInt64) {
        attached.withLock { $0 }?.core.handoffNumbers.sent ?? (0, 0)
    }

    // MARK: From the topology source

    func mayAct(until limit: Int64) {
        until.store(limit, ordering: .releasing)
        routing.mayAct(until: limit)
    }

    func send(_ message: PeerMessage, to address: String) {
        guard let target = PeerTarget(address: address) else { return }
        onLoop { confined in
            var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
            text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"peer.tell\",\"params\":{\"message\":")
            MembershipCodec.write(message, into: &text)
            text.append("}}")
            // Later than one heartbeat it would say what is not so any more.
            let deadline = NodeClock.monotonicMilliseconds() + Int64(self.network.heartbeatMilliseconds)
            confined.thread.peers.send(PeerCall(text: text, deadline: deadline) { _ in }, to: target, over: .membership)
        }
    }

    func handle(_ event: TopologyEvent) {
        onLoop { confined in
            switch event {
            case .viewInstalled(let view, _): self.installed(view, confined)
            case .expelled:
                self.log.emit(.clusterExpelled, ["epoch": .int(Int(clamping: confined.view?.epoch.number ?? 0))])
                self.lost(confined)
                self.endLeaving(confined, hasLeft: false)
            case .left:
                self.log.emit(.clusterLeft)
                self.lost(confined)
                confined.hasLeft = true
                self.endLeaving(confined, hasLeft: true)
            case .refused(let reason, let address): self.refused(reason, by: address)
            case .peerRefused(let member, let reason):
                self.log.emit(
                    .memberRefused,
                    [
                        "member": .string(member.id.text), "address": .string(member.address),
                        "reason": .string(reason.text),
                    ])
            case .memberBecame(let state, let member):
                self.log.emit(
                    NodeEvent(memberState: state),
                    [
                        "member": .string(member.id.text), "address": .string(member.address),
                        "incarnation": .int(Int(clamping: member.incarnation)),
                    ])
            case .storeUnreachable(let reason):
                if let reason {
                    self.log.emit(.topologyUnreachable, ["reason": .string(reason)])
                } else {
                    self.log.emit(.topologyReached)
                }
            }
        }
    }

    // MARK: On the loop

    var source: (any TopologySource)? { attached.withLock { $0?.source } }

    func onLoop(_ body: @escaping @Sendable (Confined) -> Void) {
        guard let confined = attached.withLock({ $0?.confined }) else { return }
        if loop.inEventLoop { body(confined.value) } else { loop.execute { body(confined.value) } }
    }

    private func onLoop(everyMilliseconds milliseconds: Int64, _ body: @escaping @Sendable () -> Void) {
        let interval = TimeAmount.milliseconds(milliseconds)
        loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in body() }
    }

    private func installed(_ view: View, _ confined: Confined) {
        guard let core = attached.withLock({ $0?.core }) else { return }
        if view.members.count > 1, !confined.isMarked {
            confined.isMarked = true
            core.storage.becomeClustered()
            ClusterMark.set(in: core.configuration, log)
        }
        let members = Set(view.members.map(\.id))
        let isFirst = confined.lastMembers.isEmpty
        let gone = confined.lastMembers.subtracting(members)
        absences.withLock { absences in
            if isFirst { absences.isFounder = view.serving.contains(selfID) }
            for id in gone { absences.note(id, at: core.storage.clock.newest) }
        }
        confined.lastMembers = members
        confined.view = view
        confined.hasLeft = false
        log.emit(
            .clusterView,
            [
                "epoch": .int(Int(clamping: view.epoch.number)),
                "coordinator": .string(view.coordinator?.text ?? ""),
                "members": .string(view.members.map(\.id.text).joined(separator: ",")),
                "joining": .string(
                    view.members.map(\.id).filter { !view.serving.contains($0) && view.mirrors[$0] == nil }.map(\.text)
                        .joined(separator: ",")),
            ])
        publish(confined)
    }

    func publish(_ confined: Confined) {
        let table = RoutingTable(
            view: confined.view, selfID: selfID, replicas: network.replicas, virtualNodes: network.virtualNodes,
            isLeaving: confined.isLeaving,
            mayServeAlone: network.topology == .static && network.minReplicas == 0)
        confined.handoff.willBegin()
        routing.publish(table)
        dropCopies(epoch: table.epoch.number)
        if table.isServing && !confined.wasServing {
            log.emit(.clusterServing, ["epoch": .int(Int(clamping: table.epoch.number))])
        }
        confined.wasServing = table.isServing
        confined.handoff.begin(table, isLeaving: confined.isLeaving)
    }

    private func lost(_ confined: Confined) {
        confined.view = nil
        confined.wasServing = false
        routing.publish(.none(selfID: selfID))
        dropCopies(epoch: 0)
        // What the others did since is unknown.
        confined.handoff.forget()
        confined.lastMembers = []
        absences.withLock { $0 = Absences() }
    }

    /// Everything this node holds is where the view of the epoch wants it.
    private func settled(_ epoch: Epoch, wasLeaving: Bool) {
        source?.settled(epoch)
        if wasLeaving { source?.leave() }
    }

    /// A living cluster does not take this node in: it ends, and says why.
    private func refused(_ reason: RefusalReason, by address: String) {
        fatal.withLock { $0 = "\(address) refuses this node: \(reason.text)" }
        kill(getpid(), SIGTERM)
    }
}

extension RefusalReason {
    /// For people.
    var text: String {
        switch self {
        case .otherCluster(let expected): "it belongs to another cluster, not to \"\(expected)\""
        case .otherProtocol(let expected): "it speaks another version of the protocol than \(expected)"
        case .duplicateID(let holder): "its node_id belongs to the living node at \(holder)"
        }
    }
}

extension NodeEvent {
    init(memberState: MemberState) {
        self =
            switch memberState {
            case .alive: .memberAlive
            case .suspect: .memberSuspect
            case .dead: .memberDead
            case .left: .memberLeft
            }
    }
}
