// Response heads, written as bytes (an HTTPHeaders object costs more than the whole look-up of a value).

import JSONRPC
import NIOCore

#if canImport(Glibc)
    import Glibc
#endif

/// The status of a response.
enum ResponseStatus: Sendable {
    case ok, noContent, badRequest, notFound, methodNotAllowed, requestTimeout, contentTooLarge,
        unsupportedMediaType, headerTooLarge, notImplemented, unavailable, versionNotSupported

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
        case .notImplemented: "HTTP/1.1 501 Not Implemented\r\n"
        case .versionNotSupported: "HTTP/1.1 505 HTTP Version Not Supported\r\n"
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
        case .notImplemented: 501
        case .unavailable: 503
        case .versionNotSupported: 505
        }
    }
}

/// All that varies in a response head.
struct ResponseHead {
    enum Content {
        case json
        /// Prometheus exposition format 0.0.4.
        case metrics

        var type: StaticString {
            switch self {
            case .json: "application/json"
            case .metrics: "text/plain; version=0.0.4; charset=utf-8"
            }
        }
    }

    var status = ResponseStatus.ok
    var content = Content.json
    /// `Allow` of a 405.
    var allow: StaticString?
    var keepsAlive = true
    /// The request was HTTP/1.0, where staying open must be said.
    var isHTTP10 = false
    var isGzip = false
    /// A peer's reply with compressed values beside the text (PeerText).
    var isHoled = false
    var variesByEncoding = false
}

/// Writes heads; keeps the text that is the same for all replies of a second.
final class ResponseHeads {
    /// More than any head that `write` produces.
    static let maxBytes = 320

    /// The head of the usual reply (200, JSON, staying open) up to the digits of its length.
    private var usual: [UInt8] = []
    private var date: [UInt8] = []
    private var expiresAt = Int64.min

    /// Writes a head at the end of `buffer`. `now` is monotonic milliseconds.
    func write(_ head: ResponseHead, contentLength: Int, now: Int64, to buffer: inout ByteBuffer) {
        buffer.writeBytes(bytes(head, contentLength: contentLength, now: now))
    }

    /// Writes a head into `buffer` so that it ends where the body begins, at index `end`, and moves the reader index to
    /// its first byte.
    @inline(__always)
    func write(_ head: ResponseHead, contentLength: Int, now: Int64, endingAt end: Int, in buffer: inout ByteBuffer) {
        refresh(now)
        guard head.isUsual, contentLength > 0, contentLength < 1_000_000_000 else {
            let bytes = bytes(head, contentLength: contentLength, now: now)
            buffer.setBytes(bytes, at: end - bytes.count)
            return buffer.moveReaderIndex(to: end - bytes.count)
        }
        var tail: InlineArray<13, UInt8> = .init(repeating: 0x0A)  // digits, CR LF CR LF
        tail[9] = 0x0D
        tail[11] = 0x0D
        var first = 9
        var rest = UInt32(truncatingIfNeeded: contentLength)
        while rest > 0 {
            first &-= 1
            tail[first] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        let start = end - usual.count - (13 - first)
        buffer.withVeryUnsafeMutableBytes { storage in
            var sink = FixedSink(UnsafeMutableRawBufferPointer(rebasing: storage[start..<end]))
            usual.withUnsafeBytes { sink.append(bytes: $0) }
            tail.span.withUnsafeBytes { sink.append(bytes: UnsafeRawBufferPointer(rebasing: $0[first...])) }
            assert(sink.count == end - start && !sink.overflowed, "the head ends where the body begins")
        }
        buffer.moveReaderIndex(to: start)
    }

    private func bytes(_ head: ResponseHead, contentLength: Int, now: Int64) -> [UInt8] {
        refresh(now)
        var text: [UInt8] = []
        text.reserveCapacity(Self.maxBytes)
        text.append(head.status.line)
        if contentLength > 0 {
            text.append("Content-Type: ")
            text.append(head.content.type)
            text.append("\r\n")
        }
        if head.isHoled {
            text.append("Content-Encoding: ")
            text.append(PeerText.contentCoding)
            text.append("\r\n")
        }
        if head.isGzip { text.append("Content-Encoding: gzip\r\n") }
        if head.variesByEncoding { text.append("Vary: Accept-Encoding\r\n") }
        if let allow = head.allow {
            text.append("Allow: ")
            text.append(allow)
            text.append("\r\n")
        }
        if case .unavailable = head.status { text.append("Retry-After: 1\r\n") }
        if !head.keepsAlive {
            text.append("Connection: close\r\n")
        } else if head.isHTTP10 {
            text.append("Connection: keep-alive\r\n")
        }
        text.append(contentsOf: date)
        if case .noContent = head.status {
            text.append("\r\n")
        } else {
            text.append("Content-Length: ")
            text.append(decimal: Int64(contentLength))
            text.append("\r\n\r\n")
        }
        return text
    }

    /// RFC 9110 section 6.6.1: an origin server with a clock says when it answered; to the second.
    @inline(__always)
    private func refresh(_ now: Int64) {
        if now >= expiresAt { renew(now) }
    }

    private func renew(_ now: Int64) {
        let wall = NodeClock.wallMilliseconds()
        expiresAt = now + 1000 - wall % 1000
        var time = time_t(wall / 1000)
        var parts = tm()
        gmtime_r(&time, &parts)
        var text = [CChar](repeating: 0, count: 64)
        // The C locale: nobody calls setlocale.
        let count = strftime(&text, text.count, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts)
        date = text[..<count].map { UInt8(bitPattern: $0) }
        usual.removeAll(keepingCapacity: true)
        usual.append(ResponseStatus.ok.line)
        usual.append("Content-Type: application/json\r\n")
        usual.append(contentsOf: date)
        usual.append("Content-Length: ")
    }
}

extension ResponseHead {
    /// The head of nearly every reply.
    fileprivate var isUsual: Bool {
        guard case .ok = status, case .json = content else { return false }
        return keepsAlive && !isHTTP10 && !isGzip && !isHoled && !variesByEncoding && allow == nil
    }
}
