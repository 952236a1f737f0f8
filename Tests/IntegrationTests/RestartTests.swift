// What a node knows after a restart: values, versions, times to live, deletions; and what becomes of a journal that is not
// asked for.

import Foundation
import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct Restart {
        private static let reconstruct = "local.reconstruct=True"

        /// The configuration file printed in the seed's documentation, byte for byte: indentation, tabs, comments after values
        /// and on continuation lines.
        private static let seedExample = [
            "    #This is the configuration file.",
            "",
            "    [local]",
            "    node_id = 1\t\t\t\t\t#this is the id of the node which this file will drive. Any string is valid",
            "    node_port = 8001\t\t\t#the port at which this node should communicate. valid entry regex \\:[0-9]{4,5}$",
            "    reconstruct = False\t\t\t#should the node read the events journal to restore last known state? "
                + "valid: True/False",
            "\tcache_size = 1000\t\t\t#Maximum number of keys this cache is allowed to hold. After this limit is hit,",
            "\t\t\t\t\t\t\t\t#the cache will start evicting keys using an LRU mechanism",
            "    ",
            "    [network]\t\t\t\t\t#simply the list of peers this node should connect to.",
            "    peer = 127.0.0.1:8002,\t\t#it is a comma separated list of the form <ipv4address>:<port>",
            "           127.0.0.1:8003\t\t#valid entry regex is: ^([0-9]{1,3}\\.){3}[0-9]{1,3}\\:[0-9]{4,5}$",
            "",
        ].joined(separator: "\n")

        private func script(_ name: String, _ arguments: String...) throws -> CommandResult {
            try runCommand(Python.interpreter, [Repository.path("utils/\(name)")] + arguments)
        }

        @Test func `the seed's own line survives kill -9`() throws {
            let directory = try TemporaryDirectory()
            let files = try TemporaryDirectory()
            let config = try files.write(Self.seedExample, to: "seed.ini")
            let first = try NodeProcess.start(config: config, directory: directory)
            let port = "\(try first.port())"
            #expect(try script("put.py", "key", "value", "127.0.0.1", port).status == .exited(0))
            let before = try script("get.py", "key", "127.0.0.1", port)
            #expect(before.status == .exited(0))
            #expect(before.line == "value")
            try first.killHard()
            let second = try NodeProcess.start([Self.reconstruct], config: config, directory: directory)
            let after = try script("get.py", "key", "127.0.0.1", "\(try second.port())")
            #expect(after.status == .exited(0))
            #expect(after.line == "value")
            #expect(try script("get.py", "other", "127.0.0.1", "\(try second.port())").status == .exited(1))
        }

        @Test(arguments: ["always", "interval", "never"], [true, false])
        func `everything acknowledged is there after a restart`(fsync: String, byKill: Bool) throws {
            let directory = try TemporaryDirectory()
            let settings = [Self.reconstruct, "journal.fsync=\(fsync)", "journal.segment_size=64KiB"]
            let large = "\"" + String(repeating: "compressible ", count: 400) + "\""
            let first = try NodeProcess.start(settings, directory: directory)
            let client = try first.client()
            var expected: [String: String] = [:]
            for index in 0..<300 {
                let value = index % 5 == 0 ? large : "[\(index),1e400,\"\\u00e9\"]"
                try client.put("k\(index)", value)
                expected["k\(index)"] = value
            }
            for index in stride(from: 0, to: 300, by: 7) {
                #expect(try client.call("cache.delete", "[\"k\(index)\"]")["deleted"]?.boolean == true)
                expected["k\(index)"] = nil
            }
            try client.put("n", "40")
            _ = try client.call("cache.incr", "[\"n\",2]")
            expected["n"] = "42"
            let lastVersion = try #require(UInt64(try client.put("k1", "\"last\"")["cas"]?.string ?? ""))
            expected["k1"] = "\"last\""
            if byKill {
                try first.killHard()
            } else {
                #expect(try first.terminate() == .exited(0))
            }
            let second = try NodeProcess.start(settings, directory: directory)
            let again = try second.client()
            #expect(try again.values((0..<300).map { "k\($0)" } + ["n"]) == expected)
            #expect(try again.call("node.stats")["currItems"]?.integer == expected.count)
            #expect(try again.get("k1")["cas"]?.string == "\(lastVersion)")
            let next = try #require(UInt64(try again.put("k2", "1")["cas"]?.string ?? ""))
            #expect(next > lastVersion, "versions have to rise across a restart")
            let gzipped = try again.post(
                RPCClient.request("cache.get", "[\"k5\"]", id: "1"), headers: ["Accept-Encoding: gzip"])
            #expect(gzipped.header("Content-Encoding") == "gzip")
            #expect(try RawJSON(try Python.gunzip(gzipped.body))["result"]?["value"]?.text == large)
        }

        @Test func `a flush stays a flush after a restart`() throws {
            let directory = try TemporaryDirectory()
            let first = try NodeProcess.start([Self.reconstruct], directory: directory)
            let client = try first.client()
            for index in 0..<20 { try client.put("k\(index)", "1") }
            #expect(try client.call("cache.flush")["removed"]?.integer == 20)
            try client.put("after", "2")
            try first.killHard()
            let second = try NodeProcess.start([Self.reconstruct], directory: directory)
            #expect(try second.client().call("node.stats")["currItems"]?.integer == 1)
            #expect(try second.client().value("after") == "2")
        }

        @Test func `a time to live goes on while the node is down`() throws {
            let directory = try TemporaryDirectory()
            let first = try NodeProcess.start([Self.reconstruct], directory: directory)
            let client = try first.client()
            let clock = ContinuousClock()
            let sent = clock.now
            try client.put("short", "1", "\"ttlMs\":50")
            try client.put("long", "2", "\"ttlMs\":60000")
            try client.put("touched", "3", "\"ttlMs\":50")
            _ = try client.call("cache.touch", "[\"touched\",70000]")
            try client.put("forever", "4")
            try first.killHard()
            try waitUntil("the short time has passed") { clock.now - sent > .milliseconds(60) ? () : nil }
            let second = try NodeProcess.start([Self.reconstruct], directory: directory)
            let again = try second.client()
            #expect(try again.value("short") == nil)
            let elapsed = (clock.now - sent).milliseconds
            func ttl(_ key: String) throws -> Int? { try again.get(key, "\"fields\":[\"ttlMs\"]")["ttlMs"]?.integer }
            let long = try #require(try ttl("long"))
            // Wall-clock milliseconds are rounded once on each side of the restart.
            #expect(long <= 60_000 - 60 && long >= 60_000 - elapsed - 1000)
            #expect(try #require(try ttl("touched")) > 60_000)
            #expect(try ttl("forever") == nil)
            #expect(try again.value("forever") == "4")
        }

        @Test func `without reconstruct a node starts empty and keeps the old journal aside`() throws {
            let directory = try TemporaryDirectory()
            let first = try NodeProcess.start(directory: directory)
            try first.client().put("keepsake-key", "\"keepsake-value\"")
            try first.killHard()
            let second = try NodeProcess.start(directory: directory)
            #expect(try second.client().value("keepsake-key") == nil)
            #expect(try second.client().call("node.stats")["currItems"]?.integer == 0)
            try second.client().put("newer", "1")
            try second.killHard()
            func kept() throws -> Bool {
                try directory.files().contains { file in
                    Data(try directory.read(file.name)).range(of: Data("keepsake-value".utf8)) != nil
                }
            }
            #expect(try kept(), "the old journal has been deleted")
            let third = try NodeProcess.start([Self.reconstruct], directory: directory)
            #expect(try third.client().value("newer") == "1")
            #expect(try third.client().value("keepsake-key") == nil, "what was set aside must not come back by itself")
            #expect(try kept())
        }

        @Test func `node_reconstruct reads the journal again and changes nothing that is current`() throws {
            let directory = try TemporaryDirectory()
            let node = try NodeProcess.start([Self.reconstruct], directory: directory)
            let client = try node.client()
            for index in 0..<50 { try client.put("k\(index % 20)", "\(index)") }
            for index in 0..<5 { _ = try client.call("cache.delete", "[\"k\(index)\"]") }
            let before = try client.values((0..<20).map { "k\($0)" })
            let report = try client.call("node.reconstruct")
            #expect(report["keys"]?.integer == 15, "\(report)")
            #expect(try #require(report["records"]?.integer) >= 15)
            #expect(report["droppedBytes"]?.integer == 0)
            #expect(try client.values((0..<20).map { "k\($0)" }) == before)
            let byScript = try script("reconstruct.py", "127.0.0.1", "\(try node.port())")
            #expect(byScript.status == .exited(0))
            #expect(try RawJSON(byScript.output)["keys"]?.integer == 15)
            try client.put("k0", "\"new\"")
            try node.killHard()
            let again = try NodeProcess.start([Self.reconstruct], directory: directory).client()
            #expect(try again.value("k0") == "\"new\"")
            #expect(try again.call("node.stats")["currItems"]?.integer == 16)
        }

        @Test func `a node without a journal starts empty and writes no files worth the name`() throws {
            let directory = try TemporaryDirectory()
            let settings = ["journal.enabled=False", Self.reconstruct]
            let first = try NodeProcess.start(settings, directory: directory)
            try first.client().put("k", "\"not on disk\"")
            #expect(try first.client().value("k") == "\"not on disk\"")
            #expect(try first.terminate() == .exited(0))
            for file in try directory.files() {
                #expect(Data(try directory.read(file.name)).range(of: Data("not on disk".utf8)) == nil)
            }
            #expect(try NodeProcess.start(settings, directory: directory).client().value("k") == nil)
        }
    }
}
