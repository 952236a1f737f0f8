// What a string's text means: escapes resolved, compared and counted without building a String. For validated text
// only; other text gives nonsense, but is never read outside its slice.

/// The bytes a string stands for, one at a time. The slow path, for texts with a backslash.
@usableFromInline
struct DecodedBytes {
    private let text: UnsafeRawBufferPointer
    private var position = 0
    /// The rest of an escape that stands for several bytes, the next one lowest.
    private var pending: UInt32 = 0
    private var pendingCount = 0

    /// `text` is a string's content, without quotes.
    @usableFromInline
    init(_ text: UnsafeRawBufferPointer) {
        self.text = text
    }

    @usableFromInline
    mutating func next() -> UInt8? {
        if pendingCount > 0 {
            defer {
                pending &>>= 8
                pendingCount &-= 1
            }
            return UInt8(truncatingIfNeeded: pending)
        }
        guard position < text.count else { return nil }
        let byte = text[position]
        position &+= 1
        guard byte == ASCII.backslash, position < text.count else { return byte }
        let escape = text[position]
        position &+= 1
        switch escape {
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "f"): return 0x0C
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "u"):
            encode(codePoint())
            return next()
        default: return escape  // Quote, backslash, slash: themselves.
        }
    }

    /// The code point of a `\u` escape whose digits are next, with the low surrogate that follows a high one.
    private mutating func codePoint() -> UInt32 {
        let unit = codeUnit()
        guard 0xD800...0xDBFF ~= unit else { return unit }
        position = min(position &+ 2, text.count)
        return 0x10000 &+ ((unit & 0x3FF) &<< 10 | codeUnit() & 0x3FF)
    }

    private mutating func codeUnit() -> UInt32 {
        let end = min(position &+ 4, text.count)
        var unit: UInt32 = 0
        while position < end {
            unit = unit &<< 4 | (ASCII.hexadecimal(text[position]) ?? 0)
            position &+= 1
        }
        return unit
    }

    /// Queues the UTF-8 form of a code point.
    private mutating func encode(_ point: UInt32) {
        func continuation(_ shift: UInt32) -> UInt32 { 0x80 | point &>> shift & 0x3F }
        switch point {
        case 0..<0x80:
            (pending, pendingCount) = (point, 1)
        case 0x80..<0x800:
            (pending, pendingCount) = (0xC0 | point &>> 6 | continuation(0) &<< 8, 2)
        case 0x800..<0x10000:
            (pending, pendingCount) = (0xE0 | point &>> 12 | continuation(6) &<< 8 | continuation(0) &<< 16, 3)
        default:
            pending = 0xF0 | point &>> 18 | continuation(12) &<< 8 | continuation(6) &<< 16 | continuation(0) &<< 24
            pendingCount = 4
        }
    }
}

/// Appends what a string stands for. `content` is its text without quotes; without escapes that is one copy.
@inlinable
package func decodeString<Sink: ByteSink>(
    _ content: JSONSlice, hasEscapes: Bool, in bytes: UnsafeRawBufferPointer, into sink: inout Sink
) {
    let text = content.bytes(in: bytes)
    guard hasEscapes else {
        sink.append(bytes: text)
        return
    }
    var decoded = DecodedBytes(text)
    while let byte = decoded.next() { sink.append(byte: byte) }
}

/// Appends what the string `value` stands for.
@inlinable
package func decodeString<Sink: ByteSink>(
    _ value: JSONValue, in bytes: UnsafeRawBufferPointer, into sink: inout Sink
) {
    decodeString(value.content, hasEscapes: value.hasEscapes, in: bytes, into: &sink)
}

/// Length in bytes of what a string stands for. `content` is its text without quotes.
package func decodedByteCount(_ content: JSONSlice, hasEscapes: Bool, in bytes: UnsafeRawBufferPointer) -> Int {
    guard hasEscapes else { return content.count }
    var decoded = DecodedBytes(content.bytes(in: bytes))
    var count = 0
    while decoded.next() != nil { count &+= 1 }
    return count
}

/// Whether a string stands for `expected`. `content` is its text without quotes.
@inlinable
package func stringEquals(
    _ content: JSONSlice, hasEscapes: Bool, _ expected: StaticString, in bytes: UnsafeRawBufferPointer
) -> Bool {
    let wanted = UnsafeRawBufferPointer(start: expected.utf8Start, count: expected.utf8CodeUnitCount)
    guard !hasEscapes else { return decodedEquals(content.bytes(in: bytes), wanted) }
    guard content.count == wanted.count, let base = bytes.baseAddress else { return false }
    return ByteWord.equal(base + Int(content.start), expected.utf8Start, count: wanted.count)
}

/// Whether the string `value` stands for `expected`; false for another kind.
@inlinable
package func stringEquals(_ value: JSONValue, _ expected: StaticString, in bytes: UnsafeRawBufferPointer) -> Bool {
    value.kind == .string && stringEquals(value.content, hasEscapes: value.hasEscapes, expected, in: bytes)
}

/// Whether two strings of one body stand for the same. Both slices are without quotes.
package func stringEquals(
    _ left: JSONSlice, hasEscapes leftHasEscapes: Bool, _ right: JSONSlice, hasEscapes rightHasEscapes: Bool,
    in bytes: UnsafeRawBufferPointer
) -> Bool {
    let leftText = left.bytes(in: bytes)
    let rightText = right.bytes(in: bytes)
    guard leftHasEscapes || rightHasEscapes else {
        guard leftText.count == rightText.count else { return false }
        guard let one = leftText.baseAddress, let other = rightText.baseAddress else { return true }
        return ByteWord.equal(one, other, count: leftText.count)
    }
    // A text without a backslash decodes to itself, so the slow path serves both.
    var leftBytes = DecodedBytes(leftText)
    var rightBytes = DecodedBytes(rightText)
    while let byte = leftBytes.next() {
        guard byte == rightBytes.next() else { return false }
    }
    return rightBytes.next() == nil
}

/// Whether `text` (content of a string with escapes) stands for the plain bytes `expected`.
@usableFromInline
func decodedEquals(_ text: UnsafeRawBufferPointer, _ expected: UnsafeRawBufferPointer) -> Bool {
    var decoded = DecodedBytes(text)
    for byte in expected {
        guard decoded.next() == byte else { return false }
    }
    return decoded.next() == nil
}

/// What a string stands for; nil for another kind. For texts that are short and rare.
package func string(of value: JSONValue, in bytes: UnsafeRawBufferPointer) -> String? {
    guard value.kind == .string else { return nil }
    var content: [UInt8] = []
    decodeString(value, in: bytes, into: &content)
    return String(decoding: content, as: UTF8.self)
}
