// A strict HTTP/1.1 request parser for this one service (RFC 9112). Pure: bytes in, facts out; no channel, no clock.
//
// Written by hand because decoding into header objects was the largest part of a look-up's cost: NIOHTTP1's decoder and
// the reading of its headers took 18,300 of 48,300 instructions a request (callgrind), this takes under 3,000. Being for
// one service it is stricter than a general parser can be: whatever two parsers could read differently is refused.
//
//     head    request-line CRLF *( field CRLF ) CRLF            whole, at most `maxHeadBytes`
//     body    Content-Length bytes, or chunks, or nothing
//
// Refused with 400: bare CR or LF, folded lines, white space before a colon, characters outside of a token in names, control
// characters in values, Content-Length twice or beside Transfer-Encoding, a length that is no plain number, more than one
// Host or (in HTTP/1.1) none, a chunk size that is none. Codings other than chunked: 501. Versions other than 1.x: 505.

import JSONRPC
import NIOCore

/// Why a request can't be read; the connection is closed after saying so.
struct HTTPParseError: Error, Equatable {
    var status: ResponseStatus
    var reason: StaticString

    static func == (a: HTTPParseError, b: HTTPParseError) -> Bool {
        a.status == b.status && "\(a.reason)" == "\(b.reason)"
    }

    static func bad(_ reason: StaticString) -> HTTPParseError { HTTPParseError(status: .badRequest, reason: reason) }
}

/// A request head that was read from the start of some bytes.
struct ReadHead: Equatable {
    var facts: RequestFacts
    /// Where the body begins.
    var headBytes: Int
    /// Where the value of Content-Length stands.
    var lengthDigits: Range<Int>?
}

enum HTTPRequestParser {
    /// The longest head that is read, in bytes.
    static let maxHeadBytes = 16 * 1024

    /// Reads a head from the start of `bytes`; nil when it is not complete yet. `scanned` is where an earlier call stopped
    /// looking for the end, so that a head that comes byte by byte is searched once.
    ///
    /// Empty lines in front of the request line are skipped (RFC 9112 section 2.2).
    static func parseHead(
        _ bytes: UnsafeRawBufferPointer, scanned: inout Int
    ) throws(HTTPParseError) -> ReadHead? {
        var start = 0
        while start + 1 < bytes.count && bytes[start] == 0x0D && bytes[start + 1] == 0x0A { start += 2 }
        guard let end = try findEnd(bytes, from: max(start, scanned)) else {
            // The end may lie across the border of what is here.
            scanned = max(start, bytes.count - 3)
            guard bytes.count <= maxHeadBytes else {
                throw HTTPParseError(status: .headerTooLarge, reason: "the request head is too large")
            }
            return nil
        }
        guard end <= maxHeadBytes else {
            throw HTTPParseError(status: .headerTooLarge, reason: "the request head is too large")
        }
        scanned = 0
        var lines = HeadLines(bytes: bytes, position: start, end: end)
        var facts = try lines.requestLine()
        var lengthDigits: Range<Int>?
        while let field = try lines.nextField() {
            try facts.note(field.name, field.value)
            guard lengthDigits == nil, facts.contentLength != nil, let base = bytes.baseAddress,
                let value = field.value.baseAddress
            else { continue }
            lengthDigits = value - base..<value - base + field.value.count
        }
        try facts.finish()
        return ReadHead(facts: facts, headBytes: end, lengthDigits: lengthDigits)
    }

    /// The offset behind the empty line that ends the head.
    private static func findEnd(_ bytes: UnsafeRawBufferPointer, from start: Int) throws(HTTPParseError) -> Int? {
        var at = start
        while at < bytes.count {
            guard bytes[at] == 0x0A else {
                at &+= 1
                continue
            }
            guard at > 0, bytes[at - 1] == 0x0D else { throw .bad("a line ends without a carriage return") }
            if at >= 3 && bytes[at - 2] == 0x0A { return at + 1 }
            at &+= 1
        }
        return nil
    }

    /// tchar of RFC 9110: letters, digits and !#$%&'*+-.^_`|~
    static func isTokenCharacter(_ byte: UInt8) -> Bool {
        // One bit a character: 0x20…0x3F, 0x40…0x5F, 0x60…0x7F.
        let allowed: (UInt32, UInt32, UInt32) = (0x03FF_6CFA, 0xC7FF_FFFE, 0x57FF_FFFF)
        switch byte {
        case 0x20..<0x40: return allowed.0 >> (byte & 31) & 1 == 1
        case 0x40..<0x60: return allowed.1 >> (byte & 31) & 1 == 1
        case 0x60..<0x80: return allowed.2 >> (byte & 31) & 1 == 1
        default: return false
        }
    }
}

/// Walks the lines of a complete head.
private struct HeadLines {
    let bytes: UnsafeRawBufferPointer
    var position: Int
    /// Behind the empty line.
    let end: Int

    mutating func requestLine() throws(HTTPParseError) -> RequestFacts {
        let method = try take(until: 0x20, isToken: true)
        let target = try take(until: 0x20, isToken: false)
        guard position + 10 <= end, slice(position, position + 5).equals("HTTP/") else {
            throw .bad("the request line does not end in a version")
        }
        let major = bytes[position + 5]
        let minor = bytes[position + 7]
        guard bytes[position + 6] == UInt8(ascii: "."), bytes[position + 8] == 0x0D, bytes[position + 9] == 0x0A,
            isDigit(major), isDigit(minor)
        else { throw .bad("the request line does not end in a version") }
        guard major == UInt8(ascii: "1") else {
            throw HTTPParseError(status: .versionNotSupported, reason: "only HTTP/1.x is spoken here")
        }
        position += 10
        return RequestFacts(method: method, target: target, isHTTP10: minor == UInt8(ascii: "0"))
    }

    /// The next field, nil at the empty line.
    mutating func nextField() throws(HTTPParseError) -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
        if position == end - 2 { return nil }
        let name = try take(until: UInt8(ascii: ":"), isToken: true)
        var start = position
        var at = position
        while bytes[at] != 0x0D {
            let byte = bytes[at]
            guard byte >= 0x20 && byte != 0x7F || byte == 0x09 else { throw .bad("a control character in a field") }
            at &+= 1
        }
        guard bytes[at + 1] == 0x0A else { throw .bad("a carriage return within a line") }
        position = at + 2
        while start < at && (bytes[start] == 0x20 || bytes[start] == 0x09) { start &+= 1 }
        while at > start && (bytes[at - 1] == 0x20 || bytes[at - 1] == 0x09) { at &-= 1 }
        return (name, slice(start, at))
    }

    /// The bytes up to `separator`, which is stepped over: a token (RFC 9110 section 5.6.2), or visible characters.
    private mutating func take(until separator: UInt8, isToken: Bool) throws(HTTPParseError) -> UnsafeRawBufferPointer {
        let start = position
        while bytes[position] != separator {
            let byte = bytes[position]
            guard isToken ? HTTPRequestParser.isTokenCharacter(byte) : byte > 0x20 && byte != 0x7F else {
                throw .bad("a character that is not allowed in the request line or a field name")
            }
            position &+= 1
        }
        guard position > start else { throw .bad("an empty name in the request head") }
        position &+= 1
        return slice(start, position - 1)
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    private func slice(_ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }
}

/// Takes chunked bodies apart (RFC 9112 section 7.1). Chunk extensions and trailers are read and ignored, within limits.
struct ChunkedDecoder {
    private enum State {
        case size(digits: Int, value: Int)
        /// Spaces between the size and the semicolon of an extension.
        case sizeSpace(value: Int)
        case sizeExtension(value: Int)
        case sizeLineFeed(value: Int)
        case data(remaining: Int)
        case dataCarriageReturn, dataLineFeed
        case trailerStart
        case trailerName, trailerValue
        case trailerLineFeed(isLast: Bool)
        case finished
    }

    private var state = State.size(digits: 0, value: 0)
    /// Bytes of extensions and trailers read; nobody needs many.
    private var overheadBytes = 0

    /// Moves body bytes from `input` to `body` as far as they have come; true when the body is complete.
    mutating func decode(_ input: inout ByteBuffer, into body: inout ByteBuffer) throws(HTTPParseError) -> Bool {
        while true {
            if case .finished = state { return true }
            if case .data(let remaining) = state {
                let count = min(remaining, input.readableBytes)
                guard count > 0, var part = input.readSlice(length: count) else { return false }
                body.writeBuffer(&part)
                state = count == remaining ? .dataCarriageReturn : .data(remaining: remaining - count)
                continue
            }
            guard let byte = input.readInteger(as: UInt8.self) else { return false }
            try step(byte)
        }
    }

    private mutating func step(_ byte: UInt8) throws(HTTPParseError) {
        switch state {
        case .size(let digits, let value):
            if let digit = Self.hexDigit(byte) {
                // Eight digits are 4 GiB: more than any body may be.
                guard digits < 8 else {
                    throw HTTPParseError(status: .contentTooLarge, reason: "the body is too large")
                }
                state = .size(digits: digits + 1, value: value << 4 | digit)
            } else if digits > 0 && byte == 0x0D {
                state = .sizeLineFeed(value: value)
            } else if digits > 0 && byte == UInt8(ascii: ";") {
                state = .sizeExtension(value: value)
            } else if digits > 0 && (byte == 0x20 || byte == 0x09) {
                state = .sizeSpace(value: value)
            } else {
                throw .bad("a chunk size is no hexadecimal number")
            }
        case .sizeSpace(let value):
            try countOverhead(byte)
            if byte == UInt8(ascii: ";") {
                state = .sizeExtension(value: value)
            } else if byte != 0x20 && byte != 0x09 {
                throw .bad("a chunk size is followed by something else")
            }
        case .sizeExtension(let value):
            try countOverhead(byte)
            if byte == 0x0D {
                state = .sizeLineFeed(value: value)
            } else if byte < 0x20 && byte != 0x09 || byte == 0x7F {
                throw .bad("a control character in a chunk extension")
            }
        case .sizeLineFeed(let value):
            try expect(byte, 0x0A)
            state = value == 0 ? .trailerStart : .data(remaining: value)
        case .dataCarriageReturn:
            try expect(byte, 0x0D)
            state = .dataLineFeed
        case .dataLineFeed:
            try expect(byte, 0x0A)
            state = .size(digits: 0, value: 0)
        case .trailerStart:
            try countOverhead(byte)
            guard byte != 0x0D else { return state = .trailerLineFeed(isLast: true) }
            guard HTTPRequestParser.isTokenCharacter(byte) else { throw .bad("a trailer field without a name") }
            state = .trailerName
        case .trailerName:
            try countOverhead(byte)
            if byte == UInt8(ascii: ":") {
                state = .trailerValue
            } else if !HTTPRequestParser.isTokenCharacter(byte) {
                throw .bad("a character that is not allowed in a trailer's name")
            }
        case .trailerValue:
            try countOverhead(byte)
            if byte == 0x0D {
                state = .trailerLineFeed(isLast: false)
            } else if byte < 0x20 && byte != 0x09 || byte == 0x7F {
                throw .bad("a control character in a trailer")
            }
        case .trailerLineFeed(let isLast):
            try expect(byte, 0x0A)
            state = isLast ? .finished : .trailerStart
        case .data, .finished:
            preconditionFailure("data and the end are handled where bytes are moved")
        }
    }

    private mutating func countOverhead(_ byte: UInt8) throws(HTTPParseError) {
        overheadBytes += 1
        guard overheadBytes <= HTTPRequestParser.maxHeadBytes else {
            throw HTTPParseError(status: .headerTooLarge, reason: "chunk extensions or trailers are too large")
        }
        guard byte != 0x0A else { throw .bad("a line ends without a carriage return") }
    }

    private func expect(_ byte: UInt8, _ wanted: UInt8) throws(HTTPParseError) {
        guard byte == wanted else { throw .bad("a chunk does not end where its size says") }
    }

    private static func hexDigit(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
