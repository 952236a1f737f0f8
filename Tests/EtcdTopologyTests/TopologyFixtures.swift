// Topologies in one process against a real etcd, and what they told their sinks.

import Membership
import Synchronization
import TestSupport

@testable import EtcdTopology

/// Remembers what a topology says, with the time since its making.
final class RecordingSink: TopologySink {
    struct State {
        var events: [TopologyEvent] = []
        var acting: [Int64] = []
        var view: View?
        var refusal: RefusalReason?
        var outages: [String?] = []
        var expulsions = 0
        var hasLeft = false
    }

    private let state = Mutex(State())

    func handle(_ event: TopologyEvent) {
        state.withLock { state in
            state.events.append(event)
            switch event {
            case .viewInstalled(let view, _): state.view = view
            case .expelled:
                state.view = nil
                state.expulsions += 1
            case .left:
                state.view = nil
                state.hasLeft = true
            case .refused(let reason, _): state.refusal = reason
            case .storeUnreachable(let reason): state.outages.append(reason)
            case .peerRefused, .memberBecame: break
            }
        }
    }

    func mayAct(until: Int64) {
        state.withLock { $0.acting.append(until) }
    }

    func send(_ message: PeerMessage, to address: String) {}

    var now: State { state.withLock { $0 } }
    var view: View? { now.view }

    /// As a node would ask before it acts.
    var acts: Bool { MonotonicClock.milliseconds() < now.acting.last ?? .min }

    /// Every view there was, in order.
    var views: [View] {
        now.events.compactMap { event in
            if case .viewInstalled(let view, _) = event { view } else { nil }
        }
    }
}

/// A node of a test: a topology and its sink.
final class TestNode: Sendable {
    let identity: MemberIdentity
    let topology: EtcdTopology
    let sink = RecordingSink()
    let reports = Mutex<[String]>([])

    /// `settles`: reports every view as settled at once, as a node without keys would.
    init(
        _ id: String, ports: [Int], address: String? = nil, incarnation: UInt64 = 1000, failure: Int64 = 2000,
        starts: Bool = true
    ) {
        identity = MemberIdentity(id: MemberID(id), address: address ?? "node-\(id):80", incarnation: incarnation)
        let settings = EtcdSettings(
            endpoints: ports.map { EtcdSettings.Endpoint(host: "127.0.0.1", port: $0) }, prefix: "/test/",
            cluster: "a/b", failureMilliseconds: failure, heartbeatMilliseconds: 200)
        topology = EtcdTopology(settings: settings, identity: identity)
        if starts { topology.start(sink) }
    }

    deinit {
        topology.stop()
    }

    var view: View? { sink.view }

    /// Members of the view by id, in order.
    var memberIDs: [String] { view?.members.map(\.id.text) ?? [] }

    /// Says that the keys agree with the view there is.
    func settle() {
        if let view { topology.settled(view.epoch) }
    }
}

/// Waits until all nodes are in one view of exactly these ids, and act; returns it.
@discardableResult
func waitForView(
    of ids: Set<String>, at nodes: [TestNode], within deadline: Duration = .seconds(15),
    where condition: (View) -> Bool = { _ in true }
) throws -> View {
    func told() -> String {
        nodes.map { "\($0.identity.id): \($0.memberIDs) \($0.sink.acts) \($0.sink.now.events.suffix(3))" }
            .joined(separator: "\n")
    }
    return try waitUntil("a view of \(ids)\n\(told())", within: deadline) {
        guard let view = nodes.first?.view, Set(view.members.map(\.id.text)) == ids, condition(view),
            nodes.allSatisfy({ $0.view == view && $0.sink.acts })
        else { return nil }
        return view
    }
}

/// Waits for a condition that has no value.
func waitFor(_ what: String, within deadline: Duration = .seconds(15), _ condition: () throws -> Bool) throws {
    try waitUntil(what, within: deadline) { try condition() ? () : nil }
}
