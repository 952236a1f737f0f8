// Errors of sockets, resolvers and connects in the words of the operating system, as one line for people.

import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

enum SocketFailure {
    /// E.g. "Connection refused".
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as CacheClientError: error.description
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError: Self.reason(connecting: error)
        case ChannelError.connectTimeout(let limit): "no connection within \(limit.nanoseconds / 1_000_000) ms"
        default: "\(error)"
        }
    }

    /// A name can have several addresses: the first one's failure stands for all.
    private static func reason(connecting error: NIOConnectionError) -> String {
        if let first = error.connectionErrors.first { return self.reason(first.error) }
        return "no such host"
    }
}
