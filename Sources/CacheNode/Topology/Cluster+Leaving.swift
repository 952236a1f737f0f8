// Leaving on purpose: keys first, then the node, one node at a time.

import JSONRPC
import Membership
import NIOCore

extension Cluster {
    /// Hands this node's keys over and leaves; `completion` is told whether it did.
    func leave(_ completion: @escaping @Sendable (Bool) -> Void) {
        onLoop { confined in
            guard !confined.hasLeft else { return completion(true) }
            confined.onLeft.append(completion)
            guard let view = confined.view, view.members.count > 1 else { return self.source?.leave() ?? () }
            if confined.onLeft.count == 1 { self.askToLeave(confined) }
        }
    }

    /// Members go one at a time: two that hand over to each other would take their keys along. The coordinator says who.
    private func askToLeave(_ confined: Confined) {
        guard !confined.onLeft.isEmpty, let view = confined.view else { return }
        if let coordinator = view.coordinator, coordinator != selfID,
            let target = routing.table.others.first(where: { $0.id == coordinator })
        {
            var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
            text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"peer.leaving\",\"params\":{\"member\":")
            text.appendJSONString(selfID.text)
            text.append("}}")
            let deadline = NodeClock.monotonicMilliseconds() + Self.leavePauseMilliseconds
            let call = PeerCall(text: text, deadline: deadline) { result in
                if case .success(let reply) = result, reply.isTrue { self.beginLeaving(confined) }
            }
            confined.thread.peers.send(call, to: target, over: .data)
        } else if grantLeave(selfID, confined) {
            beginLeaving(confined)
        }
        // Again: the grant runs out, and the coordinator may be another one by then.
        loop.assumeIsolated().scheduleTask(in: .milliseconds(Self.leavePauseMilliseconds)) { self.askToLeave(confined) }
    }

    private static let leavePauseMilliseconds: Int64 = 200
    private static let leaveGrantMilliseconds: Int64 = 5000

    private func beginLeaving(_ confined: Confined) {
        guard !confined.isLeaving, !confined.onLeft.isEmpty, confined.view != nil else { return }
        confined.isLeaving = true
        publish(confined)
    }

    private func grantLeave(_ id: MemberID, _ confined: Confined) -> Bool {
        let now = NodeClock.monotonicMilliseconds()
        if let other = confined.leaver, other.id != id, now < other.until, confined.view?.member(other.id) != nil {
            return false
        }
        confined.leaver = (id, now + Self.leaveGrantMilliseconds)
        return true
    }

    /// A member asks this node, the coordinator, whether it may leave now; `answer` is called on the cluster's event loop.
    func mayLeave(_ id: MemberID, _ answer: @escaping @Sendable (Bool) -> Void) {
        onLoop { confined in
            answer(confined.view?.coordinator == self.selfID && self.grantLeave(id, confined))
        }
    }

    func endLeaving(_ confined: Confined, hasLeft: Bool) {
        confined.isLeaving = false
        for completion in confined.onLeft { completion(hasLeft) }
        confined.onLeft.removeAll()
    }
}
