// One connection to another node: one exchange at a time, many calls in each. Confined to its event loop.
//
//     connecting ─▶ idle ⇄ busy(exchange) ─▶ closed            a busy connection that ends loses its exchange, once
//
// NIOHTTP1 reads the responses: parsing what another node sends is no place to save instructions, as one response carries
// the answers to all calls that gathered while the one before was under way.

import NIOCore
import NIOHTTP1

/// A request under way and whom its response goes to.
struct PeerExchange {
    var body: ByteBuffer
    var isHoled: Bool
    var deadline: Int64
    /// Called once, with the response's body or the reason why there is none.
    var completion: (Result<PeerText, PeerFailure>) -> Void
}

final class PeerConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private enum State {
        case idle
        case busy(PeerExchange, timeout: Scheduled<Void>)
        case closed
    }

    private var state = State.idle
    private var context: ChannelHandlerContext?
    private var head: HTTPResponseHead?
    private var body = ByteBuffer()
    private let hostField: String
    private let maxBodyBytes: Int
    /// The connection may be given its next exchange, or (false) is gone.
    private let onChange: (PeerConnection, _ isUsable: Bool) -> Void

    init(hostField: String, maxBodyBytes: Int, onChange: @escaping (PeerConnection, Bool) -> Void) {
        self.hostField = hostField
        self.maxBodyBytes = maxBodyBytes
        self.onChange = onChange
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Sends a request; the connection must be idle.
    func send(_ exchange: PeerExchange, now: Int64) {
        guard case .idle = state, let context else { return exchange.completion(.failure(.unreachable)) }
        let timeout = context.eventLoop.assumeIsolated().scheduleTask(
            in: .milliseconds(max(1, exchange.deadline - now))
        ) { self.close(.timedOut) }
        state = .busy(exchange, timeout: timeout)
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/peer")
        head.headers = [
            "Host": hostField, "Content-Type": "application/json",
            "Content-Length": String(exchange.body.readableBytes),
        ]
        if exchange.isHoled { head.headers.add(name: "Content-Encoding", value: "\(PeerText.contentCoding)") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(exchange.body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = ByteBuffer()
        case .body(var part):
            guard body.readableBytes + part.readableBytes <= maxBodyBytes else { return close(.lost) }
            if body.readableBytes == 0 { body = part } else { body.writeBuffer(&part) }
        case .end:
            finished()
        }
    }

    private func finished() {
        guard case .busy(let exchange, let timeout) = state, let head else { return close(.lost) }
        timeout.cancel()
        let received = body
        body = ByteBuffer()
        self.head = nil
        let isHoled = head.headers["content-encoding"].contains("\(PeerText.contentCoding)")
        let text = isHoled ? PeerText(holed: received) : PeerText(plain: received)
        let isUsable = head.isKeepAlive
        state = isUsable ? .idle : .closed
        if !isUsable { context?.close(promise: nil) }
        switch head.status {
        case .ok, .noContent:
            exchange.completion(text.map { .success($0) } ?? .failure(.lost))
        case .serviceUnavailable:
            // Recovering, draining or full: it has not looked at the calls.
            exchange.completion(.failure(.unreachable))
        default:
            exchange.completion(.failure(.lost))
        }
        onChange(self, isUsable)
    }

    func channelInactive(context: ChannelHandlerContext) {
        close(.lost)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(.lost)
    }

    /// Ends the connection; what is under way gets `failure`.
    func close(_ failure: PeerFailure) {
        let ended = state
        state = .closed
        context?.close(promise: nil)
        switch ended {
        case .closed: return
        case .idle: break
        case .busy(let exchange, let timeout):
            timeout.cancel()
            exchange.completion(.failure(failure))
        }
        onChange(self, false)
    }
}

@available(*, unavailable)
extension PeerConnection: Sendable {}
