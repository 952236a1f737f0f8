// Several topologies and one healthy etcd.

import Membership
import TestSupport
import Testing

@testable import EtcdTopology

struct ClusterTests {
    @Test func `Nodes that start together agree on one view, its epoch and its coordinator`() throws {
        let etcd = try EtcdServer()
        let nodes = ["1", "2", "3"].map { TestNode($0, ports: [etcd.port]) }
        let view = try waitForView(of: ["1", "2", "3"], at: nodes)
        #expect(view.epoch.number > 0)
        #expect(view.coordinator == view.epoch.proposer)
        #expect(view.serving.contains(view.epoch.proposer))
        for node in nodes {
            let epochs = node.sink.views.map(\.epoch.number)
            #expect(epochs == epochs.sorted() && Set(epochs).count == epochs.count)
            #expect(node.topology.members.map(\.identity) == view.members)
            #expect(node.topology.members.allSatisfy { $0.state == .alive })
        }
    }
}
