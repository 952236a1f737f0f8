// What a node that cannot start says, and with which status it ends (sysexits.h).

import Foundation
import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct StartFailure {
        /// Waits for the end of a node that can't start; its status and everything it said.
        private func failure(_ node: NodeProcess) throws -> (status: ProcessEnd, said: String) {
            let status = try node.process.waitForExit(within: .seconds(20))
            let output = try node.process.waitForOutput(within: .seconds(5))
            return (status, String(decoding: output, as: UTF8.self) + node.errorText)
        }

        @Test func `a busy port is 69`() throws {
            let first = try NodeProcess.start()
            let port = try first.port()
            let (status, said) = try failure(try NodeProcess(["local.node_port=\(port)"]))
            #expect(status == .exited(69), "\(said)")
            #expect(said.contains("\(port)"))
            #expect(try first.client().call("node.health").result != nil)
        }

        @Test func `a file in the place of the data directory is 74`() throws {
            let directory = try TemporaryDirectory()
            let path = try directory.write("not a directory", to: "data")
            let (status, said) = try failure(try NodeProcess(dataPath: path))
            #expect(status == .exited(74), "\(said)")
            #expect(said.contains(path))
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "not a directory")
        }

        @Test(.enabled(if: getuid() != 0 || FileManager.default.fileExists(atPath: "/usr/bin/setpriv")))
        func `a data directory that may not be written is 74`() throws {
            let directory = try TemporaryDirectory()
            // Root may write everywhere unless it gives that up.
            let wrapper = getuid() == 0 ? ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] : []
            try FileManager.default.createDirectory(atPath: directory.path("data"), withIntermediateDirectories: false)
            chmod(directory.path("data"), 0o500)
            let (status, said) = try failure(try NodeProcess(dataPath: directory.path("data"), wrapper: wrapper))
            #expect(status == .exited(74), "\(said)")
        }

        @Test func `a second node on the same data directory is refused and the first goes on`() throws {
            let directory = try TemporaryDirectory()
            let first = try NodeProcess.start(directory: directory)
            try first.client().put("k", "1")
            let (status, said) = try failure(try NodeProcess(["local.reconstruct=True"], directory: directory))
            #expect(status == .exited(69) || status == .exited(74), "\(status) \(said)")
            #expect(said.contains(directory.path))
            try first.client().put("l", "2")
            try first.killHard()
            let again = try NodeProcess.start(["local.reconstruct=True"], directory: directory).client()
            #expect(try again.values(["k", "l"]) == ["k": "1", "l": "2"])
        }

        @Test func `a broken configuration is 78 with every problem in its place`() throws {
            let files = try TemporaryDirectory()
            let text = """
                [local]
                node_port = 80010
                cache_sise = 5
                [netwrok]
                peer = 1
                [limits]
                max_batch = many
                """
            let path = try files.write(text, to: "broken.ini")
            let (status, said) = try failure(try NodeProcess(config: path))
            #expect(status == .exited(78), "\(said)")
            let checked = try runCommand(Repository.binary, ["config", "check", path])
            #expect(checked.status == .exited(78))
            let problems = checked.text + checked.errorText
            for place in [":2: [local] node_port:", ":3: [local] cache_sise:", ":7: [limits] max_batch:"] {
                #expect(problems.contains(path + place), "\(place) in\n\(problems)")
                #expect(said.contains(place), "\(place) in\n\(said)")
            }
            #expect(problems.contains("cache_size"), "did you mean")
            #expect(problems.contains(":4:") && problems.contains("network"))
        }

        @Test func `a configuration file that is not there is told by its name`() throws {
            let (status, said) = try failure(try NodeProcess(config: "/nowhere/at/all.ini"))
            #expect([.exited(74), .exited(78), .exited(66)].contains(status), "\(status)")
            #expect(said.contains("/nowhere/at/all.ini"))
        }

        @Test func `config check passes the embedded defaults and a setting on the command line is checked too`() throws
        {
            let files = try TemporaryDirectory()
            let path = try files.write("[local]\nnode_id = a\n", to: "good.ini")
            #expect(try runCommand(Repository.binary, ["config", "check", path]).status == .exited(0))
            let shown = try runCommand(Repository.binary, ["config", "show", path])
            #expect(shown.status == .exited(0))
            #expect(shown.text.contains("node_id = a"))
            let (status, said) = try failure(try NodeProcess(["local.cache_size=-1"]))
            #expect(status == .exited(78) || status == .exited(64), "\(status)")
            #expect(said.contains("cache_size"))
        }

        @Test(arguments: [
            ["serve", "--nonsense"], ["no-such-command"], ["get"], ["journal", "verify"], ["serve", "stray"],
        ])
        func `wrong usage is 64 with a word on standard error`(arguments: [String]) throws {
            let result = try runCommand(Repository.binary, arguments, within: .seconds(20))
            #expect(result.status == .exited(64))
            #expect(!result.errorText.isEmpty)
        }
    }
}
