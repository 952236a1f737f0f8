// A recorded sequence of requests against a running node, compared with a naive LRU request by request.

import Foundation
import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct TraceReplay {
        /// Requests replayed from a recorded trace; the directory of the files is named by SPYDERCACHE_TRACES.
        private static let recordedRequests = 200_000

        private static func trace() throws -> Trace {
            if let directory = ProcessInfo.processInfo.environment["SPYDERCACHE_TRACES"] {
                return try Trace(gzippedFile: directory + "/oltp.u32.gz", limit: recordedRequests)
            }
            return Trace(zipfLikeSeed: 1, keyCount: 20_000, requests: 100_000)
        }

        @Test func `get and, on a miss, put has the hits of a naive LRU at every single request`() throws {
            let trace = try Self.trace()
            let node = try NodeProcess.start(["local.cache_size=1000"])
            let client = try node.client(timeout: .seconds(60))
            var model = NaiveLRU<UInt32>(maxKeys: 1000)
            var hits = 0
            var calls: [String] = []
            var expected: [Bool?] = []
            // Within a batch the put after a miss has to be sent before the miss is known: the model foretells it, and the
            // replay stops at the first request where the node differs, so what follows is never built on a wrong guess.
            func replay() throws {
                let response = try client.post("[" + calls.joined(separator: ",") + "]")
                let parsed = try JSONSerialization.jsonObject(with: Data(response.body)) as? [[String: Any]]
                let replies = try #require(parsed, "\(response.text.prefix(500))")
                try #require(replies.count == calls.count)
                for (index, expectation) in expected.enumerated() {
                    let result = replies[index]["result"] as? [String: Any]
                    if let expectation {
                        let found = try #require(result?["found"] as? Bool)
                        try #require(found == expectation, "call \(calls[index]) after \(hits) hits of \(trace.name)")
                        hits += found ? 1 : 0
                    } else {
                        try #require(result?["stored"] as? Bool == true)
                    }
                }
                calls.removeAll(keepingCapacity: true)
                expected.removeAll(keepingCapacity: true)
            }
            for key in trace.keys {
                let hit = model.get(key)
                calls.append(RPCClient.request("cache.get", "[\"k\(key)\",[\"cas\"]]", id: "0"))
                expected.append(hit)
                if !hit {
                    calls.append(RPCClient.request("cache.put", "[\"k\(key)\",\(key)]", id: "0"))
                    expected.append(nil)
                    model.put(key)
                }
                if calls.count >= 900 { try replay() }
            }
            if !calls.isEmpty { try replay() }
            let stats = try client.call("node.stats")
            print("\(trace.name): \(trace.keys.count) requests, \(hits) hits, \(model.evictions) evictions")
            #expect(hits == model.hits)
            #expect(stats["getHits"]?.integer == model.hits)
            #expect(stats["getMisses"]?.integer == model.misses)
            #expect(stats["evictions"]?.integer == model.evictions)
            #expect(model.hits > 0 && model.evictions > 0)
        }

        @Test func `the replay script reports hits, misses and evictions equal to a naive LRU`() throws {
            let trace = Trace(zipfLikeSeed: 2, keyCount: 2000, requests: 20_000)
            let directory = try TemporaryDirectory()
            let bytes = trace.keys.flatMap { key in withUnsafeBytes(of: key.littleEndian) { Array($0) } }
            try Data(try Python.gzip(bytes)).write(to: URL(fileURLWithPath: directory.path("trace.u32.gz")))
            let node = try NodeProcess.start(["local.cache_size=300"])
            let port = try node.port()
            let result = try runCommand(
                Python.interpreter,
                [
                    Repository.path("utils/bench/replay_trace.py"), "127.0.0.1", "\(port)",
                    directory.path("trace.u32.gz"), "300",
                ])
            #expect(result.status == .exited(0), "\(result.errorText)")
            var model = NaiveLRU<UInt32>(maxKeys: 300)
            for key in trace.keys where !model.get(key) { model.put(key) }
            let report = try RawJSON(result.output)
            #expect(report["requests"]?.integer == 20_000)
            #expect(report["hits"]?.integer == model.hits)
            #expect(report["misses"]?.integer == model.misses)
            #expect(report["evictions"]?.integer == model.evictions)
            #expect(report["naiveLRUHits"]?.integer == model.hits)
            #expect(report["equal"]?.boolean == true)
        }
    }
}
