// A way to etcd that a test can cut, and that can hand answers on byte by byte.

import NIOCore
import NIOPosix
import Synchronization
import TestSupport

/// Listens on a port of its own and forwards to another on this machine; closed on `deinit`.
final class TCPProxy: Sendable {
    let port: Int
    private let target: Int
    private let isBytewise: Bool
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private struct State {
        var listener: (any Channel)?
        var connections: [any Channel] = []
    }
    private let state = Mutex(State())

    init(to target: Int, isBytewise: Bool = false) throws {
        self.target = target
        self.isBytewise = isBytewise
        port = try EtcdServer.freePort()
        try restore()
    }

    deinit {
        cut()
        group.shutdownGracefully { _ in }
    }

    /// Closes all connections and refuses new ones.
    func cut() {
        cutConnections()
        let listener = state.withLock { $0.listener }
        try? listener?.close().wait()
    }

    /// Closes all connections and goes on taking new ones.
    func cutConnections() {
        let connections = state.withLock { state in
            defer { state.connections = [] }
            return state.connections
        }
        for connection in connections { try? connection.close().wait() }
    }

    /// Takes connections again.
    func restore() throws {
        let listener = try ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { [target, isBytewise] incoming in
                self.state.withLock { $0.connections.append(incoming) }
                return ClientBootstrap(group: incoming.eventLoop)
                    .channelOption(.autoRead, value: false)
                    .channelOption(.socketOption(.tcp_nodelay), value: 1)
                    .connect(host: "127.0.0.1", port: target)
                    .flatMapThrowing { outgoing in
                        try incoming.pipeline.syncOperations.addHandler(Forwarder(to: outgoing, isBytewise: false))
                        try outgoing.pipeline.syncOperations.addHandler(Forwarder(to: incoming, isBytewise: isBytewise))
                    }
            }
            .bind(host: "127.0.0.1", port: port).wait()
        state.withLock { $0.listener = listener }
    }
}

private final class Forwarder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let partner: any Channel
    private let isBytewise: Bool

    init(to partner: any Channel, isBytewise: Bool) {
        self.partner = partner
        self.isBytewise = isBytewise
    }

    func handlerAdded(context: ChannelHandlerContext) {
        context.channel.setOption(.autoRead, value: true).whenComplete { _ in }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        guard isBytewise else { return partner.writeAndFlush(bytes, promise: nil) }
        while let byte = bytes.readSlice(length: 1) { partner.writeAndFlush(byte, promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        partner.close(promise: nil)
    }
}

/// A server that answers every request with one response, whatever it is.
final class CannedServer: Sendable {
    let port: Int
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let listener: any Channel

    init(_ response: String) throws {
        listener = try ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(CannedAnswer(response))
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
        port = listener.localAddress?.port ?? 0
    }

    deinit {
        try? listener.close().wait()
        group.shutdownGracefully { _ in }
    }
}

private final class CannedAnswer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let response: String

    init(_ response: String) {
        self.response = response
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.channel.writeAndFlush(ByteBuffer(string: response), promise: nil)
    }
}
