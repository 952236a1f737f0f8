// Lends a buffer's bytes to a body with a typed error, which NIO's own methods do not take.

import NIOCore

extension ByteBuffer {
    /// `withUnsafeReadableBytes` for a body with a typed error.
    func withReadableBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try readableBytesSpan.withUnsafeBytes(body)
    }
}
