// HTTP/1.1 around the calls: statuses, framing, pipelining and what is not HTTP at all.

import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct HTTP {
        let node: NodeProcess
        let connection: RawHTTPConnection

        init() throws {
            node = try NodeProcess.start(["limits.max_value_size=64KiB"])
            connection = try node.connection()
        }

        private static let get = RPCClient.request("cache.get", "[\"k\"]", id: "1")

        @Test(arguments: ["/rpc", "/"])
        func `calls are served at both paths and say that they are JSON`(path: String) throws {
            try connection.send(HTTPRequest.post(Self.get, path: path))
            let response = try connection.receive()
            #expect(response.status == 200)
            #expect(response.header("Content-Type")?.hasPrefix("application/json") == true)
            #expect(try response.json()["result"]?["found"]?.boolean == false)
        }

        @Test(arguments: [
            "application/json", "application/json-rpc", "application/json; charset=utf-8", "APPLICATION/JSON",
            "application/json;charset=UTF-8",
        ])
        func `JSON content types are accepted`(type: String) throws {
            try connection.send(HTTPRequest.post(Self.get, contentType: type))
            #expect(try connection.receive().status == 200)
        }

        @Test(arguments: [
            "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data", nil,
        ])
        func `any other content type is 415`(type: String?) throws {
            try connection.send(HTTPRequest.post(Self.get, contentType: type))
            #expect(try connection.receive().status == 415)
            let fresh = try node.connection()
            try fresh.send(HTTPRequest.post(Self.get))
            #expect(try fresh.receive().status == 200)
        }

        @Test(arguments: ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
        func `a method other than POST on the calls' path is 405 and says what is allowed`(method: String) throws {
            try connection.send(HTTPRequest.bare(method, "/rpc", headers: ["Content-Length: 0"]))
            let response = try connection.receive()
            #expect(response.status == 405)
            #expect(response.header("Allow")?.contains("POST") == true)
        }

        @Test(arguments: ["/healthz", "/readyz", "/metrics", "/openrpc.json"])
        func `an endpoint answers GET and HEAD alike and refuses POST`(path: String) throws {
            try connection.send(HTTPRequest.bare("GET", path))
            let full = try connection.receive()
            #expect(full.status == 200)
            try connection.send(HTTPRequest.bare("HEAD", path))
            let head = try connection.receive(toHead: true)
            #expect(head.status == 200)
            #expect(head.header("Content-Type") == full.header("Content-Type"))
            if path != "/metrics" { #expect(head.header("Content-Length") == full.header("Content-Length")) }
            try connection.send(HTTPRequest.post("{}", path: path))
            let refused = try connection.receive()
            #expect(refused.status == 405)
            #expect(refused.header("Allow")?.contains("GET") == true)
        }

        @Test func `an unknown path is 404 and the connection goes on`() throws {
            try connection.send(HTTPRequest.bare("GET", "/nothing/here"))
            #expect(try connection.receive().status == 404)
            try connection.send(HTTPRequest.post(Self.get))
            #expect(try connection.receive().status == 200)
        }

        @Test func `one connection serves many calls one after another`() throws {
            for id in 0..<100 {
                try connection.send(HTTPRequest.post(RPCClient.request("cache.incr", "[\"n\",1,0]", id: "\(id)")))
                let reply = try connection.receive().json()
                #expect(reply["id"]?.integer == id)
            }
        }

        @Test func `pipelined requests are answered in their order, whatever they are`() throws {
            var bytes: [UInt8] = []
            var expected: [(status: Int, id: Int?)] = []
            for id in 0..<60 {
                switch id % 6 {
                case 0:
                    bytes += HTTPRequest.post(RPCClient.request("cache.put", "[\"k\",\(id)]", id: "\(id)"))
                    expected.append((200, id))
                case 1:
                    bytes += HTTPRequest.post(RPCClient.request("cache.get", "[\"k\"]", id: "\(id)"))
                    expected.append((200, id))
                case 2:
                    bytes += HTTPRequest.post(#"{"jsonrpc":"2.0","method":"cache.get","params":["k"]}"#)
                    expected.append((204, nil))
                case 3:
                    bytes += Array(HTTPRequest.bare("GET", "/healthz").utf8)
                    expected.append((200, nil))
                case 4:
                    bytes += HTTPRequest.post("not JSON")
                    expected.append((400, nil))
                default:
                    bytes += Array(HTTPRequest.bare("GET", "/none").utf8)
                    expected.append((404, nil))
                }
            }
            try connection.send(bytes)
            for (index, expectation) in expected.enumerated() {
                let response = try connection.receive()
                #expect(response.status == expectation.status, "response \(index)")
                if let id = expectation.id { #expect(try response.json()["id"]?.integer == id) }
            }
        }

        @Test func `replies that the client is slow to take come whole and in order`() throws {
            let value = "\"" + String(repeating: "abcdefghij", count: 30_000) + "\""
            let node = try NodeProcess.start()
            let connection = try node.connection()
            try node.client().put("slowly taken", value, "\"compress\":\"never\"")
            let count = 60
            // 10 MB of replies: the socket is full long before the client begins to read.
            for id in 0..<count {
                let key = id % 2 == 0 ? "slowly taken" : "none"
                try connection.send(HTTPRequest.post(RPCClient.request("cache.get", "[\"\(key)\"]", id: "\(id)")))
            }
            for id in 0..<count {
                let reply = try connection.receive().json()
                #expect(reply["id"]?.integer == id)
                #expect(reply["result"]?["value"]?.text == (id % 2 == 0 ? value : nil))
            }
        }

        @Test func `the last reply comes whole behind a large one, then the close`() throws {
            let node = try NodeProcess.start()
            let value = "\"" + String(repeating: "abcdefghij", count: 400_000) + "\""
            try node.client().put("large", value, "\"compress\":\"never\"")
            let get = RPCClient.request("cache.get", "[\"large\"]", id: "1")
            let last = RPCClient.request("cache.get", "[\"none\"]", id: "2")
            for _ in 0..<40 {
                let connection = try node.connection()
                // One packet: the second is read while the first is being written.
                try connection.send(HTTPRequest.post(get) + HTTPRequest.post(last, headers: ["Connection: close"]))
                #expect(try connection.receive().json()["id"]?.integer == 1)
                #expect(try connection.receive().json()["id"]?.integer == 2)
                #expect(connection.isClosedByPeer())
            }
        }

        @Test func `a client that has finished sending and reads slowly gets all its replies`() throws {
            let node = try NodeProcess.start()
            let value = "\"" + String(repeating: "abcdefghij", count: 50_000) + "\""
            try node.client().put("large", value, "\"compress\":\"never\"")
            let connection = try node.connection()
            // 10 MB: more than sockets hold.
            for id in 0..<20 {
                try connection.send(HTTPRequest.post(RPCClient.request("cache.get", "[\"large\"]", id: "\(id)")))
            }
            connection.finishSending()
            for id in 0..<20 { #expect(try connection.receive().json()["id"]?.integer == id) }
        }

        @Test func `a client that leaves the end of its replies unread is cut off like any other`() throws {
            let node = try NodeProcess.start(["limits.idle_timeout_ms=500"])
            let value = "\"" + String(repeating: "abcdefghij", count: 3_000) + "\""
            let client = try node.client()
            try client.put("k", value, "\"compress\":\"never\"")
            let get = HTTPRequest.post(RPCClient.request("cache.get", "[\"k\"]", id: "1"))
            // Replies of 30 kB up to and beyond what the sockets take: some end with a little that is not sent.
            let deaf = try (1...12).map { step in
                let connection = try node.connection()
                for _ in 0..<(step * 20) { try connection.send(get) }
                return connection
            }
            // Whoever asks is a connection, too.
            try waitUntil("all of them are cut off") {
                try client.call("node.stats").result?["currConnections"]?.integer == 1 ? () : nil
            }
            withExtendedLifetime(deaf) {}
        }

        @Test func `replies that wait for the disk keep the order of a pipeline`() throws {
            let node = try NodeProcess.start(["journal.fsync=always"])
            let connection = try node.connection()
            var bytes: [UInt8] = []
            for id in 0..<200 {
                let isWrite = id % 3 == 0
                bytes += HTTPRequest.post(
                    RPCClient.request(
                        isWrite ? "cache.put" : "cache.get", isWrite ? "[\"k\",\(id)]" : "[\"k\"]", id: "\(id)"))
            }
            try connection.send(bytes)
            for id in 0..<200 {
                let reply = try connection.receive().json()
                #expect(reply["id"]?.integer == id)
                if id % 3 != 0 { #expect(reply["result"]?["value"]?.integer == id - id % 3) }
            }
        }

        @Test func `a request that comes byte by byte is served like any other`() throws {
            let value = "\"\\u00e9 é 😀\""
            try connection.sendByteAtATime(
                HTTPRequest.post(RPCClient.request("cache.put", "[\"slow\",\(value)]", id: "\"x\"")))
            #expect(try connection.receive().json()["result"]?["stored"]?.boolean == true)
            try connection.sendByteAtATime(
                HTTPRequest.post(RPCClient.request("cache.get", "[\"slow\"]", id: "2"), headers: ["X-Nothing: at all"]))
            #expect(try connection.receive().json()["result"]?["value"]?.text == value)
        }

        @Test func `a chunked request body is put together`() throws {
            let body = RPCClient.request("cache.put", "[\"chunked\",[1,2,3]]", id: "1")
            var request = """
                POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n
                """
            for character in body { request += "1\r\n\(character)\r\n" }
            try connection.send(request + "0\r\n\r\n")
            #expect(try connection.receive().json()["result"]?["stored"]?.boolean == true)
        }

        @Test func `a client that expects 100-continue is told to go on`() throws {
            let request = HTTPRequest.post(Self.get, headers: ["Expect: 100-continue"])
            let bodyStart = request.count - Self.get.utf8.count
            try connection.send(request[..<bodyStart])
            #expect(try connection.receive().status == 100)
            try connection.send(request[bodyStart...])
            #expect(try connection.receive().status == 200)
        }

        @Test func `100-continue comes behind the replies in front of it, and to nobody who did not ask`() throws {
            let node = try NodeProcess.start(["journal.fsync=always"])
            let connection = try node.connection()
            let asking = HTTPRequest.post(Self.get, headers: ["Expect: 100-continue"])
            let plain = HTTPRequest.post(Self.get)
            let bodyBytes = Self.get.utf8.count
            for id in 0..<20 {
                let put = HTTPRequest.post(RPCClient.request("cache.put", "[\"k\",\(id)]", id: "\(id)"))
                try connection.send(put + asking.dropLast(bodyBytes))
                #expect(try connection.receive().status == 200)
                #expect(try connection.receive().status == 100)
                try connection.send(asking.suffix(bodyBytes))
                #expect(try connection.receive().status == 200)
                // One that does not wait for it, and behind it one that did not ask, its body in two pieces.
                try connection.send(put + asking + plain.dropLast(10))
                #expect(try connection.receive().json()["id"]?.integer == id)
                var response = try connection.receive()
                if response.status == 100 { response = try connection.receive() }
                #expect(response.status == 200)
                try connection.send(plain.suffix(10))
                #expect(try connection.receive().status == 200)
            }
        }

        @Test func `a client that reads slowly but goes on is not cut off`() throws {
            let node = try NodeProcess.start(["limits.idle_timeout_ms=300"])
            let client = try node.client()
            let value = "\"" + String(repeating: "abcdefghij", count: 2_000) + "\""
            try client.put("k", value, "\"compress\":\"never\"")
            let get = HTTPRequest.post(RPCClient.request("cache.get", "[\"k\"]", id: "1"))
            let connection = try node.connection()
            // 16 MB of replies of 20 kB: some always wait in the node, for several times as long as a deaf client may.
            for _ in 0..<800 { try connection.send(get) }
            let start = ContinuousClock.now
            while start.duration(to: .now) < .milliseconds(1200) {
                #expect(try connection.receive().status == 200)
                try connection.send(get)
                for _ in 0..<10 { _ = try client.call("node.health") }
            }
        }

        @Test func `a body announced too large is 413 before it is sent`() throws {
            try connection.send(
                """
                POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000000000\r\n\r\n
                """)
            let response = try connection.receive()
            #expect(response.status == 413)
            let failed = RPCReply(try response.json())
            #expect(failed.errorCode == -32007)
            #expect(failed.errorData?["retryable"]?.boolean == false)
            #expect(connection.isClosedByPeer())
        }

        @Test func `a body announced too large is refused with no 100-continue`() throws {
            try connection.send(
                """
                POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r
                Content-Length: 4000000000\r\n\r\n
                """)
            #expect(try connection.receive().status == 413)
        }

        @Test func `a chunked body that never ends is 413 and does not fill the memory`() throws {
            try connection.send(
                "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            let chunk = Array("100000\r\n".utf8) + [UInt8](repeating: 0x20, count: 0x100000) + Array("\r\n".utf8)
            let before = try node.memoryKiB("VmHWM")
            // The node answers at the limit, discards for a moment so that the answer is not lost with a reset
            // (RFC 9112, section 9.6), and closes: then sending fails.
            let began = ContinuousClock.now
            while began.duration(to: .now) < .seconds(10), (try? connection.send(chunk)) != nil {}
            #expect(began.duration(to: .now) < .seconds(10), "the node takes an endless body")
            if let response = try? connection.receive() { #expect(response.status == 413) }
            #expect(try node.memoryKiB("VmHWM") - before < 64 << 10)
            #expect(try node.client().call("node.health").result != nil)
        }

        @Test func `HTTP 1_0 is answered and the connection closed`() throws {
            try connection.send(HTTPRequest.post(Self.get, version: "HTTP/1.0"))
            #expect(try connection.receive().status == 200)
            #expect(connection.isClosedByPeer())
        }

        @Test func `a client that asks to close gets its answer and the close`() throws {
            try connection.send(HTTPRequest.post(Self.get, headers: ["Connection: close"]))
            let response = try connection.receive()
            #expect(response.status == 200)
            #expect(response.header("Connection")?.lowercased() == "close")
            #expect(connection.isClosedByPeer())
        }

        @Test func `a client that has finished sending still gets all its answers`() throws {
            try connection.send(HTTPRequest.post(Self.get) + HTTPRequest.post(Self.get))
            connection.finishSending()
            #expect(try connection.receive().status == 200)
            #expect(try connection.receive().status == 200)
            #expect(connection.isClosedByPeer())
        }

        @Test(arguments: [
            "GARBAGE\r\n\r\n",
            "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Length: nine\r\n\r\n",
            "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /rpc HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
            "POST /rpc HTTP/1.1\r\nHost: a\r\nBad Header: x\r\nContent-Length: 0\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}\r\n\r\n",
        ])
        func `what is not HTTP is 400 and the connection is closed`(text: String) throws {
            try connection.send(text)
            let response = try connection.receive()
            #expect(response.status == 400)
            #expect(connection.isClosedByPeer())
            let other = try node.connection()
            try other.send(HTTPRequest.post(Self.get))
            #expect(try other.receive().status == 200)
        }

        @Test func `endless headers are cut off with an answer`() throws {
            try connection.send("GET /healthz HTTP/1.1\r\n")
            let line = "X-Filler: " + String(repeating: "f", count: 1012) + "\r\n"
            let began = ContinuousClock.now
            while began.duration(to: .now) < .seconds(10), (try? connection.send(line)) != nil {}
            #expect(began.duration(to: .now) < .seconds(10), "the node takes an endless head")
            if let response = try? connection.receive() { #expect([400, 431].contains(response.status)) }
            #expect(try node.memoryKiB("VmHWM") < 128 << 10)
        }
    }
}
