// The one table of error codes and their constant messages (JSON-RPC 2.0, section 5.1, and the cache's own). Which
// failure gives which code is decided where failures are translated, not here.

/// The code of an error response.
@usableFromInline
package enum RPCErrorCode: Int32, CaseIterable, Sendable {
    // JSON-RPC's own.
    case parseError = -32700
    case invalidRequest = -32600
    case methodNotFound = -32601
    case invalidParams = -32602
    case internalError = -32603
    // The server, independent of the method.
    case timeout = -32002
    case requestTooLarge = -32007
    case busy = -32009
    case batchTooLarge = -32010
    // The cache.
    case valueTooLarge = 1001
    case memoryFull = 1002
    case notAnInteger = 1003
    case keyInvalid = 1004
    // The cluster.
    case wrongOwner = 1101
    case staleEpoch = 1102
    case ownerUnreachable = 1103
    case notEnoughReplicas = 1104
    case forwardLoop = 1105
    case notReady = 1106
    // The journal.
    case journalFailed = 1201
    // Access.
    case unauthenticated = 1301
    case forbidden = 1302

    /// The code as a number; `rawValue` itself cannot be inlined into another module.
    @usableFromInline var number: Int64 { Int64(rawValue) }

    /// The text for people, always the same for one code.
    @usableFromInline package var message: StaticString {
        switch self {
        case .parseError: "Parse error"
        case .invalidRequest: "Invalid Request"
        case .methodNotFound: "Method not found"
        case .invalidParams: "Invalid params"
        case .internalError: "Internal error"
        case .timeout: "Timeout"
        case .requestTooLarge: "Request too large"
        case .busy: "Busy"
        case .batchTooLarge: "Batch too large"
        case .valueTooLarge: "Value too large"
        case .memoryFull: "Memory full"
        case .notAnInteger: "Value is not an integer"
        case .keyInvalid: "Invalid key"
        case .wrongOwner: "Wrong owner"
        case .staleEpoch: "Stale epoch"
        case .ownerUnreachable: "Owner unreachable"
        case .notEnoughReplicas: "Not enough replicas"
        case .forwardLoop: "Forward loop"
        case .notReady: "Not ready"
        case .journalFailed: "Journal failed"
        case .unauthenticated: "Unauthenticated"
        case .forbidden: "Forbidden"
        }
    }

    /// Whether the same request may succeed later without anybody changing it or the node's settings.
    @usableFromInline package var retryable: Bool {
        switch self {
        case .timeout, .busy, .wrongOwner, .staleEpoch, .ownerUnreachable, .notEnoughReplicas, .forwardLoop, .notReady:
            true
        case .parseError, .invalidRequest, .methodNotFound, .invalidParams, .internalError, .requestTooLarge,
            .batchTooLarge, .valueTooLarge, .memoryFull, .notAnInteger, .keyInvalid, .journalFailed,
            .unauthenticated, .forbidden:
            false
        }
    }
}
