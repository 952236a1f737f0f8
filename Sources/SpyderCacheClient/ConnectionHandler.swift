// The last handler of a client connection: writes requests, pairs replies with calls by order, reports what was lost.
// The rules are in ConnectionStateMachine; which call goes where is CallDispatcher's.

import NIOCore
import NIOHTTP1

/// One connection as CallDispatcher sees it. Confined to the channel's event loop, as is the dispatcher.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPReply
    typealias OutboundOut = HTTPClientRequestPart

    private var machine: ConnectionStateMachine
    private var context: ChannelHandlerContext?
    private let headers: HTTPHeaders
    private unowned let dispatcher: CallDispatcher
    /// Why the connection is being closed, when it is not simply gone.
    private var failure: CacheClientError?

    init(configuration: CacheClient.Configuration, dispatcher: CallDispatcher) {
        self.machine = ConnectionStateMachine(maxInFlight: configuration.maxInFlight)
        self.headers = Self.fixedHeaders(configuration)
        self.dispatcher = dispatcher
    }

    /// Whether `send` would take a call now.
    var hasRoom: Bool { self.machine.hasRoom }

    /// Writes a request without flushing. The caller has asked `hasRoom`.
    func send(_ id: RequestID, body: ByteBuffer) {
        guard let context = self.context else {
            preconditionFailure("a connection outside a pipeline has no room")
        }
        context.eventLoop.assertInEventLoop()
        switch self.machine.callSubmitted(id) {
        case .refuse:
            preconditionFailure("a connection without room was given a call")
        case .write:
            var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/rpc", headers: self.headers)
            head.headers.add(name: "Content-Length", value: String(body.readableBytes))
            context.write(self.wrapOutboundOut(.head(head)), promise: nil)
            context.write(self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            context.write(self.wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    func flush() {
        self.context?.flush()
    }

    func callAbandoned(_ id: RequestID) {
        self.perform(self.machine.callAbandoned(id))
    }

    func callOverdue(_ id: RequestID) {
        self.perform(self.machine.callOverdue(id))
    }

    func retired() {
        self.perform(self.machine.retired())
    }

    func close() {
        self.context?.close(promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.eventLoop.assertInEventLoop()
        let reply = self.unwrapInboundIn(data)
        switch self.machine.replyCompleted(keepsAlive: reply.keepsAlive) {
        case .deliver(let id, let thenClose):
            if thenClose { context.close(promise: nil) }
            self.dispatcher.replyArrived(id, reply)
        case .drop(let thenClose):
            if thenClose { context.close(promise: nil) }
        case .unsolicited:
            self.failure = .badReply("a reply that no request asked for")
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.eventLoop.assertInEventLoop()
        if self.failure == nil { self.failure = Self.translate(error) }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        context.eventLoop.assertInEventLoop()
        self.dispatcher.connectionLost(self, inFlight: self.machine.connectionLost(), failure: self.failure)
        context.fireChannelInactive()
    }

    private func perform(_ action: ConnectionStateMachine.RetireAction) {
        switch action {
        case .none: return
        case .close: self.close()
        }
    }

    /// The failure of the reply at the head of the queue; the calls behind it are merely lost.
    private static func translate(_ error: any Error) -> CacheClientError {
        switch error {
        case let error as CacheClientError: error
        case HTTPParserError.invalidEOFState: .connectionLost("closed in the middle of a reply")
        case is HTTPParserError, is NIOHTTPDecoderError: .badReply("not HTTP/1.1: \(error)")
        default: .connectionLost(SocketFailure.reason(error))
        }
    }

    private static func fixedHeaders(_ configuration: CacheClient.Configuration) -> HTTPHeaders {
        let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
        var headers: HTTPHeaders = [
            "Host": "\(host):\(configuration.port)",
            "Content-Type": "application/json",
        ]
        if let token = configuration.token {
            headers.add(name: "Authorization", value: "Bearer \(token.text)")
        }
        return headers
    }
}

@available(*, unavailable)
extension ConnectionHandler: Sendable {}
