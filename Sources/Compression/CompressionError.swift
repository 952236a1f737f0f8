// What can go wrong with bytes that somebody else made. Nothing here knows about RPC codes or HTTP status.

/// Why bytes could not be compressed or restored.
package enum CompressionError: Error, Equatable, Sendable {
    /// Not a valid stream, or valid and not the one expected: wrong length, wrong CRC, cut off, or followed by rubbish.
    case corrupt
    /// The restored bytes would be more than `limitBytes`.
    case tooLarge(limitBytes: Int)
    /// zlib could not get its working memory.
    case outOfMemory
}
