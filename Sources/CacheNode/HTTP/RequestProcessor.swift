// From a complete HTTP request to the bytes of its response: content coding, JSON-RPC, plain endpoints, gzip splicing.
// Runs on an event loop or a worker; connections, timeouts and ordering are HTTPConnectionHandler's.

import Compression
import JSONRPC
import NIOCore

/// A request whose body has arrived.
struct CompleteRequest: Sendable {
    var facts: RequestFacts
    var body: ByteBuffer
    /// The client's address, when requests are logged.
    var remote: String?
}

/// A finished response.
struct ProcessedResponse: Sendable {
    /// Head and body.
    var bytes: ByteBuffer
    var status: ResponseStatus
    var keepsAlive: Bool
    /// To be sent when the journal's watermark has reached this; zero for at once.
    var sequence: UInt64 = 0
    var calls = 0
    var failures = 0
    /// The code of the first error in the reply.
    var firstErrorCode: Int32?
    /// The method of a single call, as a place in the method table.
    var method: Int?
}

/// What became of a request.
enum RequestOutcome {
    case answered(ProcessedResponse)
    /// Nothing has been done: it must run on a worker.
    case needsWorker(WorkerJob)
    /// Other nodes have to do with it. Calling the function starts the wait; its argument is called once, with the
    /// response, at once or later, on the same event loop.
    case pending((@escaping (ProcessedResponse) -> Void) -> Void)
}

/// Answers requests; stateless but for the thread's tools.
struct RequestProcessor {
    let node: NodeCore

    /// A body of this size or more is parsed and answered on a worker thread: compressing it would hold up an event
    /// loop for more than a few milliseconds.
    static let workerBodyBytes = 128 * 1024

    /// Whether a request runs on a worker whatever its message says: it is large, or of unknown size once inflated.
    func needsWorker(_ request: borrowing CompleteRequest) -> Bool {
        request.body.readableBytes >= Self.workerBodyBytes || request.facts.contentCoding == .gzip
            || request.facts.target == .metrics
    }

    /// Answers `request`. `onEventLoop`: only what does not hold the loop up.
    func respond(
        to request: CompleteRequest, thread: ThreadState, onEventLoop: Bool
    ) -> RequestOutcome {
        if onEventLoop && needsWorker(request) { return .needsWorker(.short) }
        let started = thread.lastNanoseconds
        var facts = request.facts
        if node.isDraining { facts.keepsAlive = false }
        switch dispatch(facts, request.body, thread, onEventLoop) {
        case .needsWorker(let job): return .needsWorker(job)
        case .answered(let response):
            account(request, response, since: started, thread)
            return .answered(response)
        case .pending(let start):
            thread.trim()
            return .pending { deliver in
                start { response in
                    self.account(request, response, since: started, thread)
                    deliver(response)
                }
            }
        }
    }

    /// Counts and logs an answered request.
    private func account(
        _ request: borrowing CompleteRequest, _ response: ProcessedResponse, since started: Int64, _ thread: ThreadState
    ) {
        thread.readClock()
        let elapsed = thread.lastNanoseconds - started
        thread.trim()
        guard request.facts.target != .peer else { return }
        thread.counters.messages.add()
        thread.counters.durations.record(nanoseconds: elapsed)
        node.accessLog.record(request, response, nanoseconds: elapsed)
    }

    private func dispatch(
        _ facts: RequestFacts, _ body: ByteBuffer, _ thread: ThreadState, _ onEventLoop: Bool
    ) -> RequestOutcome {
        switch facts.target {
        case .peer:
            guard facts.method == .post else {
                return .answered(
                    refusal(
                        .methodNotAllowed, .invalidRequest, "for other nodes", facts, thread, allow: "POST"))
            }
            return answerPeer(facts, body, thread)
        case .rpc, .root:
            guard facts.method == .post else {
                return .answered(
                    refusal(
                        .methodNotAllowed, .invalidRequest, "POST a JSON-RPC message", facts, thread, allow: "POST"))
            }
            return answerRPC(facts, body, thread, onEventLoop)
        case .healthz, .readyz, .metrics, .openRPC:
            guard facts.method == .get || facts.method == .head else {
                return .answered(
                    refusal(
                        .methodNotAllowed, .invalidRequest, "GET or HEAD only", facts, thread, allow: "GET, HEAD"))
            }
            return .answered(plain(facts, thread))
        case .unknown:
            return .answered(refusal(.notFound, .invalidRequest, "no such path", facts, thread))
        }
    }

    private func answerRPC(
        _ facts: RequestFacts, _ body: ByteBuffer, _ thread: ThreadState, _ onEventLoop: Bool
    ) -> RequestOutcome {
        guard facts.hasJSONContent else {
            return .answered(
                refusal(
                    .unsupportedMediaType, .invalidRequest, "Content-Type must be application/json", facts, thread))
        }
        switch facts.contentCoding {
        case .identity:
            return body.withUnsafeReadableBytes { runRPC($0, body, facts, thread, onEventLoop) }
        case .unsupported, .holes:
            return .answered(
                refusal(
                    .unsupportedMediaType, .invalidRequest, "Content-Encoding must be gzip or identity", facts, thread))
        case .gzip:
            // A first guess at what it inflates to, so that many at once can't all be let in.
            let guess = min(node.limits.maxBodyBytes, 4 * body.readableBytes)
            guard node.budget.reserve(bytes: guess) else {
                return .answered(refusal(.unavailable, .busy, "too many bytes in flight", facts, thread))
            }
            defer { node.budget.release(bytes: guess) }
            do {
                let inflated = try body.withUnsafeReadableBytes { body in
                    try thread.inflater.inflateGzip(body, limitBytes: node.limits.maxBodyBytes)
                }
                let rest = max(inflated.count - guess, 0)
                node.budget.add(bytes: rest)
                defer { node.budget.release(bytes: rest) }
                return inflated.withBytes { runRPC($0, nil, facts, thread, onEventLoop) }
            } catch CompressionError.tooLarge {
                return .answered(
                    refusal(
                        .contentTooLarge, .requestTooLarge, "the inflated body is too large", facts, thread,
                        limit: node.limits.maxBodyBytes))
            } catch {
                return .answered(refusal(.badRequest, .parseError, "the body is not valid gzip", facts, thread))
            }
        }
    }

    /// `source`: the buffer that `body` is the content of, where there is one.
    private func runRPC(
        _ body: UnsafeRawBufferPointer, _ source: ByteBuffer?, _ facts: RequestFacts, _ thread: ThreadState,
        _ onEventLoop: Bool
    ) -> RequestOutcome {
        let message = parseMessage(body)
        if onEventLoop, let job = node.executor.needsWorker(message, in: body) { return .needsWorker(job) }
        let (reply, outcome, pending) = runCalls(message, body, source, facts, thread)
        guard let pending else { return .answered(respond(reply, outcome, facts, thread)) }
        return .pending { deliver in
            pending.onFinish = { pending, reply in
                deliver(self.respond(reply, pending.outcome, facts, thread))
            }
            pending.seal(reply, outcome)
        }
    }

    /// A function of its own so that the context is gone when it returns: the reply is finished in place, which nothing
    /// else that holds its memory would allow.
    private func runCalls(
        _ message: consuming Message, _ body: UnsafeRawBufferPointer, _ source: ByteBuffer?, _ facts: RequestFacts,
        _ thread: ThreadState
    ) -> (ReplyBuffer, MessageOutcome, PendingMessage?) {
        var context = CallContext(
            node: node, thread: thread, body: body, now: thread.lastMilliseconds,
            reply: thread.emptyReply(acceptsGzip: facts.acceptsGzip))
        context.bodyBuffer = source
        let outcome = node.executor.run(message, &context)
        if context.pending != nil { context.startReplication() }
        return (context.reply, outcome, context.pending)
    }

    /// Makes a response of a complete reply.
    private func respond(
        _ reply: consuming ReplyBuffer, _ outcome: MessageOutcome, _ facts: RequestFacts, _ thread: ThreadState
    ) -> ProcessedResponse {
        var head = ResponseHead()
        head.keepsAlive = facts.keepsAlive
        head.isHTTP10 = facts.isHTTP10
        switch outcome.kind {
        case .answered: head.status = .ok
        case .silent: head.status = .noContent
        case .notJSON: head.status = .badRequest
        }
        if !reply.splices.isEmpty { thread.counters.splicedReplies.add() }
        let bytes = reply.finish(&head, thread.heads, now: thread.lastMilliseconds)
        return ProcessedResponse(
            bytes: bytes, status: head.status, keepsAlive: head.keepsAlive, sequence: outcome.sequence,
            calls: outcome.calls, failures: outcome.failures, firstErrorCode: outcome.firstErrorCode,
            method: outcome.method)
    }

    /// A response to a request that is not run: a JSON-RPC error object with id null, and the HTTP status that says it.
    func refusal(
        _ status: ResponseStatus, _ code: RPCErrorCode, _ reason: StaticString, _ facts: RequestFacts?,
        _ thread: ThreadState, allow: StaticString? = nil, limit: Int? = nil, closes: Bool = false
    ) -> ProcessedResponse {
        thread.counters.httpErrors.add()
        var reply = ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: false)
        if facts?.method != .head {
            reply.appendErrorResponse(
                id: nil, in: UnsafeRawBufferPointer(start: nil, count: 0), code, node: node.nodeID
            ) { reply in
                reply.appendNextMember("reason", constant: reason)
                if let limit { reply.appendNextMember("limit", decimal: Int64(limit)) }
            }
        }
        var head = ResponseHead(status: status, allow: allow)
        head.keepsAlive = !closes && (facts?.keepsAlive ?? false)
        head.isHTTP10 = facts?.isHTTP10 ?? false
        return ProcessedResponse(
            bytes: reply.finish(&head, thread.heads, now: thread.lastMilliseconds), status: status,
            keepsAlive: head.keepsAlive, calls: 0,
            failures: 1, firstErrorCode: code.rawValue)
    }

    /// Answers a GET or HEAD of one of the plain endpoints.
    private func plain(_ facts: RequestFacts, _ thread: ThreadState) -> ProcessedResponse {
        var head = ResponseHead()
        head.keepsAlive = facts.keepsAlive
        head.isHTTP10 = facts.isHTTP10
        let text = PlainEndpoints.answer(facts.target, node, &head)
        var content = text
        if text.count >= 1024 {
            head.variesByEncoding = true
            if facts.acceptsGzip {
                content = text.withUnsafeBytes { thread.deflater.gzip($0) }
                head.isGzip = true
            }
        }
        var bytes = ByteBuffer()
        bytes.reserveCapacity(ResponseHeads.maxBytes + content.count)
        thread.heads.write(head, contentLength: content.count, now: thread.lastMilliseconds, to: &bytes)
        if facts.method != .head { bytes.writeBytes(content) }
        return ProcessedResponse(bytes: bytes, status: head.status, keepsAlive: head.keepsAlive)
    }
}
