// Bytes that are no HTTP at all: nothing may trap, run on for ever or depend on how the bytes were cut.

import NIOCore
import TestSupport
import Testing

@testable import CacheNode

@Suite("HTTP and hostile bytes")
struct HTTPHostileBytesTests {
    @Test("Noise is read, refused or waited for, the same however it is cut", arguments: UInt64(1)...10)
    func noise(seed: UInt64) {
        print("HTTP noise, seed \(seed)")
        var corpus = HTTPRequestCorpus(seed: seed)
        for number in 0..<1000 {
            let bytes = number % 2 == 0 ? corpus.noise() : corpus.next()
            var whole = RequestReader()
            whole.feed(bytes[...])
            var single = RequestReader()
            for index in bytes.indices { single.feed(bytes[index...index]) }
            var cut = RequestReader()
            for piece in corpus.pieces(of: bytes) { cut.feed(piece) }
            let place: Comment = "seed \(seed), number \(number)"
            #expect(single.requests == whole.requests && cut.requests == whole.requests, place)
            // A head that is refused for two reasons may be refused for either.
            #expect((single.refusal == nil) == (whole.refusal == nil), place)
            #expect((cut.refusal == nil) == (whole.refusal == nil), place)
        }
    }

    @Test("Noise in place of chunks ends the body, is refused or waited for", arguments: UInt64(1)...10)
    func chunks(seed: UInt64) {
        print("HTTP chunk noise, seed \(seed)")
        var corpus = HTTPRequestCorpus(seed: seed)
        for number in 0..<1000 {
            let bytes = Array("5\r\nhello\r\n".utf8) + corpus.noise()
            let whole = ChunkedOutcome(of: [bytes[...]])
            #expect(whole != .misread, "seed \(seed), number \(number)")
            if case .whole = whole { continue }
            #expect(ChunkedOutcome(of: corpus.pieces(of: bytes)) == whole, "seed \(seed), number \(number)")
        }
    }

    @Test("Fields of noise change no other field", arguments: UInt64(1)...10)
    func values(seed: UInt64) {
        print("HTTP field noise, seed \(seed)")
        var corpus = HTTPRequestCorpus(seed: seed)
        let names = [
            "Accept-Encoding", "Connection", "Content-Type", "Content-Encoding", "Expect", "Content-Length",
            "Transfer-Encoding", "X",
        ]
        for number in 0..<1000 {
            let name = names[number % names.count]
            let bytes =
                Array("POST /rpc HTTP/1.1\r\nHost: a\r\n\(name):".utf8)
                + corpus.noise().filter { $0 >= 0x20 && $0 != 0x7F } + Array("\r\n\r\n".utf8)
            let place: Comment = "seed \(seed), number \(number): \(name)"
            switch HeadOutcome(of: bytes) {
            case .accepted(var facts, let headBytes):
                #expect(headBytes == bytes.count, place)
                switch name {
                case "Accept-Encoding": facts.acceptsGzip = false
                case "Connection": facts.keepsAlive = true
                case "Content-Type": facts.hasJSONContent = false
                case "Content-Encoding": facts.contentCoding = .identity
                case "Expect": facts.expectsContinue = false
                case "Content-Length": facts.contentLength = nil
                case "Transfer-Encoding": facts.isChunked = false
                default: break
                }
                #expect(facts == HeadFacts { ($0.method, $0.target) = (.post, .rpc) }, place)
            case .refused:
                #expect(name == "Content-Length" || name == "Transfer-Encoding", place)
            case .incomplete:
                Issue.record("a whole head is waited for; \(place)")
            }
        }
    }
}
