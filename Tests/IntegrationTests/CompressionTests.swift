// Values kept as deflate blocks and replies spliced around them, judged by Python's gzip module and by curl.

import Foundation
import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct Compression {
        let node: NodeProcess
        let client: RPCClient
        private static let gzip = ["Accept-Encoding: gzip"]

        init() throws {
            node = try NodeProcess.start()
            client = try node.client()
        }

        /// A JSON string of `count` bytes of words that deflate well, different for each seed.
        private func words(_ count: Int, seed: UInt64) -> String {
            var random = SeededRandom(seed: seed)
            let vocabulary = ["owner", "replica", "é", "\\u00e9", "\\n", "epoch", "😀", "slot", " ", "0.1000"]
            var text = ""
            while text.utf8.count < count { text += vocabulary.randomElement(using: &random) ?? "" }
            return "\"\(text)\""
        }

        /// Posts `body` as a client that accepts gzip; the decoded text, and whether it came as gzip.
        private func decoded(_ body: String) throws -> (text: String, wasGzip: Bool, wireBytes: Int) {
            let response = try client.post(body, headers: Self.gzip)
            #expect(response.status == 200)
            guard response.header("Content-Encoding") == "gzip" else {
                return (response.text, false, response.body.count)
            }
            #expect(response.header("Vary")?.lowercased().contains("accept-encoding") == true)
            return (String(decoding: try Python.gunzip(response.body), as: UTF8.self), true, response.body.count)
        }

        @Test(arguments: [1100, 5000, 32768, 65535, 65536, 65537, 300_000])
        func `a compressed value reaches a gzip client whole`(count: Int) throws {
            let value = words(count, seed: UInt64(count))
            try client.put("k", value)
            let body = RPCClient.request("cache.get", "[\"k\"]", id: "\"\\u00e9\"")
            let spliced = try decoded(body)
            let plain = try client.post(body)
            #expect(plain.header("Content-Encoding") == nil)
            #expect(spliced.wasGzip)
            #expect(spliced.text == plain.text)
            #expect(try RawJSON(spliced.text)["result"]?["value"]?.text == value)
            #expect(spliced.wireBytes < count)
        }

        @Test func `a value stored compressed takes less room than its text`() throws {
            let value = words(20000, seed: 3)
            try client.put("k", value)
            let reply = try client.get("k", "\"fields\":[\"bytes\",\"storedBytes\"]")
            #expect(reply["bytes"]?.integer == value.utf8.count)
            #expect(try #require(reply["storedBytes"]?.integer) < value.utf8.count * 9 / 10)
        }

        @Test func `compress never keeps the text and always goes below the threshold`() throws {
            let value = "\"" + String(repeating: "a", count: 600) + "\""
            func storedBytes(_ mode: String, _ value: String) throws -> Int? {
                try client.put("k", value, "\"compress\":\"\(mode)\"")
                #expect(try client.value("k") == value)
                return try client.get("k", "\"fields\":[\"storedBytes\"]")["storedBytes"]?.integer
            }
            #expect(try storedBytes("auto", value) == 602)
            #expect(try #require(try storedBytes("always", value)) < 602)
            #expect(try storedBytes("never", words(5000, seed: 4)) == words(5000, seed: 4).utf8.count)
        }

        @Test func `what does not shrink by a tenth is kept as it is`() throws {
            // Printable noise has 6.5 bits a byte: only a short text of it resists deflate, whose tables cost the rest.
            let node = try NodeProcess.start(["compression.threshold=100B"])
            let client = try node.client()
            var random = SeededRandom(seed: 9)
            let noise =
                (0..<100).map { _ in UnicodeScalar(UInt8.random(in: 0x5d...0x7e, using: &random) & 0x7f) }
                + (0..<100).map { _ in UnicodeScalar(UInt8.random(in: 0x23...0x5b, using: &random)) }
            let text = String(String.UnicodeScalarView(noise.shuffled(using: &random)))
            try client.put("noise", "\"\(text)\"")
            #expect(try client.get("noise", "\"fields\":[\"storedBytes\"]")["storedBytes"]?.integer == 202)
            try client.put("words", words(600, seed: 10))
            #expect(try #require(client.get("words", "\"fields\":[\"storedBytes\"]")["storedBytes"]?.integer) < 540)
        }

        @Test func `batches and many-key replies splice any mix of values`() throws {
            let values = (0..<40).map { index in
                index % 3 == 0 ? "\(index)" : words(index % 3 == 1 ? 1500 + index * 700 : 100, seed: UInt64(index))
            }
            for (index, value) in values.enumerated() { try client.put("k\(index)", value) }
            let keys = values.indices.map { "\"k\($0)\"" } + ["\"nothing\""]
            let many = RPCClient.request("cache.getMany", "[[\(keys.joined(separator: ","))]]", id: "1")
            let spliced = try decoded(many)
            #expect(spliced.wasGzip)
            #expect(spliced.text == (try client.post(many).text))
            let items = try RawJSON(spliced.text)["result"]?["items"]?.elements
            #expect(items?.dropLast().map { $0["value"]?.text } == values)
            let calls = keys.enumerated().map { RPCClient.request("cache.get", "[\($1)]", id: "\($0)") }
            let batch = "[" + (calls + ["7", RPCClient.request("no.such", nil, id: "0")]).joined(separator: ",") + "]"
            let splicedBatch = try decoded(batch)
            #expect(splicedBatch.wasGzip)
            #expect(splicedBatch.text == (try client.post(batch).text))
        }

        @Test func `curl decodes what it asked for compressed`() throws {
            let value = words(50000, seed: 5)
            try client.put("k", value)
            let body = RPCClient.request("cache.get", "[\"k\"]", id: "1")
            let port = try node.port()
            let result = try runCommand(
                "curl",
                [
                    "-sS", "--compressed", "-H", "Content-Type: application/json", "-d", "@-",
                    "http://127.0.0.1:\(port)/rpc",
                ],
                input: Array(body.utf8))
            #expect(result.status == .exited(0), "\(result.errorText)")
            #expect(try RawJSON(result.output)["result"]?["value"]?.text == value)
        }

        @Test(arguments: ["gzip;q=0", "identity", "br", "deflate", "gzip;q=0.0, identity", "x-gzipped"])
        func `a client that does not accept gzip gets the text`(acceptEncoding: String) throws {
            let value = words(5000, seed: 6)
            try client.put("k", value)
            let body = RPCClient.request("cache.get", "[\"k\"]", id: "1")
            let response = try client.post(body, headers: ["Accept-Encoding: \(acceptEncoding)"])
            #expect(response.header("Content-Encoding") == nil)
            #expect(response.header("Vary")?.lowercased().contains("accept-encoding") == true)
            #expect(try response.json()["result"]?["value"]?.text == value)
        }

        @Test(arguments: ["gzip", "GZIP", "deflate, gzip;q=0.5", "br, gzip", "gzip;q=1.0, *;q=0"])
        func `a client that accepts gzip in any spelling gets it`(acceptEncoding: String) throws {
            try client.put("k", words(5000, seed: 6))
            let body = RPCClient.request("cache.get", "[\"k\"]", id: "1")
            let response = try client.post(body, headers: ["Accept-Encoding: \(acceptEncoding)"])
            #expect(response.header("Content-Encoding") == "gzip")
            let text = try Python.gunzip(response.body)
            #expect(try RawJSON(text)["result"]?["found"]?.boolean == true)
        }

        @Test func `a small reply is not made larger by gzip`() throws {
            try client.put("k", "1")
            #expect(try decoded(RPCClient.request("cache.get", "[\"k\"]", id: "1")).wasGzip == false)
        }

        @Test func `a gzip request body is inflated`() throws {
            let value = words(100_000, seed: 7)
            let body = try Python.gzip(Array(RPCClient.request("cache.put", "[\"k\",\(value)]", id: "1").utf8))
            try client.connection.send(HTTPRequest.post(body, headers: ["Content-Encoding: gzip"]))
            let response = try client.connection.receive()
            #expect(try response.json()["result"]?["stored"]?.boolean == true)
            #expect(try client.value("k") == value)
        }

        @Test func `a gzip bomb is 413 and costs no memory`() throws {
            let node = try NodeProcess.start(["limits.max_value_size=1MiB"])
            let bomb = try Python.run(
                """
                import sys, zlib
                c = zlib.compressobj(9, zlib.DEFLATED, 31)
                for _ in range(512): sys.stdout.buffer.write(c.compress(b' ' * (1 << 20)))
                sys.stdout.buffer.write(c.flush())
                """)
            let before = try node.memoryKiB("VmHWM")
            let connection = try node.connection()
            try connection.send(HTTPRequest.post(bomb, headers: ["Content-Encoding: gzip"]))
            let response = try connection.receive()
            #expect(response.status == 413)
            #expect(RPCReply(try response.json()).errorCode == -32007)
            #expect(try node.memoryKiB("VmHWM") - before < 64 << 10)
        }

        @Test func `a gzip request body that is damaged anywhere is 400`() throws {
            let good = try Python.gzip(
                Array(RPCClient.request("cache.put", "[\"k\",\(words(3000, seed: 8))]", id: "1").utf8))
            var flippedChecksum = good
            flippedChecksum[good.count - 6] ^= 1
            var flippedData = good
            flippedData[good.count / 2] ^= 0x10
            let bodies = [
                Array(good.dropLast()), Array(good.prefix(good.count / 2)), flippedChecksum, flippedData, [0x1f],
                [0, 1, 2],
            ]
            for (index, body) in bodies.enumerated() {
                let connection = try node.connection()
                try connection.send(HTTPRequest.post(body, headers: ["Content-Encoding: gzip"]))
                #expect(try connection.receive().status == 400, "body \(index)")
            }
            #expect(try client.value("k") == nil)
        }

        @Test func `a request body in an encoding that is not known is 415`() throws {
            let response = try client.post(
                RPCClient.request("cache.get", "[\"k\"]", id: "1"), headers: ["Content-Encoding: br"])
            #expect(response.status == 415)
        }
    }
}
