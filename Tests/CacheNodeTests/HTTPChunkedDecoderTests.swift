// Chunked bodies (RFC 9112 section 7.1): whole, in every split, cut off, and malformed.

import NIOCore
import Testing

@testable import CacheNode

/// What the decoder makes of some bytes.
enum ChunkedOutcome: Equatable, Sendable {
    case whole(body: String, bytesLeft: Int)
    case incomplete
    case refused(ResponseStatus)
    /// More was read, or less, than belongs to the body.
    case misread

    /// Decodes `pieces` one after another with one decoder.
    init(of pieces: [ArraySlice<UInt8>]) {
        var decoder = ChunkedDecoder()
        var input = ByteBuffer()
        var body = ByteBuffer()
        do throws(HTTPParseError) {
            for piece in pieces {
                input.writeBytes(piece)
                if try decoder.decode(&input, into: &body) {
                    // What comes later belongs to the next request.
                    var again = ByteBuffer(string: "5\r\n")
                    let isStillWhole = try decoder.decode(&again, into: &body)
                    self =
                        isStillWhole && again.readableBytes == 3
                        ? .whole(body: String(buffer: body), bytesLeft: input.readableBytes) : .misread
                    return
                }
                guard input.readableBytes == 0 else {
                    self = .misread
                    return
                }
            }
            self = .incomplete
        } catch {
            self = .refused(error.status)
        }
    }

    init(of text: String) {
        self.init(of: [Array(text.utf8)[...]])
    }

    init(byteAtATime text: String) {
        let bytes = Array(text.utf8)
        self.init(of: bytes.indices.map { bytes[$0...$0] })
    }
}

@Suite("Chunked request bodies")
struct HTTPChunkedDecoderTests {
    struct Accepted: Sendable, CustomTestStringConvertible {
        let text: String
        let body: String

        init(_ text: String, _ body: String) {
            self.text = text
            self.body = body
        }

        var testDescription: String { text.debugDescription }
    }

    static let accepted = [
        Accepted("0\r\n\r\n", ""),
        Accepted("00000000\r\n\r\n", ""),
        Accepted("5\r\nhello\r\n0\r\n\r\n", "hello"),
        Accepted("1\r\na\r\n02\r\nbc\r\n00000003\r\ndef\r\n0\r\n\r\n", "abcdef"),
        Accepted("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        Accepted("1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", "abcdefghijklmnopqrstuvwxyz"),
        // Data that looks like framing.
        Accepted("7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n\r\n"),
        // Extensions (section 7.1.1) and trailers (section 7.1.2) are passed over.
        Accepted("5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello"),
        Accepted("5;a=\"x;y\"\r\nhello\r\n0\r\n\r\n", "hello"),
        Accepted("5 ;a\r\nhello\r\n0\r\n\r\n", "hello"),
        Accepted("2\r\nhi\r\n0\r\nX: y\r\n\r\n", "hi"),
        Accepted("2\r\nhi\r\n0\r\nX: y\r\nContent-Length: 5\r\n\r\n", "hi"),
    ]

    @Test("A body is put together whole, byte by byte and in any two pieces", arguments: accepted)
    func accepts(chunked: Accepted) {
        let expected = ChunkedOutcome.whole(body: chunked.body, bytesLeft: 0)
        #expect(ChunkedOutcome(of: chunked.text) == expected)
        #expect(ChunkedOutcome(byteAtATime: chunked.text) == expected)
        let bytes = Array(chunked.text.utf8)
        for cut in 0...bytes.count {
            #expect(ChunkedOutcome(of: [bytes[..<cut], bytes[cut...]]) == expected, "cut at \(cut)")
        }
    }

    @Test("A body that is cut off anywhere is waited for, not refused", arguments: accepted)
    func truncated(chunked: Accepted) {
        let bytes = Array(chunked.text.utf8)
        for count in 0..<bytes.count {
            #expect(ChunkedOutcome(of: [bytes[..<count]]) == .incomplete, "after \(count) bytes")
        }
    }

    @Test("What follows the body is left for the next request", arguments: accepted)
    func leavesTheRest(chunked: Accepted) {
        #expect(ChunkedOutcome(of: chunked.text + "GET \n") == .whole(body: chunked.body, bytesLeft: 5))
    }

    @Test(
        "Framing that is none is refused, whole and byte by byte",
        arguments: [
            "\r\n", "\n", ";", " 5\r\n", "g\r\n", "-1\r\n", "+1\r\n", "0x5\r\n", "5.\r\n", "\"5\"\r\n", "\0", "5\n",
            "5\r5", "5\r\r\n",
            "5;a\n", "5;a\rb", "5 \n", "5\u{E9}", "G", "\u{0665}",
            // More or less data than announced.
            "5\r\nhello!\r\n", "5\r\nhell\r\n0\r\n\r\n", "5\r\nhello\n", "5\r\nhello0\r\n", "5\r\nhello\r0",
            "5\r\nhello\r\n\r\n",
            // Trailers.
            "0\r\n\n", "0\r\nX: y\n", "0\r\nX: y\rz", "0\r\n\rX", "0\r\nX: y\r\n\n", "0\n",
        ])
    func refuses(text: String) {
        #expect(ChunkedOutcome(of: text) == .refused(.badRequest))
        #expect(ChunkedOutcome(byteAtATime: text) == .refused(.badRequest))
    }

    @Test("A chunk size is at most eight digits, so that it can't overflow")
    func greatestSize() {
        #expect(ChunkedOutcome(of: "ffffffff\r\nabc") == .incomplete)
        #expect(ChunkedOutcome(of: "FFFFFFFF;x\r\n") == .incomplete)
        for text in ["100000000", "000000001", "fffffffff", "FFFFFFFFFFFFFFFF", "10000000000000005\r\nhello\r\n"] {
            #expect(ChunkedOutcome(of: text) == .refused(.contentTooLarge), "\(text)")
            #expect(ChunkedOutcome(byteAtATime: text) == .refused(.contentTooLarge), "\(text)")
        }
    }

    @Test("Extensions and trailers together are bounded")
    func overhead() {
        let limit = HTTPRequestParser.maxHeadBytes
        // Counted are the extension, the carriage return behind it and that of the last line.
        func withExtension(_ count: Int) -> String {
            "2;" + String(repeating: "x", count: count) + "\r\nhi\r\n0\r\n\r\n"
        }
        #expect(ChunkedOutcome(of: withExtension(limit - 2)) == .whole(body: "hi", bytesLeft: 0))
        #expect(ChunkedOutcome(of: withExtension(limit - 1)) == .refused(.headerTooLarge))
        let trailer = "0\r\nX: " + String(repeating: "y", count: limit)
        #expect(ChunkedOutcome(of: trailer) == .refused(.headerTooLarge))
        let many = String(repeating: "1;\(String(repeating: "x", count: 99))\r\na\r\n", count: limit / 100 + 1)
        #expect(ChunkedOutcome(of: many) == .refused(.headerTooLarge))
        #expect(ChunkedOutcome(of: "0\r\n" + String(repeating: "X:\r\n", count: limit)) == .refused(.headerTooLarge))
    }

    @Test("A chunk comes through unchanged whatever its bytes")
    func everyByte() throws {
        let data = (0..<3).flatMap { _ in UInt8.min...UInt8.max }
        var decoder = ChunkedDecoder()
        var body = ByteBuffer()
        var input = ByteBuffer(string: "300\r\n")
        input.writeBytes(data)
        input.writeString("\r\n0\r\n\r\n")
        #expect(try decoder.decode(&input, into: &body))
        #expect(Array(body.readableBytesView) == data)
    }

    @Test(
        "Neither an extension without a semicolon nor a trailer that is no field is passed over",
        arguments: [
            "5 5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "5\tx\r\nhello\r\n0\r\n\r\n",
            "0 HTTP/1.1\r\nHost: a\r\n\r\n",
            "5;\u{7F}\r\nhello\r\n0\r\n\r\n", "0\r\n: y\r\n\r\n", "5;\0\r\nhello\r\n0\r\n\r\n", "0\r\n :,,\r\n\r\n",
            "0\r\nX\r\n\r\n", "0\r\nX : y\r\n\r\n",
            "0\r\nX: \0\r\n\r\n", "0\r\n5\r\nhello\r\n0\r\n\r\n",
        ])
    func strictOverhead(text: String) {
        #expect(ChunkedOutcome(of: text) == .refused(.badRequest))
        #expect(ChunkedOutcome(byteAtATime: text) == .refused(.badRequest))
    }
}
