// Why a text was refused. Reasons are constants: they reach clients as `data.reason` and never quote the text.

/// What the scanner met; its place is the scanner's position.
enum JSONFault: UInt8, Error {
    case unexpectedEnd, unexpectedByte, trailingBytes
    case controlCharacter, invalidEscape, loneSurrogate, invalidUTF8
    case invalidNumber, invalidLiteral
    case tooDeep

    var reason: StaticString {
        switch self {
        case .unexpectedEnd: "the text ends too early"
        case .unexpectedByte: "unexpected character"
        case .trailingBytes: "text after the end of the value"
        case .controlCharacter: "unescaped control character in a string"
        case .invalidEscape: "invalid escape in a string"
        case .loneSurrogate: "lone surrogate in a string"
        case .invalidUTF8: "invalid UTF-8 in a string"
        case .invalidNumber: "malformed number"
        case .invalidLiteral: "unknown literal"
        case .tooDeep: "nested too deeply"
        }
    }
}

/// A text that is not one JSON value, or is nested deeper than the caller allows.
package struct JSONError: Error {
    /// Where the text stopped being acceptable, in bytes from its start; its length when the text ends too early.
    package let offset: Int
    /// A constant sentence for people.
    package let reason: StaticString
    /// Whether nesting alone was the reason. The text behind `offset` was not read then.
    package let isTooDeep: Bool

    init(_ fault: JSONFault, at offset: Int) {
        self.offset = offset
        self.reason = fault.reason
        self.isTooDeep = fault == .tooDeep
    }
}
