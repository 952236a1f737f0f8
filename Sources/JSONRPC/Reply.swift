// The frame of a response (JSON-RPC 2.0, section 5), written straight into the sink. Results are the methods' business.
//
//     {"jsonrpc":"2.0","id":<id>,"result":<result>}
//     {"jsonrpc":"2.0","id":<id>,"error":{"code":…,"message":"…","data":{"retryable":…,"node":"…"<more>}}}

extension ByteSink {
    /// Opens a response: everything before the result. `id` is the text to echo; nil writes `null`.
    @inlinable
    package mutating func appendResponsePrefix(id: JSONSlice?, in body: UnsafeRawBufferPointer) {
        append("{\"jsonrpc\":\"2.0\",\"id\":")
        appendID(id, in: body)
        append(",\"result\":")
    }

    /// Closes a response behind its result.
    @inlinable
    package mutating func appendResponseSuffix() {
        append(byte: ASCII.closeBrace)
    }

    /// Writes a whole error response. `more` appends further members of `data`, each with its leading comma.
    @inlinable
    package mutating func appendErrorResponse(
        id: JSONSlice?, in body: UnsafeRawBufferPointer, _ code: RPCErrorCode, node: String,
        more: (inout Self) -> Void = { _ in }
    ) {
        append("{\"jsonrpc\":\"2.0\",\"id\":")
        appendID(id, in: body)
        append(",\"error\":")
        appendError(code, node: node, more: more)
        append(byte: ASCII.closeBrace)
    }

    /// Writes an error object. `more` appends further members of `data`, each with its leading comma.
    @inlinable
    package mutating func appendError(
        _ code: RPCErrorCode, node: String, more: (inout Self) -> Void = { _ in }
    ) {
        append("{\"code\":")
        append(decimal: code.number)
        appendNextMember("message", constant: code.message)
        append(",\"data\":{\"retryable\":")
        append(code.retryable ? "true" : "false")
        appendNextMember("node", string: node)
        more(&self)
        append("}}")
    }

    /// Writes an id as it came, `null` for none.
    @inlinable
    package mutating func appendID(_ id: JSONSlice?, in body: UnsafeRawBufferPointer) {
        if let id {
            append(bytes: id.bytes(in: body))
        } else {
            append("null")
        }
    }
}
