// One call on its way to the owner of its key: sent, and sent again to whoever owns the key by then, until it is answered or
// its time is over. Confined to the event loop of the message.
//
//     send ─▶ answered                                   the answer goes into the reply as it came
//          ─▶ not the owner, not ready yet               again in a moment, by the table of then
//          ─▶ refused (no process there)                 the membership is told; again in a moment, when a view has moved the key
//          ─▶ lost on the way                            again: the operation's number keeps a write from being done twice
//          ─▶ no answer in time                          1103
//
// The node itself may have become the owner meanwhile: the call is then run here, as if another node had sent it.

import HashRing
import JSONRPC
import NIOCore

/// What is sent to whom, and what becomes of it.
final class Forwarding {
    /// Between two attempts, in milliseconds: views change within a few of these.
    static let pauseMilliseconds: Int64 = 10

    private let node: NodeCore
    private let thread: ThreadState
    private let position: UInt64
    private let text: ReplyBuffer
    private let operation: UInt64
    private let isGroup: Bool
    private let lane: PeerLaneKind
    private let pending: PendingMessage
    private var deadline: Int64
    private let latest: Int64
    private let completion: (Result<PeerReply, MethodFailure>) -> Void

    /// `text`: a request object. `operation`: of a write, else 0. `isGroup`: it is about many keys, and has to be divided
    /// again when its receiver does not own them all: that is told at once.
    init(
        _ text: ReplyBuffer, operation: UInt64, position: UInt64, isGroup: Bool, over lane: PeerLaneKind,
        for pending: PendingMessage,
        completion: @escaping (Result<PeerReply, MethodFailure>) -> Void
    ) {
        node = pending.node
        thread = pending.thread
        self.pending = pending
        self.position = position
        self.text = text
        self.operation = operation
        self.isGroup = isGroup
        self.lane = lane
        let network = node.configuration.network
        let now = NodeClock.monotonicMilliseconds()
        deadline = now + Int64(network.forwardTimeoutMilliseconds)
        // A dead owner's lease must run out before another node owns its keys.
        latest = deadline + Int64(network.failureMilliseconds + 2 * network.heartbeatMilliseconds)
        self.completion = completion
    }

    /// Sends the call to the owner as of now.
    func attempt() {
        let now = NodeClock.monotonicMilliseconds()
        switch thread.routing.owner(at: position) {
        case .nobody: again(after: MethodFailure(.notReady, .reason("this node is not in a cluster yet")), now)
        case .me:
            LocalCall.run(text, operation: operation, for: pending) { self.received(.success($0)) }
        case .node(let target):
            let call = PeerCall(
                text: text, operation: operation, message: ObjectIdentifier(pending), deadline: deadline
            ) {
                self.received($0)
            }
            thread.peers.send(call, to: target, over: lane)
        }
    }

    private func received(_ result: Result<PeerReply, PeerFailure>) {
        let now = NodeClock.monotonicMilliseconds()
        switch result {
        case .success(let reply):
            guard let code = reply.refusal else { return completion(.success(reply)) }
            again(after: MethodFailure(refusal: code), now)
        case .failure(.refused):
            deadline = max(deadline, latest)
            again(after: MethodFailure(.ownerUnreachable, .reason("the owner's host refuses connections")), now)
        case .failure(.unreachable):
            again(after: MethodFailure(.ownerUnreachable, .reason("no connection to the owner")), now)
        case .failure(.lost):
            again(after: MethodFailure(.ownerUnreachable, .reason("the connection to the owner was lost")), now)
        case .failure(.timedOut):
            again(after: MethodFailure(.ownerUnreachable, .reason("the owner did not answer in time")), now)
        }
    }

    private func again(after failure: MethodFailure, _ now: Int64) {
        guard now + Self.pauseMilliseconds < deadline, !(isGroup && failure.code == .wrongOwner) else {
            thread.counters.forwardFailures.add()
            return completion(.failure(failure))
        }
        thread.loop.assumeIsolated().scheduleTask(in: .milliseconds(Self.pauseMilliseconds)) { self.attempt() }
    }
}

extension PeerReply {
    /// The code by which a node says that it did not carry the call out and another may.
    var refusal: Int64? {
        guard value.kind == .number else { return nil }
        return text.text.withUnsafeReadableBytes { integer(of: value, in: $0) }
            ?? Int64(RPCErrorCode.internalError.rawValue)
    }
}

extension MethodFailure {
    /// The error that a node answered a call with, where the call was not the client's own.
    init(errorIn reply: PeerReply) {
        let code = reply.text.text.withUnsafeReadableBytes { bytes in
            JSONMembers(reply.value, in: bytes)["error"].flatMap { JSONMembers($0, in: bytes).integer("code") }
        }
        let known = code.flatMap { Int32(exactly: $0) }.flatMap { RPCErrorCode(rawValue: $0) }
        self.init(known ?? .internalError, .reason("a node that owns some of the keys refused"))
    }

    /// What a bare code of another node means to the client, should no other attempt succeed.
    init(refusal code: Int64) {
        let known = Int32(exactly: code).flatMap { RPCErrorCode(rawValue: $0) }
        self.init(known ?? .ownerUnreachable, .reason("the owner did not take the call"))
    }
}

/// A call that is run on this node as if another one had sent it.
enum LocalCall {
    /// Runs a request object on behalf of a message, which then waits for what it wrote to the journal; `completion` is
    /// called within or later, on the same event loop.
    static func run(
        _ text: ReplyBuffer, operation: UInt64, for message: PendingMessage,
        completion: @escaping (PeerReply) -> Void
    ) {
        let node = message.node
        let thread = message.thread
        let (body, isHoled) = text.finishForPeer()
        guard let source = isHoled ? PeerText(holed: body) : PeerText(plain: body) else {
            preconditionFailure("a body of our own can be read")
        }
        func deliver(_ reply: consuming ReplyBuffer) {
            let (body, isHoled) = reply.finishForPeer()
            guard let text = isHoled ? PeerText(holed: body) : PeerText(plain: body) else {
                preconditionFailure("a body of our own can be read")
            }
            let whole = JSONSlice(start: 0, end: Int32(clamping: text.text.readableBytes))
            let isObject = text.text.readableBytesView.first == UInt8(ascii: "{")
            completion(PeerReply(text: text, value: JSONValue(kind: isObject ? .object : .number, slice: whole)))
        }
        source.text.withUnsafeReadableBytes { bytes in
            var context = CallContext(
                node: node, thread: thread, body: bytes, now: NodeClock.monotonicMilliseconds(),
                reply: ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: true))
            context.origin = .peer(.present)
            context.operation = operation
            context.source = source
            let outcome = node.peerExecutor.run(callIn: bytes, &context)
            if let pending = context.pending {
                pending.onFinish = { pending, reply in
                    message.wrote(sequence: pending.outcome.sequence)
                    deliver(reply)
                }
                pending.seal(context.reply, outcome)
            } else {
                message.wrote(sequence: outcome.sequence)
                deliver(context.reply)
            }
        }
    }
}

@available(*, unavailable)
extension Forwarding: Sendable {}
