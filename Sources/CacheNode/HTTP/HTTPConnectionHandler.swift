// One client connection: collects requests, keeps replies in order, parks those that wait for the journal, and cuts off
// whoever is slow. Confined to its event loop. What a request means is RequestProcessor's business.
//
//     bytes ─▶ HTTPRequestDecoder ─▶ phase: idle ▶ head ▶ collecting ▶ (executing on a worker) ▶ idle …
//     replies of one read cycle ─▶ output ─┬─▶ socket, one write               nothing in it waits
//                                          └─▶ parked ─▶ socket in order       when the watermark reaches its sequence

import JSONRPC
import NIOCore
import NIOHTTP1

final class HTTPConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Where the connection is in reading requests. Times are monotonic milliseconds.
    enum Phase {
        case idle(since: Int64)
        /// The first bytes of a head have come.
        case head(since: Int64)
        case collecting(RequestFacts, body: ByteBuffer, reservedBytes: Int, since: Int64)
        /// The rest of a request that was refused already.
        case discarding(since: Int64)
        case executing
        /// The last reply is on its way or sent; input is thrown away so that the client can read the reply before the
        /// connection is reset (RFC 9112 section 9.6).
        case lingering(since: Int64)
        case closed
    }

    /// Replies that wait for the journal.
    struct Parked {
        var output: PendingOutput
        var closes: Bool
    }

    let processor: RequestProcessor
    let thread: ThreadState
    let node: NodeCore
    var phase: Phase
    var context: ChannelHandlerContext?
    /// Place in the registry.
    var registryIndex = -1
    /// Replies of this read cycle.
    var output = PendingOutput()
    var parked = CircularBuffer<Parked>(initialCapacity: 0)
    var isInParkedList = false
    /// Parts that came while a worker had a request.
    private var queuedParts = CircularBuffer<HTTPServerRequestPart>(initialCapacity: 0)
    private var wantsRead = false
    private(set) var inputClosed = false
    /// A reply without keep-alive has been produced: nothing is read after it.
    var isClosing = false
    /// Since when the socket has not taken everything, for the slow-reader timeout.
    var unwritableSince: Int64?

    /// Replies of one connection may wait, for the journal or for the client, up to about this size.
    private static let maxParkedBytes = 1 << 20
    static let lingerMilliseconds: Int64 = 1000

    init(node: NodeCore, thread: ThreadState) {
        self.node = node
        self.thread = thread
        processor = RequestProcessor(node: node)
        phase = .idle(since: NodeClock.monotonicMilliseconds())
    }

    // MARK: Life of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        thread.connections.add(self)
        node.budget.connectionOpened()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        releaseReservation()
        phase = .closed
        parked.removeAll()
        thread.connections.remove(self)
        node.budget.connectionClosed()
        self.context = nil
    }

    /// A connection over `max_connections` is told so and closed.
    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        guard node.budget.openConnections > node.configuration.limits.maxConnections else { return }
        node.refusals.connectionRefused(node)
        refuse(.unavailable, .busy, "too many connections", nil)
        flushOutput()
    }

    func channelInactive(context: ChannelHandlerContext) {
        releaseReservation()
        phase = .closed
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else { return context.close(promise: nil) }
        guard !isClosing else { return }
        var status = ResponseStatus.badRequest
        if case .headerOverflow? = error as? HTTPParserError { status = .headerTooLarge }
        refuse(status, .invalidRequest, "malformed HTTP request", nil)
        flushOutput()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent {
            inputClosed = true
            isClosing = true
            switch phase {
            case .executing, .closed: break
            case .idle, .head, .collecting, .discarding, .lingering:
                flushOutput()
                if parked.isEmpty { finishClosing() }
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Reading

    /// Called by the handler in front of the decoder for every chunk of bytes.
    func bytesArrived(_ count: Int) {
        thread.counters.bytesRead.add(count)
        if case .idle = phase { phase = .head(since: NodeClock.monotonicMilliseconds()) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        guard queuedParts.isEmpty, canHandle else { return queuedParts.append(part) }
        handle(part)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        handleQueued()
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        guard canRead(context) else { return wantsRead = true }
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        unwritableSince = context.channel.isWritable ? nil : NodeClock.monotonicMilliseconds()
        handleQueued()
        resumeReading()
        context.fireChannelWritabilityChanged()
    }

    private func canRead(_ context: ChannelHandlerContext) -> Bool {
        queuedParts.isEmpty && canHandle
    }

    /// Whether the next request may be answered: no worker has one, and the client takes its replies. Else requests that
    /// are here already wait, and no more are read.
    private var canHandle: Bool {
        if case .executing = phase { return false }
        guard let context, context.channel.isWritable else { return false }
        let unsent = parked.reduce(output.bytes.readableBytes) { $0 + $1.output.bytes.readableBytes }
        return unsent < Self.maxParkedBytes
    }

    /// Sends what is ready and answers what waits in the queue, as long as the client takes it.
    func handleQueued() {
        flushOutput()
        while !queuedParts.isEmpty && canHandle {
            handle(queuedParts.removeFirst())
            if !canHandle || queuedParts.isEmpty { flushOutput() }
        }
    }

    func resumeReading() {
        guard wantsRead, let context, canRead(context) else { return }
        wantsRead = false
        context.read()
    }

    private func handle(_ part: HTTPServerRequestPart) {
        switch (phase, part) {
        case (.lingering, _), (.closed, _):
            break
        case (_, .head(let head)):
            begin(RequestFacts(head))
        case (.collecting, .body(let chunk)):
            collect(chunk)
        case (.collecting(let facts, let body, let reservedBytes, _), .end):
            phase = .idle(since: NodeClock.monotonicMilliseconds())
            execute(CompleteRequest(facts: facts, body: body, remote: remote), reservedBytes: reservedBytes)
        case (.discarding, .end):
            phase = .idle(since: NodeClock.monotonicMilliseconds())
        case (_, .body), (_, .end):
            break
        }
    }

    /// A head has come: refuse what can be refused now, before a large body is sent.
    private func begin(_ facts: RequestFacts) {
        let limit = node.limits.maxBodyBytes
        if !facts.isHTTP10 && facts.hosts != 1 {
            return refuse(.badRequest, .invalidRequest, "exactly one Host field is required", nil)
        }
        if facts.isChunked && facts.contentLength != nil {
            return refuse(.badRequest, .invalidRequest, "both Content-Length and Transfer-Encoding", nil)
        }
        if let length = facts.contentLength, length > limit {
            return refuse(.contentTooLarge, .requestTooLarge, "the body is too large", nil, limit: limit)
        }
        let length = facts.contentLength ?? 0
        let reservedBytes = length >= Self.countedBodyBytes ? length : 0
        guard node.budget.bufferBytes <= node.budget.bufferLimitBytes,
            reservedBytes == 0 || node.budget.reserve(bytes: reservedBytes)
        else {
            return refuse(.unavailable, .busy, "too many bytes in flight", nil)
        }
        if facts.expectsContinue && facts.hasBody && !facts.isHTTP10 {
            flushOutput()
            write(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n"))
        }
        phase = .collecting(
            facts, body: ByteBuffer(), reservedBytes: reservedBytes, since: NodeClock.monotonicMilliseconds())
    }

    /// Bodies smaller than this are covered by what a connection costs anyway.
    private static let countedBodyBytes = 64 * 1024

    private func collect(_ chunk: ByteBuffer) {
        guard case .collecting(let facts, var body, var reservedBytes, let since) = phase else { return }
        phase = .closed  // so that the buffer is held once and grows in place
        if body.readableBytes == 0 {
            body = chunk
        } else {
            if let length = facts.contentLength, body.capacity < length {
                // Grow by doubling towards the announced length: an announcement alone costs no memory.
                body.reserveCapacity(min(length, max(2 * (body.readableBytes + chunk.readableBytes), 64 * 1024)))
            }
            body.writeImmutableBuffer(chunk)
        }
        if body.readableBytes > node.limits.maxBodyBytes {
            phase = .collecting(facts, body: ByteBuffer(), reservedBytes: reservedBytes, since: since)
            return refuse(
                .contentTooLarge, .requestTooLarge, "the body is too large", nil, limit: node.limits.maxBodyBytes)
        }
        let wanted = body.readableBytes >= Self.countedBodyBytes ? body.readableBytes : 0
        if wanted > reservedBytes {
            guard node.budget.reserve(bytes: wanted - reservedBytes) else {
                phase = .collecting(facts, body: ByteBuffer(), reservedBytes: reservedBytes, since: since)
                return refuse(.unavailable, .busy, "too many bytes in flight", nil)
            }
            reservedBytes = wanted
        }
        phase = .collecting(facts, body: body, reservedBytes: reservedBytes, since: since)
    }

    func releaseReservation() {
        guard case .collecting(_, _, let reservedBytes, _) = phase, reservedBytes > 0 else { return }
        node.budget.release(bytes: reservedBytes)
    }

    // MARK: Answering

    private func execute(_ request: consuming CompleteRequest, reservedBytes: Int) {
        if let response = processor.respond(
            to: request, thread: thread, buffer: thread.takeReplyBuffer(), onEventLoop: true)
        {
            if reservedBytes > 0 { node.budget.release(bytes: reservedBytes) }
            return accept(response, for: request)
        }
        guard let context else { return }
        phase = .executing
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let processor = processor
        let request = request
        node.workers.run { thread in
            let response = processor.respond(to: request, thread: thread, buffer: ByteBuffer(), onEventLoop: false)
            eventLoop.execute {
                handler.value.completed(request, response, reservedBytes: reservedBytes)
            }
        }
    }

    /// A worker has answered.
    private func completed(_ request: CompleteRequest, _ response: ProcessedResponse?, reservedBytes: Int) {
        if reservedBytes > 0 { node.budget.release(bytes: reservedBytes) }
        guard case .executing = phase, let response else { return }
        phase = .idle(since: NodeClock.monotonicMilliseconds())
        accept(response, for: request)
        handleQueued()
        resumeReading()
    }

    /// Puts a response behind those of the same read cycle.
    private func accept(_ response: ProcessedResponse, for request: CompleteRequest?) {
        output.append(response, for: request)
        thread.keepReplyBuffer(response.bytes)
        if !response.keepsAlive { startClosing() }
    }

    /// Answers a request that is not run, and closes after it: its body may still be on the way.
    private func refuse(
        _ status: ResponseStatus, _ code: RPCErrorCode, _ reason: StaticString, _ facts: RequestFacts?,
        limit: Int? = nil
    ) {
        releaseReservation()
        phase = .discarding(since: NodeClock.monotonicMilliseconds())
        let response = processor.refusal(status, code, reason, facts, thread, limit: limit, closes: true)
        node.accessLog.refused(response, remote: remote)
        accept(response, for: nil)
    }

    /// The client's address, for the access log alone.
    private var remote: String? {
        node.accessLog.isOn ? context?.remoteAddress?.description : nil
    }

    private func startClosing() {
        isClosing = true
        phase = .lingering(since: NodeClock.monotonicMilliseconds())
        queuedParts.removeAll()
    }

    /// Answers 408 to whoever takes too long with a request.
    func timedOut() {
        refuse(.requestTimeout, .timeout, "the request took too long to arrive", nil)
        flushOutput()
    }
}

/// Counts bytes and tells the connection that a request has begun, before its head is complete.
final class InboundByteObserver: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: HTTPConnectionHandler

    init(_ connection: HTTPConnectionHandler) {
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connection.bytesArrived(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
    }
}

@available(*, unavailable)
extension HTTPConnectionHandler: Sendable {}

@available(*, unavailable)
extension InboundByteObserver: Sendable {}
