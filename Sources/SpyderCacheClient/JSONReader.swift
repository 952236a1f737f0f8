// Reads members and scalars out of JSON text that has been validated. Wrong kinds are nil; what that means is decided by
// the reader's caller.

import JSONRPC

/// Bytes of one valid JSON text; valid as long as the buffer they are in.
struct JSONReader {
    let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The value the text consists of, nil when the text is not JSON. Linear in its length.
    var whole: JSONValue? {
        try? validateJSON(self.bytes)
    }

    /// The first member of that name, nil when there is none or `object` is not an object. Linear in its length.
    func member(_ name: StaticString, of object: JSONValue) -> JSONValue? {
        guard object.kind == .object else { return nil }
        var cursor = JSONObjectCursor(self.bytes, object.slice)
        while let member = cursor.next() {
            if stringEquals(member.name, hasEscapes: member.nameHasEscapes, name, in: self.bytes) {
                return member.value
            }
        }
        return nil
    }

    /// The elements of an array, nil for another kind.
    func elements(of array: JSONValue) -> [JSONValue]? {
        guard array.kind == .array else { return nil }
        var cursor = JSONArrayCursor(self.bytes, array.slice)
        var elements: [JSONValue] = []
        while let element = cursor.next() { elements.append(element) }
        return elements
    }

    /// The value's text as sent.
    func text(of value: JSONValue) -> JSONText {
        JSONText(trusted: Array(value.slice.bytes(in: self.bytes)))
    }

    /// What a string stands for, nil for another kind.
    func string(_ value: JSONValue) -> String? {
        guard value.kind == .string else { return nil }
        var content: [UInt8] = []
        decodeString(value, in: self.bytes, into: &content)
        return String(decoding: content, as: UTF8.self)
    }

    /// The value of a JSON integer within 64 bits, nil for anything else.
    func integer(_ value: JSONValue) -> Int64? {
        JSONRPC.integer(of: value, in: self.bytes)
    }

    /// Nil for anything but `true` and `false`.
    func bool(_ value: JSONValue) -> Bool? {
        switch value.kind {
        case .true: true
        case .false: false
        case .object, .array, .string, .number, .null: nil
        }
    }

    /// The version in a decimal string, nil for anything else.
    func version(_ value: JSONValue) -> CacheVersion? {
        guard value.kind == .string else { return nil }
        return unsignedInteger(in: value.content.bytes(in: self.bytes)).map { CacheVersion(rawValue: $0) }
    }
}
