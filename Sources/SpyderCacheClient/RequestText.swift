// Writes the JSON of requests. It checks nothing: what it is given is valid by type.

import JSONRPC
import NIOCore

/// A request body that is being written.
struct RequestText: ByteSink {
    private(set) var buffer = ByteBuffer()
    private var needsComma = false

    mutating func append(byte: UInt8) {
        self.buffer.writeInteger(byte)
    }

    mutating func append(bytes: UnsafeRawBufferPointer) {
        self.buffer.writeBytes(bytes)
    }

    mutating func append(json: JSONText) {
        self.buffer.writeBytes(json.bytes)
    }

    /// A whole request; `writeParams` writes one JSON value or nothing.
    static func call(id: RequestID, method: String, writeParams: (inout RequestText) -> Void) -> ByteBuffer {
        var request = RequestText()
        request.append("{\"jsonrpc\":\"2.0\",\"id\":")
        request.append(decimal: id.rawValue)
        request.append(",\"method\":")
        request.appendJSONString(method)
        let withoutParams = request.buffer.writerIndex
        request.append(",\"params\":")
        let beforeParams = request.buffer.writerIndex
        writeParams(&request)
        if request.buffer.writerIndex == beforeParams {
            request.buffer.moveWriterIndex(to: withoutParams)
        }
        request.append(byte: UInt8(ascii: "}"))
        return request.buffer
    }

    /// Writes an object whose members `writeMembers` adds with `member`.
    mutating func object(_ writeMembers: (inout RequestText) -> Void) {
        self.append(byte: UInt8(ascii: "{"))
        self.needsComma = false
        writeMembers(&self)
        self.append(byte: UInt8(ascii: "}"))
        self.needsComma = true
    }

    /// Writes an array with one value for each element.
    mutating func array<Element>(of elements: [Element], _ writeElement: (inout RequestText, Element) -> Void) {
        self.append(byte: UInt8(ascii: "["))
        for (position, element) in elements.enumerated() {
            if position > 0 { self.append(byte: UInt8(ascii: ",")) }
            writeElement(&self, element)
        }
        self.append(byte: UInt8(ascii: "]"))
        self.needsComma = true
    }

    /// Writes a member of the object being written; `name` needs no escapes.
    mutating func member(_ name: StaticString, _ writeValue: (inout RequestText) -> Void) {
        if self.needsComma { self.append(byte: UInt8(ascii: ",")) }
        self.append(byte: UInt8(ascii: "\""))
        self.append(name)
        self.append("\":")
        writeValue(&self)
        self.needsComma = true
    }

    mutating func member(_ name: StaticString, string: String) {
        self.member(name) { $0.appendJSONString(string) }
    }

    mutating func member(_ name: StaticString, integer: Int64) {
        self.member(name) { $0.append(decimal: integer) }
    }

    mutating func member(_ name: StaticString, json: JSONText) {
        self.member(name) { $0.append(json: json) }
    }

    /// Versions travel as decimal strings: they do not fit a double.
    mutating func member(_ name: StaticString, version: CacheVersion) {
        self.member(name) {
            $0.append(byte: UInt8(ascii: "\""))
            $0.append(decimal: version.rawValue)
            $0.append(byte: UInt8(ascii: "\""))
        }
    }
}
