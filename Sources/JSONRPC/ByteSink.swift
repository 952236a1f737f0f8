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
            while rest >= 100 {
                let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
                let tens = (pair &* 103) &>> 10  // Exact below 100.
                first &-= 2
                digits[first] = ASCII.zero &+ UInt8(truncatingIfNeeded: tens)
                digits[first &+ 1] = ASCII.zero &+ UInt8(truncatingIfNeeded: pair &- tens &* 10)
                rest = quotient
            }
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

/// Writes into memory of a fixed size and notes when it was too small.
@usableFromInline
package struct FixedSink: ByteSink {
    @usableFromInline let memory: UnsafeMutableRawBufferPointer
    /// Bytes written.
    @usableFromInline package internal(set) var count = 0
    /// Something did not fit and was left out.
    @usableFromInline package internal(set) var overflowed = false

    /// A sink that fills `memory` from its start; the caller keeps it valid.
    @inlinable @inline(__always)
    package init(_ memory: UnsafeMutableRawBufferPointer) {
        self.memory = memory
    }

    @inlinable @inline(__always)
    package mutating func append(byte: UInt8) {
        guard count < memory.count, let base = memory.baseAddress else { return overflowed = true }
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    @inlinable @inline(__always)
    package mutating func append(bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, let base = memory.baseAddress else {
            overflowed = overflowed || !bytes.isEmpty
            return
        }
        guard bytes.count <= memory.count &- count else { return overflowed = true }
        (base + count).copyMemory(from: source, byteCount: bytes.count)
        count &+= bytes.count
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
