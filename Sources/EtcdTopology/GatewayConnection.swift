// The last handler of a connection to etcd's gateway: one request at a time, its answer handed on in parts. It knows
// neither what is asked nor when an answer is late.

import NIOCore
import NIOHTTP1

/// Confined to the channel's event loop.
final class GatewayConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// An answer comes as a status, any number of bytes, and an end; or as a loss at any time.
    enum Part {
        case status(Int)
        case bytes(ByteBuffer)
        /// The answer is complete and the connection is free again, or closed.
        case end
        /// The connection is gone before the answer was complete.
        case lost(String)
    }

    private enum State {
        case idle
        case answering(receive: (Part) -> Void, keepsAlive: Bool)
        case closed
    }

    private var state = State.idle
    private var context: ChannelHandlerContext?
    private let host: String

    /// `host` goes into the requests' heads.
    init(host: String) {
        self.host = host
    }

    /// Whether `send` may be called.
    var isIdle: Bool {
        switch state {
        case .idle: context != nil
        case .answering, .closed: false
        }
    }

    /// Sends a request. The caller has asked `isIdle`; `receive` gets `end` or `lost` last, and neither after `close`.
    func send(path: String, body: [UInt8], receive: @escaping (Part) -> Void) {
        precondition(isIdle, "a connection carries one request at a time")
        guard let context else { return }
        context.eventLoop.assertInEventLoop()
        state = .answering(receive: receive, keepsAlive: true)
        let headers: HTTPHeaders = [
            "Host": host, "Content-Type": "application/json", "Content-Length": String(body.count),
        ]
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: path, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    /// Closes the connection; nothing is received any more.
    func close() {
        state = .closed
        context?.close(promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.eventLoop.assertInEventLoop()
        guard case .answering(let receive, let keepsAlive) = state else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            state = .answering(receive: receive, keepsAlive: head.isKeepAlive)
            receive(.status(Int(head.status.code)))
        case .body(let bytes):
            receive(.bytes(bytes))
        case .end:
            state = keepsAlive ? .idle : .closed
            if !keepsAlive { context.close(promise: nil) }
            receive(.end)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(SocketFailure.reason(error))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail("closed by etcd")
        context.fireChannelInactive()
    }

    private func fail(_ reason: String) {
        let last = state
        state = .closed
        switch last {
        case .answering(let receive, _): receive(.lost(reason))
        case .idle, .closed: return
        }
    }
}

@available(*, unavailable)
extension GatewayConnection: Sendable {}
