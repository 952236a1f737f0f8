// Response heads as an HTTP client reads them, and the fast path against the slow one.

import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import CacheNode

@Suite("HTTP response heads")
struct HTTPResponseHeadTests {
    private static let statuses: [ResponseStatus] = [
        .ok, .noContent, .badRequest, .notFound, .methodNotAllowed, .requestTimeout, .contentTooLarge,
        .unsupportedMediaType, .headerTooLarge, .notImplemented, .unavailable, .versionNotSupported,
    ]

    /// Every combination of what varies in a head.
    private static let heads: [ResponseHead] = statuses.flatMap { status in
        (0..<64).map { flags in
            ResponseHead(
                status: status, content: flags & 1 == 0 ? .json : .metrics,
                allow: flags & 2 == 0 ? nil : "GET, HEAD, POST", keepsAlive: flags & 4 == 0, isHTTP10: flags & 8 != 0,
                isGzip: flags & 16 != 0, variesByEncoding: flags & 32 != 0)
        }
    }

    /// A response as NIOHTTP1's decoder reads it; nil when it is not whole.
    private func read(_ bytes: ByteBuffer) throws -> (head: HTTPResponseHead, body: [UInt8])? {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandlers([
            HTTPRequestEncoder(), ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes)),
        ])
        // The decoder must know what was asked.
        channel.write(
            HTTPClientRequestPart.head(HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")), promise: nil)
        channel.write(HTTPClientRequestPart.end(nil), promise: nil)
        channel.flush()
        try channel.writeInbound(bytes)
        guard case .head(let head)? = try channel.readInbound(as: HTTPClientResponsePart.self) else { return nil }
        var body: [UInt8] = []
        while let part = try channel.readInbound(as: HTTPClientResponsePart.self) {
            switch part {
            case .head: Issue.record("a second head")
            case .body(let bytes): body += bytes.readableBytesView
            case .end:
                _ = try channel.finish(acceptAlreadyClosed: true)
                return (head, body)
            }
        }
        return nil
    }

    @Test("Every head is read back as it was meant", arguments: [0, 1, 64])
    func readBack(length: Int) throws {
        let heads = ResponseHeads()
        for head in Self.heads {
            let isEmpty = head.status == .noContent
            guard length == 0 || !isEmpty else { continue }
            let sent = [UInt8](repeating: 0x78, count: length)
            var bytes = ByteBuffer()
            heads.write(head, contentLength: length, now: 0, to: &bytes)
            #expect(bytes.readableBytes <= ResponseHeads.maxBytes)
            bytes.writeBytes(sent)
            let (read, body) = try #require(try read(bytes), "\(head)")
            #expect(body == sent)
            #expect(read.version == .http1_1)
            #expect(read.status.code == UInt(head.status.code))
            #expect(read.isKeepAlive == head.keepsAlive)
            let type =
                switch head.content {
                case .json: "application/json"
                case .metrics: "text/plain; version=0.0.4; charset=utf-8"
                }
            #expect(read.headers["Content-Type"] == (length > 0 ? [type] : []))
            #expect(read.headers["Content-Length"] == (isEmpty ? [] : ["\(length)"]))
            #expect(read.headers["Content-Encoding"] == (head.isGzip ? ["gzip"] : []))
            #expect(read.headers["Vary"] == (head.variesByEncoding ? ["Accept-Encoding"] : []))
            #expect(read.headers["Allow"] == (head.allow.map { ["\($0)"] } ?? []))
            #expect(read.headers["Retry-After"] == (head.status == .unavailable ? ["1"] : []))
            #expect(
                read.headers["Connection"] == (!head.keepsAlive ? ["close"] : head.isHTTP10 ? ["keep-alive"] : []))
            #expect(read.headers["Date"].count == 1)
            #expect(read.headers["Transfer-Encoding"].isEmpty)
        }
    }

    @Test("The longest head there can be fits the room kept for it")
    func longest() {
        let heads = ResponseHeads()
        for head in Self.heads {
            var bytes = ByteBuffer()
            heads.write(head, contentLength: .max, now: 0, to: &bytes)
            #expect(bytes.readableBytes <= ResponseHeads.maxBytes, "\(head)")
        }
    }

    @Test("A head in front of a body is the same text, for the usual reply as for all others")
    func endingAt() {
        let heads = ResponseHeads()
        let lengths = [0, 1, 9, 10, 99, 100, 99_999, 100_000, 999_999_999, 1_000_000_000, .max]
        let room = ReplyBuffer.headRoomBytes
        for head in Self.heads {
            for length in lengths {
                // `now` does not pass, so that both carry one date.
                var appended = ByteBuffer()
                heads.write(head, contentLength: length, now: 0, to: &appended)
                var ended = ByteBuffer(repeating: 0xEE, count: room)
                ended.writeString("body")
                heads.write(head, contentLength: length, now: 0, endingAt: room, in: &ended)
                #expect(ended.readString(length: ended.readableBytes) == String(buffer: appended) + "body")
            }
        }
    }

    @Test("The usual head is this one, to the byte")
    func usual() throws {
        var bytes = ByteBuffer(repeating: 0, count: ReplyBuffer.headRoomBytes)
        ResponseHeads().write(
            ResponseHead(), contentLength: 207, now: 0, endingAt: ReplyBuffer.headRoomBytes, in: &bytes)
        let head = String(buffer: bytes)
        // RFC 9110 section 5.6.7: IMF-fixdate.
        let date = try #require(
            head.firstMatch(
                of: /Date: ((Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d GMT)\r\n/))
        #expect(
            head == "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\(date.output.0)Content-Length: 207\r\n\r\n")
    }
}
