// The listening socket and the pipeline of each connection.

import NIOCore
import NIOPosix
import Synchronization

/// Accepts connections.
///
/// The socket is bound before recovery, so that a taken port is known at once; until `serve` is called every request is
/// answered 503 (and /healthz 200).
final class HTTPServer: Sendable {
    private let loops: EventLoops
    private let node = Mutex<NodeCore?>(nil)
    private let channel = Mutex<(any Channel)?>(nil)

    init(loops: EventLoops) {
        self.loops = loops
    }

    /// Binds and listens; the address that was bound. Throws the system's error.
    func bind(host: String, port: Int) throws -> SocketAddress {
        let bootstrap = ServerBootstrap(group: loops.group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A client that has sent its last request may close its half and still read the reply.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.setUp(channel) }
            }
        let listening = try bootstrap.bind(host: host, port: port).wait()
        channel.withLock { $0 = listening }
        guard let address = listening.localAddress else { throw ChannelError.unknownLocalAddress }
        return address
    }

    /// From now on requests are answered.
    func serve(_ node: NodeCore) {
        self.node.withLock { $0 = node }
    }

    /// Closes the listening socket.
    func stopAccepting() {
        let listening = channel.withLock { channel in
            defer { channel = nil }
            return channel
        }
        try? listening?.close().wait()
    }

    private func setUp(_ channel: any Channel) throws {
        guard let node = node.withLock({ $0 }), let thread = loops.current else {
            return try channel.pipeline.syncOperations.addHandler(RecoveringHandler())
        }
        node.metrics.connectionsAccepted.add(1, ordering: .relaxed)
        try channel.pipeline.syncOperations.addHandler(HTTPConnectionHandler(node: node, thread: thread))
    }
}

/// Answers while the journal is being recovered: alive, not ready.
private final class RecoveringHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let alive = #"{"status":"alive"}"#
    private static let notReady =
        #"{"jsonrpc":"2.0","id":null,"error":{"code":1106,"message":"Not ready","#
        + #""data":{"retryable":true,"reason":"recovering"}}}"#

    private var head = ByteBuffer()
    private var hasAnswered = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasAnswered else { return }
        var bytes = unwrapInboundIn(data)
        head.writeBuffer(&bytes)
        var scanned = 0
        let target: RequestFacts.Target
        do {
            let read = try head.withUnsafeReadableBytes { try HTTPRequestParser.parseHead($0, scanned: &scanned) }
            guard let read else { return }
            target = read.facts.target
        } catch {
            return context.close(promise: nil)
        }
        hasAnswered = true
        var response = ResponseHead(status: target == .healthz ? .ok : .unavailable)
        response.keepsAlive = false
        let body = target == .healthz ? Self.alive : Self.notReady
        var output = ByteBuffer()
        ResponseHeads().write(response, contentLength: body.utf8.count, now: 0, to: &output)
        output.writeString(body)
        context.writeAndFlush(wrapOutboundOut(output)).whenComplete { [channel = context.channel] _ in
            channel.close(promise: nil)
        }
    }
}
