// A JSON value as the text that was sent. Texts are never re-written: 0.1000 stays 0.1000.

import JSONRPC

/// One valid JSON value, kept byte for byte.
public struct JSONText: Hashable, Sendable, CustomStringConvertible {
    /// UTF-8.
    public let bytes: [UInt8]

    /// The caller vouches for the text.
    init(trusted bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Takes a JSON text of any kind; throws `invalidArgument` when it is not JSON (RFC 8259) or nested over 128 levels.
    /// Whitespace around the value is left out.
    public init(_ bytes: some Sequence<UInt8>) throws(CacheClientError) {
        let bytes = Array(bytes)
        guard bytes.count <= Int32.max else { throw .invalidArgument("a JSON text of 2 GiB or more") }
        let checked = bytes.withUnsafeBytes { raw in
            Result { () throws(JSONError) in try validateJSON(raw) }
        }
        switch checked {
        case .success(let value):
            self.bytes = value.slice.count == bytes.count ? bytes : Array(bytes[value.slice.range])
        case .failure(let error):
            throw .invalidArgument("not JSON at byte \(error.offset): \(error.reason)")
        }
    }

    /// As `init(_: some Sequence<UInt8>)`.
    public init(_ text: String) throws(CacheClientError) {
        try self.init(text.utf8)
    }

    /// The JSON string with this content.
    public static func string(_ content: String) -> JSONText {
        var text = RequestText()
        text.appendJSONString(content)
        return JSONText(trusted: Array(text.buffer.readableBytesView))
    }

    /// The JSON number.
    public static func integer(_ value: Int64) -> JSONText {
        JSONText(trusted: Array(String(value).utf8))
    }

    public var description: String { String(decoding: self.bytes, as: UTF8.self) }

    /// The content of a JSON string, nil for any other kind.
    public var stringValue: String? {
        self.read { $0.string($1) }
    }

    /// The value of a JSON integer within 64 bits, nil for anything else.
    public var integerValue: Int64? {
        self.read { $0.integer($1) }
    }

    private func read<Result>(_ body: (JSONReader, JSONValue) -> Result?) -> Result? {
        self.bytes.withUnsafeBytes { raw in
            let reader = JSONReader(raw)
            return reader.whole.flatMap { body(reader, $0) }
        }
    }
}
