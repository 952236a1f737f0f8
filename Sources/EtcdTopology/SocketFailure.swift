// Errors of sockets in the words of the operating system, as one line for people.

import Glibc
import NIOCore

/// One table, so that a failure reads the same wherever it is met.
enum SocketFailure {
    /// E.g. "Connection refused".
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case ChannelError.connectTimeout(let limit): "no connection within \(limit.nanoseconds / 1_000_000) ms"
        default: "\(error)"
        }
    }
}
