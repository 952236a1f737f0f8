// Several topologies while etcd is stopped, killed, wiped, or out of one node's reach.

import Membership
import TestSupport
import Testing

@testable import EtcdTopology

struct OutageTests {
    private func cluster(_ ports: [[Int]]) throws -> [TestNode] {
        let ids = ports.indices.map { String($0 + 1) }
        let nodes = zip(ids, ports).map { TestNode($0, ports: $1) }
        try waitForView(of: Set(ids), at: nodes)
        return nodes
    }

    /// Waits for that long while all nodes go on acting in their view.
    private func expectUndisturbed(_ nodes: [TestNode], in view: View, milliseconds: Int64) throws {
        let end = MonotonicClock.milliseconds() + milliseconds
        try waitFor("\(milliseconds) ms pass") {
            guard nodes.allSatisfy({ $0.view == view && $0.sink.acts }) else {
                throw TestFailure("disturbed: \(nodes.map { ($0.memberIDs, $0.sink.now.events.suffix(4)) })")
            }
            return MonotonicClock.milliseconds() >= end
        }
    }

    private func waitForOutage(_ nodes: [TestNode]) throws {
        try waitFor("the outage is noticed") { nodes.allSatisfy { $0.sink.now.outages.last.map { $0 != nil } == true } }
    }

    private func waitForRecovery(_ nodes: [TestNode]) throws {
        try waitFor("the outage is over") { nodes.allSatisfy { $0.sink.now.outages.last == .some(nil) } }
    }

    @Test func `Nodes act on in their view while etcd is stopped for longer than their leases, and after`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster([[etcd.port], [etcd.port], [etcd.port]])
        let view = try #require(nodes[0].view)
        try etcd.pause()
        try waitForOutage(nodes)
        try expectUndisturbed(nodes, in: view, milliseconds: 3000)
        try etcd.resume()
        try waitForRecovery(nodes)
        try expectUndisturbed(nodes, in: view, milliseconds: 3500)
        #expect(nodes.allSatisfy { $0.sink.now.expulsions == 0 })
        // The fault took effect: claims had to be made anew.
        let claims = try etcd.control("get", "--prefix", "/test/a%2Fb/members/", "-w", "json")
        let oldest = try RawJSON(claims)["kvs"]?.elements?.compactMap { $0["create_revision"]?.integer }.min()
        #expect(oldest.map(UInt64.init) ?? 0 > view.epoch.number)
    }

    @Test func `Nodes act on in their view while etcd is killed and started again`() throws {
        let etcd = try EtcdServer()
        let nodes = try cluster([[etcd.port], [etcd.port]])
        let view = try #require(nodes[0].view)
        try etcd.kill()
        try waitForOutage(nodes)
        try expectUndisturbed(nodes, in: view, milliseconds: 1000)
        try etcd.start()
        try waitForRecovery(nodes)
        try expectUndisturbed(nodes, in: view, milliseconds: 500)
        // And membership goes on.
        let newcomer = TestNode("3", ports: [etcd.port])
        try waitForView(of: ["1", "2", "3"], at: nodes + [newcomer]) { $0.epoch > view.epoch }
    }

    @Test func `After a wipe the last view stays until it is there again under a higher epoch`() throws {
        let etcd = try EtcdServer()
        for index in 0..<50 { try etcd.control("put", "/other", "\(index)") }
        let nodes = try cluster([[etcd.port], [etcd.port], [etcd.port]])
        let view = try #require(nodes[0].view)
        #expect(view.epoch.number > 50)
        try etcd.wipe()
        try waitFor("a new view of the same members") {
            guard nodes.allSatisfy(\.sink.acts) else { throw TestFailure("a node stopped acting") }
            return nodes.allSatisfy { $0.view.map { $0.epoch.number > view.epoch.number } == true }
        }
        let after = try waitForView(of: ["1", "2", "3"], at: nodes)
        #expect(after.members == view.members && after.serving == view.serving)
        #expect(nodes.allSatisfy { $0.sink.now.expulsions == 0 })
        let newcomer = TestNode("4", ports: [etcd.port])
        let larger = try waitForView(of: ["1", "2", "3", "4"], at: nodes + [newcomer])
        #expect(larger.epoch.number > after.epoch.number)
    }

    @Test func `A node that was cut off through changes and a compaction catches up`() throws {
        let etcd = try EtcdServer()
        let proxy = try TCPProxy(to: etcd.port)
        let nodes = try cluster([[etcd.port], [etcd.port], [proxy.port]])
        let view = try #require(nodes[2].view)
        proxy.cut()
        try waitForOutage([nodes[2]])
        nodes[1].topology.leave()
        try waitFor("the node has left") { nodes[1].sink.now.hasLeft }
        try waitFor("the first node alone goes on") { nodes[0].memberIDs.contains("2") == false }
        let changed = try #require(nodes[0].view)
        try etcd.control("compaction", String(changed.epoch.number))
        // Frozen, until it hears of a later epoch.
        #expect(nodes[2].view == view && nodes[2].sink.acts)
        nodes[2].topology.epochMet(changed.epoch.number)
        try waitFor("the node stops acting") { !nodes[2].sink.acts }
        try proxy.restore()
        try waitForView(of: ["1", "3"], at: [nodes[0], nodes[2]])
    }

    @Test func `A node that starts while etcd is gone joins when it is there`() throws {
        let etcd = try EtcdServer()
        try etcd.kill()
        let node = TestNode("1", ports: [etcd.port])
        try waitForOutage([node])
        #expect(!node.sink.acts)
        try etcd.start()
        try waitForView(of: ["1"], at: [node])
    }
}
