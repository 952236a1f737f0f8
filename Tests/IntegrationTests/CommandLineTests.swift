// The command-line client and the scripts in utils/, run as an operator runs them.

import Foundation
import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct CommandLine {
        let node: NodeProcess
        let address: String

        init() throws {
            node = try NodeProcess.start()
            address = "127.0.0.1:\(try node.port())"
        }

        private func client(_ arguments: String...) throws -> CommandResult {
            try runCommand(Repository.binary, arguments + ["--node", address])
        }

        private func script(_ name: String, _ arguments: String..., input: String = "") throws -> CommandResult {
            try runCommand(
                Python.interpreter, [Repository.path("utils/\(name)")] + arguments, input: Array(input.utf8))
        }

        private func scriptOnNode(_ name: String, _ arguments: [String], input: String = "") throws -> CommandResult {
            let parts = address.split(separator: ":").map(String.init)
            return try runCommand(
                Python.interpreter, [Repository.path("utils/\(name)")] + arguments + parts, input: Array(input.utf8))
        }

        @Test func `the client puts, gets, touches, counts and deletes`() throws {
            #expect(try client("put", "k", "some text").status == .exited(0))
            #expect(try node.client().value("k") == "\"some text\"")
            let got = try client("get", "k")
            #expect(got.status == .exited(0))
            #expect(got.line == "some text")
            let raw = try client("get", "k", "--json")
            #expect(try RawJSON(raw.output.filter { $0 != 10 })["value"]?.text == "\"some text\"")
            #expect(try client("get", "nothing").status == .exited(1))
            #expect(try client("touch", "k", "5000").status == .exited(0))
            try node.client().put("n", "41")
            #expect(try client("incr", "n").line == "42")
            #expect(try client("delete", "k").status == .exited(0))
            #expect(try node.client().value("k") == nil)
            let stats = try client("stats", "--json")
            #expect(stats.status == .exited(0))
            #expect(try RawJSON(stats.output.filter { $0 != 10 })["currItems"]?.integer == 1)
        }

        @Test func `the client tells a node that is not there by 69`() throws {
            let result = try runCommand(Repository.binary, ["get", "k", "--node", "127.0.0.1:1"])
            #expect(result.status == .exited(69))
            #expect(!result.errorText.isEmpty)
        }

        @Test(arguments: [
            "value", "", "two words", "it's \"quoted\" \\ and $HOME `date`", "é😀", "line\nbreak", "--dashes", "1e400",
            "{\"a\":1}",
        ])
        func `the scripts hand any text through`(text: String) throws {
            let put = try scriptOnNode("put.py", ["--", text == "" ? "empty" : text, text])
            #expect(put.status == .exited(0), "\(put.errorText)")
            let key = text == "" ? "empty" : text
            let got = try scriptOnNode("get.py", ["--", key])
            #expect(got.status == .exited(0), "\(got.errorText)")
            #expect(got.line == text)
            #expect(try scriptOnNode("delete.py", ["--", key]).status == .exited(0))
            let miss = try scriptOnNode("get.py", ["--", key])
            #expect(miss.status == .exited(1))
            #expect(miss.output.isEmpty)
        }

        @Test func `a value given as JSON keeps its text`() throws {
            #expect(try scriptOnNode("put.py", ["--json", "j", "[1e400, 0.1000]"]).status == .exited(0))
            #expect(try node.client().value("j") == "[1e400, 0.1000]")
            #expect(try scriptOnNode("get.py", ["j"]).line == "[1e400, 0.1000]")
            #expect(try scriptOnNode("put.py", ["--json", "j", "[1,"]).status == .exited(2))
            #expect(try scriptOnNode("put.py", ["s", "-"], input: "from standard input").status == .exited(0))
            #expect(try scriptOnNode("get.py", ["s"]).line == "from standard input")
        }

        @Test func `a script that reaches nobody ends with 2 and one line`() throws {
            let result = try script("get.py", "key", "127.0.0.1", "1")
            #expect(result.status == .exited(2))
            #expect(result.output.isEmpty)
            #expect(result.errorText.split(separator: "\n").count == 1, "\(result.errorText)")
        }
    }
}
