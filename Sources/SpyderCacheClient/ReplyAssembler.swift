// Puts the parts of an HTTP reply together under a size limit. It knows nothing of JSON.

import NIOCore
import NIOHTTP1

/// A whole reply as it came off the wire.
struct HTTPReply: Sendable {
    var status: Int
    var body: ByteBuffer
    /// False when the node announced that it closes the connection after this reply.
    var keepsAlive: Bool
}

/// Turns head, body and end parts into one `HTTPReply`; a body over the limit is an error for the handlers behind it.
final class ReplyAssembler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = HTTPReply

    private enum State {
        case idle
        case collecting(HTTPReply)
        /// The limit was passed: whatever follows is thrown away until the channel is closed.
        case overflowed
    }

    private var state = State.idle
    private let maxReplyBytes: Int

    init(maxReplyBytes: Int) {
        self.maxReplyBytes = maxReplyBytes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (self.state, self.unwrapInboundIn(data)) {
        case (.overflowed, _):
            return
        case (.idle, .head(let head)), (.collecting, .head(let head)):
            let reply = HTTPReply(status: Int(head.status.code), body: ByteBuffer(), keepsAlive: head.isKeepAlive)
            self.state = .collecting(reply)
        case (.collecting(var reply), .body(var part)):
            // The state must not keep a second reference to the body: appending would copy it.
            self.state = .idle
            guard reply.body.readableBytes + part.readableBytes <= self.maxReplyBytes else {
                self.state = .overflowed
                context.fireErrorCaught(CacheClientError.replyTooLarge(limitBytes: self.maxReplyBytes))
                return
            }
            if reply.body.readableBytes == 0 {
                reply.body = part
            } else {
                reply.body.writeBuffer(&part)
            }
            self.state = .collecting(reply)
        case (.collecting(let reply), .end):
            self.state = .idle
            context.fireChannelRead(self.wrapInboundOut(reply))
        case (.idle, .body), (.idle, .end):
            preconditionFailure("the decoder sends a head before anything else")
        }
    }
}

@available(*, unavailable)
extension ReplyAssembler: Sendable {}
