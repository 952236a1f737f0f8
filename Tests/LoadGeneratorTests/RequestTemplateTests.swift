import Foundation
import Testing

@testable import LoadGenerator

@Suite("Request templates")
struct RequestTemplateTests {
    private func plan(_ change: (inout LoadPlan) -> Void = { _ in }) -> LoadPlan {
        var plan = LoadPlan(host: "127.0.0.1", port: 8001)
        change(&plan)
        return plan
    }

    private func text(_ template: RequestTemplate, _ keys: [Int]) -> String {
        String(decoding: template.bytes(for: keys), as: UTF8.self)
    }

    /// The JSON body of an HTTP request whose Content-Length must be right.
    private func json(_ template: RequestTemplate, _ keys: [Int]) throws -> Any {
        let parts = self.text(template, keys).components(separatedBy: "\r\n\r\n")
        #expect(parts.count == 2)
        #expect(parts[0].contains("Content-Length: \(parts[1].utf8.count)"))
        return try JSONSerialization.jsonObject(with: Data(parts[1].utf8))
    }

    @Test("A JSON-RPC read names its key with twelve digits")
    func jsonRPCRead() throws {
        let call = try #require(try self.json(.read(self.plan()), [123]) as? [String: Any])
        #expect(call["method"] as? String == "cache.get")
        #expect((call["params"] as? [String: Any])?["key"] as? String == "key:000000000123")
    }

    @Test("A JSON-RPC write has a value of the size asked for that begins with its key", arguments: ValueKind.allCases)
    func jsonRPCWrite(kind: ValueKind) throws {
        for size in [24, 25, 26, 27, 100, 101, 1000, 4095] {
            let template = try #require(
                RequestTemplate.write(
                    self.plan {
                        $0.valueBytes = size
                        $0.valueKind = kind
                        $0.ttlMilliseconds = 5
                    }))
            let text = self.text(template, [42])
            let call = try #require(try self.json(template, [42]) as? [String: Any])
            let parameters = try #require(call["params"] as? [String: Any])
            #expect(parameters["ttlMs"] as? Int == 5)
            let value = try #require(parameters["value"])
            let first = (value as? [Any])?.first as? String ?? value as? String
            #expect(first?.hasPrefix("000000000042") == true)
            let start = try #require(text.range(of: "\"value\":")).upperBound
            let end = try #require(text.range(of: ",\"ttlMs\"")).lowerBound
            #expect(text[start..<end].utf8.count == size)
        }
    }

    @Test("Batches and many-key calls name every key once, in order")
    func manyKeys() throws {
        let plan = self.plan {
            $0.batch = 2
            $0.keysPerCall = 3
        }
        let calls = try #require(try self.json(.read(plan), [0, 1, 2, 3, 4, 5]) as? [[String: Any]])
        let keys = calls.flatMap { ($0["params"] as? [String: [String]])?["keys"] ?? [] }
        #expect(keys == (0..<6).map { "key:00000000000\($0)" })
        #expect(calls.map { $0["id"] as? Int } == [1, 2])
        #expect(calls.allSatisfy { $0["method"] as? String == "cache.getMany" })
    }

    @Test("The other protocols' requests are what their documents say")
    func otherProtocols() throws {
        func both(_ wire: LoadProtocol) throws -> (read: String, write: String) {
            let plan = self.plan {
                $0.protocol = wire
                $0.valueBytes = 24
            }
            let write = try #require(RequestTemplate.write(plan))
            return (self.text(.read(plan), [7]), self.text(write, [7]))
        }
        let redis = try both(.redis)
        #expect(redis.read == "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000007\r\n")
        #expect(redis.write.hasPrefix("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000007\r\n$24\r\n\"000000000007"))
        #expect(redis.write.hasSuffix("\"\r\n"))
        let memcached = try both(.memcached)
        #expect(memcached.read == "get key:000000000007\r\n")
        #expect(memcached.write.hasPrefix("set key:000000000007 0 0 24\r\n\"000000000007"))
        let webdis = try both(.webdis)
        #expect(webdis.read == "GET /GET/key:000000000007 HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n\r\n")
        #expect(webdis.write.hasPrefix("PUT /SET/key:000000000007 HTTP/1.1\r\n"))
        #expect(RequestTemplate.write(self.plan { $0.protocol = .httpGet }) == nil)
    }
}
