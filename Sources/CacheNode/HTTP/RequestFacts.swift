// What the node needs to know of an HTTP request head, read from it once. RFC 9110 for the fields' meaning.

import NIOHTTP1

/// The plain facts of one request.
struct RequestFacts: Sendable {
    enum Method: Sendable { case get, head, post, other }

    enum Target: Sendable {
        case rpc
        /// `/`: JSON-RPC by POST.
        case root
        case healthz, readyz, metrics, openRPC
        case unknown
    }

    enum ContentCoding: Sendable { case identity, gzip, unsupported }

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
    var hosts = 0

    init(_ head: HTTPRequestHead) {
        switch head.method {
        case .GET: method = .get
        case .HEAD: method = .head
        case .POST: method = .post
        default: method = .other
        }
        target = Self.target(of: head.uri)
        isHTTP10 = head.version.major == 1 && head.version.minor == 0
        keepsAlive = head.isKeepAlive
        for (name, value) in head.headers {
            switch name.utf8.count {
            case 4 where name.matches("host"): hosts += 1
            case 6 where name.matches("expect"): expectsContinue = value.matches("100-continue")
            case 12 where name.matches("content-type"): hasJSONContent = Self.isJSON(value)
            case 14 where name.matches("content-length"): contentLength = Int(value)
            case 15 where name.matches("accept-encoding"): acceptsGzip = Self.acceptsGzip(value)
            case 16 where name.matches("content-encoding"): contentCoding = Self.contentCoding(value)
            case 17 where name.matches("transfer-encoding"): isChunked = true
            default: break
            }
        }
    }

    var hasBody: Bool { isChunked || (contentLength ?? 0) > 0 }

    private static func target(of uri: String) -> Target {
        var path = uri.utf8.prefix { $0 != UInt8(ascii: "?") }
        if path.prefix(7).elementsEqual("http://".utf8) {
            // RFC 9112 section 3.2.2: a server accepts the absolute form.
            path = path.dropFirst(7).drop { $0 != UInt8(ascii: "/") }
        }
        switch path.count {
        case 1 where path.elementsEqual("/".utf8): return .root
        case 4 where path.elementsEqual("/rpc".utf8): return .rpc
        case 7 where path.elementsEqual("/readyz".utf8): return .readyz
        case 8 where path.elementsEqual("/healthz".utf8): return .healthz
        case 8 where path.elementsEqual("/metrics".utf8): return .metrics
        case 13 where path.elementsEqual("/openrpc.json".utf8): return .openRPC
        default: return .unknown
        }
    }

    private static func isJSON(_ value: String) -> Bool {
        let type = value.utf8.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: " ") }
        return type.matches("application/json") || type.matches("application/json-rpc")
    }

    private static func contentCoding(_ value: String) -> ContentCoding {
        if value.matches("gzip") || value.matches("x-gzip") { return .gzip }
        return value.isEmpty || value.matches("identity") ? .identity : .unsupported
    }

    /// RFC 9110 section 12.5.3: gzip by name, or `*` where gzip is not named; a weight of 0 refuses.
    private static func acceptsGzip(_ value: String) -> Bool {
        var accepted: Bool?
        var acceptsAny = false
        for item in value.utf8.split(separator: UInt8(ascii: ",")) {
            var parts = item.split(separator: UInt8(ascii: ";")).makeIterator()
            guard let coding = parts.next()?.trimmed else { continue }
            var isRefused = false
            while let parameter = parts.next()?.trimmed {
                guard parameter.prefix(2).matches("q=") else { continue }
                isRefused = parameter.dropFirst(2).allSatisfy { $0 == UInt8(ascii: "0") || $0 == UInt8(ascii: ".") }
            }
            if coding.matches("gzip") || coding.matches("x-gzip") { accepted = !isRefused }
            if coding.matches("*") { acceptsAny = !isRefused }
        }
        return accepted ?? acceptsAny
    }
}

extension String {
    /// Equality without regard to ASCII case; `other` is in lower case.
    fileprivate func matches(_ other: StaticString) -> Bool { utf8.matches(other) }
}

extension Collection<UInt8> {
    /// Equality without regard to ASCII case; `other` is in lower case.
    fileprivate func matches(_ other: StaticString) -> Bool {
        guard count == other.utf8CodeUnitCount else { return false }
        var index = 0
        for byte in self {
            let lower = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
            guard lower == other.utf8Start[index] else { return false }
            index += 1
        }
        return true
    }

    /// Without the spaces and tabs around it.
    fileprivate var trimmed: [UInt8] {
        var result = Array(drop { $0 == 0x20 || $0 == 0x09 })
        while let last = result.last, last == 0x20 || last == 0x09 { result.removeLast() }
        return result
    }
}
