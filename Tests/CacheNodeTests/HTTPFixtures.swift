// What the HTTP tests share: a head's outcome as a value, and a reader that puts heads and bodies together as the
// connection does, without a connection.

import NIOCore

@testable import CacheNode

/// The public facts of a head, with the values of the plainest request as defaults.
struct HeadFacts: Equatable, Sendable {
    var method = RequestFacts.Method.get
    var target = RequestFacts.Target.healthz
    var isHTTP10 = false
    var keepsAlive = true
    var hasJSONContent = false
    var contentCoding = RequestFacts.ContentCoding.identity
    var contentLength: Int?
    var isChunked = false
    var acceptsGzip = false
    var expectsContinue = false

    init(_ change: (inout HeadFacts) -> Void = { _ in }) {
        change(&self)
    }

    init(_ facts: RequestFacts) {
        method = facts.method
        target = facts.target
        isHTTP10 = facts.isHTTP10
        keepsAlive = facts.keepsAlive
        hasJSONContent = facts.hasJSONContent
        contentCoding = facts.contentCoding
        contentLength = facts.contentLength
        isChunked = facts.isChunked
        acceptsGzip = facts.acceptsGzip
        expectsContinue = facts.expectsContinue
    }
}

/// What the parser makes of some bytes.
enum HeadOutcome: Equatable, Sendable {
    case accepted(HeadFacts, headBytes: Int)
    case refused(ResponseStatus)
    case incomplete

    /// Reads the first `count` bytes; the parser sees no byte behind them.
    init(of bytes: [UInt8], count: Int? = nil, scanned: inout Int) {
        self = bytes.withUnsafeBytes { bytes in
            do throws(HTTPParseError) {
                let visible = UnsafeRawBufferPointer(rebasing: bytes[..<(count ?? bytes.count)])
                guard let read = try HTTPRequestParser.parseHead(visible, scanned: &scanned) else {
                    return .incomplete
                }
                return .accepted(HeadFacts(read.facts), headBytes: read.headBytes)
            } catch {
                return .refused(error.status)
            }
        }
    }

    init(of bytes: [UInt8], count: Int? = nil) {
        var scanned = 0
        self.init(of: bytes, count: count, scanned: &scanned)
    }

    init(of text: String) {
        self.init(of: Array(text.utf8))
    }
}

/// Reads requests from bytes that come in pieces.
struct RequestReader {
    struct Request: Equatable {
        var facts: HeadFacts
        var body: [UInt8]
    }

    private enum State {
        case head
        case length(RequestFacts)
        case chunks(RequestFacts, ChunkedDecoder)
        case ended
    }

    private var state = State.head
    private var inbound = ByteBuffer()
    private var body = ByteBuffer()
    private var scanned = 0
    private(set) var requests: [Request] = []
    private(set) var refusal: HTTPParseError?

    mutating func feed(_ bytes: ArraySlice<UInt8>) {
        inbound.writeBytes(bytes)
        do throws(HTTPParseError) {
            while try step() {}
        } catch {
            refusal = error
            state = .ended
        }
    }

    private mutating func step() throws(HTTPParseError) -> Bool {
        switch state {
        case .head:
            var scanned = scanned
            let read = try inbound.readableBytesSpan.withUnsafeBytes { bytes throws(HTTPParseError) in
                try HTTPRequestParser.parseHead(bytes, scanned: &scanned)
            }
            self.scanned = scanned
            guard let read else { return false }
            inbound.moveReaderIndex(forwardBy: read.headBytes)
            let facts = read.facts
            state = facts.isChunked ? .chunks(facts, ChunkedDecoder()) : .length(facts)
        case .length(let facts):
            guard let slice = inbound.readSlice(length: facts.contentLength ?? 0) else { return false }
            finish(facts, slice)
        case .chunks(let facts, var decoder):
            let isWhole = try decoder.decode(&inbound, into: &body)
            state = .chunks(facts, decoder)
            guard isWhole else { return false }
            finish(facts, body)
            body.clear()
        case .ended:
            return false
        }
        return true
    }

    private mutating func finish(_ facts: RequestFacts, _ body: ByteBuffer) {
        requests.append(Request(facts: HeadFacts(facts), body: Array(body.readableBytesView)))
        state = facts.keepsAlive ? .head : .ended
    }
}
