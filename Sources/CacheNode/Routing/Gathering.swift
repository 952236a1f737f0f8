// A call about many keys: divided by owner, one call to each, and the answers put together in the order asked. Groups that
// meet a change of owners are divided again. Confined to the event loop of the message.

import HashRing
import JSONRPC
import NIOCore

final class Gathering {
    /// One key or item of the list, as it was sent.
    struct Item {
        var text: JSONSlice
        var position: UInt64
    }

    private let pending: PendingMessage
    private let slot: Int
    private let method: RPCMethod
    private let items: [Item]
    /// `,"fields":[…]`: further parameters, the same for every group.
    private let rest: [UInt8]
    private var results: [(reply: PeerReply, slice: JSONSlice)?]
    private var missing: Int
    private let deadline: Int64
    private let lane: PeerLaneKind

    /// `method`'s first parameter is the list that is divided.
    init(
        _ method: RPCMethod, _ items: [Item], rest: [UInt8], over lane: PeerLaneKind, slot: Int,
        of pending: PendingMessage
    ) {
        self.lane = lane
        self.pending = pending
        self.slot = slot
        self.method = method
        self.items = items
        self.rest = rest
        results = Array(repeating: nil, count: items.count)
        missing = items.count
        // As long as a call waits for the keys of a dead owner to move.
        let network = pending.node.configuration.network
        deadline =
            NodeClock.monotonicMilliseconds()
            + Int64(
                network.forwardTimeoutMilliseconds + network.failureMilliseconds + 2 * network.heartbeatMilliseconds)
    }

    func start() { send(Array(items.indices)) }

    /// Sends the items of these indices, a call for each owner. An owner that does not own all of a group turns it away; it
    /// is then divided again.
    private func send(_ indices: [Int]) {
        let table = pending.thread.routing
        var groups: [(owner: String?, indices: [Int])] = []
        for index in indices {
            let owner: String? =
                switch table.owner(at: items[index].position) {
                case .me: ""
                case .node(let target): target.address
                case .nobody: nil
                }
            if let place = groups.firstIndex(where: { $0.owner == owner }) {
                groups[place].indices.append(index)
            } else {
                groups.append((owner, [index]))
            }
        }
        for group in groups { send(group: group.indices) }
    }

    private func send(group: [Int]) {
        guard let first = group.first else { return }
        let thread = pending.thread
        // Many changes under one number could not be told apart; repeating them does no harm but to their conditions.
        let forwarding = Forwarding(
            request(group), operation: 0, position: items[first].position, isGroup: group.count > 1,
            over: lane, for: pending
        ) { result in
            switch result {
            case .success(let reply): self.received(reply, group)
            case .failure(let failure) where failure.code == .wrongOwner && self.mayDivide(group):
                thread.loop.assumeIsolated().scheduleTask(in: .milliseconds(Forwarding.pauseMilliseconds)) {
                    self.send(group)
                }
            case .failure(let failure): self.pending.settle(self.slot, .failed(failure))
            }
        }
        thread.counters.forwardedCalls.add()
        forwarding.attempt()
    }

    private func mayDivide(_ group: [Int]) -> Bool {
        group.count > 1 && NodeClock.monotonicMilliseconds() + Forwarding.pauseMilliseconds < deadline
    }

    private func request(_ group: [Int]) -> ReplyBuffer {
        var text = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        text.append("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"")
        text.append(method.name)
        text.append("\",\"params\":{\"")
        text.append(method.parameters[0].name)
        text.append("\":[")
        pending.body.withUnsafeReadableBytes { body in
            for (place, index) in group.enumerated() {
                if place > 0 { text.append(",") }
                text.append(bytes: items[index].text.bytes(in: body))
            }
        }
        text.append("]")
        rest.withUnsafeBytes { text.append(bytes: $0) }
        text.append("}}")
        return text
    }

    private func received(_ reply: PeerReply, _ group: [Int]) {
        let isComplete = reply.text.text.withUnsafeReadableBytes { bytes -> Bool in
            let response = JSONMembers(reply.value, in: bytes)
            guard let result = response["result"], let list = JSONMembers(result, in: bytes)["items"],
                list.kind == .array
            else { return false }
            var cursor = JSONArrayCursor(bytes, list.slice)
            for index in group {
                guard let value = cursor.next() else { return false }
                if results[index] == nil { missing -= 1 }
                results[index] = (reply, value.slice)
            }
            return true
        }
        guard isComplete else { return fail(reply) }
        if missing == 0 { finish() }
    }

    /// The owner answered with an error: the whole call has it.
    private func fail(_ reply: PeerReply) {
        pending.settle(slot, .failed(MethodFailure(errorIn: reply)))
    }

    private func finish() {
        var result = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        result.append("{\"items\":[")
        for (index, part) in results.enumerated() {
            guard let part else { continue }
            if index > 0 { result.append(",") }
            _ = result.append(part.slice, of: part.reply.text, with: &pending.thread.inflater)
        }
        result.append("]}")
        pending.settle(slot, .result(result))
    }
}

/// A call that every member carries out; the numbers they answer are added up.
final class FanOut {
    private let pending: PendingMessage
    private let slot: Int
    private let member: StaticString
    private var missing = 0
    private var sum: Int64 = 0
    private let onSum: ((Int64) -> Void)?

    /// `member`: of the result, an integer. `onSum`: takes the sum instead of the slot.
    init(member: StaticString, slot: Int, of pending: PendingMessage, onSum: ((Int64) -> Void)? = nil) {
        self.onSum = onSum
        self.pending = pending
        self.slot = slot
        self.member = member
    }

    /// Sends `text` to all other members and runs it here.
    func start(_ text: ReplyBuffer) {
        let node = pending.node
        let thread = pending.thread
        let others = thread.routing.others
        missing = others.count + 1
        let deadline = NodeClock.monotonicMilliseconds() + Int64(node.configuration.network.forwardTimeoutMilliseconds)
        for target in others {
            let call = PeerCall(text: text, deadline: deadline) { result in
                switch result {
                case .success(let reply): self.received(reply)
                case .failure(.refused): self.add(0)  // What is not running holds nothing.
                case .failure:
                    self.pending.settle(
                        self.slot, .failed(MethodFailure(.ownerUnreachable, .reason("a member did not answer"))))
                }
            }
            // Its receiver may have replicas to wait for.
            thread.peers.send(call, to: target, over: .calls)
        }
        LocalCall.run(text, operation: 0, for: pending) { self.received($0) }
    }

    private func received(_ reply: PeerReply) {
        let number = reply.text.text.withUnsafeReadableBytes { bytes in
            JSONMembers(reply.value, in: bytes)["result"].flatMap { JSONMembers($0, in: bytes).integer(member) }
        }
        guard let number else {
            return pending.settle(
                slot, .failed(MethodFailure(.ownerUnreachable, .reason("a member did not carry the call out"))))
        }
        add(number)
    }

    private func add(_ number: Int64) {
        sum &+= number
        missing -= 1
        guard missing == 0 else { return }
        if let onSum { return onSum(sum) }
        var result = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true)
        result.append("{\"")
        result.append(member)
        result.append("\":")
        result.append(decimal: sum)
        result.append("}")
        pending.settle(slot, .result(result))
    }
}

@available(*, unavailable)
extension Gathering: Sendable {}
@available(*, unavailable)
extension FanOut: Sendable {}
