import Testing

@testable import LoadGenerator

@Suite("Reply checks")
struct ReplyCheckerTests {
    private static func plan(_ wire: LoadProtocol) -> LoadPlan {
        var plan = LoadPlan(host: "localhost", port: 1)
        plan.protocol = wire
        plan.valueBytes = 24
        return plan
    }

    private static func value(_ wire: LoadProtocol, _ key: Int) -> String {
        let value = SampleValue(self.plan(wire))
        let digits = String(repeating: "0", count: 12 - String(key).count) + String(key)
        return String(decoding: value.head, as: UTF8.self) + digits + String(decoding: value.tail, as: UTF8.self)
    }

    private static func http(_ body: String, status: String = "200 OK") -> String {
        "HTTP/1.1 \(status)\r\nDate: now\r\nContent-Type: application/json\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private func check(_ wire: LoadProtocol, _ reply: String, keys: [Int], isRead: Bool = true) -> ReplyProgress {
        let checker = ReplyChecker(Self.plan(wire))
        let bytes = Array(reply.utf8)
        return bytes.withUnsafeBufferPointer { bytes in
            keys.withUnsafeBufferPointer { keys in
                guard let base = bytes.baseAddress else { return .incomplete(bytes: 0) }
                return checker.check(
                    ByteScanner(base, count: bytes.count), ExpectedReply(isRead: isRead, keys: keys))
            }
        }
    }

    struct Case: CustomTestStringConvertible, Sendable {
        var wire: LoadProtocol
        var reply: String
        var keys: [Int]
        var isRead = true
        var verdict: ReplyVerdict

        var testDescription: String { "\(self.wire) \(self.reply.suffix(60).debugDescription)" }
    }

    private static func rpc(_ result: String) -> String {
        self.http("{\"jsonrpc\":\"2.0\",\"result\":\(result),\"id\":1}")
    }

    static let cases: [Case] = [
        Case(
            wire: .jsonrpc, reply: rpc("{\"found\":true,\"value\":\(value(.jsonrpc, 7)),\"cas\":\"1\"}"), keys: [7],
            verdict: ReplyVerdict(hits: 1)),
        Case(
            wire: .jsonrpc, reply: rpc("{\"found\":true,\"value\":\(value(.jsonrpc, 8)),\"cas\":\"1\"}"), keys: [7],
            verdict: ReplyVerdict(failures: 1)),
        Case(wire: .jsonrpc, reply: rpc("{\"found\":false}"), keys: [7], verdict: ReplyVerdict(misses: 1)),
        Case(
            wire: .jsonrpc, reply: http("{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1},\"id\":1}"), keys: [7],
            verdict: ReplyVerdict(failures: 1)),
        Case(wire: .jsonrpc, reply: http("", status: "503 x"), keys: [7, 8], verdict: ReplyVerdict(failures: 2)),
        Case(
            wire: .jsonrpc,
            reply: rpc("{\"items\":[{\"found\":true,\"value\":\(value(.jsonrpc, 1))},{\"found\":false}]}"),
            keys: [1, 2, 3], verdict: ReplyVerdict(hits: 1, misses: 1, failures: 1)),
        Case(
            wire: .jsonrpc, reply: rpc("{\"stored\":true,\"cas\":\"5\"}"), keys: [1], isRead: false,
            verdict: ReplyVerdict(hits: 1)),
        Case(
            wire: .jsonrpc, reply: rpc("{\"stored\":false,\"reason\":\"exists\"}"), keys: [1], isRead: false,
            verdict: ReplyVerdict(failures: 1)),
        Case(wire: .httpGet, reply: http("hello"), keys: [0], verdict: ReplyVerdict(hits: 1)),
        Case(
            wire: .httpGet,
            reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n",
            keys: [0], verdict: ReplyVerdict(hits: 1)),
        Case(
            wire: .redis, reply: "$24\r\n\(value(.redis, 7))\r\n", keys: [7], verdict: ReplyVerdict(hits: 1)),
        Case(wire: .redis, reply: "$-1\r\n", keys: [7], verdict: ReplyVerdict(misses: 1)),
        Case(wire: .redis, reply: "$3\r\nabc\r\n", keys: [7], verdict: ReplyVerdict(failures: 1)),
        Case(
            wire: .redis, reply: "*2\r\n$24\r\n\(value(.redis, 7))\r\n$-1\r\n", keys: [7, 8],
            verdict: ReplyVerdict(hits: 1, misses: 1)),
        Case(wire: .redis, reply: "+OK\r\n", keys: [7], isRead: false, verdict: ReplyVerdict(hits: 1)),
        Case(wire: .redis, reply: "-ERR no\r\n", keys: [7], isRead: false, verdict: ReplyVerdict(failures: 1)),
        Case(
            wire: .memcached, reply: "VALUE key:000000000007 0 24\r\n\(value(.memcached, 7))\r\nEND\r\n", keys: [7],
            verdict: ReplyVerdict(hits: 1)),
        Case(
            wire: .memcached, reply: "VALUE key:000000000008 0 24\r\n\(value(.memcached, 8))\r\nEND\r\n",
            keys: [7, 8, 9], verdict: ReplyVerdict(hits: 1, misses: 2)),
        Case(wire: .memcached, reply: "END\r\n", keys: [7], verdict: ReplyVerdict(misses: 1)),
        Case(wire: .memcached, reply: "STORED\r\n", keys: [7], isRead: false, verdict: ReplyVerdict(hits: 1)),
        Case(
            wire: .memcached, reply: "SERVER_ERROR out of memory\r\n", keys: [7], isRead: false,
            verdict: ReplyVerdict(failures: 1)),
        Case(
            wire: .webdis, reply: http("{\"GET\":\"\\\"000000000007abc\\\"\"}"), keys: [7],
            verdict: ReplyVerdict(hits: 1)),
        Case(wire: .webdis, reply: http("{\"GET\":null}"), keys: [7], verdict: ReplyVerdict(misses: 1)),
        Case(
            wire: .webdis, reply: http("{\"MGET\":[\"\\\"000000000007abc\\\"\",null]}"), keys: [7, 8],
            verdict: ReplyVerdict(hits: 1, misses: 1)),
        Case(
            wire: .webdis, reply: http("{\"SET\":[true,\"OK\"]}"), keys: [7], isRead: false,
            verdict: ReplyVerdict(hits: 1)),
    ]

    @Test("A complete reply is judged and its length is known, whatever follows it", arguments: cases)
    func judges(_ example: Case) {
        let expected = ReplyProgress.complete(bytes: example.reply.utf8.count, example.verdict)
        #expect(self.check(example.wire, example.reply, keys: example.keys, isRead: example.isRead) == expected)
        let more = example.reply + example.reply
        #expect(self.check(example.wire, more, keys: example.keys, isRead: example.isRead) == expected)
    }

    @Test("A reply cut anywhere is incomplete, and never asks for more than is missing", arguments: cases)
    func cuts(_ example: Case) {
        let bytes = Array(example.reply.utf8)
        for length in 1..<bytes.count {
            let cut = String(decoding: bytes[..<length], as: UTF8.self)
            let progress = self.check(example.wire, cut, keys: example.keys, isRead: example.isRead)
            guard case .incomplete(let needed) = progress else {
                Issue.record("cut at \(length): \(progress)")
                continue
            }
            #expect(needed <= bytes.count, "cut at \(length)")
        }
    }

    @Test("What is no reply of the protocol is malformed")
    func malformed() {
        #expect(self.check(.redis, "HTTP/1.1 400 Bad Request\r\n\r\n", keys: [1]) == .malformed)
        #expect(self.check(.redis, "*3\r\n", keys: [1, 2]) == .malformed)
        #expect(self.check(.jsonrpc, "SSH-2.0-OpenSSH_9.2\r\n\r\n", keys: [1]) == .malformed)
        #expect(self.check(.jsonrpc, "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", keys: [1]) == .malformed)
        #expect(self.check(.jsonrpc, "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", keys: [1]) == .malformed)
    }
}
