// JSON-RPC calls over one kept-alive connection, with every reply's text kept as it came.

import Foundation

/// The reply to one call.
package struct RPCReply: Sendable, CustomStringConvertible {
    package let json: RawJSON

    package init(_ json: RawJSON) {
        self.json = json
    }

    package var result: RawJSON? { json["result"] }
    package var errorCode: Int? { json["error"]?["code"]?.integer }
    package var errorMessage: String? { json["error"]?["message"]?.string }
    package var errorData: RawJSON? { json["error"]?["data"] }
    package var description: String { json.text }

    /// The member of the result, which is what most expectations are about.
    package subscript(name: String) -> RawJSON? { result?[name] }
}

/// A client that waits for each answer; not to be shared between threads.
package final class RPCClient {
    package let connection: RawHTTPConnection
    private var nextID = 1

    package init(port: Int, timeout: Duration = .seconds(20)) throws {
        connection = try RawHTTPConnection(port: port, timeout: timeout)
    }

    /// The text of a request object; `params` is JSON text.
    package static func request(_ method: String, _ params: String?, id: String) -> String {
        let tail = params.map { ",\"params\":\($0)" } ?? ""
        return "{\"jsonrpc\":\"2.0\",\"id\":\(id),\"method\":\"\(method)\"\(tail)}"
    }

    /// Sends any body and returns the response, whatever it is.
    package func post(_ body: String, path: String = "/rpc", headers: [String] = []) throws -> HTTPResponse {
        try connection.send(HTTPRequest.post(body, path: path, headers: headers))
        return try connection.receive()
    }

    /// Makes one call.
    ///
    /// - Throws: `TestFailure` unless the node answers 200 with the id of the call.
    @discardableResult
    package func call(_ method: String, _ params: String? = nil) throws -> RPCReply {
        let id = String(nextID)
        nextID += 1
        let response = try post(Self.request(method, params, id: id))
        guard response.status == 200 else {
            throw TestFailure("\(method): HTTP \(response.status) \(response.text.prefix(500))")
        }
        let reply = RPCReply(try response.json())
        guard reply.json["id"]?.text == id, reply.json["jsonrpc"]?.text == "\"2.0\"" else {
            throw TestFailure("\(method): not the answer to call \(id): \(reply.json.text.prefix(500))")
        }
        return reply
    }

    /// Makes all calls in one batch; the replies in the order of the calls.
    package func batch(_ calls: [(method: String, params: String?)]) throws -> [RPCReply] {
        let first = nextID
        nextID += calls.count
        let texts = calls.enumerated().map { Self.request($1.method, $1.params, id: String(first + $0)) }
        let response = try post("[" + texts.joined(separator: ",") + "]")
        guard response.status == 200, let replies = try response.json().elements, replies.count == calls.count else {
            throw TestFailure("batch of \(calls.count): HTTP \(response.status) \(response.text.prefix(500))")
        }
        let byID = Dictionary(replies.map { ($0["id"]?.integer ?? -1, $0) }) { first, _ in first }
        return try calls.indices.map { index in
            guard let reply = byID[first + index] else { throw TestFailure("batch: call \(index) has no reply") }
            return RPCReply(reply)
        }
    }

    /// Stores `value` (JSON text) under `key`; `options` are further members such as `"ttlMs":5`.
    @discardableResult
    package func put(_ key: String, _ value: String, _ options: String = "") throws -> RPCReply {
        let tail = options.isEmpty ? "" : "," + options
        return try call("cache.put", "{\"key\":\(quoted(key)),\"value\":\(value)\(tail)}")
    }

    /// The reply to `cache.get`.
    package func get(_ key: String, _ options: String = "") throws -> RPCReply {
        let tail = options.isEmpty ? "" : "," + options
        return try call("cache.get", "{\"key\":\(quoted(key))\(tail)}")
    }

    /// The stored text of `key`, nil on a miss.
    package func value(_ key: String) throws -> String? {
        let reply = try get(key)
        switch reply["found"]?.boolean {
        case true: return reply["value"]?.text
        case false: return nil
        default: throw TestFailure("cache.get \(key): \(reply.json.text.prefix(500))")
        }
    }

    /// The stored texts of many keys, asked for `chunk` at a time; missing keys are absent.
    package func values(_ keys: [String], chunk: Int = 500) throws -> [String: String] {
        var found: [String: String] = [:]
        for start in stride(from: 0, to: keys.count, by: chunk) {
            let part = keys[start..<min(start + chunk, keys.count)]
            let reply = try call("cache.getMany", "{\"keys\":[\(part.map(quoted).joined(separator: ","))]}")
            guard let items = reply["items"]?.elements, items.count == part.count else {
                throw TestFailure("cache.getMany: \(reply.json.text.prefix(500))")
            }
            for (key, item) in zip(part, items) where item["found"]?.boolean == true {
                found[key] = item["value"]?.text
            }
        }
        return found
    }
}
