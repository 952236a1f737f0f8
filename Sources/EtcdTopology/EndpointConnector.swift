// Opens connections to the endpoint in use and keeps the idle ones; knows which endpoint is in use.

import NIOCore
import NIOHTTP1
import NIOPosix

/// Confined to its event loop.
final class EndpointConnector {
    private let endpoints: [EtcdSettings.Endpoint]
    private let loop: any EventLoop
    private let resolver: EndpointResolver
    private var current = 0
    /// To the endpoint in use, the latest used last.
    private var idle: [GatewayConnection] = []
    private var isShutDown = false

    /// Calls are few: a keepalive, a transaction, a list.
    private static let maxIdle = 4

    init(endpoints: [EtcdSettings.Endpoint], loop: any EventLoop) {
        self.endpoints = endpoints
        self.loop = loop
        resolver = EndpointResolver(loop: loop)
    }

    /// How many endpoints there are to try.
    var count: Int { endpoints.count }

    /// The endpoint in use as people write it.
    var name: String { Self.name(endpoints[current]) }

    /// A connection that was used before and is free; etcd may have closed its end meanwhile.
    func takeIdle() -> GatewayConnection? {
        while let connection = idle.popLast() {
            if connection.isIdle { return connection }
        }
        return nil
    }

    /// Keeps a connection for the next call if it can carry one. `endpoint` is the name it was opened under.
    func giveBack(_ connection: GatewayConnection, of endpoint: String) {
        guard connection.isIdle else { return }
        guard !isShutDown, endpoint == name, idle.count < Self.maxIdle else { return connection.close() }
        idle.append(connection)
    }

    /// The endpoint of that name failed: the next one is in use from now on, unless another call has seen to it.
    func failed(_ endpoint: String) {
        guard endpoint == name else { return }
        current = (current + 1) % endpoints.count
        closeIdle()
    }

    /// Opens a connection to the endpoint in use; `then` is called on the loop.
    func open(
        timeout: TimeAmount, then: @escaping (Result<GatewayConnection, EtcdError>) -> Void
    ) {
        let endpoint = endpoints[current]
        resolver.resolve(endpoint) { addresses in
            self.open(addresses[...], of: endpoint, timeout: timeout, failure: "no such host", then)
        }
    }

    /// Ends everything idle; connections in use are their users' business.
    func shutDown() {
        isShutDown = true
        closeIdle()
        resolver.shutDown()
    }

    /// Tries the addresses one after the other: `localhost` may be IPv6 first where etcd listens on IPv4 alone.
    private func open(
        _ addresses: ArraySlice<SocketAddress>, of endpoint: EtcdSettings.Endpoint, timeout: TimeAmount,
        failure: String, _ then: @escaping (Result<GatewayConnection, EtcdError>) -> Void
    ) {
        let name = Self.name(endpoint)
        guard let address = addresses.first, !isShutDown else {
            return then(.failure(.unreachable("\(name): \(failure)")))
        }
        ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(GatewayConnection(host: name))
                }
            }
            .connect(to: address)
            .assumeIsolated()
            .whenComplete { result in
                do {
                    let operations = try result.get().pipeline.syncOperations
                    then(.success(try operations.handler(type: GatewayConnection.self)))
                } catch {
                    let reason = SocketFailure.reason(error)
                    self.open(addresses.dropFirst(), of: endpoint, timeout: timeout, failure: reason, then)
                }
            }
    }

    private func closeIdle() {
        let connections = idle
        idle = []
        for connection in connections { connection.close() }
    }

    private static func name(_ endpoint: EtcdSettings.Endpoint) -> String {
        endpoint.host.contains(":") ? "[\(endpoint.host)]:\(endpoint.port)" : "\(endpoint.host):\(endpoint.port)"
    }
}

@available(*, unavailable)
extension EndpointConnector: Sendable {}
