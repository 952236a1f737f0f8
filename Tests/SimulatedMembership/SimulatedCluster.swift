// N nodes in one process under virtual time: a network that loses, delays, repeats, reorders and cuts, nodes that stop, die
// and come back, all drawn from one seed. Checks the invariants of the membership rules at every step. Not a test itself:
// MembershipTests break clusters in it, and storebench measures in it what large ones cost.

import Membership
import TestSupport

package struct SimulatedCluster {
    package struct Network {
        /// Probability that a message is lost, and that it comes twice.
        package var loss = 0.0
        package var duplication = 0.0
        /// Milliseconds under way, drawn for each message: later ones overtake earlier ones.
        package var delay: ClosedRange<Int64> = 1...20
        /// `cut[from][to]`: nothing passes.
        package var cut: [[Bool]]
    }

    package struct Node {
        package var state: MembershipState?
        package var settings: MembershipSettings
        package var id: String
        package var incarnation: UInt64 = 0
        package var isPaused = false
        package var inbox: [PeerMessage] = []
        package var lastEpoch = Epoch.none
        package var log: [(time: Int64, action: MembershipAction)] = []
    }

    /// What a node's rules are told, beside what the caller does with them.
    package enum Input {
        case tick
        case message(PeerMessage)
    }

    private enum Event {
        case tick(node: Int, incarnation: UInt64)
        case delivery(PeerMessage, to: Int)
        /// The node has copied its keys to where the view wants them.
        case settled(node: Int, epoch: Epoch)
    }

    package private(set) var now: Int64 = 1000
    package var nodes: [Node] = []
    package var network: Network
    package var random: SeededRandom
    package private(set) var violations: [String] = []
    package private(set) var messages = 0
    package private(set) var expulsions = 0
    /// The node whose inputs are written down, nil for none; to be told again to a copy of its state, with a clock beside.
    package var recordedNode: Int?
    package private(set) var recording: [(now: Int64, input: Input)] = []
    /// Ring of milliseconds; nothing is scheduled further ahead than its size.
    private var due: [[Event]] = Array(repeating: [], count: 4096)
    private var nodeAt: [String: Int] = [:]
    private var viewOfNumber: [UInt64: View] = [:]

    /// `seedsPerNode`: how many of the others each node is configured with, in order; nil for all of them.
    package init(
        count: Int, seed: UInt64, rule: PartitionRule, heartbeat: Int64 = 500, failure: Int64 = 2000,
        start: Bool = true, seedsPerNode: Int? = nil
    ) {
        random = SeededRandom(seed: seed)
        network = Network(cut: Array(repeating: Array(repeating: false, count: count), count: count))
        let addresses = (0..<count).map { "n\($0):1" }
        for index in 0..<count {
            let settings = MembershipSettings(
                cluster: "test", heartbeat: heartbeat, failure: failure, partitionRule: rule,
                seeds: Array(addresses.prefix(seedsPerNode.map { $0 + 1 } ?? count).filter { $0 != addresses[index] }))
            nodes.append(Node(settings: settings, id: "n\(index)"))
            nodeAt[addresses[index]] = index
        }
        if start { for index in 0..<count { self.start(index) } }
    }

    /// A new run of a node: nothing of an earlier one is remembered.
    package mutating func start(_ index: Int) {
        nodes[index].incarnation = UInt64(now)
        let identity = MemberIdentity(
            id: MemberID(nodes[index].id), address: "n\(index):1", incarnation: nodes[index].incarnation)
        nodes[index].state = MembershipState(settings: nodes[index].settings, identity: identity, now: now)
        nodes[index].lastEpoch = .none
        nodes[index].isPaused = false
        let offset = Int64.random(in: 0..<nodes[index].settings.tickInterval, using: &random)
        schedule(.tick(node: index, incarnation: nodes[index].incarnation), after: offset)
    }

    /// Starts all nodes and tells them one view of all: a cluster that is there, without what forming it costs.
    package mutating func startFormed() {
        for index in nodes.indices { start(index) }
        let members = nodes.indices.compactMap { nodes[$0].state?.identity }
        let view = View(epoch: Epoch(number: 1, proposer: members[0].id), members: members)
        for index in nodes.indices {
            let sender = members[index == 0 ? 1 : 0]
            let message = PeerMessage(
                cluster: nodes[index].settings.cluster, protocolVersion: membershipProtocolVersion, sender: sender,
                sequence: sender.incarnation &* 1000 &+ 1, epoch: view.epoch, content: .view(view, inAnswer: true))
            apply(index) { $0.messageReceived(message, now: $1) }
        }
    }

    package mutating func crash(_ index: Int) {
        nodes[index].state = nil
        nodes[index].inbox = []
    }

    package mutating func pause(_ index: Int) { nodes[index].isPaused = true }

    /// What piled up in the sockets comes first, then the clock.
    package mutating func resume(_ index: Int) {
        nodes[index].isPaused = false
        let inbox = nodes[index].inbox
        nodes[index].inbox = []
        for message in inbox { apply(index) { $0.messageReceived(message, now: $1) } }
        schedule(.tick(node: index, incarnation: nodes[index].incarnation), after: 0)
    }

    package mutating func apply(_ index: Int, _ event: (inout MembershipState, Int64) -> [MembershipAction]) {
        guard var state = nodes[index].state else { return }
        // Held once, or every event would copy the arrays inside.
        nodes[index].state = nil
        let actions = event(&state, now)
        nodes[index].state = state
        for action in actions { perform(action, of: index) }
    }

    package mutating func run(milliseconds: Int64) {
        let end = now + milliseconds
        while now < end {
            now += 1
            let slot = Int(now % Int64(due.count))
            let events = due[slot]
            due[slot] = []
            for event in events { process(event) }
            if now % 20 == 0 { checkActing() }
        }
    }

    /// Runs until the condition holds; the milliseconds it took, nil after `limit`.
    package mutating func run(until isDone: (SimulatedCluster) -> Bool, limit: Int64) -> Int64? {
        let start = now
        while !isDone(self) {
            guard now - start < limit else { return nil }
            run(milliseconds: 50)
        }
        return now - start
    }

    private mutating func schedule(_ event: Event, after delay: Int64) {
        due[Int((now + max(1, delay)) % Int64(due.count))].append(event)
    }

    private mutating func process(_ event: Event) {
        switch event {
        case .tick(let index, let incarnation):
            guard nodes[index].state != nil, nodes[index].incarnation == incarnation, !nodes[index].isPaused else {
                return
            }
            record(.tick, of: index)
            apply(index) { $0.tick(now: $1) }
            schedule(event, after: nodes[index].settings.tickInterval)
        case .delivery(let message, let index):
            guard nodes[index].state != nil else { return }
            guard !nodes[index].isPaused else {
                if nodes[index].inbox.count < 100 { nodes[index].inbox.append(message) }
                return
            }
            record(.message(message), of: index)
            apply(index) { $0.messageReceived(message, now: $1) }
        case .settled(let index, let epoch):
            guard !nodes[index].isPaused else { return schedule(event, after: 500) }
            apply(index) { $0.settled(epoch, now: $1) }
        }
    }

    private mutating func record(_ input: Input, of index: Int) {
        if index == recordedNode { recording.append((now, input)) }
    }

    private mutating func perform(_ action: MembershipAction, of index: Int) {
        if case .send(let message, let address) = action {
            guard let target = nodeAt[address] else { return }
            messages += 1
            transmit(message, from: index, to: target)
            if Double.random(in: 0..<1, using: &random) < network.duplication {
                transmit(message, from: index, to: target)
            }
            return
        }
        nodes[index].log.append((now, action))
        if case .expelled = action { expulsions += 1 }
        guard case .viewInstalled(let view, _) = action else { return }
        if view.epoch <= nodes[index].lastEpoch {
            violations.append("\(now): node \(index) went back to \(view.epoch)")
        }
        nodes[index].lastEpoch = view.epoch
        schedule(.settled(node: index, epoch: view.epoch), after: Int64.random(in: 1...300, using: &random))
        guard nodes[index].settings.partitionRule == .majority else { return }
        if let other = viewOfNumber[view.epoch.number], other != view {
            violations.append("\(now): two views have epoch \(view.epoch.number): \(other) and \(view)")
        }
        viewOfNumber[view.epoch.number] = view
    }

    private mutating func transmit(_ message: PeerMessage, from: Int, to target: Int) {
        guard !network.cut[from][target], Double.random(in: 0..<1, using: &random) >= network.loss else { return }
        schedule(.delivery(message, to: target), after: Int64.random(in: network.delay, using: &random))
    }

    /// Under the majority rule nobody acts who is not in the latest view that anyone acts under, and acting views meet.
    private mutating func checkActing() {
        guard nodes.first?.settings.partitionRule == .majority else { return }
        var latest: View?
        for node in nodes {
            guard let state = node.state, let view = state.view, state.mayAct(now: now) else { continue }
            if view.epoch > latest?.epoch ?? .none { latest = view }
        }
        guard let latest else { return }
        for (index, node) in nodes.enumerated() {
            guard let state = node.state, let view = state.view, state.mayAct(now: now) else { continue }
            guard latest.member(state.identity.id) != nil else {
                violations.append("\(now): node \(index) acts in \(view.epoch) although \(latest.epoch) is without it")
                continue
            }
            // Who owns what another one owned acts only when that one knows.
            for other in nodes {
                guard let newer = other.state?.view, newer.epoch > view.epoch, other.state?.mayAct(now: now) == true,
                    let id = other.state?.identity.id, newer.serving.contains(id), !view.serving.contains(id),
                    view.serving.contains(state.identity.id)
                else { continue }
                violations.append("\(now): \(id) serves in \(newer.epoch) while node \(index) acts in \(view.epoch)")
            }
        }
    }
}

extension SimulatedCluster {
    package var running: [Int] {
        nodes.indices.filter { index in
            guard let state = nodes[index].state, !nodes[index].isPaused else { return false }
            switch state.phase {
            case .left, .refused: return false
            case .joining, .member, .leaving: return true
            }
        }
    }

    /// All running nodes are in one view that holds just them, and act.
    package var isConverged: Bool {
        let running = running
        guard let first = running.first, let view = nodes[first].state?.view, !view.hasJoining else { return false }
        guard Set(view.members.map(\.id.text)) == Set(running.map { nodes[$0].id }) else { return false }
        return running.allSatisfy { nodes[$0].state?.view == view && nodes[$0].state?.mayAct(now: now) == true }
    }

    /// Cuts the groups off from each other, in both directions or only towards the first.
    package mutating func split(_ groups: [[Int]], oneWay: Bool = false) {
        for (place, group) in groups.enumerated() {
            for other in groups.indices where other != place && (!oneWay || place != 0) {
                for from in group { for to in groups[other] { network.cut[from][to] = true } }
            }
        }
    }

    package mutating func heal() {
        for from in nodes.indices { for to in nodes.indices { network.cut[from][to] = false } }
    }

    /// Whether `index` has a view without `other`.
    package func hasExcluded(_ other: Int, at index: Int) -> Bool {
        nodes[index].state?.view.map { $0.member(MemberID(nodes[other].id)) == nil } ?? false
    }
}
