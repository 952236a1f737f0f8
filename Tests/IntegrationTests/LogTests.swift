// The log of real runs: every line valid JSON of the schema, nothing secret, nothing that blocks a request.

import Foundation
import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct Log {
        /// Checks lines against the schemas of log lines in `schemas/` with Python's jsonschema; the first that do not fit.
        private func violations(of lines: [String]) throws -> [String] {
            let script = """
                import glob, json, sys
                from jsonschema import Draft202012Validator as Validator
                schemas = [json.load(open(path)) for path in sorted(glob.glob(sys.argv[1] + "/log*.json"))]
                assert schemas, "no schema of log lines"
                for schema in schemas: Validator.check_schema(schema)
                validators = [Validator(schema) for schema in schemas]
                for line in sys.stdin.buffer.read().decode("utf-8").splitlines():
                    value = json.loads(line, parse_constant=lambda name: sys.exit(name + " is not JSON"))
                    if not any(v.is_valid(value) for v in validators):
                        print(line, "|", "; ".join(e.message[:200] for v in validators for e in v.iter_errors(value)))
                """
            let text = lines.map { $0 + "\n" }.joined()
            let output = try Python.run(script, arguments: [Repository.path("schemas")], input: Array(text.utf8))
            let problems = String(decoding: output, as: UTF8.self).split(separator: "\n")
            return Array(problems.map(String.init).prefix(5))
        }

        @Test func `every line of a varied life fits the schemas`() throws {
            let directory = try TemporaryDirectory()
            let nasty = "nasty \"key\" \\ \u{1} \u{7f} \u{2028} 😀 " + String(repeating: "é", count: 400)
            let settings = [
                "local.reconstruct=True", "log.level=debug", "log.access=all", "journal.segment_size=8KiB",
                "local.node_id=n \"1\"", "network.replicas=0", "network.peer=127.0.0.1:9", "limits.max_connections=20",
            ]
            var lines: [LogLine] = []
            for life in 0..<2 {
                let node = try NodeProcess.start(settings, directory: directory)
                let client = try node.client()
                for index in 0..<100 { try client.put("k\(index)", "\"\(String(repeating: "v", count: 300))\"") }
                try client.put(nasty, "\"secret-value\"", "\"ttlMs\":10")
                _ = try client.get(nasty)
                _ = try client.call("cache.incr", "[\"k1\"]")
                _ = try client.call("no.such \\\" method")
                _ = try client.call("node.reconstruct")
                _ = try client.call("cache.flush")
                _ = try client.post("not JSON \u{0}")
                for text in [
                    "GARBAGE\r\n\r\n", "GET /\"\\\u{1} HTTP/1.1\r\n\r\n", "GET /none HTTP/1.1\r\nHost: a\r\n\r\n",
                ] {
                    let connection = try node.connection(timeout: .seconds(2))
                    try connection.send(text)
                    _ = try? connection.receive()
                }
                #expect(try client.call("node.health").result != nil)
                if life == 0 {
                    // Damage for the second life to report.
                    try node.killHard()
                    let file = try #require(try directory.files().max { $0.sizeBytes < $1.sizeBytes })
                    var bytes = try directory.read(file.name)
                    bytes[bytes.count / 3] ^= 0x55
                    try directory.overwrite(file.name, with: bytes)
                } else {
                    #expect(try node.terminate() == .exited(0))
                }
                _ = try node.process.waitForOutput()
                lines += node.logLines
                #expect(node.errorText.isEmpty, "\(node.errorText)")
            }
            #expect(lines.count > 100)
            for line in lines {
                let json = try #require(line.json, "not JSON: \(line.text)")
                let names = try #require(json.names)
                #expect(Set(names).count == names.count, "a name comes twice: \(line)")
                for name in ["ts", "level", "node", "event", "msg"] {
                    #expect(json[name]?.string != nil, "\(name) in \(line)")
                }
                #expect(json["node"]?.string == "n \"1\"")
                #expect(line.text.wholeMatch(of: /.*"ts":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z".*/) != nil, "\(line)")
                #expect(!line.text.contains("secret-value"), "a value is logged: \(line)")
                #expect(line.text.utf8.count < 4096, "a line without measure: \(line)")
            }
            let problems = try violations(of: lines.map(\.text))
            #expect(problems == [])
            let broken = #"{"ts":"yesterday","level":"loud","node":"1","event":"x","msg":"y"}"#
            #expect(try violations(of: [broken]).count == 1, "the schemas have to refuse something")
        }

        @Test func `a setting that is not yet in force is one warning line`() throws {
            let node = try NodeProcess.start([
                "security.tls_ca=/ca", "security.allowed_hosts=a.example",
            ])
            let warnings = node.logLines.filter { $0.json?["level"]?.string == "warning" }
            #expect(warnings.filter { $0.text.contains("security.tls_ca") }.count == 1, "\(warnings)")
            let silent = try NodeProcess.start(["local.cache_size=5", "compression.level=9"])
            let spoken = silent.logLines.filter { $0.json?["level"]?.string == "warning" }
            #expect(spoken.count == 0, "\(spoken)")
        }

        @Test func `a stalled log blocks no request, and what was dropped is counted`() throws {
            let node = try NodeProcess.start(["log.access=all"])
            let client = try node.client()
            try client.put("k", "1")
            node.process.setReadingPaused(true)
            // More lines than the pipe and the node's queue together can hold: each is at least 100 bytes.
            let requests = 12_000
            let call = HTTPRequest.post(RPCClient.request("cache.get", "[\"k\"]", id: "1"))
            let burst = Array(Array(repeating: call, count: 500).joined())
            var served = 0
            for _ in 0..<requests / 500 {
                try client.connection.send(burst)
                for _ in 0..<500 { served += try client.connection.receive().status == 200 ? 1 : 0 }
            }
            #expect(served == requests)
            node.process.setReadingPaused(false)
            let notice = try waitUntil("a line that counts what was dropped") {
                _ = try client.get("k")
                return node.logLines.first { $0.event == "log.dropped" }
            }
            #expect(try node.terminate() == .exited(0))
            _ = try node.process.waitForOutput()
            let lines = node.logLines
            #expect(lines.allSatisfy { $0.json != nil })
            let dropped = lines.reduce(0) { $0 + ($1.json?["droppedLines"]?.integer ?? 0) }
            print("\(lines.count) lines got through, \(dropped) were dropped, first told by \(notice)")
            let requestLines = lines.filter { $0.event?.hasPrefix("request") == true }.count
            #expect(dropped > 0)
            #expect(requestLines + dropped >= requests, "every line is written or counted")
            let sample = lines.enumerated().filter { $0 % 50 == 0 || $1.event != "request.access" }.map(\.element.text)
            let problems = try violations(of: sample)
            #expect(problems == [])
        }

        @Test func `the log goes where it is told`() throws {
            let files = try TemporaryDirectory()
            let path = files.path("node.log")
            let node = try NodeProcess(["log.destination=\(path)", "log.level=info"])
            try waitUntil("the log file has a listening line") {
                let text = try? String(contentsOfFile: path, encoding: .utf8)
                return text?.contains("node.listening") == true ? () : nil
            }
            #expect(node.process.output.isEmpty)
            #expect(try node.terminate() == .exited(0))
        }
    }
}
