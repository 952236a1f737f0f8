// Accepted spellings of each kind of value, and the two algorithms behind addresses and suggestions.

import TestSupport
import Testing

@testable import Configuration

@Suite("Values")
struct ValueTests {
    @Test("booleans take eight words in any case")
    func booleans() throws {
        for (word, expected) in [
            ("True", true), ("true", true), ("YES", true), ("on", true), ("1", true),
            ("False", false), ("FALSE", false), ("no", false), ("Off", false), ("0", false),
        ] {
            #expect(try load("[local]\nreconstruct = \(word)").configuration.local.reconstruct == expected)
        }
    }

    @Test("sizes take B, KiB, MiB and GiB in any case, and plain bytes")
    func sizes() throws {
        for (text, expected) in [
            ("4096", 4096), ("4096B", 4096), ("64KiB", 65536), ("64 KiB", 65536), ("1mib", 1 << 20), ("1 GiB", 1 << 30),
            ("0", 0), ("007", 7),
        ] {
            #expect(try load("[compression]\nthreshold = \(text)").configuration.compression.thresholdBytes == expected)
            #expect(try ByteSize.parse(ByteSize.text(expected), in: 0...1 << 40) == expected)
        }
    }

    @Test("port 0, an empty list and a comma at the end of a list are fine")
    func edges() throws {
        #expect(try load("[local]\nnode_port = 0").configuration.local.port == 0)
        #expect(try load("[network]\npeer =").configuration.network.peers == [])
        #expect(try load("[network]\npeers = a:1,\n").configuration.network.peers.map(\.description) == ["a:1"])
    }

    @Test("a log destination is a word or a path")
    func destinations() throws {
        #expect(try load("[log]\ndestination = stderr").configuration.log.destination == .standardError)
        #expect(
            try load("[log]\ndestination = /var/log/n.json").configuration.log.destination
                == .file(path: "/var/log/n.json"))
    }

    @Test("etcd endpoints may be URLs")
    func etcd() throws {
        let network = try load("[network]\ntopology = etcd\netcd_endpoints = http://e1:2379/, e2:2379").configuration
            .network
        #expect(network.etcdEndpoints.map(\.description) == ["e1:2379", "e2:2379"])
    }

    @Test(
        "endpoints take IPv4, IPv6 in brackets and names",
        arguments: [
            ("127.0.0.1:1", "127.0.0.1:1"), ("[::1]:65535", "[::1]:65535"), ("[FE80::1%eth0]:80", "[fe80::1%eth0]:80"),
            ("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80"), ("Node-1.example:8001", "node-1.example:8001"),
            ("cache_1:8001", "cache_1:8001"), ("[1:2:3:4:5:6:7:8]:1", "[1:2:3:4:5:6:7:8]:1"), ("[::]:1", "[::]:1"),
            ("[1::]:1", "[1::]:1"), ("4you:1", "4you:1"),
        ])
    func endpoints(text: String, expected: String) throws {
        #expect(try Endpoint(parsing: text).description == expected)
    }

    @Test(
        "wrong hosts are refused",
        arguments: [
            "", "256.0.0.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1..2.3", "a..b", "-a", "a-", "a b", "é.example", "[::1",
            "[]",
            "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", ":::", "1::2::3", "12345::", "::g", "::1.2.3", "::1.2.3.4:5",
            "1.2.3.4::", "fe80::1%", "user@host", "host/path", "1:", ":1", "1:2:3:4:5:6:7::8:",
        ])
    func wrongHosts(text: String) {
        #expect(throws: ValueProblem.self) { try Host(parsing: text) }
    }

    @Test("labels are at most 63 bytes and names 253")
    func nameLengths() throws {
        let label = String(repeating: "a", count: 63)
        #expect(try Host(parsing: label).form == .name)
        #expect(throws: ValueProblem.self) { try Host(parsing: label + "a") }
        #expect(throws: ValueProblem.self) { try Host(parsing: "\(label).\(label).\(label).\(label)") }
    }

    @Test("the edit distance equals the recursive definition")
    func editDistances() {
        var random = SeededRandom(seed: 7)
        for _ in 0..<300 {
            let words = (0..<2).map { _ in
                String(
                    (0..<Int.random(in: 0...5, using: &random)).map { _ in "abc".randomElement(using: &random) ?? "a" })
            }
            #expect(editDistance(words[0], words[1]) == slowDistance(Array(words[0]), Array(words[1])), "\(words)")
        }
        #expect(editDistance("node_prot", "node_port") == 1)
    }

    /// Optimal string alignment by its definition; exponential.
    private func slowDistance(_ a: [Character], _ b: [Character]) -> Int {
        guard let lastA = a.last else { return b.count }
        guard let lastB = b.last else { return a.count }
        var best = min(
            slowDistance(a.dropLast(), b) + 1, slowDistance(a, b.dropLast()) + 1,
            slowDistance(a.dropLast(), b.dropLast()) + (lastA == lastB ? 0 : 1))
        if a.count > 1, b.count > 1, lastA == b[b.count - 2], lastB == a[a.count - 2] {
            best = min(best, slowDistance(a.dropLast(2), b.dropLast(2)) + 1)
        }
        return best
    }

    private func slowDistance(_ a: ArraySlice<Character>, _ b: [Character]) -> Int { slowDistance(Array(a), b) }
    private func slowDistance(_ a: [Character], _ b: ArraySlice<Character>) -> Int { slowDistance(a, Array(b)) }
    private func slowDistance(_ a: ArraySlice<Character>, _ b: ArraySlice<Character>) -> Int {
        slowDistance(Array(a), Array(b))
    }
}
