// What a field of a log line may hold, and the cut for keys of the cache.

/// A typed field: numbers and bools stay numbers and bools in the line.
package enum LogValue: Sendable, Equatable {
    case string(String)
    case int(Int)
    case double(Double)
    case bool(Bool)
    /// Names and texts, written as an object in the order of the names; only for what libraries attach to their messages.
    case texts([String: String])

    /// A key of the cache as it may be logged: its first 256 bytes.
    package static func key(_ bytes: UnsafeRawBufferPointer) -> LogValue { .string(LogKey.cut(bytes)) }
}

/// The fields of one line by name; the table in `NodeEvent+Table.swift` says which an event has.
package typealias LogFields = [String: LogValue]

extension LogValue: CustomStringConvertible {
    /// The bare text, for handlers other than ours.
    package var description: String {
        switch self {
        case .string(let text): text
        case .int(let number): String(number)
        case .double(let number): String(number)
        case .bool(let truth): String(truth)
        case .texts(let texts): String(describing: texts)
        }
    }
}

extension LogValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    package init(stringLiteral text: String) { self = .string(text) }
    package init(integerLiteral number: Int) { self = .int(number) }
    package init(booleanLiteral truth: Bool) { self = .bool(truth) }
}

/// Keys of the cache in log lines: never longer than 256 bytes, never cut within a character's bytes.
package enum LogKey {
    /// The most bytes of a key that a line holds.
    package static let limitBytes = 256

    /// The longest beginning of `key` with at most `limitBytes` bytes of whole Unicode scalars.
    package static func cut(_ key: String) -> String { key.cut(toBytes: limitBytes) }

    /// The same for a key's bytes; bytes that are not UTF-8 appear as U+FFFD.
    package static func cut(_ key: UnsafeRawBufferPointer) -> String {
        // One scalar more than may stay, so that the cut falls on the text and not on half a scalar.
        cut(String(decoding: key.prefix(limitBytes + 4), as: UTF8.self))
    }
}

extension String {
    /// The longest beginning of whole Unicode scalars with at most `limit` bytes of UTF-8.
    func cut(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var end = utf8.index(startIndex, offsetBy: limit)
        // 10xxxxxx continues a scalar: at most three steps back to its first byte.
        while end > startIndex, utf8[end] & 0b1100_0000 == 0b1000_0000 { end = utf8.index(before: end) }
        return String(self[..<end])
    }
}
