// Why a call failed, in the terms of the methods. Translated to a JSON-RPC error object in one place only (RPCExecutor).

import JSONRPC

/// Names a parameter in an error: `key`, `keys[3]`, `items[3].value`.
struct ParameterPath: Sendable {
    var name: StaticString
    var index: Int?
    var member: StaticString?

    init(_ name: StaticString, index: Int? = nil, member: StaticString? = nil) {
        self.name = name
        self.index = index
        self.member = member
    }
}

/// The typed error of every RPC method.
struct MethodFailure: Error {
    enum Detail: Sendable {
        case none
        /// A parameter and what is wrong with it.
        case parameter(ParameterPath, StaticString)
        /// A parameter that the method does not have, or has twice; the slice holds its name as sent.
        case name(JSONSlice, StaticString)
        /// The method that was asked for, as sent.
        case method(JSONSlice)
        /// A limit that the call is over, and how much it asked for.
        case limit(ParameterPath, limit: Int, actual: Int)
        case reason(StaticString)
        /// A condition of the node, told in words (for example the disk's error).
        case state(String)
    }

    var code: RPCErrorCode
    var detail: Detail

    init(_ code: RPCErrorCode, _ detail: Detail = .none) {
        self.code = code
        self.detail = detail
    }

    static func invalid(_ path: ParameterPath, _ reason: StaticString) -> MethodFailure {
        MethodFailure(.invalidParams, .parameter(path, reason))
    }
}
