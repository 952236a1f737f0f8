// Response heads, written as bytes (an HTTPHeaders object costs more than the whole look-up of a value).

import JSONRPC
import NIOCore

#if canImport(Glibc)
    import Glibc
#endif

/// The status of a response.
enum ResponseStatus: Sendable {
    case ok, noContent, badRequest, notFound, methodNotAllowed, requestTimeout, contentTooLarge,
        unsupportedMediaType, headerTooLarge, unavailable

    var line: StaticString {
        switch self {
        case .ok: "HTTP/1.1 200 OK\r\n"
        case .noContent: "HTTP/1.1 204 No Content\r\n"
        case .badRequest: "HTTP/1.1 400 Bad Request\r\n"
        case .notFound: "HTTP/1.1 404 Not Found\r\n"
        case .methodNotAllowed: "HTTP/1.1 405 Method Not Allowed\r\n"
        case .requestTimeout: "HTTP/1.1 408 Request Timeout\r\n"
        case .contentTooLarge: "HTTP/1.1 413 Content Too Large\r\n"
        case .unsupportedMediaType: "HTTP/1.1 415 Unsupported Media Type\r\n"
        case .headerTooLarge: "HTTP/1.1 431 Request Header Fields Too Large\r\n"
        case .unavailable: "HTTP/1.1 503 Service Unavailable\r\n"
        }
    }

    var code: Int {
        switch self {
        case .ok: 200
        case .noContent: 204
        case .badRequest: 400
        case .notFound: 404
        case .methodNotAllowed: 405
        case .requestTimeout: 408
        case .contentTooLarge: 413
        case .unsupportedMediaType: 415
        case .headerTooLarge: 431
        case .unavailable: 503
        }
    }
}

/// All that varies in a response head.
struct ResponseHead {
    var status = ResponseStatus.ok
    var contentType: StaticString = "application/json"
    /// `Allow` of a 405.
    var allow: StaticString?
    var keepsAlive = true
    /// The request was HTTP/1.0, where staying open must be said.
    var isHTTP10 = false
    var isGzip = false
    var variesByEncoding = false
}

/// Writes heads; keeps the Date text of the current second.
final class ResponseHeads {
    /// More than any head that `write` produces.
    static let maxBytes = 320

    private var scratch: [UInt8] = []
    private var date: [UInt8] = []
    private var dateSecond = -1

    /// The head's bytes, valid until the next call.
    func bytes(_ head: ResponseHead, contentLength: Int) -> [UInt8] {
        scratch.removeAll(keepingCapacity: true)
        scratch.append(head.status.line)
        if contentLength > 0 {
            scratch.append("Content-Type: ")
            scratch.append(head.contentType)
            scratch.append("\r\n")
        }
        if head.isGzip { scratch.append("Content-Encoding: gzip\r\n") }
        if head.variesByEncoding { scratch.append("Vary: Accept-Encoding\r\n") }
        if let allow = head.allow {
            scratch.append("Allow: ")
            scratch.append(allow)
            scratch.append("\r\n")
        }
        if case .unavailable = head.status { scratch.append("Retry-After: 1\r\n") }
        if !head.keepsAlive {
            scratch.append("Connection: close\r\n")
        } else if head.isHTTP10 {
            scratch.append("Connection: keep-alive\r\n")
        }
        appendDate()
        if case .noContent = head.status {
            scratch.append("\r\n")
        } else {
            scratch.append("Content-Length: ")
            scratch.append(decimal: Int64(contentLength))
            scratch.append("\r\n\r\n")
        }
        return scratch
    }

    /// RFC 9110 section 6.6.1: an origin server with a clock says when it answered.
    private func appendDate() {
        let second = Int(NodeClock.wallMilliseconds() / 1000)
        if second != dateSecond {
            dateSecond = second
            var time = time_t(second)
            var parts = tm()
            gmtime_r(&time, &parts)
            var text = [CChar](repeating: 0, count: 64)
            // The C locale: nobody calls setlocale.
            let count = strftime(&text, text.count, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts)
            date = text[..<count].map { UInt8(bitPattern: $0) }
        }
        scratch.append(contentsOf: date)
    }
}
