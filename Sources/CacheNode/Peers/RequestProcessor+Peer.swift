// Answers POST /peer: takes an exchange apart (PeerEnvelope draws it), judges the sender, runs the calls.

import JSONRPC
import Membership
import NIOCore

/// Bumped when nodes of two versions could not understand each other's calls.
let peerProtocolVersion = membershipProtocolVersion

/// What the frame says about the sender.
private struct PeerFrame {
    var cluster: String?
    var version: Int64?
    var from: String?
    var epoch: Int64?
    var hop: Int64?
    var operations: [UInt64] = []
}

extension RequestProcessor {
    func answerPeer(
        _ facts: RequestFacts, _ body: ByteBuffer, _ thread: ThreadState
    ) -> RequestOutcome {
        let source: PeerText?
        switch facts.contentCoding {
        case .identity: source = PeerText(plain: body)
        case .holes: source = PeerText(holed: body)
        case .gzip, .unsupported: source = nil
        }
        guard let source else {
            return .answered(refusal(.badRequest, .invalidRequest, "not a body between nodes", facts, thread))
        }
        return source.text.withUnsafeReadableBytes { bytes in
            var context = CallContext(
                node: node, thread: thread, body: bytes, now: thread.lastMilliseconds,
                reply: thread.emptyReply(acceptsGzip: true))
            context.origin = .peer(.unknown)
            context.source = source
            var outcome = MessageOutcome(kind: .answered, calls: 0)
            do throws(JSONError) {
                guard try run(&context, &outcome) else {
                    context.startReplication()
                    return .answered(refusal(.badRequest, .invalidRequest, "not a call of a node", facts, thread))
                }
            } catch {
                // What was carried out before the place stands.
                context.startReplication()
                return .answered(refusal(.badRequest, .parseError, "the body is not JSON", facts, thread))
            }
            thread.counters.peerCalls.add(outcome.calls)
            outcome.sequence = context.sequence
            guard let pending = context.pending else {
                return .answered(respondToPeer(context.reply, outcome, facts, thread))
            }
            context.startReplication()
            let reply = context.reply
            return .pending { [outcome] deliver in
                pending.onFinish = { pending, reply in
                    deliver(self.respondToPeer(reply, pending.outcome, facts, thread))
                }
                pending.seal(reply, outcome)
            }
        }
    }

    /// Reads the frame and runs the calls in it; false when something is missing.
    private func run(_ context: inout CallContext, _ outcome: inout MessageOutcome) throws(JSONError) -> Bool {
        let bytes = context.body
        guard bytes.count <= Int32.max else { return false }
        var pull = JSONPull(bytes, maxDepth: maxPeerNestingLevels)
        var frame = PeerFrame()
        try pull.enterObject()
        while let (name, hasEscapes) = try pull.nextName() {
            guard stringEquals(name, hasEscapes: hasEscapes, "params", in: bytes) else {
                _ = try pull.value()
                continue
            }
            try pull.enterObject()
            while let (name, hasEscapes) = try pull.nextName() {
                func isNamed(_ text: StaticString) -> Bool {
                    stringEquals(name, hasEscapes: hasEscapes, text, in: bytes)
                }
                if isNamed("calls") {
                    try runCalls(&pull, frame, &context, &outcome)
                    return true
                }
                let value = try pull.value()
                if isNamed("cluster") { frame.cluster = string(of: value, in: bytes) }
                if isNamed("protocol") { frame.version = integer(of: value, in: bytes) }
                if isNamed("from") { frame.from = string(of: value, in: bytes) }
                if isNamed("epoch") { frame.epoch = integer(of: value, in: bytes) }
                if isNamed("clock"), value.kind == .string {
                    node.observeClock(unsignedInteger(in: value.content.bytes(in: bytes)))
                }
                if isNamed("hop") { frame.hop = integer(of: value, in: bytes) }
                if isNamed("operations"), value.kind == .array {
                    var cursor = JSONArrayCursor(bytes, value.slice)
                    while let element = cursor.next() {
                        let number =
                            element.kind == .string ? unsignedInteger(in: element.content.bytes(in: bytes)) : nil
                        frame.operations.append(number ?? 0)
                    }
                }
            }
        }
        return false
    }

    private func runCalls(
        _ pull: inout JSONPull, _ frame: PeerFrame, _ context: inout CallContext, _ outcome: inout MessageOutcome
    ) throws(JSONError) {
        let table = context.thread.routing
        let sender = frame.from.map { MemberID($0) }
        let isMember = sender.map { table.isMember($0) } ?? false
        context.origin = .peer(sender.map { context.standing(of: $0) } ?? .unknown)
        let refused = refusalOfSender(frame, isMember: isMember, hasView: table.view != nil)
        if let epoch = frame.epoch, epoch > 0 { node.cluster.epochMet(UInt64(epoch)) }
        context.reply.append("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"epoch\":")
        context.reply.append(decimal: table.epoch.number)
        context.reply.append(",\"clock\":\"")
        context.reply.append(decimal: node.storage.clock.newest)
        context.reply.append("\",\"replies\":[")
        try pull.enterArray()
        while try pull.nextElement() {
            if outcome.calls > 0 { context.reply.append(",") }
            let element = try pull.call()
            context.operation = outcome.calls < frame.operations.count ? frame.operations[outcome.calls] : 0
            outcome.calls += 1
            if let refused, !element.isMembershipMessage(in: context.body) {
                context.reply.append(decimal: Int64(refused.rawValue))
            } else if context.reply.textBytes > node.limits.maxReplyBytes {
                // One answer cannot hold it all: the rest is to be asked for again.
                context.reply.append(decimal: Int64(RPCErrorCode.busy.rawValue))
            } else {
                context.replyStart = context.reply.textBytes
                node.peerExecutor.run(element, &context, &outcome)
            }
        }
        context.reply.append("]}}")
    }

    /// Why the sender's calls are not carried out; membership messages are, as they are how nodes get to know each other.
    private func refusalOfSender(_ frame: PeerFrame, isMember: Bool, hasView: Bool) -> RPCErrorCode? {
        guard frame.cluster == node.configuration.network.cluster, frame.version == Int64(peerProtocolVersion) else {
            return .forbidden
        }
        guard frame.hop == 1 else { return .forwardLoop }
        guard hasView else { return .notReady }
        return isMember ? nil : .staleEpoch
    }

    private func respondToPeer(
        _ reply: consuming ReplyBuffer, _ outcome: MessageOutcome, _ facts: RequestFacts, _ thread: ThreadState
    ) -> ProcessedResponse {
        let (body, isHoled) = reply.finishForPeer()
        var head = ResponseHead()
        head.keepsAlive = facts.keepsAlive
        head.isHTTP10 = facts.isHTTP10
        head.isHoled = isHoled
        var bytes = ByteBuffer()
        bytes.reserveCapacity(ResponseHeads.maxBytes + body.readableBytes)
        thread.heads.write(head, contentLength: body.readableBytes, now: thread.lastMilliseconds, to: &bytes)
        bytes.writeImmutableBuffer(body)
        return ProcessedResponse(
            bytes: bytes, status: head.status, keepsAlive: head.keepsAlive, sequence: outcome.sequence,
            calls: outcome.calls, failures: outcome.failures, firstErrorCode: outcome.firstErrorCode,
            method: outcome.method)
    }
}

extension Element {
    /// Whether it calls `peer.tell`.
    fileprivate func isMembershipMessage(in body: UnsafeRawBufferPointer) -> Bool {
        guard case .call(let call) = self else { return false }
        return stringEquals(call.method, "peer.tell", in: body)
    }
}
