// Nodes and one store in virtual time: every call and every watch takes a while, gets lost, or meets a store that is
// stopped, gone or wiped. Checks at every step what has to hold at any time.

import Membership
import TestSupport

@testable import EtcdTopology

struct SimulatedEtcdCluster {
    struct Node {
        var core: EtcdMembership
        var isRunning = true
        /// Stopped as by SIGSTOP: nothing happens until it runs again.
        var isPaused = false
        var hasLink = true
        /// Next revision that the watch delivers; nil without a watch.
        var watch: Int64?
        var watchBegins: Int64 = .min
        var view: View?
        var views: [View] = []
        var expulsions = 0
        var hasLeft = false
        var refusal: RefusalReason?
        var actsUntil = Int64.min
        var outages = 0
        var dropped: [String] = []
        /// When it says that its keys agree with its view; nil: it has said so.
        var settlesAt: Int64?
        var nextTick: Int64 = 0
    }

    private enum Delivery {
        case request(StoreCall, GatewayRequest, sentAt: Int64, deadline: Int64)
        case reply(StoreCall, Result<EtcdReply, EtcdError>, sentAt: Int64)
    }

    private struct Message {
        let due: Int64
        let node: Int
        /// Which run of the node it belongs to.
        let run: Int
        let delivery: Delivery
    }

    enum StoreState {
        case up
        /// Stopped: connections stand, nothing is answered.
        case paused
        /// Gone: connections are refused.
        case down
    }

    let settings: EtcdSettings
    var store = SimulatedStore()
    var storeState = StoreState.up
    var nodes: [Node] = []
    var now: Int64 = 1_000_000
    /// How long a node takes to settle, milliseconds; nil: never.
    var settling: ClosedRange<Int64>? = 10...200
    /// The store answers, but has no room for more: transactions fail.
    var isFull = false
    /// Probability that a reply is lost with its connection.
    var loss = 0.0
    private(set) var violations: [String] = []
    /// Transactions whose conditions did not hold.
    private(set) var lostRaces = 0
    /// The latest attempt to write a view.
    private(set) var lastPublication: (node: Int, transaction: Transaction)?
    private var messages: [Message] = []
    private var runs: [Int] = []
    private var random: SeededRandom
    /// Of the present store: in a wiped one a node that knows nothing of the past may give out a number again.
    private var viewsByNumber: [UInt64: View] = [:]
    private var incarnation: UInt64 = 1000
    private var nextExpiry: Int64 = 0

    init(count: Int, seed: UInt64, failure: Int64 = 2000) {
        settings = EtcdSettings(
            endpoints: [.init(host: "etcd", port: 2379)], failureMilliseconds: failure, heartbeatMilliseconds: 500)
        random = SeededRandom(seed: seed)
        for index in 0..<count { add("\(index)") }
    }

    /// Adds a node that starts now.
    @discardableResult
    mutating func add(_ id: String, address: String? = nil, mirrors: [String] = []) -> Int {
        nodes.append(Node(core: newCore(MemberID(id), address ?? "host-\(id)", mirrors)))
        runs.append(0)
        return nodes.count - 1
    }

    private mutating func newCore(_ id: MemberID, _ address: String, _ mirrors: [String]) -> EtcdMembership {
        incarnation += 100
        let identity = MemberIdentity(id: id, address: address, incarnation: incarnation, mirrors: mirrors)
        return EtcdMembership(settings: settings, identity: identity, now: now, seed: random.next())
    }

    // MARK: Faults

    /// The process ends without a word.
    mutating func crash(_ index: Int) {
        nodes[index].isRunning = false
        runs[index] += 1
    }

    /// A new run of a crashed node.
    mutating func restart(_ index: Int) {
        runs[index] += 1
        let identity = nodes[index].core.identity
        nodes[index] = Node(core: newCore(identity.id, identity.address, identity.mirrors))
    }

    mutating func wipeStore() {
        store = SimulatedStore(firstLease: Int64(random.next() >> 16))
        viewsByNumber = [:]
        breakWatches()
    }

    mutating func breakWatches() {
        for index in nodes.indices where nodes[index].watch != nil { breakWatch(index) }
    }

    mutating func breakWatch(_ index: Int) {
        guard nodes[index].watch != nil else { return }
        nodes[index].watch = nil
        guard nodes[index].isRunning, !nodes[index].isPaused else { return }
        perform(nodes[index].core.watchEnded(.unreachable("cut"), now: now), at: index)
    }

    // MARK: Time

    mutating func run(milliseconds: Int64) {
        let end = now + milliseconds
        while now < end { step() }
    }

    /// Runs until the condition holds; how long that took, nil when it took more than the limit.
    mutating func run(until condition: (SimulatedEtcdCluster) -> Bool, limit: Int64) -> Int64? {
        let start = now
        while !condition(self) {
            guard now - start < limit else { return nil }
            step()
        }
        return now - start
    }

    private mutating func step() {
        now += 1
        if storeState == .up, now >= nextExpiry {
            nextExpiry = now + 500
            store.expire(now: now)
        }
        deliver()
        for index in nodes.indices where nodes[index].isRunning && !nodes[index].isPaused {
            serveWatch(index)
            if let settlesAt = nodes[index].settlesAt, now >= settlesAt, let view = nodes[index].view {
                nodes[index].settlesAt = nil
                perform(nodes[index].core.settled(view.epoch, now: now), at: index)
            }
            guard now >= nodes[index].nextTick else { continue }
            nodes[index].nextTick = now + settings.tickMilliseconds
            perform(nodes[index].core.tick(now: now), at: index)
        }
    }

    private mutating func deliver() {
        guard messages.contains(where: { $0.due <= now }) else { return }
        let due = messages.filter { $0.due <= now }
        messages.removeAll { $0.due <= now }
        for message in due {
            // A stopped process finds what came when it runs again.
            guard message.run == runs[message.node] else { continue }
            if nodes[message.node].isPaused, case .reply = message.delivery {
                messages.append(
                    Message(due: now + 10, node: message.node, run: message.run, delivery: message.delivery))
                continue
            }
            switch message.delivery {
            case .request(let call, let request, let sentAt, let deadline):
                arrive(call, request, sentAt: sentAt, deadline: deadline, from: message)
            case .reply(let call, let result, let sentAt):
                perform(
                    nodes[message.node].core.replied(to: call, with: result, sentAt: sentAt, now: now),
                    at: message.node)
            }
        }
    }

    private mutating func arrive(
        _ call: StoreCall, _ request: GatewayRequest, sentAt: Int64, deadline: Int64, from message: Message
    ) {
        func later(_ delivery: Delivery, at due: Int64) {
            messages.append(Message(due: due, node: message.node, run: message.run, delivery: delivery))
        }
        let lateness = EtcdError.timedOut(milliseconds: deadline - sentAt)
        guard nodes[message.node].hasLink else {
            return later(.reply(call, .failure(lateness), sentAt: sentAt), at: max(now, deadline))
        }
        switch storeState {
        case .down:
            later(.reply(call, .failure(.unreachable("connection refused")), sentAt: sentAt), at: now + 1)
        case .paused:
            // It is read when the store runs again, whether anyone still waits or not.
            guard now < deadline else {
                return later(.reply(call, .failure(lateness), sentAt: sentAt), at: now)
            }
            later(.request(call, request, sentAt: sentAt, deadline: deadline), at: now + 10)
        case .up:
            if isFull, case .commit = request {
                let full = EtcdError.refused(status: 429, code: 8, message: "etcdserver: mvcc: database space exceeded")
                return later(.reply(call, .failure(full), sentAt: sentAt), at: now + 1)
            }
            let result = store.answer(request, now: now)
            if case .success(let reply) = result, reply.content == .committed(succeeded: false) { lostRaces += 1 }
            if case .commit(let transaction) = request, call == .publish {
                lastPublication = (message.node, transaction)
            }
            if Double.random(in: 0..<1, using: &random) < loss {
                return later(.reply(call, .failure(.unreachable("cut")), sentAt: sentAt), at: now + 2)
            }
            later(.reply(call, result, sentAt: sentAt), at: now + Int64.random(in: 1...4, using: &random))
        }
    }

    private mutating func serveWatch(_ index: Int) {
        guard let next = nodes[index].watch, now >= nodes[index].watchBegins, storeState == .up, nodes[index].hasLink,
            next <= store.revision
        else { return }
        // Some batching, some delay.
        nodes[index].watchBegins = now + Int64.random(in: 1...5, using: &random)
        guard let events = store.events(prefix: nodes[index].core.layout.root, from: next) else {
            nodes[index].watch = nil
            return perform(nodes[index].core.watchEnded(.compacted, now: now), at: index)
        }
        nodes[index].watch = store.revision + 1
        guard !events.isEmpty else { return }
        perform(nodes[index].core.watched(.events(events, store.header), now: now), at: index)
    }

    // MARK: Actions

    mutating func perform(_ actions: [EtcdAction], at index: Int) {
        for action in actions {
            switch action {
            case .call(let call, let request, let timeout):
                messages.append(
                    Message(
                        due: now + Int64.random(in: 1...4, using: &random), node: index, run: runs[index],
                        delivery: .request(call, request, sentAt: now, deadline: now + timeout)))
            case .watch(let revision):
                nodes[index].watch = revision.rawValue
                nodes[index].watchBegins = now + Int64.random(in: 1...5, using: &random)
                if storeState == .down { breakWatch(index) }
            case .cancelWatch: nodes[index].watch = nil
            case .emit(let event): handle(event, at: index)
            case .mayAct(let until): nodes[index].actsUntil = until
            case .dropped(let what): nodes[index].dropped.append(what)
            }
        }
        if nodes[index].view == nil, nodes[index].actsUntil > now {
            violations.append("\(now): node \(index) acts without a view")
        }
    }

    private mutating func handle(_ event: TopologyEvent, at index: Int) {
        switch event {
        case .viewInstalled(let view, let previous):
            if previous != nodes[index].view { violations.append("\(now): node \(index): not its previous view") }
            if let last = nodes[index].views.last, last.epoch.number >= view.epoch.number {
                violations.append("\(now): node \(index): epoch \(view.epoch) after \(last.epoch)")
            }
            if let known = viewsByNumber[view.epoch.number], known != view {
                violations.append("\(now): two views of epoch \(view.epoch.number)")
            }
            if view.serving.isEmpty, view.mirrors.count < view.members.count {
                violations.append("\(now): nobody serves in \(view.epoch)")
            }
            viewsByNumber[view.epoch.number] = view
            nodes[index].view = view
            nodes[index].views.append(view)
            nodes[index].settlesAt = settling.map { now + Int64.random(in: $0, using: &random) }
        case .expelled:
            nodes[index].view = nil
            nodes[index].expulsions += 1
        case .left:
            nodes[index].view = nil
            nodes[index].hasLeft = true
        case .refused(let reason, _):
            nodes[index].view = nil
            nodes[index].refusal = reason
        case .storeUnreachable(let reason): nodes[index].outages += reason == nil ? 0 : 1
        case .peerRefused, .memberBecame: break
        }
    }

    // MARK: Questions

    func acts(_ index: Int) -> Bool { now < nodes[index].actsUntil }

    /// Nodes that run and have not left.
    var active: [Int] {
        nodes.indices.filter { nodes[$0].isRunning && !nodes[$0].hasLeft && nodes[$0].refusal == nil }
    }

    /// All active nodes are in one view of exactly them, in which all serve, and act.
    var isConverged: Bool {
        guard let first = active.first, let view = nodes[first].view else { return false }
        return Set(view.members) == Set(active.map { nodes[$0].core.identity })
            && !view.hasJoining
            && active.allSatisfy { nodes[$0].view == view && acts($0) }
    }
}
