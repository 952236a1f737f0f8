// Where encoded bytes go. The network layer's buffers and plain arrays conform, so that a reply is written once, into
// the buffer that is sent.

/// Something that grows by bytes at its end.
@usableFromInline
package protocol ByteSink {
    mutating func append(byte: UInt8)
    /// `bytes` is valid for the call only.
    mutating func append(bytes: UnsafeRawBufferPointer)
}

extension ByteSink {
    /// Appends a constant as it stands, unquoted.
    @inlinable
    package mutating func append(_ text: StaticString) {
        append(bytes: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends an integer in decimal, unquoted.
    @inlinable
    package mutating func append(decimal value: Int64) {
        if value < 0 { append(byte: ASCII.minus) }
        append(decimal: value.magnitude)
    }

    /// Appends an integer in decimal, unquoted.
    @inlinable
    package mutating func append(decimal value: Int) {
        append(decimal: Int64(value))
    }

    /// Appends an integer in decimal, unquoted.
    @inlinable
    package mutating func append(decimal value: UInt64) {
        // UInt64.max has 20 digits; they are produced from the last one.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var rest = value
            var first = 20
            repeat {
                let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
                first &-= 1
                digits[first] = ASCII.zero &+ UInt8(truncatingIfNeeded: digit)
                rest = quotient
            } while rest > 0
            append(bytes: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(digits)[first...]))
        }
    }
}

extension Array: ByteSink where Element == UInt8 {
    @inlinable
    package mutating func append(byte: UInt8) {
        append(byte)
    }

    @inlinable
    package mutating func append(bytes: UnsafeRawBufferPointer) {
        append(contentsOf: bytes)
    }
}
