// Where a call is carried out: here, at the owner of its key, at several owners, or everywhere. The rules, and no sending
// but by the types beside this file.
//
//                      client asks                                   another node asks
//     key owned here   here, while the node may act                  here, while the node may act
//     owned elsewhere  forwarded                                     1101: whoever sent it looks again
//     may not act      1104 without a majority, else in a moment     1106
//
// A call from another node is never sent on: two nodes that disagree about the ring tell each other so, and no call loops.

import HashRing
import JSONRPC
import NIOCore

extension CallContext {
    var isForPeer: Bool {
        if case .peer = origin { true } else { false }
    }

    /// Decides where a call is carried out, and starts what is not done here. Returns whether it is done elsewhere: the
    /// answer then comes by a slot of `pending`.
    mutating func place(
        _ method: RPCMethod, _ call: borrowing Call, _ arguments: borrowing BoundParameters
    ) throws(MethodFailure) -> Bool {
        if case .anyNode = method.placement { return false }
        guard !thread.refusesWrites else {
            throw MethodFailure(.journalFailed, .reason("the journal failed before the call was over"))
        }
        switch method.placement {
        case .anyNode: return false
        case .everyNode(let sum):
            guard !isForPeer else {
                try prepareChange(method, at: [])
                return false
            }
            try checkQuorum()
            guard thread.routing.view != nil else {
                throw MethodFailure(.notReady, .reason("this node is not in a cluster now"))
            }
            fanOut(method, call, sum: sum)
            return true
        case .owner:
            guard let value = arguments[0] else { throw MethodFailure(.invalidParams) }
            let key = try key(value, ParameterPath("key"))
            let position = RingHash.hash(key.bytes)
            let changedKey = method.isWrite && node.near.isOn ? Array(key.bytes) : nil
            if try isMine(position) {
                try prepareChange(method, at: CollectionOfOne(position))
                return false
            }
            if method.isAnsweredByCopies, node.near.isOn, try readNear(call, arguments, position) { return true }
            forward(call, method, position, changing: changedKey)
            return true
        case .ownersOfKeys:
            guard let list = arguments[0] else { throw MethodFailure(.invalidParams) }
            return try gather(method, call, try places(ofKeys: list), arguments)
        case .ownersOfItems:
            guard let list = arguments[0] else { throw MethodFailure(.invalidParams) }
            return try gather(method, call, try CachePut.places(of: list, &self), arguments)
        }
    }

    /// Whether this node owns a position, for a call that goes to every node.
    func ownsKey(at position: UInt64) throws(MethodFailure) -> Bool {
        guard !thread.routing.servesAlone else { return true }
        guard case .me = thread.routing.owner(at: position) else { return false }
        guard node.cluster.routing.mayAct(now: NodeClock.monotonicMilliseconds()) else {
            throw cannotAct(isForPeer: true)
        }
        return true
    }

    /// Whether this node is to answer for a position now. Throws what a client or node is told when it may not.
    private func isMine(_ position: UInt64) throws(MethodFailure) -> Bool {
        let routing = node.cluster.routing
        switch thread.routing.owner(at: position) {
        case .me where routing.mayAct(now: NodeClock.monotonicMilliseconds()): return true
        case .me where isForPeer: throw cannotAct(isForPeer: true)
        case .node where isForPeer:
            throw MethodFailure(.wrongOwner, .reason("another node owns the key"))
        case .nobody where isForPeer: throw MethodFailure(.notReady, .reason("this node is not in a cluster yet"))
        case .me, .node, .nobody:
            try checkQuorum()
            return false
        }
    }

    /// Under the rule that a majority decides, a node without one answers nothing.
    private func checkQuorum() throws(MethodFailure) {
        guard node.configuration.network.minReplicas > 0, node.cluster.hasLostMajority else { return }
        throw cannotAct(isForPeer: false)
    }

    private func cannotAct(isForPeer: Bool) -> MethodFailure {
        node.configuration.network.minReplicas > 0 && !isForPeer
            ? MethodFailure(.notEnoughReplicas, .reason("this node is not in touch with a majority of its cluster"))
            : MethodFailure(.notReady, .reason("this node may not answer for its keys now"))
    }

    /// Before a change of this node's own keys, those at `positions`.
    private mutating func prepareChange(
        _ method: RPCMethod, at positions: some Sequence<UInt64>
    ) throws(MethodFailure) {
        guard method.isWrite else { return }
        let table = thread.routing
        let needed = node.configuration.network.minReplicas
        guard table.availableReplicas >= needed else {
            throw MethodFailure(
                .notEnoughReplicas,
                .limit(ParameterPath("replicas"), limit: needed, actual: table.availableReplicas))
        }
        for position in positions { beginChange(at: position) }
    }

    // MARK: Elsewhere

    /// The message's pending part, made when first needed.
    mutating func pendingMessage() -> PendingMessage {
        if let pending { return pending }
        let text = source?.text ?? bodyBuffer ?? ByteBuffer(bytes: body)
        let made = PendingMessage(node: node, thread: thread, body: text, isForPeer: isForPeer)
        pending = made
        return made
    }

    /// The calls of a batch stay together, in their order.
    private func lane(_ method: RPCMethod) -> PeerLaneKind { method.isWrite || isBatch ? .calls : .reads }

    /// `changedKey`: whoever changes a key through this node does not read an older copy of it here afterwards.
    private mutating func forward(
        _ call: borrowing Call, _ method: RPCMethod, _ position: UInt64, changing changedKey: [UInt8]?
    ) {
        var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        write(call, to: &text)
        let pending = pendingMessage()
        let slot = pending.addSlot(from: reply.mark, to: reply.mark, id: call.id)
        thread.counters.forwardedCalls.add()
        Forwarding(
            text, operation: method.isWrite ? thread.nextOperation() : 0, position: position, isGroup: false,
            over: lane(method), for: pending
        ) { result in
            if let changedKey { changedKey.withUnsafeBytes { pending.node.near.drop($0, now: 0) } }
            switch result {
            case .success(let answer): pending.settle(slot, .answered(answer))
            case .failure(let failure): pending.settle(slot, .failed(failure))
            }
        }.attempt()
    }

    /// The call's own bytes as a request object.
    private func write(_ call: borrowing Call, to text: inout ReplyBuffer) {
        text.append("{\"jsonrpc\":\"2.0\",\"id\":")
        text.appendID(call.id, in: body)
        text.append(",\"method\":")
        text.append(bytes: call.method.slice.bytes(in: body))
        if call.params.slice.count > 0 {
            text.append(",\"params\":")
            text.append(bytes: call.params.slice.bytes(in: body))
        }
        text.append("}")
    }

    private mutating func gather(
        _ method: RPCMethod, _ call: borrowing Call, _ items: [Gathering.Item],
        _ arguments: borrowing BoundParameters
    ) throws(MethodFailure) -> Bool {
        var areMine = true
        for item in items where try !isMine(item.position) {
            areMine = false
            break
        }
        if areMine {
            try prepareChange(method, at: items.lazy.map(\.position))
            return false
        }
        if !method.isWrite { _ = try CacheGet.request(arguments, &self) }
        var rest: [UInt8] = []
        for index in 1..<max(method.parameters.count, 1) {
            guard let value = arguments[index] else { continue }
            rest.append(",\"")
            rest.append(method.parameters[index].name)
            rest.append("\":")
            rest.append(bytes: value.slice.bytes(in: body))
        }
        let pending = pendingMessage()
        let slot = pending.addSlot(from: reply.mark, to: reply.mark, id: call.id)
        Gathering(method, items, rest: rest, over: lane(method), slot: slot, of: pending).start()
        return true
    }

    private mutating func fanOut(_ method: RPCMethod, _ call: borrowing Call, sum: StaticString) {
        let pending = pendingMessage()
        let slot = pending.addSlot(from: reply.mark, to: reply.mark, id: call.id)
        var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        guard method.parameters.isEmpty else {
            write(call, to: &text)
            return FanOut(member: sum, slot: slot, of: pending).start(text)
        }
        // A flush has a version above all that was acknowledged anywhere: first the clocks are asked, and observed with the
        // answers.
        PeerTell.writeClockRequest(to: &text)
        FanOut(member: "asked", slot: slot, of: pending) { _ in
            var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
            PeerFlush.writeRequest(version: pending.node.storage.clock.next(), to: &text)
            FanOut(member: sum, slot: slot, of: pending).start(text)
        }.start(text)
    }

    private func places(ofKeys list: JSONValue) throws(MethodFailure) -> [Gathering.Item] {
        try checkedCount(of: list, ParameterPath("keys"))
        var items: [Gathering.Item] = []
        var cursor = JSONArrayCursor(body, list.slice)
        while let element = cursor.next() {
            let key = try key(element, ParameterPath("keys", index: items.count))
            items.append(Gathering.Item(text: element.slice, position: RingHash.hash(key.bytes)))
        }
        return items
    }
}
