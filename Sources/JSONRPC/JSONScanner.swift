// Validates JSON (RFC 8259) in one forward pass and reports where values lie. It is not a parser: no tree, no numbers
// converted, no strings unescaped, nothing allocated.
//
// Nesting does not recurse. Open containers are one bit each in a 192-bit word, the innermost lowest (1 = object), so
// hostile nesting costs a shift and meets the cap, never the stack's end.
//
// Past the end the scanner reads a zero byte. No grammar rule accepts a zero, so every rule refuses a text that ends
// too early without a bounds check of its own; `unexpected` then tells the end from a real zero.

/// Deepest nesting of objects and arrays in a message: an envelope is level 1.
package let maxNestingLevels = 128

/// Deepest nesting between nodes: what a client may send, and the frames around it.
package let maxPeerNestingLevels = 144

struct JSONScanner {
    let bytes: UnsafeRawBufferPointer
    /// Offset of the next unread byte; after a fault, the place of it.
    var position: Int
    /// Containers the caller has opened itself and not yet closed.
    var depth: Int
    let maxDepth: Int

    init(_ bytes: UnsafeRawBufferPointer, from position: Int = 0, depth: Int = 0, maxDepth: Int = maxNestingLevels) {
        precondition(maxDepth <= UInt128.bitWidth + 64, "the nesting stack has one bit a level")
        self.bytes = bytes
        self.position = position
        self.depth = depth
        self.maxDepth = maxDepth
    }

    /// The next unread byte, zero at the end.
    @inline(__always)
    var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

    var unexpected: JSONFault { position < bytes.count ? .unexpectedByte : .unexpectedEnd }

    @inline(__always)
    mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position &+= 1
            default: return
            }
        }
    }

    /// Steps over `byte` or refuses the text.
    @inline(__always)
    mutating func expect(_ byte: UInt8) throws(JSONFault) {
        guard current == byte else { throw unexpected }
        position &+= 1
    }

    /// Nothing but whitespace may follow.
    mutating func expectEnd() throws(JSONFault) {
        skipWhitespace()
        guard position == bytes.count else { throw .trailingBytes }
    }

    /// Counts a container the caller opens itself.
    @inline(__always)
    mutating func open() throws(JSONFault) {
        guard depth < maxDepth else { throw .tooDeep }
        depth &+= 1
        position &+= 1
    }

    /// Reads one value of any kind. `position` stands on its first byte, and afterwards behind its last one.
    mutating func scanValue() throws(JSONFault) -> JSONValue {
        let start = position
        switch current {
        case ASCII.quote:
            let hasEscapes = try scanString()
            return JSONValue(kind: .string, slice: JSONSlice(start, position), hasEscapes: hasEscapes)
        case ASCII.openBrace:
            try scanContainer()
            return JSONValue(kind: .object, slice: JSONSlice(start, position))
        case ASCII.openBracket:
            try scanContainer()
            return JSONValue(kind: .array, slice: JSONSlice(start, position))
        default:
            let kind = try scanPrimitive()
            return JSONValue(kind: kind, slice: JSONSlice(start, position))
        }
    }

    /// Reads an object or array to its end, whatever it holds.
    private mutating func scanContainer() throws(JSONFault) {
        var kinds: UInt128 = 0
        // Of the outermost ones, when there are more than 128.
        var outerKinds: UInt64 = 0
        var open = 0
        let room = maxDepth &- depth
        repeat {
            // On the first byte of a value.
            let first = current
            switch first {
            case ASCII.openBrace, ASCII.openBracket:
                guard open < room else { throw .tooDeep }
                let isObject = first == ASCII.openBrace
                if open >= 128 { outerKinds = outerKinds &<< 1 | UInt64(truncatingIfNeeded: kinds &>> 127) }
                open &+= 1
                kinds = kinds &<< 1 | (isObject ? 1 : 0)
                position &+= 1
                skipWhitespace()
                // An empty container is left to the closing loop below; anything else needs its first value.
                if current != (isObject ? ASCII.closeBrace : ASCII.closeBracket) {
                    if isObject { try scanNameAndColon() }
                    continue
                }
            case ASCII.quote: _ = try scanString()
            default: _ = try scanPrimitive()
            }

            // Behind a value: close what ends here, then step to the next value.
            while open > 0 {
                skipWhitespace()
                let isObject = kinds & 1 == 1
                let next = current
                if next == ASCII.comma {
                    position &+= 1
                    skipWhitespace()
                    if isObject { try scanNameAndColon() }
                    break
                }
                guard next == (isObject ? ASCII.closeBrace : ASCII.closeBracket) else { throw unexpected }
                position &+= 1
                kinds &>>= 1
                open &-= 1
                if open >= 128 {
                    kinds |= UInt128(outerKinds & 1) &<< 127
                    outerKinds &>>= 1
                }
            }
        } while open > 0
    }

    @inline(__always)
    private mutating func scanNameAndColon() throws(JSONFault) {
        _ = try scanString()
        skipWhitespace()
        try expect(ASCII.colon)
        skipWhitespace()
    }

    /// Reads a number or one of the three literals.
    private mutating func scanPrimitive() throws(JSONFault) -> JSONKind {
        switch current {
        case ASCII.minus, 0x30...0x39:
            try scanNumber()
            return .number
        case UInt8(ascii: "t"):
            try scanLiteral("true")
            return .true
        case UInt8(ascii: "f"):
            try scanLiteral("false")
            return .false
        case UInt8(ascii: "n"):
            try scanLiteral("null")
            return .null
        default:
            throw unexpected
        }
    }

    @inline(__always)
    private mutating func scanLiteral(_ literal: StaticString) throws(JSONFault) {
        let count = literal.utf8CodeUnitCount
        guard bytes.count &- position >= count, let base = bytes.baseAddress,
            ByteWord.equal(base + position, literal.utf8Start, count: count)
        else { throw .invalidLiteral }
        position &+= count
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`; grammar only, of any size (RFC 8259, section 6).
    private mutating func scanNumber() throws(JSONFault) {
        if current == ASCII.minus { position &+= 1 }
        if current == ASCII.zero {
            position &+= 1
        } else {
            try scanDigits()
        }
        if current == UInt8(ascii: ".") {
            position &+= 1
            try scanDigits()
        }
        if current | 0x20 == UInt8(ascii: "e") {
            position &+= 1
            if current == UInt8(ascii: "+") || current == ASCII.minus { position &+= 1 }
            try scanDigits()
        }
        // Behind a leading zero the grammar would end the number and blame the next digit; say what is wrong instead.
        if current &- ASCII.zero <= 9 { throw .invalidNumber }
    }

    @inline(__always)
    private mutating func scanDigits() throws(JSONFault) {
        let start = position
        while current &- ASCII.zero <= 9 { position &+= 1 }
        guard position > start else { throw position < bytes.count ? .invalidNumber : .unexpectedEnd }
    }
}

/// Checks that `bytes` is exactly one JSON value (with optional whitespace around it) and says which.
///
/// Linear in the length; nothing is allocated. `maxDepth` (at most 128) counts open objects and arrays.
package func validateJSON(
    _ bytes: UnsafeRawBufferPointer, maxDepth: Int = maxNestingLevels
) throws(JSONError) -> JSONValue {
    precondition(bytes.count <= Int32.max, "slices hold 31-bit offsets")
    var scanner = JSONScanner(bytes, maxDepth: maxDepth)
    do throws(JSONFault) {
        scanner.skipWhitespace()
        let value = try scanner.scanValue()
        try scanner.expectEnd()
        return value
    } catch {
        throw JSONError(error, at: scanner.position)
    }
}
