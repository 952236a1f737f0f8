// Calls of etcd's JSON gateway (etcd 3.4, `rpc.proto` through grpc-gateway): one POST each, keys and values in Base64,
// 64-bit integers as strings.

import JSONRPC

/// One call.
enum GatewayRequest: Equatable, Sendable {
    case grant(ttlSeconds: Int64)
    case keepAlive(LeaseID)
    case revoke(LeaseID)
    /// Every key that begins with the prefix.
    case list(prefix: String)
    case commit(Transaction)
    /// Changes of keys that begin with the prefix, from a revision on, without end.
    case watch(prefix: String, from: Revision)

    var path: String {
        switch self {
        case .grant: "/v3/lease/grant"
        case .keepAlive: "/v3/lease/keepalive"
        case .revoke: "/v3/lease/revoke"
        case .list: "/v3/kv/range"
        case .commit: "/v3/kv/txn"
        case .watch: "/v3/watch"
        }
    }

    var body: [UInt8] {
        var body: [UInt8] = []
        switch self {
        case .grant(let ttlSeconds):
            body.append("{\"TTL\":")
            body.append(quoted: ttlSeconds)
            body.append("}")
        case .keepAlive(let lease), .revoke(let lease):
            body.append("{\"ID\":")
            body.append(quoted: lease.rawValue)
            body.append("}")
        case .list(let prefix):
            body.append("{\"key\":")
            body.append(base64: prefix.utf8)
            body.append(",\"range_end\":")
            body.append(base64: Self.end(of: prefix))
            body.append("}")
        case .commit(let transaction):
            body.append(transaction)
        case .watch(let prefix, let revision):
            body.append("{\"create_request\":{\"key\":")
            body.append(base64: prefix.utf8)
            body.append(",\"range_end\":")
            body.append(base64: Self.end(of: prefix))
            body.append(",\"start_revision\":")
            body.append(quoted: revision.rawValue)
            body.append("}}")
        }
        return body
    }

    /// The first key behind all that begin with `prefix` (etcd's API, "key ranges"); a zero byte means "to the end".
    static func end(of prefix: String) -> [UInt8] {
        var end = Array(prefix.utf8)
        while let last = end.popLast() {
            if last < 0xFF { return end + [last + 1] }
        }
        return [0]
    }
}

extension [UInt8] {
    fileprivate mutating func append(quoted number: Int64) {
        append("\"")
        append(decimal: number)
        append("\"")
    }

    fileprivate mutating func append(base64 bytes: some Collection<UInt8>) {
        append("\"")
        Base64.append(bytes, to: &self)
        append("\"")
    }

    fileprivate mutating func append(_ transaction: Transaction) {
        append("{\"compare\":[")
        for (index, condition) in transaction.conditions.enumerated() {
            if index > 0 { append(",") }
            append(condition)
        }
        append("],\"success\":[")
        for (index, operation) in transaction.operations.enumerated() {
            if index > 0 { append(",") }
            append(operation)
        }
        append("]}")
    }

    private mutating func append(_ condition: Transaction.Condition) {
        append("{\"result\":\"EQUAL\",\"target\":")
        switch condition {
        case .created(let key, let revision):
            append("\"CREATE\",\"create_revision\":")
            append(quoted: revision.rawValue)
            append(",\"key\":")
            append(base64: key.utf8)
        case .modified(let key, let revision):
            append("\"MOD\",\"mod_revision\":")
            append(quoted: revision.rawValue)
            append(",\"key\":")
            append(base64: key.utf8)
        }
        append("}")
    }

    private mutating func append(_ operation: Transaction.Operation) {
        switch operation {
        case .put(let key, let value, let lease):
            append("{\"request_put\":{\"key\":")
            append(base64: key.utf8)
            append(",\"value\":")
            append(base64: value)
            if let lease {
                append(",\"lease\":")
                append(quoted: lease.rawValue)
            }
        case .delete(let key):
            append("{\"request_delete_range\":{\"key\":")
            append(base64: key.utf8)
        }
        append("}}")
    }
}
