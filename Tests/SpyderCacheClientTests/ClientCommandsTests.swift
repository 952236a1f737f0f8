// The client's subcommands: what they parse, what they print, how they end.

import ArgumentParser
import SpyderCacheClient
import Testing

@testable import spydercache

struct ClientCommandsTests {
    @Test(arguments: [
        ("10.0.0.1:9000", "10.0.0.1", 9000), ("node-1.example:1", "node-1.example", 1),
        ("localhost", "localhost", 8001),
        ("[::1]:65535", "::1", 65535), ("[fe80::1%eth0]", "fe80::1%eth0", 8001),
    ])
    func `an address is a host with or without a port`(text: String, host: String, port: Int) {
        #expect(NodeAddress(argument: text) == NodeAddress(host: host, port: port))
    }

    @Test(arguments: [
        "", ":8001", "host:", "host:0", "host:65536", "host:+1", "host:8001x", "::1", "[::1", "[::1]8001", "[::1]:",
        "[]:1",
        "[host]:1", "a b:1", "host:1:2",
    ])
    func `anything else is no address`(text: String) {
        #expect(NodeAddress(argument: text) == nil)
    }

    @Test func `the option goes before the environment and that before the default`() throws {
        let bare = try NodeOptions.parse([])
        #expect(try bare.address { _ in nil } == .standard)
        #expect(try bare.address { _ in "" } == .standard)
        #expect(try bare.address { $0 == "SPYDERCACHE_NODE" ? "b:2" : nil } == NodeAddress(host: "b", port: 2))
        #expect(throws: ValidationError.self) { try bare.address { _ in "b:two" } }
        #expect(try NodeOptions.parse(["--node", "a:1"]).address { _ in "b:2" } == NodeAddress(host: "a", port: 1))
    }

    @Test(arguments: [
        ["get"], ["get", "a", "b"], ["get", "k", "--node", "::1"], ["get", "k", "--timeout-ms", "0"],
        ["put", "k"], ["put", "k", "v", "--mode", "upsert"], ["put", "k", "v", "--ttl-ms", "0"],
        ["put", "k", "v", "--if-match", "-1"], ["put", "k", "v", "--if-match", "1", "--mode", "add"],
        ["delete"], ["delete", "a", "b", "--if-match", "1"], ["touch", "k"], ["touch", "k", "0"],
        ["touch", "k", "soon"],
        ["incr", "k", "1.5"], ["incr", "k", "9223372036854775808"], ["stats", "extra"],
    ])
    func `a wrong command line is a usage error`(arguments: [String]) throws {
        let command = try #require(
            ClientCommands.all.first { $0._commandName == arguments.first })
        do {
            _ = try command.parse(Array(arguments.dropFirst()))
            Issue.record("accepted: \(arguments)")
        } catch {
            #expect(command.exitCode(for: error).rawValue == 64)
        }
    }

    @Test func `put takes a string, JSON, or the standard input`() throws {
        func text(_ arguments: String..., input: [UInt8] = []) throws -> String {
            try ClientCommands.Put.parse(["k"] + arguments).text { input }.description
        }
        #expect(try text("[1]") == #""[1]""#)
        #expect(try text("") == #""""#)
        #expect(try text("[1 ]", "--json-value") == "[1 ]")
        #expect(try text("-", input: Array("a\n".utf8)) == #""a\n""#)
        #expect(try text("-", "--json-value", input: Array(" 0.10\n".utf8)) == "0.10")
        #expect(throws: CommandFailure("the value is not UTF-8", 64)) { try text("-", input: [0xFF]) }
        #expect(throws: CommandFailure("the value is not JSON at byte 0: the text ends too early", 64)) {
            try text("", "--json-value")
        }
    }

    /// Parses the command line and runs it against a node that gives `reply`, as a result or as a whole body.
    private func answer(_ arguments: [String], result: String? = nil, body: String? = nil) async throws -> Answer {
        let node = try await FakeNode { request in
            [.send(body.map { FakeNode.http($0) } ?? FakeNode.result(result ?? "{}", to: request))]
        }
        let type = try #require(ClientCommands.all.first { $0._commandName == arguments.first })
        let command = try #require(try type.parse(Array(arguments.dropFirst())) as? any ClientCommand)
        let client = CacheClient(host: "127.0.0.1", port: node.port)
        let answer: Answer
        do throws(CommandFailure) {
            answer = try await command.answer(from: client)
        } catch {
            await client.shutDown()
            throw error
        }
        await client.shutDown()
        return answer
    }

    @Test(arguments: [
        (["get", "k"], #"{"found":true,"value":"a\u00e9\n","cas":"1"}"#, "a\u{e9}\n", 0),
        (["get", "k"], #"{"found":true,"value":[1, 2.0],"cas":"1"}"#, "[1, 2.0]", 0),
        (
            ["get", "k", "--json"], #"{"found":true,"value":"a","cas":"1"}"#, #"{"found":true,"value":"a","cas":"1"}"#,
            0
        ),
        (["get", "k", "--json"], #"{"found":false}"#, #"{"found":false}"#, 1),
        (["put", "k", "v"], #"{"stored":true,"cas":"12"}"#, "stored, cas 12", 0),
        (["put", "k", "v"], #"{"stored":false,"reason":"exists","cas":"12"}"#, "not stored: exists, cas 12", 1),
        (["put", "k", "v"], #"{"stored":false,"reason":"notFound"}"#, "not stored: notFound", 1),
        (["delete", "k"], #"{"deleted":true}"#, "deleted", 0),
        (["delete", "k"], #"{"deleted":false,"reason":"notFound"}"#, "not found", 1),
        (
            ["delete", "k", "--if-match", "1"], #"{"deleted":false,"reason":"casMismatch","cas":"2"}"#,
            "not deleted: casMismatch, cas 2", 1
        ),
        (["delete", "a", "b"], #"{"items":[{"deleted":true},{"deleted":true}]}"#, "2 deleted, 0 not found", 0),
        (["delete", "a", "b"], #"{"items":[{"deleted":true},{"deleted":false}]}"#, "1 deleted, 1 not found", 1),
        (["touch", "k", "5"], #"{"found":true}"#, "touched", 0),
        (["touch", "k", "5"], #"{"found":false}"#, "not found", 1),
        (["incr", "k"], #"{"found":true,"value":-3,"cas":"1"}"#, "-3", 0),
        (["incr", "--", "k", "-5"], #"{"found":false}"#, "not found", 1),
        (
            ["stats"], #"{"currItems":1,"memory":{"arena":{"live":2},"rss":3},"list":[{"a":1}],"version":"x"}"#,
            "currItems 1\nmemory.arena.live 2\nmemory.rss 3\nlist [{\"a\":1}]\nversion x", 0
        ),
    ])
    func `an answer is printed for people or as it came`(
        arguments: [String], result: String, output: String, status: Int32
    ) async throws {
        #expect(try await self.answer(arguments, result: result) == Answer(output, status: ExitCode(status)))
    }

    @Test func `a miss prints nothing on the standard output`() async throws {
        let answer = try await self.answer(["get", "k"], result: #"{"found":false}"#)
        #expect(answer == Answer(nil, note: "no such key", status: .negative))
    }

    @Test func `an error of the node ends with 2`() async throws {
        let body = #"{"jsonrpc":"2.0","error":{"code":1004,"message":"Key invalid","data":{"retryable":false}},"id":1}"#
        let expected = CommandFailure(#"Key invalid (1004) {"retryable":false}"#, 2)
        await #expect(throws: expected) { try await self.answer(["get", ""], body: body) }
    }

    @Test(arguments: [
        (CacheClientError.unreachable("x"), 69), (.connectionLost("x"), 69),
        (.timedOut(after: .seconds(1), wasSent: true), 69), (.badReply("x"), 2), (.httpStatus(404), 2),
        (.replyTooLarge(limitBytes: 1), 2), (.invalidArgument("x"), 64),
    ])
    func `every failure has its exit code`(error: CacheClientError, status: Int) {
        #expect(CommandFailure(error).status == ExitCode(Int32(status)))
    }
}

extension CommandFailure {
    fileprivate init(_ message: String, _ status: Int32) {
        self.init(message, ExitCode(status))
    }
}
