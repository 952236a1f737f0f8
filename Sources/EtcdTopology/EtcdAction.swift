// What the caller of EtcdMembership has to do, in this order.

import Membership

/// A call to etcd and what it is for. Of each at most one is under way.
enum StoreCall: Hashable, Sendable {
    case list
    case grant
    case keepAlive(LeaseID)
    case revoke(LeaseID)
    /// Put this node's claim under the lease.
    case claim(LeaseID)
    /// Remove the claim of an earlier run of this node.
    case clear
    /// Tell the coordinator of a higher epoch.
    case raiseFloor
    /// Write the next view.
    case publish
    case settle
    /// Withdraw this node's claim for good.
    case depart
    /// Remove another's claim.
    case delete(MemberID)
}

/// One thing to do; what it brings comes back as an input.
enum EtcdAction: Sendable {
    /// Make the call and hand the result to `replied`.
    case call(StoreCall, GatewayRequest, timeoutMilliseconds: Int64)
    /// End the watch there is, if any, and begin one at this revision.
    case watch(from: Revision)
    case cancelWatch
    /// Tell the sink.
    case emit(TopologyEvent)
    case mayAct(until: Int64)
    /// Log: something in the store or of an operator's was dropped, and why.
    case dropped(String)
}
