// What an operator sees: health, readiness, metrics, counters, the method list, and how a node stops.

import Foundation
import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct Operations {
        private func get(_ node: NodeProcess, _ path: String) throws -> HTTPResponse {
            let connection = try node.connection()
            try connection.send(HTTPRequest.bare("GET", path))
            return try connection.receive()
        }

        @Test func `healthz and readyz are 200 on a node that serves`() throws {
            let node = try NodeProcess.start()
            #expect(try get(node, "/healthz").status == 200)
            #expect(try get(node, "/readyz").status == 200)
            #expect(try node.client().call("node.health").result?.names?.isEmpty == false)
        }

        @Test func `openrpc_json is the result of rpc_discover and lists every method that is served`() throws {
            let node = try NodeProcess.start()
            let client = try node.client()
            let file = try get(node, "/openrpc.json")
            #expect(file.header("Content-Type")?.hasPrefix("application/json") == true)
            let document = try #require(try client.call("rpc.discover").result)
            #expect(document.text == file.text.trimmingCharacters(in: .whitespacesAndNewlines))
            #expect(document["openrpc"]?.string?.hasPrefix("1.") == true)
            #expect(document["info"]?["title"]?.string != nil && document["info"]?["version"]?.string != nil)
            let methods = try #require(document["methods"]?.elements)
            let names = Set(methods.compactMap { $0["name"]?.string })
            let required: Set = [
                "cache.get", "cache.put", "cache.delete", "cache.touch", "cache.incr", "cache.getMany", "cache.putMany",
                "cache.deleteMany", "cache.flush", "node.stats", "node.health", "node.config", "node.reconstruct",
            ]
            #expect(names.isSuperset(of: required), "\(required.subtracting(names))")
            for method in methods {
                let name = try #require(method["name"]?.string)
                #expect(method["params"]?.elements != nil && method["result"] != nil, "\(name)")
                if name != "node.reconstruct" { #expect(try client.call(name).errorCode != -32601, "\(name)") }
            }
            let written = try RawJSON(
                try String(contentsOfFile: Repository.path("schemas/openrpc.json"), encoding: .utf8))
            #expect(Set(written["methods"]?.elements?.compactMap { $0["name"]?.string } ?? []) == names)
        }

        @Test func `metrics are read by Prometheus' own parser and follow the counters`() throws {
            let node = try NodeProcess.start(["local.cache_size=10"])
            let client = try node.client()
            for index in 0..<15 { try client.put("k\(index)", "1") }
            for index in 0..<15 { _ = try client.get("k\(index)") }
            let response = try get(node, "/metrics")
            #expect(response.header("Content-Type")?.hasPrefix("text/plain") == true)
            let script = """
                import json, sys
                from prometheus_client.parser import text_string_to_metric_families
                families = list(text_string_to_metric_families(sys.stdin.read()))
                assert len({f.name for f in families}) == len(families), "a family comes twice"
                for f in families:
                    assert f.type != "unknown" and f.documentation, f"{f.name} has no type or no help"
                seen = [(s.name, tuple(sorted(s.labels.items()))) for f in families for s in f.samples]
                assert len(set(seen)) == len(seen), "a sample comes twice"
                print(json.dumps({s.name: s.value for f in families for s in f.samples}))
                """
            let samples = try RawJSON(try Python.run(script, input: response.body).dropLast())
            let names = try #require(samples.names)
            #expect(names.allSatisfy { $0.hasPrefix("spydercache_") || $0.hasPrefix("process_") }, "\(names)")
            let stats = try client.call("node.stats")
            #expect(stats["getHits"]?.integer == 10 && stats["getMisses"]?.integer == 5)
            func expectSample(_ word: String, _ value: Double) {
                let matching = names.filter { $0.lowercased().contains(word) }
                #expect(matching.contains { samples[$0]?.double == value }, "\(word) in \(names)")
            }
            expectSample("hits", 10)
            expectSample("misses", 5)
            expectSample("evictions", 5)
            expectSample("items", 10)
        }

        @Test func `node_stats has memcached's counters, memory by purpose and the process's own figures`() throws {
            let node = try NodeProcess.start(["local.memory_limit=128MiB"])
            let client = try node.client()
            try client.put("a", "\"\(String(repeating: "a", count: 5000))\"")
            try client.put("b", "2", "\"ttlMs\":20")
            _ = try client.get("a")
            _ = try client.get("nothing")
            try waitUntil("b expires") { try client.value("b") == nil ? () : nil }
            let stats = try #require(try client.call("node.stats").result)
            func figure(_ name: String) throws -> Int { try #require(stats[name]?.integer, "\(name) in \(stats)") }
            #expect(try figure("currItems") == 1)
            #expect(try figure("limitMaxbytes") == 128 << 20)
            #expect(try figure("getHits") >= 1)
            #expect(try figure("getMisses") >= 2)
            #expect(try figure("evictions") == 0)
            #expect(try figure("expired") == 1)
            #expect(try figure("bytes") > 0)
            #expect(try figure("bytes") < 5000, "the value is stored compressed")
            let resident = try node.memoryKiB("VmRSS") << 10
            let figures = try Python.run(
                """
                import json, sys
                def walk(value):
                    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
                    return [value] + [number for item in inner for number in walk(item)]
                rss = int(sys.argv[1])
                numbers = [n for n in walk(json.load(sys.stdin)) if isinstance(n, (int, float))]
                print(sum(abs(number - rss) < rss / 10 for number in numbers))
                """, arguments: ["\(resident)"], input: stats.bytes)
            #expect(
                Int(String(decoding: figures.dropLast(), as: UTF8.self)) ?? 0 >= 1,
                "no figure near \(resident) in \(stats)")
        }

        @Test func `node_config shows what is in force and no secret`() throws {
            let files = try TemporaryDirectory()
            let token = try files.write("t0psecret-token\n", to: "tokens")
            let node = try NodeProcess.start(["local.cache_size=77", "security.token_file=\(token)"])
            // A node that already enforces tokens refuses the call, which shows no secret either.
            let reply = try node.client().call("node.config")
            if reply.errorCode != 1301 { #expect(reply.result?.text.contains("77") == true) }
            #expect(!reply.json.text.contains("t0psecret"))
            #expect(!node.logLines.contains { $0.text.contains("t0psecret") })
        }

        @Test func `SIGTERM lets a request in flight finish, refuses new connections and ends with 0`() throws {
            let directory = try TemporaryDirectory()
            let node = try NodeProcess.start(["limits.drain_ms=8000", "local.threads=1"], directory: directory)
            let idle = try node.connection()
            let busy = try node.connection()
            try busy.send(HTTPRequest.post(RPCClient.request("cache.get", "[\"k\"]", id: "1")))
            #expect(try busy.receive().status == 200)
            let request = HTTPRequest.post(RPCClient.request("cache.put", "[\"last\",\"words\"]", id: "1"))
            try busy.send(request.dropLast(10))
            // On one event loop an answer to a later request shows that the earlier bytes have been read: only then is the
            // request in flight.
            #expect(try node.client().call("node.health").result != nil)
            node.process.send(signal: SIGTERM)
            #expect(idle.isClosedByPeer(), "an idle connection is closed at once")
            let port = try node.port()
            try waitUntil("new connections are refused") {
                guard let late = try? RawHTTPConnection(port: port) else { return () }
                return late.isClosedByPeer(within: .milliseconds(200)) ? () : nil
            }
            #expect(node.process.status() == nil, "the node waits for the request in flight")
            try busy.send(request.suffix(10))
            let response = try busy.receive()
            #expect(response.status == 200)
            #expect(try response.json()["result"]?["stored"]?.boolean == true)
            #expect(busy.isClosedByPeer())
            #expect(try node.process.waitForExit(within: .seconds(5)) == .exited(0))
            let again = try NodeProcess.start(["local.reconstruct=True"], directory: directory)
            #expect(try again.client().value("last") == "\"words\"")
        }

        @Test(arguments: [SIGTERM, SIGINT])
        func `a request that never ends does not hold the stop up longer than drain_ms`(signal: Int32) throws {
            let node = try NodeProcess.start(["limits.drain_ms=500"])
            let stuck = try node.connection()
            try stuck.send(
                "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
            // A second exchange shows that the node has seen the first connection too.
            #expect(try node.client().call("node.health").result != nil)
            let began = ContinuousClock.now
            node.process.send(signal: signal)
            #expect(try node.process.waitForExit(within: .seconds(20)) == .exited(0))
            let took = began.duration(to: .now)
            #expect(took >= .milliseconds(300) && took < .seconds(4), "\(took)")
        }

        @Test func `an idle node stops at once`() throws {
            let node = try NodeProcess.start()
            let client = try node.client()
            try client.put("k", "1")
            let began = ContinuousClock.now
            #expect(try node.terminate() == .exited(0))
            #expect(began.duration(to: .now) < .seconds(3))
        }

        @Test(arguments: ["fast", "slow"])
        func `a head that takes too long is cut off, however it trickles`(pace: String) throws {
            let node = try NodeProcess.start(["limits.header_timeout_ms=400"])
            let connection = try node.connection(timeout: .seconds(5))
            let began = ContinuousClock.now
            try connection.send("POST /rpc HTTP/1.1\r\nHost: a\r\n")
            if pace == "slow" {
                // A byte now and then must not extend the time: that is how slow clients hold connections.
                while began.duration(to: .now) < .seconds(3) {
                    connection.receiveTimeout = .milliseconds(50)
                    guard (try? connection.send("X")) != nil, !connection.isClosedByPeer(within: .milliseconds(50))
                    else { break }
                }
            } else {
                _ = try? connection.receiveUntilClosed()
            }
            let took = began.duration(to: .now)
            #expect(took >= .milliseconds(300) && took < .milliseconds(2500), "\(took)")
            #expect(try node.client().call("node.health").result != nil)
        }

        @Test func `a body that takes too long and a connection without requests are cut off`() throws {
            let node = try NodeProcess.start(["limits.body_timeout_ms=400", "limits.idle_timeout_ms=600"])
            let body = try node.connection(timeout: .seconds(5))
            let idle = try node.connection(timeout: .seconds(5))
            try idle.send(HTTPRequest.post(RPCClient.request("cache.get", "[\"k\"]", id: "1")))
            #expect(try idle.receive().status == 200)
            let began = ContinuousClock.now
            try body.send(
                "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
            _ = try body.receiveUntilClosed()
            #expect(began.duration(to: .now) >= .milliseconds(300) && began.duration(to: .now) < .milliseconds(2500))
            #expect(idle.isClosedByPeer(within: .seconds(3)))
            #expect(began.duration(to: .now) >= .milliseconds(400) && began.duration(to: .now) < .seconds(4))
        }

        @Test func `a connection over the limit gets 503, Retry-After and -32009 and the others go on`() throws {
            let node = try NodeProcess.start(["limits.max_connections=3"])
            // The readiness poll's own connection may take a moment to be counted out.
            var clients: [RPCClient] = []
            try waitUntil("three connections are served") {
                let client = try node.client()
                if (try? client.call("node.health")) != nil { clients.append(client) }
                return clients.count == 3 ? () : nil
            }
            let extra = try node.connection()
            try? extra.send(HTTPRequest.post(RPCClient.request("cache.get", "[\"k\"]", id: "1")))
            let refused = try extra.receive()
            #expect(refused.status == 503)
            #expect(Int(refused.header("Retry-After") ?? "") ?? 0 > 0)
            let failed = RPCReply(try refused.json())
            #expect(failed.errorCode == -32009)
            #expect(failed.errorData?["retryable"]?.boolean == true)
            #expect(extra.isClosedByPeer())
            for client in clients { #expect(try client.value("k") == nil) }
            clients.removeLast()
            try waitUntil("a place becomes free") { (try? node.client().call("node.health")) != nil ? () : nil }
        }

        @Test func `a client that does not read its replies does not fill the memory`() throws {
            let node = try NodeProcess.start()
            let value = "\"" + String(repeating: "abcdefghij", count: 50_000) + "\""
            try node.client().put("large", value, "\"compress\":\"never\"")
            let before = try node.memoryKiB("VmHWM")
            let deaf = try node.connection(timeout: .milliseconds(500))
            let request = HTTPRequest.post(RPCClient.request("cache.get", "[\"large\"]", id: "1"))
            // 2000 replies of 500 kB are 1 GB; sending fails when the node stops reading, which is what it should do.
            for _ in 0..<2000 where (try? deaf.send(request)) == nil { break }
            for _ in 0..<200 { #expect(try node.client().call("node.health").result != nil) }
            #expect(try node.memoryKiB("VmHWM") - before < 64 << 10)
        }
    }
}
