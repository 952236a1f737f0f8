// One client connection: collects requests, keeps replies in order, parks those that wait for the journal, and cuts off
// whoever is slow. Confined to its event loop. What a request means is RequestProcessor's business.
//
//     bytes ─▶ inbound ─▶ phase: idle ▶ head ▶ body ▶ (executing on a worker) ▶ idle …
//     replies ─▶ output ─┬─▶ socket at the end of the loop's tick, one write        nothing in it waits
//                        └─▶ parked ─▶ socket in order                              when the watermark reaches its sequence
//
// Bounds: `inbound` holds at most what one read brought beyond the request under way, as reading stops while requests
// wait; a body grows up to `maxBodyBytes` and is reserved in the memory budget from 8 KiB up; replies, with the
// requests they may be needed for, wait up to about 1 MiB.

import JSONRPC
import NIOCore

final class HTTPConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How the end of a body is found.
    enum BodyFraming {
        case length(Int)
        case chunked(ChunkedDecoder)
    }

    /// Where the connection is in reading requests. Times are monotonic milliseconds.
    enum Phase {
        case idle(since: Int64)
        /// The first bytes of a head have come.
        case head(since: Int64)
        case body(RequestFacts, BodyFraming, reservedBytes: Int, since: Int64)
        case executing
        /// The last reply is on its way or sent; input is thrown away so that the client can read the reply before the
        /// connection is reset (RFC 9112 section 9.6).
        /// `since` is nil until the socket has taken that reply.
        case lingering(since: Int64?)
        case closed
    }

    let processor: RequestProcessor
    let thread: ThreadState
    let node: NodeCore
    var phase: Phase
    var context: ChannelHandlerContext?
    /// Place in the registry.
    var registryIndex = -1
    /// Bytes that have come and are not yet part of a request.
    var inbound = ByteBuffer()
    /// Which of the thread's known heads fitted last.
    private var knownHead = 0
    /// How far `inbound` has been searched for the end of a head.
    private var scannedBytes = 0
    /// A chunked body so far; a body of known length stays in `inbound` until it is whole.
    var chunks = ByteBuffer()
    /// Replies that leave at the end of the tick.
    var output = PendingOutput()
    var isFlushScheduled = false
    var parked = ParkedQueue()
    var isInParkedList = false
    private var wantsRead = false
    /// Over `max_connections`: only another node may use it.
    private var isExcess = false
    private(set) var inputClosed = false
    /// A reply without keep-alive has been produced: nothing is read after it.
    var isClosing = false
    /// When the last reply was produced.
    var closingSince: Int64 = 0
    /// The connection's own socket, while the channel is active.
    private(set) var socket: DirectSocket?
    /// Writes that wait in NIO's queue for the socket to take them.
    var queuedWrites = 0
    /// The socket takes what is written, as the channel last said.
    private var isWritable = true
    /// The client waits for "100 Continue", behind replies that are parked.
    var owesContinue = false
    /// Since when something has waited in NIO's queue for the socket, for the slow-reader timeout.
    var unwritableSince: Int64?

    /// Replies of one connection may wait, for the journal or for the client, up to about this size.
    private static let maxWaitingBytes = 1 << 20
    /// Bodies smaller than this are covered by what a connection is counted for anyway.
    private static let countedBodyBytes = MemoryBudget.bytesPerConnection
    static let lingerMilliseconds: Int64 = 1000
    /// Connections over `max_connections` that are kept until they say whether they are another node's.
    private static let reservedConnections = 64

    init(node: NodeCore, thread: ThreadState) {
        self.node = node
        self.thread = thread
        processor = RequestProcessor(node: node)
        phase = .idle(since: thread.readClock())
    }

    // MARK: Life of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        thread.connections.add(self)
        node.budget.connectionOpened()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        ended()
        _ = parked.removeAll()
        thread.connections.remove(self)
        node.budget.connectionClosed()
        self.context = nil
    }

    /// A connection over `max_connections` is told so and closed.
    func channelActive(context: ChannelHandlerContext) {
        socket = DirectSocket(of: context)
        context.fireChannelActive()
        let excess = node.budget.openConnections - node.configuration.limits.maxConnections
        isExcess = excess > 0
        // Whether it is another node, which is never turned away, its first request tells.
        guard excess > Self.reservedConnections else { return }
        refuseExcess()
    }

    private func refuseExcess() {
        node.refusals.connectionRefused(node)
        refuse(.unavailable, .busy, "too many connections")
        flushOutput()
    }

    func channelInactive(context: ChannelHandlerContext) {
        socket = nil
        ended()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent {
            inputClosed = true
            if case .lingering(.some) = phase { context.close(promise: nil) } else { advance() }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func ended() {
        if case .body(_, _, let reservedBytes, _) = phase, reservedBytes > 0 {
            node.budget.release(bytes: reservedBytes)
        }
        phase = .closed
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        thread.counters.bytesRead.add(bytes.readableBytes)
        if case .lingering = phase { return }
        if inbound.readableBytes == 0 {
            inbound = bytes
        } else {
            inbound.discardReadBytes()
            reserveInbound(for: bytes.readableBytes)
            inbound.writeBuffer(&bytes)
        }
        advance()
    }

    /// Grows towards an announced body by doubling: an announcement alone costs no memory.
    private func reserveInbound(for count: Int) {
        let needed = inbound.readableBytes + count
        guard case .body(_, .length(let length), _, _) = phase, needed > inbound.writableBytes + inbound.readableBytes
        else {
            return
        }
        inbound.reserveCapacity(min(max(length, needed), 2 * needed))
    }

    func read(context: ChannelHandlerContext) {
        guard canHandle else { return wantsRead = true }
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        // Not at once: NIO also says so in the middle of a write of ours, when nothing may be answered in between.
        if isWritable { context.eventLoop.assumeIsolated().execute { self.proceed() } }
        context.fireChannelWritabilityChanged()
    }

    /// Goes on after something that held the connection back: answers what has come, then reads more.
    func proceed() {
        advance()
        guard wantsRead, canHandle, let context else { return }
        wantsRead = false
        context.read()
    }

    /// Whether the next request may be answered: no worker has one, and the client takes its replies. Else requests
    /// that are here already wait, and no more are read.
    private var canHandle: Bool {
        if case .executing = phase { return false }
        return isWritable && context != nil && output.heldBytes + parked.heldBytes < Self.maxWaitingBytes
    }

    /// Takes requests out of `inbound` as long as they are whole and may be answered.
    private func advance() {
        do throws(HTTPParseError) {
            while canHandle, try step() {}
        } catch {
            refuse(error.status, .invalidRequest, error.reason)
        }
        if inbound.readableBytes == 0 { inbound = ByteBuffer() }
        if inputClosed && canHandle && !isClosing {
            // Nothing that is here can become a request any more: close behind the replies under way.
            startClosing()
            if output.isEmpty && parked.isEmpty { finishClosing() }
        }
        scheduleFlush()
    }

    /// One step of reading; false when more bytes must come first.
    private func step() throws(HTTPParseError) -> Bool {
        switch phase {
        case .idle, .head:
            guard inbound.readableBytes > 0 else { return false }
            return try readHead()
        case .body(let facts, let framing, let reservedBytes, let since):
            return try readBody(facts, framing, reservedBytes, since)
        case .executing, .lingering, .closed:
            return false
        }
    }

    private func readHead() throws(HTTPParseError) -> Bool {
        let now = thread.readClock()
        let read = try inbound.withReadableBytes { bytes throws(HTTPParseError) in try readHead(bytes) }
        guard let (facts, headBytes) = read else {
            // Empty lines behind a body are no request that has begun (RFC 9112 section 2.2).
            let hasBegun = inbound.readableBytesView.contains { $0 != 0x0D && $0 != 0x0A }
            if case .idle = phase, hasBegun { phase = .head(since: now) }
            return false
        }
        inbound.moveReaderIndex(forwardBy: headBytes)
        begin(facts, now)
        return true
    }

    /// The head at the start of `bytes`: by comparison with those that came before, else by parsing it.
    @inline(__always)
    private func readHead(
        _ bytes: UnsafeRawBufferPointer
    ) throws(HTTPParseError) -> (facts: RequestFacts, headBytes: Int)? {
        if let known = thread.knownHeads.match(bytes, hint: &knownHead) {
            scannedBytes = 0
            return known
        }
        guard let read = try HTTPRequestParser.parseHead(bytes, scanned: &scannedBytes) else { return nil }
        knownHead = thread.knownHeads.remember(
            UnsafeRawBufferPointer(rebasing: bytes[..<read.headBytes]), read.facts, lengthDigits: read.lengthDigits)
        return (read.facts, read.headBytes)
    }

    /// A head has come: refuse what can be refused now, before a large body is sent.
    private func begin(_ facts: RequestFacts, _ now: Int64) {
        let limit = facts.target == .peer ? node.limits.maxPeerBodyBytes : node.limits.maxBodyBytes
        let length = facts.contentLength ?? 0
        if isExcess && facts.target != .peer { return refuseExcess() }
        guard length <= limit else {
            return refuse(.contentTooLarge, .requestTooLarge, "the body is too large", limit: limit)
        }
        if inbound.readableBytes >= length && !facts.isChunked && (node.budget.hasRoom || facts.target == .peer) {
            // The usual case: the whole request came in one read.
            return execute(facts, inbound.readSlice(length: length) ?? ByteBuffer(), reservedBytes: 0)
        }
        let reservedBytes = length >= Self.countedBodyBytes ? length : 0
        if facts.target == .peer {
            // Heartbeats and replicas: a node that refuses them counts as dead, and its load moves to the others.
            node.budget.add(bytes: reservedBytes)
        } else {
            guard node.budget.hasRoom || facts.method != .post,
                reservedBytes == 0 || node.budget.reserve(bytes: reservedBytes)
            else {
                return refuse(.unavailable, .busy, "too many bytes in flight")
            }
        }
        owesContinue = facts.expectsContinue && facts.hasBody && !facts.isHTTP10
        let framing: BodyFraming = facts.isChunked ? .chunked(ChunkedDecoder()) : .length(length)
        phase = .body(facts, framing, reservedBytes: reservedBytes, since: now)
        if owesContinue {
            flushOutput()
            sendContinueIfDue()
        }
    }

    private func readBody(
        _ facts: RequestFacts, _ framing: BodyFraming, _ reservedBytes: Int, _ since: Int64
    ) throws(HTTPParseError) -> Bool {
        switch framing {
        case .length(let length):
            guard let body = inbound.readSlice(length: length) else { return false }
            execute(facts, body, reservedBytes: reservedBytes)
            return true
        case .chunked(var decoder):
            let isWhole = try decoder.decode(&inbound, into: &chunks)
            var reserved = reservedBytes
            phase = .body(facts, .chunked(decoder), reservedBytes: reserved, since: since)
            guard chunks.readableBytes <= node.limits.maxBodyBytes else {
                refuse(.contentTooLarge, .requestTooLarge, "the body is too large", limit: node.limits.maxBodyBytes)
                return false
            }
            if chunks.readableBytes >= max(Self.countedBodyBytes, reserved) {
                // Reserved ahead by doubling, so that a body in small chunks does not ask for each.
                let wanted = 2 * chunks.readableBytes
                guard node.budget.reserve(bytes: wanted - reserved) else {
                    refuse(.unavailable, .busy, "too many bytes in flight")
                    return false
                }
                reserved = wanted
                phase = .body(facts, .chunked(decoder), reservedBytes: reserved, since: since)
            }
            guard isWhole else { return false }
            let body = chunks
            chunks = ByteBuffer()
            execute(facts, body, reservedBytes: reserved)
            return true
        }
    }
}

@available(*, unavailable)
extension HTTPConnectionHandler: Sendable {}
