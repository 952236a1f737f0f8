// Looks values up in a reply of the gateway. The only place of this module that holds unsafe memory.

import JSONRPC

/// One JSON value in a body that was validated; not to outlive the closure it was given to.
struct GatewayJSON {
    private let bytes: UnsafeRawBufferPointer
    private let value: JSONValue

    /// Deepest nesting of any answer is 7.
    private static let maxDepth = 16

    /// Validates `body` and gives it to `read`.
    ///
    /// - Throws: `EtcdError.malformed` when it is not one JSON value, and what `read` throws.
    static func read<Answer>(
        _ body: [UInt8], _ read: (GatewayJSON) throws(EtcdError) -> Answer
    ) throws(EtcdError) -> Answer {
        let result = body.withUnsafeBytes { bytes -> Result<Answer, EtcdError> in
            do throws(JSONError) {
                let value = try validateJSON(bytes, maxDepth: maxDepth)
                do throws(EtcdError) {
                    return .success(try read(GatewayJSON(bytes: bytes, value: value)))
                } catch {
                    return .failure(error)
                }
            } catch {
                return .failure(.malformed("\(error.reason), at byte \(error.offset)"))
            }
        }
        return try result.get()
    }

    /// The member of that name; nil when there is none or this is no object. O(length).
    subscript(name: StaticString) -> GatewayJSON? {
        guard value.kind == .object else { return nil }
        var members = JSONObjectCursor(bytes, value.slice)
        while let member = members.next() {
            guard stringEquals(member.name, hasEscapes: member.nameHasEscapes, name, in: bytes) else { continue }
            return GatewayJSON(bytes: bytes, value: member.value)
        }
        return nil
    }

    /// The elements of an array; none when this is something else. O(length).
    var elements: [GatewayJSON] {
        guard value.kind == .array else { return [] }
        var cursor = JSONArrayCursor(bytes, value.slice)
        var elements: [GatewayJSON] = []
        while let element = cursor.next() { elements.append(GatewayJSON(bytes: bytes, value: element)) }
        return elements
    }

    var isTrue: Bool { value.kind == .true }

    /// What a string stands for.
    var string: String? {
        guard value.kind == .string else { return nil }
        var decoded: [UInt8] = []
        decodeString(value, in: bytes, into: &decoded)
        return String(decoding: decoded, as: UTF8.self)
    }

    /// The bytes of a Base64 string.
    var base64: [UInt8]? {
        guard value.kind == .string, !value.hasEscapes else { return nil }
        return Base64.decode(value.content.bytes(in: bytes))
    }

    /// A number, or a string of its digits.
    var integer: Int64? {
        switch value.kind {
        case .number: JSONRPC.integer(in: value.slice.bytes(in: bytes))
        case .string: JSONRPC.integer(in: value.content.bytes(in: bytes))
        case .object, .array, .true, .false, .null: nil
        }
    }

    /// A number, or a string of its digits, without a sign.
    var unsigned: UInt64? {
        switch value.kind {
        case .number: unsignedInteger(in: value.slice.bytes(in: bytes))
        case .string: unsignedInteger(in: value.content.bytes(in: bytes))
        case .object, .array, .true, .false, .null: nil
        }
    }
}
