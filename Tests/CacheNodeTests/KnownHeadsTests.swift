// Heads that are recognised by comparison: never anything but what the parser says of the same bytes.

import TestSupport
import Testing

@testable import CacheNode

@Suite("Known request heads")
struct KnownHeadsTests {
    private static func head(_ length: String, before: String = "", after: String = "") -> [UInt8] {
        Array("POST /rpc HTTP/1.1\r\nHost: a\r\n\(before)Content-Length: \(length)\(after)\r\nX: 1\r\n\r\n".utf8)
    }

    private static func read(_ bytes: [UInt8]) -> ReadHead? {
        bytes.withUnsafeBytes { bytes in
            var scanned = 0
            do throws(HTTPParseError) {
                return try HTTPRequestParser.parseHead(bytes, scanned: &scanned)
            } catch {
                return nil
            }
        }
    }

    @discardableResult
    private static func remember(_ bytes: [UInt8], in known: KnownHeads) throws -> Int {
        let read = try #require(Self.read(bytes))
        return bytes.withUnsafeBytes { bytes in
            known.remember(
                UnsafeRawBufferPointer(rebasing: bytes[..<read.headBytes]), read.facts, lengthDigits: read.lengthDigits)
        }
    }

    private static func match(_ bytes: some Sequence<UInt8>, in known: KnownHeads) -> ReadHead? {
        var hint = 0
        return Array(bytes).withUnsafeBytes { bytes in
            known.match(bytes, hint: &hint).map { ReadHead(facts: $0.facts, headBytes: $0.headBytes) }
        }
    }

    @Test("Whatever is recognised is what the parser reads from the same bytes", arguments: UInt64(1)...10)
    func agreesWithParser(seed: UInt64) throws {
        print("known heads, seed \(seed)")
        var corpus = HTTPRequestCorpus(seed: seed)
        var random = SeededRandom(seed: seed)
        let known = KnownHeads()
        var earlier: [[UInt8]] = []
        var recognised = 0
        for number in 0..<2000 {
            var bytes = corpus.next()
            if let old = earlier.randomElement(using: &random), number % 2 == 0 { bytes = old }
            if number % 6 == 0, let place = bytes.indices.randomElement(using: &random) {
                bytes[place] = UInt8.random(in: 0x30...0x3A, using: &random)
            }
            let read = Self.read(bytes)
            if let found = Self.match(bytes, in: known) {
                recognised += 1
                #expect(
                    found.facts == read?.facts && found.headBytes == read?.headBytes, "seed \(seed), number \(number)")
            } else if read != nil {
                try Self.remember(bytes, in: known)
                earlier.append(bytes)
                if earlier.count > KnownHeads.capacity / 2 { earlier.removeFirst() }
            }
        }
        #expect(recognised > 500)
    }

    @Test(
        "Another length is read from a known head's place for it",
        arguments: [0, 1, 9, 10, 12_345, 999_999_999_999_999_999])
    func lengths(length: Int) throws {
        let known = KnownHeads()
        try Self.remember(Self.head("97", after: " \t"), in: known)
        let bytes = Self.head("\(length)", after: " \t")
        let found = try #require(Self.match(bytes + Array("body".utf8), in: known))
        #expect(found.facts == Self.read(bytes)?.facts)
        #expect(found.facts.contentLength == length)
        #expect(found.headBytes == bytes.count)
    }

    @Test(
        "What is no plain length is left to the parser",
        arguments: ["", "x", "-1", "+1", "1 1", "0x1", "1000000000000000000", "9223372036854775808"])
    func noLengths(length: String) throws {
        let known = KnownHeads()
        try Self.remember(Self.head("97"), in: known)
        #expect(Self.match(Self.head(length), in: known) == nil)
    }

    @Test("A second length before or behind the known one is not passed over")
    func secondLength() throws {
        let known = KnownHeads()
        try Self.remember(Self.head("97"), in: known)
        #expect(Self.match(Self.head("5", before: "Content-Length: 5\r\n"), in: known) == nil)
        #expect(Self.match(Self.head("5", after: "\r\nContent-Length: 5"), in: known) == nil)
        #expect(Self.match(Self.head("5", after: "\r\nTransfer-Encoding: chunked"), in: known) == nil)
    }

    @Test("A known head is recognised with its last byte, not before")
    func truncated() throws {
        let known = KnownHeads()
        let plain = Array("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        for bytes in [Self.head("97"), plain] {
            try Self.remember(bytes, in: known)
            for count in 0..<bytes.count {
                #expect(Self.match(bytes[..<count], in: known) == nil, "after \(count) bytes")
            }
            #expect(Self.match(bytes, in: known)?.headBytes == bytes.count)
        }
    }

    @Test("The newest heads are kept, one beyond the capacity forgets the oldest, and a long one is not kept")
    func capacity() throws {
        let known = KnownHeads()
        func head(_ number: Int) -> [UInt8] { Self.head("1", before: "X-Number: \(number)\r\n") }
        for number in 0...KnownHeads.capacity { try Self.remember(head(number), in: known) }
        #expect(Self.match(head(0), in: known) == nil)
        for number in 1...KnownHeads.capacity { #expect(Self.match(head(number), in: known) != nil) }
        func padded(_ count: Int) -> [UInt8] {
            let bare = Self.head("1", before: "X-Pad: \r\n").count - 1
            return Self.head("1", before: "X-Pad: \(String(repeating: "p", count: count - bare))\r\n")
        }
        try Self.remember(padded(KnownHeads.maxBytes), in: known)
        try Self.remember(padded(KnownHeads.maxBytes + 1), in: known)
        #expect(Self.match(padded(KnownHeads.maxBytes), in: known) != nil)
        #expect(Self.match(padded(KnownHeads.maxBytes + 1), in: known) == nil)
    }
}
