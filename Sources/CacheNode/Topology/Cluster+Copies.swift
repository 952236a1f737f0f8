// Carries what owners and holders of copies tell each other (NearCache.swift tells the protocol).

import JSONRPC
import Membership
import NIOCore

extension Cluster {
    /// An entry that other nodes hold copies of has changed.
    func tellCopyHolders() {
        onLoop { confined in
            guard let core = self.attached.withLock({ $0?.core }) else { return }
            for notice in core.copyHolders.takeNotices() {
                guard let target = self.routing.table.others.first(where: { $0.id == notice.holder }) else { continue }
                var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
                text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"peer.changed\",\"params\":{\"owner\":")
                text.appendJSONString(core.nodeID)
                text.append(notice.ticket)
                text.append(",\"keys\":[")
                for (index, key) in notice.keys.enumerated() {
                    if index > 0 { text.append(",") }
                    key.withUnsafeBytes { text.appendJSONString($0) }
                }
                text.append("]}}")
                // What is lost shows in the stream's numbers.
                let deadline = NodeClock.monotonicMilliseconds() + Int64(self.network.forwardTimeoutMilliseconds)
                confined.thread.peers.send(
                    PeerCall(text: text, deadline: deadline) { _ in }, to: target, over: .changes)
            }
        }
    }

    /// Asks the owners of what is held as copies whether all changes have been heard of.
    func renewLeases(_ confined: Confined, _ core: NodeCore) {
        for owner in core.near.owners {
            guard let target = routing.table.others.first(where: { $0.id == owner }) else { continue }
            var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
            text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"peer.lease\",\"params\":{\"holder\":")
            text.appendJSONString(core.nodeID)
            text.append("}}")
            let now = NodeClock.monotonicMilliseconds()
            let call = PeerCall(text: text, deadline: now + core.near.renewalMilliseconds) { result in
                guard case .success(let reply) = result, let ticket = reply.ticket else { return }
                core.near.leased(by: owner, ticket, askedAt: now)
            }
            confined.thread.peers.send(call, to: target, over: .changes)
        }
    }

    /// Copies belong to a view: who owns what they are of may have changed.
    func dropCopies(epoch: UInt64) {
        guard let core = attached.withLock({ $0?.core }) else { return }
        core.near.clear(epoch: epoch)
        core.copyHolders.begin(stream: UInt64.random(in: 1 ... .max / 2))
    }
}
