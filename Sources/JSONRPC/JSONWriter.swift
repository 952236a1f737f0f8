// Writes JSON strings and object members into a sink. Values that are JSON text already are appended as bytes.

extension ByteSink {
    /// Appends a JSON string, quotes included.
    ///
    /// `bytes` is UTF-8, which is the caller's duty. Quote, backslash and control characters are escaped, the rest is
    /// copied in runs found a word at a time.
    @inlinable
    package mutating func appendJSONString(_ bytes: UnsafeRawBufferPointer) {
        append(byte: ASCII.quote)
        var runStart = 0
        var at = 0
        while at < bytes.count {
            if at &+ 8 <= bytes.count {
                let stops = ByteWord.needsEscape(ByteWord.load(bytes, at: at))
                guard stops != 0 else {
                    at &+= 8
                    continue
                }
                at &+= ByteWord.firstLane(stops)
            }
            let byte = bytes[at]
            if byte < 0x20 || byte == ASCII.quote || byte == ASCII.backslash {
                if at > runStart { append(bytes: UnsafeRawBufferPointer(rebasing: bytes[runStart..<at])) }
                appendEscape(byte)
                runStart = at &+ 1
            }
            at &+= 1
        }
        if at > runStart { append(bytes: UnsafeRawBufferPointer(rebasing: bytes[runStart..<at])) }
        append(byte: ASCII.quote)
    }

    /// Appends a JSON string, quotes included.
    @inlinable
    package mutating func appendJSONString(_ text: String) {
        var text = text
        text.withUTF8 { appendJSONString(UnsafeRawBufferPointer($0)) }
    }

    @usableFromInline
    mutating func appendEscape(_ byte: UInt8) {
        switch byte {
        case ASCII.quote: append("\\\"")
        case ASCII.backslash: append("\\\\")
        case 0x08: append("\\b")
        case 0x09: append("\\t")
        case 0x0A: append("\\n")
        case 0x0C: append("\\f")
        case 0x0D: append("\\r")
        default:
            append("\\u00")
            append(byte: hexadecimalDigit(byte &>> 4))
            append(byte: hexadecimalDigit(byte & 0xF))
        }
    }

    private func hexadecimalDigit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? ASCII.zero &+ nibble : UInt8(ascii: "a") &+ (nibble &- 10)
    }

    /// Appends `,"name":`, for a member that is not an object's first. `name` needs no escape.
    @inlinable
    package mutating func appendNextName(_ name: StaticString) {
        append(",\"")
        append(name)
        append("\":")
    }

    /// Appends `,"name":"text"`.
    @inlinable
    package mutating func appendNextMember(_ name: StaticString, string text: String) {
        appendNextName(name)
        appendJSONString(text)
    }

    /// Appends `,"name":"text"`; `text` needs no escape.
    @inlinable
    package mutating func appendNextMember(_ name: StaticString, constant text: StaticString) {
        assert(
            !text.withUTF8Buffer { $0.contains { $0 < 0x20 || $0 == ASCII.quote || $0 == ASCII.backslash } },
            "a constant needs no escape")
        appendNextName(name)
        append(byte: ASCII.quote)
        append(text)
        append(byte: ASCII.quote)
    }

    /// Appends `,"name":number`.
    @inlinable
    package mutating func appendNextMember(_ name: StaticString, decimal number: Int64) {
        appendNextName(name)
        append(decimal: number)
    }
}
