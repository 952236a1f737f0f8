// Heads by hand: which are read, as what, and which are refused, with which status. RFC 9112 and 9110 for the sections.

import Testing

@testable import CacheNode

/// A head without its last empty line, and what it says.
struct AcceptedHead: Sendable, CustomTestStringConvertible {
    let lines: String
    let facts: HeadFacts

    init(_ lines: String, _ change: (inout HeadFacts) -> Void = { _ in }) {
        self.lines = lines
        facts = HeadFacts(change)
    }

    var bytes: [UInt8] { Array((lines + "\r\n\r\n").utf8) }
    var testDescription: String { lines.debugDescription }
}

@Suite("HTTP request heads")
struct HTTPRequestParserTests {
    static let plain = "GET /healthz HTTP/1.1\r\nHost: a"

    static let accepted: [AcceptedHead] = requestLines + bodies + connections + encodings

    private static let requestLines: [AcceptedHead] = [
        AcceptedHead(plain),
        AcceptedHead("GET / HTTP/1.1\r\nhOST:a") { $0.target = .root },
        AcceptedHead("HEAD /readyz HTTP/1.1\r\nHost: \t a \t ") { ($0.method, $0.target) = (.head, .readyz) },
        AcceptedHead("POST /rpc HTTP/1.1\r\nHost:") { ($0.method, $0.target) = (.post, .rpc) },
        AcceptedHead("get /metrics HTTP/1.1\r\nHost: a") { ($0.method, $0.target) = (.other, .metrics) },
        AcceptedHead("!#$%&'*+-.^_`|~09AZaz /openrpc.json HTTP/1.1\r\nHost: a") {
            ($0.method, $0.target) = (.other, .openRPC)
        },
        AcceptedHead("OPTIONS * HTTP/1.1\r\nHost: a") { ($0.method, $0.target) = (.other, .unknown) },
        AcceptedHead("CONNECT a:1 HTTP/1.1\r\nHost: a:1") { ($0.method, $0.target) = (.other, .unknown) },
        AcceptedHead("GET /RPC HTTP/1.1\r\nHost: a") { $0.target = .unknown },
        AcceptedHead("GET /rpc/ HTTP/1.1\r\nHost: a") { $0.target = .unknown },
        AcceptedHead("GET //rpc HTTP/1.1\r\nHost: a") { $0.target = .unknown },
        // The query is no part of the path (RFC 9110 section 4.1).
        AcceptedHead("GET /rpc?/metrics?x HTTP/1.1\r\nHost: a") { $0.target = .rpc },
        AcceptedHead("GET /? HTTP/1.1\r\nHost: a") { $0.target = .root },
        AcceptedHead("GET ?/rpc HTTP/1.1\r\nHost: a") { $0.target = .unknown },
        // The absolute form (RFC 9112 section 3.2.2).
        AcceptedHead("GET http://b:1/rpc?q HTTP/1.1\r\nHost: a") { $0.target = .rpc },
        AcceptedHead("GET HTTP://b/ HTTP/1.1\r\nHost: a") { $0.target = .root },
        AcceptedHead("GET http://b HTTP/1.1\r\nHost: a") { $0.target = .root },
        AcceptedHead("GET http://b/http://c/rpc HTTP/1.1\r\nHost: a") { $0.target = .unknown },
        AcceptedHead("GET https://b/rpc HTTP/1.1\r\nHost: a") { $0.target = .unknown },
        // Its authority ends at the query, too (RFC 3986 section 3.2).
        AcceptedHead("GET http://b?q=/rpc HTTP/1.1\r\nHost: a") { $0.target = .root },
        // A later minor version is read as ours (RFC 9110 section 2.5).
        AcceptedHead("GET /healthz HTTP/1.9\r\nHost: a"),
        AcceptedHead("GET /healthz HTTP/1.0") { ($0.isHTTP10, $0.keepsAlive) = (true, false) },
        AcceptedHead("GET /healthz HTTP/1.0\r\nHost: a") { ($0.isHTTP10, $0.keepsAlive) = (true, false) },
        // Empty lines in front (RFC 9112 section 2.2).
        AcceptedHead("\r\n" + plain), AcceptedHead("\r\n\r\n\r\n" + plain),
        // Names that look like those we read, and bytes above 0x7F in values.
        AcceptedHead(
            plain + "\r\nContent-Lengths: x\r\nX-Content-Length: 5\r\nHosts: b\r\nX:\r\nY: \u{E9}\r\n!: \"\t\""),
    ]

    private static let bodies: [AcceptedHead] = [
        AcceptedHead(plain + "\r\nContent-Length: 0") { $0.contentLength = 0 },
        AcceptedHead(plain + "\r\ncONTENT-lENGTH:007\t") { $0.contentLength = 7 },
        AcceptedHead(plain + "\r\nContent-Length: 999999999999999999") { $0.contentLength = 999_999_999_999_999_999 },
        AcceptedHead(plain + "\r\nTransfer-Encoding: chunked") { $0.isChunked = true },
        AcceptedHead(plain + "\r\nTRANSFER-ENCODING:\tChunKed ") { $0.isChunked = true },
        AcceptedHead(plain + "\r\nExpect: 100-Continue") { $0.expectsContinue = true },
        AcceptedHead(plain + "\r\nExpect: 200-ok"),
        AcceptedHead(plain + "\r\nContent-Type: application/json") { $0.hasJSONContent = true },
        AcceptedHead(plain + "\r\nContent-Type: Application/JSON-rpc") { $0.hasJSONContent = true },
        AcceptedHead(plain + "\r\nContent-Type: application/json;charset=utf-8") { $0.hasJSONContent = true },
        AcceptedHead(plain + "\r\nContent-Type: application/json \t; charset=utf-8") { $0.hasJSONContent = true },
        AcceptedHead(plain + "\r\nContent-Type: application/jsonp"), AcceptedHead(plain + "\r\nContent-Type:"),
        AcceptedHead(plain + "\r\nContent-Type: text/plain; application/json"),
        AcceptedHead(plain + "\r\nContent-Encoding: GZip") { $0.contentCoding = .gzip },
        AcceptedHead(plain + "\r\nContent-Encoding: x-gzip") { $0.contentCoding = .gzip },
        AcceptedHead(plain + "\r\nContent-Encoding: identity"), AcceptedHead(plain + "\r\nContent-Encoding:"),
        AcceptedHead(plain + "\r\nContent-Encoding: br") { $0.contentCoding = .unsupported },
        AcceptedHead(plain + "\r\nContent-Encoding: gzip, gzip") { $0.contentCoding = .unsupported },
    ]

    private static let connections: [AcceptedHead] = [
        AcceptedHead(plain + "\r\nConnection: close") { $0.keepsAlive = false },
        AcceptedHead(plain + "\r\nConnection: ,, x ,\tCLOSE ,upgrade") { $0.keepsAlive = false },
        AcceptedHead(plain + "\r\nConnection: close\r\nConnection: keep-alive") { $0.keepsAlive = false },
        AcceptedHead(plain + "\r\nConnection: keep-alive"), AcceptedHead(plain + "\r\nConnection: closed, not-close"),
        AcceptedHead(plain + "\r\nConnection:"), AcceptedHead(plain + "\r\nKeep-Alive: close"),
        // `close` wins wherever it stands (RFC 9112 section 9.3).
        AcceptedHead("GET /healthz HTTP/1.0\r\nConnection: close, keep-alive") {
            ($0.isHTTP10, $0.keepsAlive) = (true, false)
        },
        AcceptedHead("GET /healthz HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive") {
            ($0.isHTTP10, $0.keepsAlive) = (true, false)
        },
        AcceptedHead("GET /healthz HTTP/1.0\r\nConnection: x, Keep-Alive") { $0.isHTTP10 = true },
        AcceptedHead("GET /healthz HTTP/1.0\r\nConnection: keep-alive, close") {
            ($0.isHTTP10, $0.keepsAlive) = (true, false)
        },
    ]

    private static let encodings: [AcceptedHead] =
        [
            "gzip", "GZIP", "x-gzip", "deflate, gzip", "gzip;q=1", "gzip;q=0.001", "gzip ; q=0.5", "gzip;Q=1.000", "*",
            "*;q=0.1", "br;q=0, *", "identity;q=0,gzip", ",, ,gzip,", "gzip, *;q=0", "gzip;q=",
            "gzip\r\nAccept-Encoding: br", "br\r\nAccept-Encoding: *",
        ].map { value in AcceptedHead(plain + "\r\nAccept-Encoding: " + value) { $0.acceptsGzip = true } }
        + [
            "", "identity", "br", "gzipped", "gzip;q=0", "gzip; q=0.0", "gzip ;\tQ=0.000", "*;q=0", "gzip;q=0, *",
            "*, gzip;q=0",
            "br;q=1, *;q=0",
            // Fields of one name are one list (RFC 9110 section 5.3).
            "gzip;q=0\r\nAccept-Encoding: *", "*\r\nAccept-Encoding: gzip;q=0",
        ].map { value in AcceptedHead(plain + "\r\nAccept-Encoding: " + value) }

    @Test("A head is read as what it says, and nothing behind it is", arguments: accepted)
    func accepts(head: AcceptedHead) {
        let bytes = head.bytes
        let expected = HeadOutcome.accepted(head.facts, headBytes: bytes.count)
        #expect(HeadOutcome(of: bytes) == expected)
        #expect(HeadOutcome(of: bytes + Array("GET \n\0".utf8)) == expected)
        #expect(HeadOutcome(of: bytes + bytes) == expected)
    }

    @Test("A head that is cut off anywhere is waited for, not refused", arguments: accepted)
    func truncated(head: AcceptedHead) {
        let bytes = head.bytes
        for count in 0..<bytes.count {
            #expect(HeadOutcome(of: bytes, count: count) == .incomplete, "after \(count) bytes")
        }
    }

    @Test("A head that comes byte by byte is read with its last byte, and searched once", arguments: accepted)
    func byteAtATime(head: AcceptedHead) {
        let bytes = head.bytes
        var scanned = 0
        for count in 0..<bytes.count {
            #expect(HeadOutcome(of: bytes, count: count, scanned: &scanned) == .incomplete, "after \(count) bytes")
            #expect(scanned >= count - 3 && scanned <= max(count, 0), "after \(count) bytes")
        }
        let outcome = HeadOutcome(of: bytes, scanned: &scanned)
        #expect(outcome == .accepted(head.facts, headBytes: bytes.count))
        #expect(scanned == 0)
    }

    @Test("The search for a head's end goes on where it stopped")
    func scannedIsBelieved() {
        // The line feed at 5 is refused only by a search that looks at it.
        let bytes = Array("GET /\n\r\n HTTP".utf8)
        var scanned = 9
        #expect(HeadOutcome(of: bytes, scanned: &scanned) == .incomplete)
        scanned = 0
        #expect(HeadOutcome(of: bytes, scanned: &scanned) == .refused(.badRequest))
    }

    @Test("Every byte is allowed or refused as its place in the head has it")
    func everyByte() {
        let tokens = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
        for byte in UInt8.min...UInt8.max {
            func isAccepted(_ before: String, _ after: String) -> Bool {
                if case .accepted = HeadOutcome(of: Array(before.utf8) + [byte] + Array(after.utf8)) { return true }
                return false
            }
            let isVisible = byte > 0x20 && byte != 0x7F
            #expect(isAccepted("GE", "T / HTTP/1.1\r\nHost: a\r\n\r\n") == tokens.contains(byte), "method, \(byte)")
            // A colon ends the name, and what follows is a value.
            #expect(
                isAccepted("GET / HTTP/1.1\r\nHost: a\r\nX", "Y: z\r\n\r\n")
                    == (tokens.contains(byte) || byte == UInt8(ascii: ":")), "name, \(byte)")
            // Bytes above 0x7F are in no URI, yet sent by some; they may be refused or not.
            if byte < 0x80 {
                #expect(isAccepted("GET /a", "b HTTP/1.1\r\nHost: a\r\n\r\n") == isVisible, "target, \(byte)")
            }
            #expect(
                isAccepted("GET / HTTP/1.1\r\nHost: a\r\nX: y", "z\r\n\r\n")
                    == (isVisible || byte == 0x20 || byte == 0x09), "value, \(byte)")
        }
    }

    @Test("A head of the greatest length is read, and one byte more is refused")
    func longestHead() {
        let start = Self.plain + "\r\nX: "
        func head(_ length: Int) -> [UInt8] {
            Array((start + String(repeating: "x", count: length - start.utf8.count - 4) + "\r\n\r\n").utf8)
        }
        let longest = head(HTTPRequestParser.maxHeadBytes)
        #expect(HeadOutcome(of: longest) == .accepted(HeadFacts(), headBytes: longest.count))
        #expect(HeadOutcome(of: longest, count: longest.count - 1) == .incomplete)
        let tooLong = head(HTTPRequestParser.maxHeadBytes + 1)
        #expect(HeadOutcome(of: tooLong) == .refused(.headerTooLarge))
        // Before its end has come, too.
        #expect(HeadOutcome(of: tooLong, count: tooLong.count - 1) == .incomplete)
        #expect(HeadOutcome(of: tooLong.dropLast() + [0x78]) == .refused(.headerTooLarge))
    }

    @Test("Empty lines in front are bounded as a head is")
    func emptyLines() {
        let most = Array(String(repeating: "\r\n", count: HTTPRequestParser.maxHeadBytes / 2).utf8)
        #expect(HeadOutcome(of: most) == .incomplete)
        #expect(HeadOutcome(of: most + [0x0D]) == .refused(.headerTooLarge))
        #expect(HeadOutcome(of: most + most) == .refused(.headerTooLarge))
        // They count as part of the head, whether it comes whole or in pieces.
        let head = Array((Self.plain + "\r\n\r\n").utf8)
        let fitting = Array(String(repeating: "\r\n", count: (HTTPRequestParser.maxHeadBytes - head.count) / 2).utf8)
        #expect(HeadOutcome(of: fitting + head) == .accepted(HeadFacts(), headBytes: fitting.count + head.count))
        #expect(HeadOutcome(of: most + head) == .refused(.headerTooLarge))
        #expect(HeadOutcome(of: [0x0D, 0x0A] + fitting + head) == .refused(.headerTooLarge))
    }
}
