// The listening socket and the pipeline of each connection.

import JSONRPC
import NIOCore
import NIOPosix
import Synchronization

/// Accepts connections.
///
/// The socket is bound before recovery, so that a taken port is known at once; until `serve` is called every request is
/// answered 503 (and /healthz 200).
final class HTTPServer: Sendable {
    private let loops: EventLoops
    private let nodeID: String
    private let node = Mutex<NodeCore?>(nil)
    private let channel = Mutex<(any Channel)?>(nil)

    init(loops: EventLoops, nodeID: String) {
        self.loops = loops
        self.nodeID = nodeID
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
            return try channel.pipeline.syncOperations.addHandler(RecoveringHandler(nodeID: nodeID))
        }
        node.metrics.connectionsAccepted.add(1, ordering: .relaxed)
        try channel.pipeline.syncOperations.addHandler(HTTPConnectionHandler(node: node, thread: thread))
    }
}

/// Answers while the journal is being recovered: alive, not ready.
private final class RecoveringHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let nodeID: String
    private var head = ByteBuffer()
    private var hasAnswered = false

    init(nodeID: String) {
        self.nodeID = nodeID
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent, !hasAnswered { context.close(promise: nil) }
    }

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
        var body: [UInt8] = []
        if target == .healthz {
            body.append("{\"status\":\"alive\"}")
        } else {
            body.appendErrorResponse(id: nil, in: .init(start: nil, count: 0), .notReady, node: nodeID) { body in
                body.appendNextMember("reason", constant: "recovering")
            }
        }
        var output = ByteBuffer()
        ResponseHeads().write(response, contentLength: body.count, now: 0, to: &output)
        output.writeBytes(body)
        context.writeAndFlush(wrapOutboundOut(output)).whenComplete { [channel = context.channel] _ in
            channel.close(promise: nil)
        }
    }
}
