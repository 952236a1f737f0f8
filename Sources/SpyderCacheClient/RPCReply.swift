// The JSON-RPC 2.0 envelope of replies (section 5 of the specification): a result, or an error to throw.

import JSONRPC
import NIOCore

/// A reply with a result in it.
struct RPCReply {
    private let body: ByteBuffer
    private let result: JSONValue

    /// Reads the envelope. Throws `rpc` for an error object, `httpStatus` where a gateway or a refusal without JSON answered,
    /// `badReply` for anything else. Linear in the reply's length.
    init(_ reply: HTTPReply, to id: RequestID) throws(CacheClientError) {
        self.body = reply.body
        self.result = try reply.body.withUnsafeReadableBytes { (bytes) throws(CacheClientError) in
            try Self.result(in: JSONReader(bytes), status: reply.status, id: id)
        }
    }

    private static func result(
        in reader: JSONReader,
        status: Int,
        id: RequestID
    ) throws(CacheClientError) -> JSONValue {
        let envelope = reader.whole
        if let envelope, let error = reader.member("error", of: envelope) {
            throw .rpc(try Self.error(in: reader, error))
        }
        guard status == 200 else { throw .httpStatus(status) }
        guard let envelope, envelope.kind == .object else { throw .badReply("the reply is not a JSON object") }
        guard let version = reader.member("jsonrpc", of: envelope), stringEquals(version, "2.0", in: reader.bytes)
        else {
            throw .badReply("the reply is not JSON-RPC 2.0")
        }
        guard let replyID = reader.member("id", of: envelope), reader.integer(replyID).map(UInt64.init) == id.rawValue
        else { throw .badReply("the reply is for another request") }
        guard let result = reader.member("result", of: envelope) else {
            throw .badReply("the reply has neither result nor error")
        }
        return result
    }

    private static func error(in reader: JSONReader, _ error: JSONValue) throws(CacheClientError) -> RPCError {
        guard let codeValue = reader.member("code", of: error), let code = reader.integer(codeValue),
            let messageValue = reader.member("message", of: error), let message = reader.string(messageValue)
        else { throw .badReply("the error object lacks code or message") }
        let data = reader.member("data", of: error)
        let retryable = data.flatMap { reader.member("retryable", of: $0) }.flatMap { reader.bool($0) }
        return RPCError(
            code: Int(code),
            message: message,
            data: data.map { reader.text(of: $0) },
            isRetryable: retryable ?? false
        )
    }

    /// Reads the result.
    func read<Value>(_ body: (JSONReader, JSONValue) -> Value) -> Value {
        self.body.withUnsafeReadableBytes { body(JSONReader($0), self.result) }
    }

    /// Reads the result; nil means that it does not have the shape the method promises.
    func require<Value>(_ body: (JSONReader, JSONValue) -> Value?) throws(CacheClientError) -> Value {
        guard let value = self.read(body) else { throw .badReply("the result lacks what the method promises") }
        return value
    }
}
