// Our parser beside NIOHTTP1's (llhttp): two parsers that read one stream differently are how requests are smuggled.
// Ours may refuse more; whatever it accepts the other must accept as the same request with the same body.

import NIOCore
import NIOEmbedded
import NIOHTTP1
import TestSupport
import Testing

@testable import CacheNode

@Suite("HTTP requests beside NIOHTTP1")
struct HTTPReferenceTests {
    /// What NIOHTTP1 makes of a stream.
    private struct Reference {
        var requests: [(head: HTTPRequestHead, body: [UInt8])] = []
        var error: HTTPParserError?

        init(reading pieces: [ArraySlice<UInt8>]) throws {
            let channel = EmbeddedChannel(
                handler: ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
            defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
            do {
                for piece in pieces { try channel.writeInbound(ByteBuffer(bytes: piece)) }
            } catch let failure as HTTPParserError {
                error = failure
            }
            var current: (head: HTTPRequestHead, body: [UInt8])?
            while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
                switch part {
                case .head(let head): current = (head, [])
                case .body(let bytes): current?.body += bytes.readableBytesView
                case .end:
                    if let current { requests.append(current) }
                    current = nil
                }
            }
        }
    }

    /// Why ours may refuse what NIOHTTP1 reads.
    private static let stricter: Set<String> = [
        // llhttp leaves Host to the server.
        "exactly one Host field is required",
        // Codings before chunked, which only a server that knows them can take off.
        "Transfer-Encoding must be chunked, once",
        // Forwarded by someone who does not know chunks (RFC 9112 section 6.1).
        "Transfer-Encoding in HTTP/1.0",
        "Content-Type or Content-Encoding is given twice",
        // Line feeds alone in front of the request line.
        "a line ends without a carriage return",
        "a character that is not allowed in the request line or a field name",
        // More than one space in the request line.
        "an empty name in the request head",
        "the request line does not end in a version",
    ]

    private static func method(_ method: HTTPMethod) -> RequestFacts.Method {
        switch method {
        case .GET: .get
        case .HEAD: .head
        case .POST: .post
        default: .other
        }
    }

    /// The target by way of strings: scheme and authority off, query off, the rest looked up.
    private static func target(_ uri: String) -> RequestFacts.Target {
        var path = uri[...]
        if path.lowercased().hasPrefix("http://") {
            path = path.dropFirst(7)
            path = path.drop { $0 != "/" && $0 != "?" }
            if !path.hasPrefix("/") { path = "/" + path }
        }
        switch path.prefix(while: { $0 != "?" }) {
        case "/rpc": return .rpc
        case "/": return .root
        case "/healthz": return .healthz
        case "/readyz": return .readyz
        case "/metrics": return .metrics
        case "/openrpc.json": return .openRPC
        default: return .unknown
        }
    }

    @Test(
        "What ours accepts the other reads as the same request with the same body", arguments: UInt64(1)...20)
    func same(seed: UInt64) throws {
        var corpus = HTTPRequestCorpus(seed: seed)
        var accepted = 0
        var refused = 0
        for number in 0..<1000 {
            let bytes = corpus.next()
            let pieces = corpus.pieces(of: bytes)
            var reader = RequestReader()
            for piece in pieces { reader.feed(piece) }
            let reference = try Reference(reading: pieces)
            let place: Comment =
                "seed \(seed), number \(number): \(String(decoding: bytes, as: UTF8.self).debugDescription)"
            for (index, ours) in reader.requests.enumerated() {
                guard index < reference.requests.count else {
                    let error = String(describing: reference.error)
                    #expect(Self.mayRefuse(ours, reference.error), "request \(index) is refused: \(error); \(place)")
                    break
                }
                let (head, body) = reference.requests[index]
                #expect(ours.facts.method == Self.method(head.method), place)
                #expect(ours.facts.target == Self.target(head.uri), place)
                // In HTTP/1.0 llhttp lets keep-alive win over close; RFC 9112 section 9.3 has it the other way.
                let hasBoth =
                    ours.facts.isHTTP10
                    && head.headers[canonicalForm: "Connection"].contains { $0.lowercased() == "close" }
                if !(hasBoth && !ours.facts.keepsAlive) { #expect(ours.facts.keepsAlive == head.isKeepAlive, place) }
                #expect(ours.facts.isHTTP10 == (head.version == .http1_0), place)
                #expect(ours.body == body, place)
                accepted += 1
            }
            guard reference.requests.count > reader.requests.count else { continue }
            if let refusal = reader.refusal {
                refused += 1
                #expect(Self.stricter.contains("\(refusal.reason)"), "\(refusal.reason); \(place)")
            } else if reader.requests.last?.facts.keepsAlive != false {
                Issue.record("NIOHTTP1 sees a whole request where ours waits for more; \(place)")
            }
        }
        print("HTTP corpus, seed \(seed): \(accepted) requests accepted by both, \(refused) by NIOHTTP1 alone")
        #expect(accepted > 500, "seed \(seed): the corpus is mostly refused and shows nothing")
    }

    /// Whether NIOHTTP1 may refuse what ours accepts. None of these moves the end of a request.
    private static func mayRefuse(_ ours: RequestReader.Request, _ error: HTTPParserError?) -> Bool {
        switch error {
        // Answered with 405.
        case .invalidMethod?: ours.facts.method == .other
        // Characters that no URI has; only the path is looked at.
        case .invalidURL?: true
        // A later minor version is read as 1.1.
        case .invalidVersion?: true
        // Visible characters in a chunk extension that no extension has.
        case .strictModeAssertion?: ours.facts.isChunked
        default: false
        }
    }
}
