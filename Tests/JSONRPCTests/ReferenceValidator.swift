// A slow, obvious reading of RFC 8259 to compare the scanner with: recursive, one byte at a time, no cleverness.

struct ReferenceValidator {
    private let bytes: [UInt8]
    private var at = 0

    static func accepts(_ bytes: [UInt8], maxDepth: Int = 128) -> Bool {
        // Outside strings only ASCII can be accepted, so the whole text may be asked for its UTF-8.
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        var validator = ReferenceValidator(bytes: bytes)
        validator.whitespace()
        guard validator.value(room: maxDepth) else { return false }
        validator.whitespace()
        return validator.at == bytes.count
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func take(_ character: Character) -> Bool {
        guard next == character.asciiValue else { return false }
        at += 1
        return true
    }

    private mutating func takeAll(_ text: String) -> Bool {
        for character in text where !take(character) { return false }
        return true
    }

    private mutating func whitespace() {
        while take(" ") || take("\t") || take("\n") || take("\r") {}
    }

    private mutating func value(room: Int) -> Bool {
        switch next {
        case UInt8(ascii: "{"): room > 0 && items(open: "{", close: "}", room: room - 1)
        case UInt8(ascii: "["): room > 0 && items(open: "[", close: "]", room: room - 1)
        case UInt8(ascii: "\""): string()
        case UInt8(ascii: "t"): takeAll("true")
        case UInt8(ascii: "f"): takeAll("false")
        case UInt8(ascii: "n"): takeAll("null")
        default: number()
        }
    }

    private mutating func items(open: Character, close: Character, room: Int) -> Bool {
        guard take(open) else { return false }
        whitespace()
        if take(close) { return true }
        repeat {
            whitespace()
            if open == "{" {
                guard string() else { return false }
                whitespace()
                guard take(":") else { return false }
                whitespace()
            }
            guard value(room: room) else { return false }
            whitespace()
        } while take(",")
        return take(close)
    }

    private mutating func number() -> Bool {
        _ = take("-")
        if !take("0") {
            guard digits() else { return false }
        }
        if take("."), !digits() { return false }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard digits() else { return false }
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = at
        while let byte = next, (0x30...0x39).contains(byte) { at += 1 }
        return at > start
    }

    private mutating func string() -> Bool {
        guard take("\"") else { return false }
        while let byte = next {
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return true
            case 0..<0x20: return false
            case UInt8(ascii: "\\"):
                guard escape() else { return false }
            default: break
            }
        }
        return false
    }

    private mutating func escape() -> Bool {
        for character in "\"\\/bfnrt" where take(character) { return true }
        guard take("u"), let unit = codeUnit() else { return false }
        guard (0xD800...0xDFFF).contains(unit) else { return true }
        guard unit < 0xDC00, take("\\"), take("u"), let low = codeUnit() else { return false }
        return (0xDC00...0xDFFF).contains(low)
    }

    private mutating func codeUnit() -> Int? {
        guard at + 4 <= bytes.count else { return nil }
        let digits = String(decoding: bytes[at..<at + 4], as: UTF8.self)
        guard digits.allSatisfy(\.isHexDigit), digits.utf8.count == 4 else { return nil }
        at += 4
        return Int(digits, radix: 16)
    }
}
