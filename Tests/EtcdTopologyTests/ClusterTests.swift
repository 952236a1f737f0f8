// Several topologies and one healthy etcd.

import Membership
import TestSupport
import Testing

@testable import EtcdTopology

struct ClusterTests {
    private func cluster(_ etcd: EtcdServer, _ ids: [String] = ["1", "2", "3"]) throws -> [TestNode] {
        let nodes = ids.map { TestNode($0, ports: [etcd.port]) }
        try waitForView(of: Set(ids), at: nodes)
        return nodes
    }

    /// Settles every view until all members serve.
    private func promote(_ nodes: [TestNode], of ids: Set<String>) throws {
        try waitFor("all serve") {
            nodes.forEach { $0.settle() }
            guard let view = nodes.first?.view, Set(view.members.map(\.id.text)) == ids else { return false }
            return view.serving.count == view.members.count && nodes.allSatisfy { $0.view == view }
        }
    }

    @Test func `Nodes that start together agree on one view, its epoch and its coordinator`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster(etcd)
        let view = try waitForView(of: ["1", "2", "3"], at: nodes)
        #expect(view.epoch.number > 0)
        #expect(view.coordinator == view.epoch.proposer)
        for node in nodes {
            let epochs = node.sink.views.map(\.epoch.number)
            #expect(epochs == epochs.sorted() && Set(epochs).count == epochs.count)
            try waitFor("members are known") { node.topology.members.map(\.identity) == view.members }
            #expect(node.topology.members.allSatisfy { $0.state == .alive })
            #expect(node.reports.withLock { $0 } == [])
        }
        // The number is the revision at which the view was written.
        let stored = try RawJSON(etcd.control("get", "/test/a%2Fb/view", "-w", "json"))
        #expect(stored["kvs"]?[0]?["mod_revision"]?.integer.map(UInt64.init) == view.epoch.number)
    }

    @Test func `A newcomer serves only after every member has settled`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster(etcd, ["1", "2"])
        try promote(nodes, of: ["1", "2"])
        let newcomer = TestNode("3", ports: [etcd.port])
        let joining = try waitForView(of: ["1", "2", "3"], at: nodes + [newcomer])
        #expect(joining.serving == [MemberID("1"), MemberID("2")])
        nodes.forEach { $0.settle() }
        try waitFor("two have settled") {
            try etcd.control("get", "--prefix", "--keys-only", "/test/a%2Fb/settled/").split(separator: "\n").count == 2
        }
        #expect(newcomer.view == joining)
        newcomer.settle()
        let serving = try waitForView(of: ["1", "2", "3"], at: nodes + [newcomer]) { $0.serving.count == 3 }
        #expect(serving.epoch > joining.epoch && serving.members == joining.members)
    }

    @Test func `Nodes that stop without a word are left out within their lease, coordinator first`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster(etcd)
        try promote(nodes, of: ["1", "2", "3"])
        let coordinator = try #require(nodes[0].view?.coordinator)
        let victim = try #require(nodes.first { $0.identity.id == coordinator })
        let survivors = nodes.filter { $0.identity.id != coordinator }
        victim.topology.stop()
        let told = victim.sink.now.events.count
        let start = MonotonicClock.milliseconds()
        let view = try waitForView(of: Set(survivors.map(\.identity.id.text)), at: survivors)
        // A lease of two seconds, half a second until etcd notices, and the time in which nobody is left out after a
        // start.
        #expect(MonotonicClock.milliseconds() - start < 5000)
        #expect(view.coordinator == view.epoch.proposer)
        #expect(view.coordinator != coordinator)
        #expect(survivors[0].topology.members.last?.state == .dead)
        #expect(victim.sink.now.events.count == told)
        // The stopped node cannot act any longer: it has not renewed its lease.
        #expect(!victim.sink.acts)
    }

    @Test func `A member whose host refuses connections is left out at once`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster(etcd)
        nodes[2].topology.stop()
        let start = MonotonicClock.milliseconds()
        for node in nodes[0..<2] { node.topology.processGone(nodes[2].identity) }
        try waitForView(of: ["1", "2"], at: Array(nodes[0..<2]))
        #expect(MonotonicClock.milliseconds() - start < 1900)
    }

    @Test func `A node that leaves is out at once and may come back`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster(etcd)
        nodes[0].topology.leave()
        try waitFor("the node has left") { nodes[0].sink.now.hasLeft }
        #expect(!nodes[0].sink.acts)
        try waitForView(of: ["2", "3"], at: Array(nodes[1...]))
        #expect(nodes[1].topology.members.last == Member(identity: nodes[0].identity, state: .left))
        nodes[0].topology.connect(to: "anything:1")
        let view = try waitForView(of: ["1", "2", "3"], at: nodes)
        #expect(view.members.last?.id == MemberID("1"))
        #expect(!view.serving.contains(MemberID("1")))
    }

    @Test func `An operator's removal makes a node leave`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster(etcd)
        nodes[0].topology.remove(address: nodes[1].identity.address)
        try waitFor("the node has left") { nodes[1].sink.now.hasLeft }
        try waitForView(of: ["1", "3"], at: [nodes[0], nodes[2]])
    }

    @Test func `A second node with a living node's id is refused`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster(etcd, ["1", "2"])
        let twin = TestNode("2", ports: [etcd.port], address: "elsewhere:80")
        try waitFor("the twin is refused") { twin.sink.now.refusal != nil }
        #expect(twin.sink.now.refusal == .duplicateID(holder: nodes[1].identity.address))
        #expect(nodes.allSatisfy { $0.memberIDs.count == 2 && $0.sink.acts })
    }

    @Test func `A restarted node takes over its id before the lease of its earlier run has ended`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster(etcd, ["1", "2"])
        nodes[1].topology.stop()
        let start = MonotonicClock.milliseconds()
        let again = TestNode("2", ports: [etcd.port], incarnation: 2000)
        let view = try waitForView(of: ["1", "2"], at: [nodes[0], again]) {
            $0.member(MemberID("2"))?.incarnation == 2000
        }
        #expect(MonotonicClock.milliseconds() - start < 1900)
        #expect(view.serving == [MemberID("1")])
    }

    @Test func `A lease revoked behind a node's back ends its acting until it is a member again`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster(etcd)
        let claim = try RawJSON(etcd.control("get", "/test/a%2Fb/members/2", "-w", "json"))
        let lease = try #require(claim["kvs"]?[0]?["lease"]?.integer)
        let acted = nodes[1].sink.now.acting.count
        try etcd.control("lease", "revoke", String(lease, radix: 16))
        try waitFor("the node stops acting") { nodes[1].sink.now.acting.dropFirst(acted).contains(.min) }
        try waitForView(of: ["1", "2", "3"], at: nodes)
    }

    @Test func `The first endpoint may be dead`() throws {
        let etcd = try EtcdServer()
        let dead = try EtcdServer.freePort()
        let nodes = ["1", "2"].map { TestNode($0, ports: [dead, etcd.port]) }
        try waitForView(of: ["1", "2"], at: nodes)
        #expect(nodes.allSatisfy { $0.sink.now.outages.isEmpty })
    }
}
