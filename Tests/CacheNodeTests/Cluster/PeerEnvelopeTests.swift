// The frame around calls between nodes: what is sent, and how each call gets its part of what comes back.

import Compression
import JSONRPC
import Membership
import NIOCore
import TestSupport
import Testing

@testable import CacheNode

/// What became of the calls of one exchange, in their order.
private final class Answers {
    var results: [Result<PeerReply, PeerFailure>?] = []

    func call(_ text: ReplyBuffer = .empty(), operation: UInt64 = 0) -> PeerCall {
        let place = results.count
        results.append(nil)
        return PeerCall(text: text, operation: operation, deadline: .max) { result in
            #expect(self.results[place] == nil, "answered twice")
            self.results[place] = result
        }
    }

    /// Each answer's text, or what went wrong.
    var texts: [String] {
        results.map { result in
            switch result {
            case nil: "none"
            case .failure(let failure): "\(failure)"
            case .success(let reply):
                reply.text.text.withUnsafeReadableBytes {
                    String(decoding: reply.value.slice.bytes(in: $0), as: UTF8.self)
                }
            }
        }
    }
}

private func plain(_ text: String) -> PeerText { PeerText(plain: ByteBuffer(string: text)) }

private func nested(_ levels: Int) -> String {
    String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
}

@Suite("Peer envelope")
struct PeerEnvelopeTests {
    private let node = makeNode { $0.network.cluster = "a \"b\"" }

    private func text(of calls: [PeerCall]) throws -> PeerText {
        try #require(PeerEnvelope.request(calls, node: node).sent())
    }

    private func answers(to count: Int, _ response: String) -> [String] {
        let answers = Answers()
        let calls = (0..<count).map { _ in answers.call() }
        PeerEnvelope.answer(calls, with: .success(plain(response)), node: node)
        return answers.texts
    }

    @Test("A request names cluster, protocol, sender and epoch, and holds the calls as they are")
    func request() throws {
        let answers = Answers()
        let texts = [#"{"jsonrpc":"2.0","id":1,"method":"cache.get"}"#, #"{"jsonrpc":"2.0","id":"x","method":"m"}"#]
        let calls = texts.map { text in
            var buffer = ReplyBuffer.empty()
            buffer.append(text: text)
            return answers.call(buffer)
        }
        let request = try text(of: calls)
        #expect(
            String(decoding: request.bytes, as: UTF8.self)
                == #"{"jsonrpc":"2.0","id":1,"method":"peer.calls","params":{"cluster":"a \"b\"","protocol":1,"from":"me","#
                + #""epoch":0,"clock":"0","hop":1,"calls":["# + texts.joined(separator: ",") + "]}}")
    }

    @Test("Numbers of writes travel beside the calls, with zeros for reads, and not at all where there are none")
    func operations() throws {
        let answers = Answers()
        var buffer = ReplyBuffer.empty()
        buffer.append("{}")
        let request = try text(of: [
            answers.call(buffer), answers.call(buffer, operation: .max), answers.call(buffer, operation: 7),
        ])
        let json = try RawJSON(request.bytes)
        #expect(json["params"]?["operations"]?.text == #"["0","18446744073709551615","7"]"#)
        #expect(json["params"]?["calls"]?.elements?.count == 3)
        let reads = try RawJSON(try text(of: [answers.call(buffer)]).bytes)
        #expect(reads["params"]?["operations"] == nil)
    }

    @Test("Values stay compressed within the calls of a request")
    func compressedCalls() throws {
        let answers = Answers()
        let sample = try CompressedSample(Array("\"\(String(repeating: "web ", count: 400))\"".utf8))
        var inflater = try Inflater()
        var call = ReplyBuffer.empty()
        call.append("{\"params\":[")
        call.append(sample)
        call.append(",1]}")
        let request = try text(of: [answers.call(call), answers.call(call)])
        #expect(request.holes.count == 2)
        let inflated = request.inflated(with: &inflater)
        let json = try RawJSON(try #require(inflated))
        #expect(json["params"]?["calls"]?[1]?["params"]?[0]?.bytes == sample.text)
    }

    @Test("Each call gets the reply at its place")
    func replies() {
        #expect(
            answers(to: 3, #"{"jsonrpc":"2.0","id":1,"result":{"epoch":0,"replies":[{"id":1}, 1101 ,{"id":"]"}]}}"#)
                == ["{\"id\":1}", "1101", "{\"id\":\"]\"}"])
        #expect(answers(to: 0, #"{"result":{"replies":[]}}"#) == [])
    }

    @Test("A value in a reply is still compressed when the call gets it")
    func compressedReply() throws {
        let sample = try CompressedSample(Array("[1,1,1,1,1,1,1,1,1,1]".utf8))
        var response = ReplyBuffer.empty()
        response.append("{\"result\":{\"replies\":[{\"result\":")
        response.append(sample)
        response.append("},{\"result\":2}]}}")
        let answers = Answers()
        let calls = [answers.call(), answers.call()]
        PeerEnvelope.answer(calls, with: .success(try #require(response.sent())), node: node)
        guard case .success(let reply) = answers.results[0] else {
            Issue.record("no reply")
            return
        }
        var inflater = try Inflater()
        var text = ReplyBuffer.empty(acceptsGzip: false)
        #expect(text.append(reply.value.slice, of: reply.text, with: &inflater))
        #expect(text.plainText == Array("{\"result\":".utf8) + sample.text + Array("}".utf8))
        #expect(reply.isResult && reply.refusal == nil)
    }

    @Test("A failed exchange fails all of its calls", arguments: [PeerFailure.lost, .timedOut, .refused, .unreachable])
    func failure(_ failure: PeerFailure) {
        let answers = Answers()
        let calls = [answers.call(), answers.call()]
        PeerEnvelope.answer(calls, with: .failure(failure), node: node)
        #expect(answers.texts == ["\(failure)", "\(failure)"])
    }

    @Test(
        "A response that does not answer every call is no answer to any",
        arguments: [
            #"{"result":{"replies":[1]}}"#, #"{"result":{"replies":[1,2,3]}}"#, #"{"result":{"replies":[1,]}}"#,
            #"{"result":{"replies":[1 2]}}"#, #"{"result":{"replies":{}}}"#, #"{"result":{"replies":[1,nul]}}"#,
            #"{"result":{"epoch":1}}"#, #"{"result":[]}"#, #"{"result":7}"#, #"{"error":{"code":1,"message":"x"}}"#,
            #"{"replies":[1,2]}"#, "[1,2]", "", "null", "{", #"{"result":{"replies":[1,2"#, "HTTP/1.1 200 OK",
        ])
    func unreadable(_ response: String) {
        #expect(answers(to: 2, response) == ["lost", "lost"])
    }

    @Test("A response cut anywhere before its last reply ends answers nobody")
    func truncated() {
        let response = #"{"jsonrpc":"2.0","id":1,"result":{"epoch":0,"replies":[{"id":1,"result":"a"},{"id":2}]}}"#
        let end = response.utf8.count - "}}".utf8.count
        for count in 0..<end {
            #expect(answers(to: 2, String(decoding: response.utf8.prefix(count), as: UTF8.self)) == ["lost", "lost"])
        }
        #expect(answers(to: 2, response) == [#"{"id":1,"result":"a"}"#, #"{"id":2}"#])
    }

    @Test("A number among the replies is a refusal, an object none; only an object with a result is one")
    func refusals() {
        func reply(_ text: String) -> PeerReply? {
            let answers = Answers()
            PeerEnvelope.answer(
                [answers.call()], with: .success(plain(#"{"result":{"replies":[\#(text)]}}"#)), node: node)
            return try? answers.results[0]?.get()
        }
        #expect(reply("1106")?.refusal == 1106 && reply("1106")?.isResult == false)
        #expect(reply("1.5")?.refusal == -32603 && reply("1e9")?.refusal == -32603)
        #expect(reply("{\"result\":null}")?.refusal == nil && reply("{\"result\":null}")?.isResult == true)
        #expect(reply("{\"error\":{\"result\":1}}")?.isResult == false)
        #expect(reply("[\"result\"]")?.isResult == false && reply("null")?.refusal == nil)
    }

    // MARK: Nesting

    @Test("The deepest value a client may put can be told to replicas", arguments: [1, 100, 124, 125, 126])
    func deepValueToReplicas(levels: Int) throws {
        // As a client puts it: envelope, params, and 126 levels of value.
        let put = #"{"jsonrpc":"2.0","id":1,"method":"cache.put","params":{"key":"k","value":\#(nested(levels))}}"#
        guard case .single(.call) = Array(put.utf8).withUnsafeBytes({ parseMessage($0) }) else {
            Issue.record("a client may not put it")
            return
        }
        let record = Array("k".utf8).withUnsafeBytes { key in
            Array(nested(levels).utf8).withUnsafeBytes { value in
                ReplicationCodec.record(
                    .put, key: key, version: 1, wallExpiry: .max, operation: 0, value: (value, .plain))
            }
        }
        let request = try #require(ReplicationCodec.request([record]).sent())
        let isCall = request.text.withUnsafeReadableBytes { bytes in
            var pull = JSONPull(bytes, maxDepth: maxPeerNestingLevels)
            guard case .call = try? pull.call() else { return false }
            return true
        }
        #expect(isCall)
    }

    @Test(
        "The deepest value can be in the reply to a getMany of another node's keys", arguments: [1, 100, 124, 125, 126])
    func deepValueInReply(levels: Int) {
        let reply = #"{"jsonrpc":"2.0","id":1,"result":{"items":[{"found":true,"value":\#(nested(levels))}]}}"#
        let read = answers(to: 1, #"{"jsonrpc":"2.0","id":1,"result":{"epoch":0,"replies":[\#(reply)]}}"#)
        #expect(read.first == reply && read.count == 1)
    }
}
