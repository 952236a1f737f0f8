// What the node needs to know of an HTTP request head, noted field by field. RFC 9110 for the fields' meaning.

/// The plain facts of one request.
struct RequestFacts: Sendable, Equatable {
    enum Method: Sendable { case get, head, post, other }

    enum Target: Sendable {
        case rpc
        /// `/`: JSON-RPC by POST.
        case root
        case healthz, readyz, metrics, openRPC
        /// Calls of other nodes.
        case peer
        case unknown
    }

    enum ContentCoding: Sendable {
        case identity, gzip, unsupported
        /// Another node's text with compressed values beside it (PeerText).
        case holes
    }

    var method: Method
    var target: Target
    var isHTTP10: Bool
    var keepsAlive: Bool
    /// `application/json` or `application/json-rpc`, parameters ignored.
    var hasJSONContent = false
    var contentCoding = ContentCoding.identity
    var contentLength: Int?
    var isChunked = false
    var acceptsGzip = false
    var expectsContinue = false
    private var hosts = 0
    private var contentTypes = 0
    private var contentCodings = 0
    private var saysClose = false
    /// What Accept-Encoding says of gzip, and of `*`; the field may come in several lines (RFC 9110 section 5.3).
    private var gzipAcceptance: Bool?
    private var anyAcceptance: Bool?

    init(method: UnsafeRawBufferPointer, target: UnsafeRawBufferPointer, isHTTP10: Bool) {
        if method.equals("POST") {
            self.method = .post
        } else if method.equals("GET") {
            self.method = .get
        } else if method.equals("HEAD") {
            self.method = .head
        } else {
            self.method = .other
        }
        self.target = Self.find(target)
        self.isHTTP10 = isHTTP10
        keepsAlive = !isHTTP10
    }

    var hasBody: Bool { isChunked || (contentLength ?? 0) > 0 }

    /// Notes one field; names the node has no use for are passed over. Lengths are compared first: most fields end there.
    @inline(__always)
    mutating func note(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(HTTPParseError) {
        switch name.count {
        case 4 where name.matches("host"): hosts += 1
        case 6 where name.matches("expect"): expectsContinue = value.matches("100-continue")
        case 10 where name.matches("connection"): noteConnection(value)
        case 12 where name.matches("content-type"):
            hasJSONContent = Self.isJSON(value)
            contentTypes += 1
        case 14 where name.matches("content-length"): try noteLength(value)
        case 15 where name.matches("accept-encoding"): noteAcceptedCodings(value)
        case 16 where name.matches("content-encoding"):
            contentCoding = Self.contentCoding(value)
            contentCodings += 1
        case 17 where name.matches("transfer-encoding"): try noteTransferCoding(value)
        default: break
        }
    }

    /// Checks and concludes what only the whole head can tell.
    mutating func finish() throws(HTTPParseError) {
        guard hosts == 1 || hosts == 0 && isHTTP10 else { throw .bad("exactly one Host field is required") }
        guard !(isChunked && contentLength != nil) else { throw .bad("both Content-Length and Transfer-Encoding") }
        guard contentTypes <= 1, contentCodings <= 1 else {
            throw .bad("Content-Type or Content-Encoding is given twice")
        }
        acceptsGzip = gzipAcceptance ?? anyAcceptance ?? false
        if saysClose { keepsAlive = false }
        guard !(isChunked && isHTTP10) else { throw .bad("Transfer-Encoding in HTTP/1.0") }
    }

    private mutating func noteLength(_ value: UnsafeRawBufferPointer) throws(HTTPParseError) {
        guard contentLength == nil else { throw .bad("Content-Length is given twice") }
        // 18 digits stay below 2^63.
        guard (1...18).contains(value.count) else { throw .bad("Content-Length is no number") }
        var length = 0
        for byte in value {
            guard byte &- UInt8(ascii: "0") < 10 else { throw .bad("Content-Length is no number") }
            length = length * 10 + Int(byte &- UInt8(ascii: "0"))
        }
        contentLength = length
    }

    private mutating func noteTransferCoding(_ value: UnsafeRawBufferPointer) throws(HTTPParseError) {
        guard !isChunked, value.matches("chunked") else {
            throw HTTPParseError(status: .notImplemented, reason: "Transfer-Encoding must be chunked, once")
        }
        isChunked = true
    }

    private mutating func noteConnection(_ value: UnsafeRawBufferPointer) {
        ListItems.forEach(in: value) { item in
            if item.matches("close") {
                saysClose = true
            } else if isHTTP10 && item.matches("keep-alive") {
                keepsAlive = true
            }
        }
    }

    private static func find(_ target: UnsafeRawBufferPointer) -> Target {
        var path = target
        if path.count >= 7 && path.prefix(7).matches("http://") {
            // RFC 9112 section 3.2.2: a server accepts the absolute form.
            // The authority ends at the path, the query or the end (RFC 3986 section 3.2).
            let end = path.dropFirst(7).firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }
            guard let end, path[end] == UInt8(ascii: "/") else { return .root }
            path = UnsafeRawBufferPointer(rebasing: path[end...])
        }
        if let question = path.firstIndex(of: UInt8(ascii: "?")) {
            path = UnsafeRawBufferPointer(rebasing: path[..<question])
        }
        switch path.count {
        case 4 where path.equals("/rpc"): return .rpc
        case 1 where path.equals("/"): return .root
        case 5 where path.equals("/peer"): return .peer
        case 7 where path.equals("/readyz"): return .readyz
        case 8 where path.equals("/healthz"): return .healthz
        case 8 where path.equals("/metrics"): return .metrics
        case 13 where path.equals("/openrpc.json"): return .openRPC
        default: return .unknown
        }
    }

    private static func isJSON(_ value: UnsafeRawBufferPointer) -> Bool {
        let end = value.firstIndex { $0 == UInt8(ascii: ";") || $0 == 0x20 || $0 == 0x09 } ?? value.count
        let type = UnsafeRawBufferPointer(rebasing: value[..<end])
        return type.matches("application/json") || type.matches("application/json-rpc")
    }

    private static func contentCoding(_ value: UnsafeRawBufferPointer) -> ContentCoding {
        if value.matches("gzip") || value.matches("x-gzip") { return .gzip }
        if value.matches(PeerText.contentCoding) { return .holes }
        return value.isEmpty || value.matches("identity") ? .identity : .unsupported
    }

    /// RFC 9110 section 12.5.3: gzip by name, or `*` where gzip is not named; a weight of 0 refuses.
    private mutating func noteAcceptedCodings(_ value: UnsafeRawBufferPointer) {
        ListItems.forEach(in: value) { item in
            let end = item.firstIndex(of: UInt8(ascii: ";")) ?? item.count
            let coding = UnsafeRawBufferPointer(rebasing: item[..<end]).trimmed
            let isWanted = !Self.hasZeroWeight(UnsafeRawBufferPointer(rebasing: item[end...]))
            if coding.matches("gzip") || coding.matches("x-gzip") { gzipAcceptance = isWanted }
            if coding.matches("*") { anyAcceptance = isWanted }
        }
    }

    /// Whether the parameters hold `q=0`, `q=0.` or `q=0.000`.
    private static func hasZeroWeight(_ parameters: UnsafeRawBufferPointer) -> Bool {
        guard let sign = parameters.firstIndex(of: UInt8(ascii: "=")), sign > 0,
            parameters[sign - 1] | 0x20 == UInt8(ascii: "q")
        else { return false }
        let weight = UnsafeRawBufferPointer(rebasing: parameters[(sign + 1)...]).trimmed
        return !weight.isEmpty && weight.allSatisfy { $0 == UInt8(ascii: "0") || $0 == UInt8(ascii: ".") }
    }
}

/// The items of a comma-separated field value.
private enum ListItems {
    static func forEach(in value: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        var start = 0
        while start <= value.count {
            let comma = value[start...].firstIndex(of: UInt8(ascii: ",")) ?? value.count
            let item = UnsafeRawBufferPointer(rebasing: value[start..<comma]).trimmed
            if !item.isEmpty { body(item) }
            start = comma + 1
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Equality, byte for byte.
    @inline(__always)
    func equals(_ other: StaticString) -> Bool {
        guard count == other.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != other.utf8Start[index] { return false }
        return true
    }

    /// Equality without regard to ASCII case; `other` is in lower case.
    @inline(__always)
    func matches(_ other: StaticString) -> Bool {
        guard count == other.utf8CodeUnitCount else { return false }
        for index in 0..<count {
            let byte = self[index]
            let lower = byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
            guard lower == other.utf8Start[index] else { return false }
        }
        return true
    }

    /// Without the spaces and tabs around it.
    var trimmed: UnsafeRawBufferPointer {
        var start = 0
        var end = count
        while start < end && (self[start] == 0x20 || self[start] == 0x09) { start += 1 }
        while end > start && (self[end - 1] == 0x20 || self[end - 1] == 0x09) { end -= 1 }
        return UnsafeRawBufferPointer(rebasing: self[start..<end])
    }
}

extension Slice<UnsafeRawBufferPointer> {
    fileprivate func matches(_ other: StaticString) -> Bool { UnsafeRawBufferPointer(rebasing: self).matches(other) }
}
