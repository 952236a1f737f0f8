// Heads that are refused, each with its status; whole and byte by byte.

import Testing

@testable import CacheNode

/// A head without its last empty line, and how it is refused.
struct RefusedHead: Sendable, CustomTestStringConvertible {
    let lines: String
    let status: ResponseStatus

    init(_ lines: String, _ status: ResponseStatus = .badRequest) {
        self.lines = lines
        self.status = status
    }

    var bytes: [UInt8] { Array((lines + "\r\n\r\n").utf8) }
    var testDescription: String { lines.debugDescription }
}

@Suite("HTTP request heads that are refused")
struct HTTPRefusedHeadTests {
    private static let plain = HTTPRequestParserTests.plain

    static let refused: [RefusedHead] = requestLines + lines + bodies

    private static let requestLines: [RefusedHead] =
        [
            "GET /healthz", "GET", " ", "GET ", "GET  /healthz HTTP/1.1\r\nHost: a",
            " GET /healthz HTTP/1.1\r\nHost: a",
            "GET /healthz  HTTP/1.1\r\nHost: a", "GET /healthz HTTP/1.1 \r\nHost: a",
            "GET\t/healthz HTTP/1.1\r\nHost: a",
            "GET /healthz\tHTTP/1.1\r\nHost: a", "GET /heal thz HTTP/1.1\r\nHost: a", " / HTTP/1.1\r\nHost: a",
            "GET /healthz http/1.1\r\nHost: a", "GET /healthz Http/1.1\r\nHost: a", "GET /healthz HTTP/1\r\nHost: a",
            "GET /healthz HTTP/1.\r\nHost: a", "GET /healthz HTTP/1.10\r\nHost: a", "GET /healthz HTTP/11.1\r\nHost: a",
            "GET /healthz HTTP/1,1\r\nHost: a", "GET /healthz HTTP/x.1\r\nHost: a", "GET /healthz HTTP/1.x\r\nHost: a",
            "GET /healthz HTTPS/1.1\r\nHost: a", "GET /healthz HTTP/\r\nHost: a", "GET /healthz \r\nHost: a",
            "G(T /healthz HTTP/1.1\r\nHost: a", "G\u{E9}T /healthz HTTP/1.1\r\nHost: a",
            "GET /heal\u{7F}thz HTTP/1.1\r\nHost: a", "GET /heal\0thz HTTP/1.1\r\nHost: a",
        ].map { RefusedHead($0) }
        + [
            "GET /healthz HTTP/2.0\r\nHost: a", "GET /healthz HTTP/0.9\r\nHost: a", "PRI * HTTP/2.0",
            "GET /healthz HTTP/3.0\r\nHost: a", "GET /healthz HTTP/0.0",
        ].map { RefusedHead($0, .versionNotSupported) }

    private static let lines: [RefusedHead] =
        [
            // Bare line feeds and carriage returns (RFC 9112 section 2.2).
            "GET /healthz HTTP/1.1\nHost: a", plain + "\nX: y", plain + "\n", plain + "\rX: y", plain + "\r\nX: y\rz",
            plain + "\r\nX: y\r\r\nZ: z", "\n" + plain, "\r" + plain, "\r\n\n" + plain,
            "GET /healthz HTTP/1.1\rHost: a",
            "GET /healthz HTTP/1.1\r\r\nHost: a", plain + "\r",
            // Folded lines (section 5.2), space around names (section 5.1).
            plain + "\r\n b", plain + "\r\n\tb", plain + "\r\nX: y\r\n z", "GET /healthz HTTP/1.1\r\n Host: a",
            "GET /healthz HTTP/1.1\r\nHost : a", plain + "\r\nX : y", plain + "\r\nX\t: y",
            plain + "\r\nContent-Length : 5", plain + "\r\nTransfer-Encoding : chunked",
            // Names that are none.
            plain + "\r\nX", plain + "\r\n: y", plain + "\r\nX Y: z", plain + "\r\nX(: y", plain + "\r\nX\u{E9}: y",
            plain + "\r\nX\0: y", plain + "\r\n\"X\": y", plain + "\r\nX/Y: z", plain + "\r\nX@: y",
            // Control characters in values.
            plain + "\r\nX: y\0", plain + "\r\nX: \u{1}", plain + "\r\nX: \u{1F}y", plain + "\r\nX: \u{7F}",
            plain + "\r\nX: \u{0B}", plain + "\r\nContent-Length: 5\0",
            // Host (RFC 9112 section 3.2).
            "GET /healthz HTTP/1.1", "GET /healthz HTTP/1.9", plain + "\r\nHost: a", plain + "\r\nhost: b",
            "GET /healthz HTTP/1.0\r\nHost: a\r\nHost: a", "GET http://a/healthz HTTP/1.1",
        ].map { RefusedHead($0) }

    private static let bodies: [RefusedHead] =
        [
            "+5", "-5", "-0", "0x5", "5a", "a", "", " ", "5 5", "5,5", "5, 5", "5.0", "5;", "\"5\"", "1e3",
            "1000000000000000000", "9223372036854775808", "0000000000000000005", "\u{0665}",
        ].map { RefusedHead(plain + "\r\nContent-Length: " + $0) }
        + [
            plain + "\r\nContent-Length: 5\r\nContent-Length: 5", plain + "\r\nContent-Length: 5\r\nContent-Length: 6",
            plain + "\r\nContent-Length: 0\r\ncontent-length: 0",
            plain + "\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            plain + "\r\nTransfer-Encoding: chunked\r\nContent-Length: 0",
            "GET /healthz HTTP/1.0\r\nTransfer-Encoding: chunked",
            plain + "\r\nContent-Type: application/json\r\nContent-Type: text/plain",
            plain + "\r\nContent-Encoding: gzip\r\nContent-Encoding: identity",
        ].map { RefusedHead($0) }
        + [
            "gzip", "identity", "", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", "chunked;x",
            "xchunked",
            "\"chunked\"", "chunked chunked", "\u{E9}",
        ].map { RefusedHead(plain + "\r\nTransfer-Encoding: " + $0, .notImplemented) }
        + [
            RefusedHead(plain + "\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", .notImplemented),
            RefusedHead(plain + "\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked", .notImplemented),
            RefusedHead(plain + "\r\nContent-Length: 5\r\nTransfer-Encoding: identity", .notImplemented),
        ]

    @Test("A head that could be misread is refused with its status", arguments: refused)
    func refuses(head: RefusedHead) {
        #expect(HeadOutcome(of: head.bytes) == .refused(head.status))
        #expect(HeadOutcome(of: head.bytes + Array("5\r\nhello\r\n0\r\n\r\n".utf8)) == .refused(head.status))
    }

    @Test("Coming byte by byte it is refused with the same status", arguments: refused)
    func byteAtATime(head: RefusedHead) {
        let bytes = head.bytes
        var scanned = 0
        for count in 0...bytes.count {
            switch HeadOutcome(of: bytes, count: count, scanned: &scanned) {
            case .incomplete: continue
            case .accepted(let facts, let headBytes):
                Issue.record("accepted \(headBytes) bytes of it: \(facts)")
            case .refused(let status):
                #expect(status == head.status)
            }
            return
        }
        Issue.record("neither read nor refused")
    }

    @Test("A head without an end is refused once it is too long, and a line feed alone at once")
    func endless() {
        var bytes = Array("GET /healthz HTTP/1.1\r\nX: ".utf8)
        bytes += [UInt8](repeating: 0x78, count: HTTPRequestParser.maxHeadBytes - bytes.count)
        #expect(HeadOutcome(of: bytes) == .incomplete)
        #expect(HeadOutcome(of: bytes + [0x78]) == .refused(.headerTooLarge))
        #expect(HeadOutcome(of: Array("G\n".utf8)) == .refused(.badRequest))
    }
}
