// Turns an endpoint's host into addresses. Names are looked up on a thread of their own: getaddrinfo(3) blocks for
// seconds when no name server answers. NIO's own resolver is not used because it runs on Dispatch.

import Glibc
import NIOCore
import NIOPosix

/// Confined to the event loop it was made with.
final class EndpointResolver {
    private let loop: any EventLoop
    /// Started with the first name; never with addresses alone.
    private var names: MultiThreadedEventLoopGroup?

    init(loop: any EventLoop) {
        self.loop = loop
    }

    /// Calls `then` on the loop with the addresses in the resolver's order; none: there is no such host.
    func resolve(_ endpoint: EtcdSettings.Endpoint, then: @escaping ([SocketAddress]) -> Void) {
        loop.assertInEventLoop()
        if let literal = try? SocketAddress(ipAddress: endpoint.host, port: endpoint.port) { return then([literal]) }
        let names = names ?? MultiThreadedEventLoopGroup(numberOfThreads: 1)
        self.names = names
        names.next().submit { Self.lookUp(endpoint) }.hop(to: loop).assumeIsolated().whenComplete { result in
            then((try? result.get()) ?? [])
        }
    }

    /// The thread ends when its look-up does.
    func shutDown() {
        names?.shutdownGracefully { _ in }
        names = nil
    }

    /// Blocks.
    private static func lookUp(_ endpoint: EtcdSettings.Endpoint) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(endpoint.host, String(endpoint.port), &hints, &first) == 0, let first else { return [] }
        defer { freeaddrinfo(first) }
        var addresses: [SocketAddress] = []
        for entry in sequence(first: first, next: \.pointee.ai_next) {
            guard let address = entry.pointee.ai_addr else { continue }
            switch entry.pointee.ai_family {
            case AF_INET:
                address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    addresses.append(SocketAddress($0.pointee, host: endpoint.host))
                }
            case AF_INET6:
                address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                    addresses.append(SocketAddress($0.pointee, host: endpoint.host))
                }
            default: continue
            }
        }
        return addresses
    }
}

@available(*, unavailable)
extension EndpointResolver: Sendable {}
