// Sends a reply straight to a connection's socket, past the channel pipeline: with NIO's queue of pending writes
// between, a reply of a few hundred bytes costs 2,900 instructions and some thirty changes of reference counts more
// (callgrind). What the socket does not take at once goes to NIO, which waits for it, reports errors and closes.
//
// The channel owns the descriptor. Invariants: it is used on the channel's event loop alone, between channelActive and
// channelInactive, and only while no write waits in NIO's queue, or replies would overtake each other. A pipeline that
// changes bytes on their way out (TLS) must not have one.

import NIOCore

#if canImport(Glibc)
    import Glibc
#endif

struct DirectSocket {
    private let descriptor: NIOBSDSocket.Handle

    /// The socket of a channel; nil for one that has none (as in tests).
    init?(of context: ChannelHandlerContext) {
        let descriptor = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
        guard let descriptor else { return nil }
        self.descriptor = descriptor
    }

    /// Hands bytes to the socket, never waiting; returns how many it took. Zero may also mean that the connection has
    /// failed: whoever writes the rest will be told.
    func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        while true {
            let sent = Glibc.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL))
            if sent >= 0 { return sent }
            if errno != EINTR { return 0 }
        }
    }
}
