// JSON as text: finds members and elements and keeps each value's bytes exactly as they were, which is what the node
// promises and what JSONSerialization cannot show (it turns 1e400 into infinity). Written recursively and slowly on
// purpose, to share nothing with the node's scanner; it checks structure, not every rule of RFC 8259.

import Foundation

/// One JSON value and its text.
package struct RawJSON: Sendable, CustomStringConvertible {
    private indirect enum Node: Sendable {
        case object([(name: String, value: RawJSON)])
        case array([RawJSON])
        case scalar
    }

    private let node: Node
    package let bytes: [UInt8]

    /// The value's text, byte for byte.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    package var description: String { text }

    /// - Throws: `TestFailure` when the text is not one JSON value.
    package init(_ text: some Collection<UInt8>) throws {
        let bytes = Array(text)
        let (value, end) = try bytes.withUnsafeBufferPointer { buffer in
            var parser = Parser(bytes: buffer)
            parser.skipSpace()
            let value = try parser.value()
            parser.skipSpace()
            return (value, parser.position)
        }
        guard end == bytes.count else { throw TestFailure("bytes after the JSON value at \(end)") }
        self = value
    }

    package init(_ text: String) throws {
        try self.init(Array(text.utf8))
    }

    private init(node: Node, bytes: [UInt8]) {
        self.node = node
        self.bytes = bytes
    }

    /// The value of the member `name`, nil when there is none or this is no object.
    package subscript(name: String) -> RawJSON? {
        guard case .object(let members) = node else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The element at `index`, nil when there is none or this is no array.
    package subscript(index: Int) -> RawJSON? {
        elements?.indices.contains(index) == true ? elements?[index] : nil
    }

    /// Names of the members in their order, nil when this is no object.
    package var names: [String]? {
        guard case .object(let members) = node else { return nil }
        return members.map(\.name)
    }

    package var elements: [RawJSON]? {
        guard case .array(let elements) = node else { return nil }
        return elements
    }

    package var integer: Int? { Int(text) }

    package var double: Double? { Double(text) }

    package var boolean: Bool? { text == "true" ? true : text == "false" ? false : nil }

    /// The string's characters, nil when this is no string.
    package var string: String? {
        guard bytes.first == UInt8(ascii: "\"") else { return nil }
        if !bytes.contains(UInt8(ascii: "\\")) { return String(decoding: bytes.dropFirst().dropLast(), as: UTF8.self) }
        let object = try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
        return object as? String
    }

    private struct Parser {
        let bytes: UnsafeBufferPointer<UInt8>
        var position = 0

        mutating func skipSpace() {
            while position < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[position]) { position += 1 }
        }

        mutating func value() throws -> RawJSON {
            guard position < bytes.count else { throw TestFailure("JSON ends too early") }
            let start = position
            let node: Node
            switch bytes[position] {
            case UInt8(ascii: "{"):
                node = .object(try members())
            case UInt8(ascii: "["):
                node = .array(try list())
            case UInt8(ascii: "\""):
                try string()
                node = .scalar
            default:
                while position < bytes.count, !",]} \t\r\n:\"".utf8.contains(bytes[position]) { position += 1 }
                guard position > start else { throw TestFailure("no JSON value at \(start)") }
                node = .scalar
            }
            return RawJSON(node: node, bytes: Array(bytes[start..<position]))
        }

        mutating func members() throws -> [(name: String, value: RawJSON)] {
            var members: [(name: String, value: RawJSON)] = []
            try separated(until: UInt8(ascii: "}")) { parser in
                let start = parser.position
                try parser.string()
                let name = RawJSON(node: .scalar, bytes: Array(parser.bytes[start..<parser.position])).string
                guard let name else { throw TestFailure("no member name at \(start)") }
                parser.skipSpace()
                try parser.expect(UInt8(ascii: ":"))
                parser.skipSpace()
                members.append((name, try parser.value()))
            }
            return members
        }

        mutating func list() throws -> [RawJSON] {
            var elements: [RawJSON] = []
            try separated(until: UInt8(ascii: "]")) { elements.append(try $0.value()) }
            return elements
        }

        mutating func separated(until end: UInt8, _ item: (inout Parser) throws -> Void) throws {
            position += 1
            skipSpace()
            if position < bytes.count, bytes[position] == end {
                position += 1
                return
            }
            while true {
                skipSpace()
                try item(&self)
                skipSpace()
                if position < bytes.count, bytes[position] == end {
                    position += 1
                    return
                }
                try expect(UInt8(ascii: ","))
            }
        }

        mutating func string() throws {
            try expect(UInt8(ascii: "\""))
            while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
                position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
            }
            try expect(UInt8(ascii: "\""))
        }

        mutating func expect(_ byte: UInt8) throws {
            guard position < bytes.count, bytes[position] == byte else {
                throw TestFailure("expected \(Character(UnicodeScalar(byte))) at \(position)")
            }
            position += 1
        }
    }
}

/// The JSON string for `text`, with the escapes that RFC 8259 demands and no other.
package func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
