// Counter values as JSON text.

import JSONRPC

/// Reads and writes the text of 64-bit integers.
enum Counters {
    /// The integer that a stored JSON text is; nil for anything else, fractions and overflow included.
    static func parse(_ text: UnsafeRawBufferPointer) -> Int64? {
        JSONRPC.integer(in: text)
    }

    /// Lends the decimal text of `value`.
    static func withText<Result>(of value: Int64, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        var text: [UInt8] = []
        text.reserveCapacity(20)
        text.append(decimal: value)
        return text.withUnsafeBytes(body)
    }
}
