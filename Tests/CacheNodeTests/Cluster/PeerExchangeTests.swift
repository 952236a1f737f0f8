// What a node does with the calls of another one: who may ask, what is carried out, and how it is answered.

import CacheStore
import Compression
import HashRing
import JSONRPC
import Membership
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import CacheNode

/// A node "me" beside a member "2", and requests to it as if they had come by HTTP.
private struct Receiver {
    let node: NodeCore
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init(hasView: Bool = true) {
        node = makeNode { $0.local.memoryLimitBytes = 64 << 20 }
        node.becameReady()
        guard hasView else { return }
        let view = View(
            epoch: Epoch(number: 7, proposer: MemberID("2")), members: [member("2", port: 1), member("me")])
        node.cluster.routing.publish(
            RoutingTable(
                view: view, selfID: MemberID("me"), replicas: 0, virtualNodes: 4, isLeaving: false,
                mayServeAlone: true))
        node.cluster.routing.mayAct(until: .max)
    }

    struct Response {
        var status: ResponseStatus
        var text: PeerText?

        /// The answer to each call; nil when it is none to an exchange.
        var replies: [RawJSON]? {
            guard let text, let json = try? RawJSON(text.bytes) else { return nil }
            return json["result"]?["replies"]?.elements
        }
    }

    func post(_ body: ByteBuffer, isHoled: Bool = false) async throws -> Response {
        let loop = group.next()
        let (status, bytes) = try await loop.flatSubmit { [node] in
            let promise = loop.makePromise(of: (ResponseStatus, ByteBuffer).self)
            do {
                let thread = try ThreadState(node: node)
                thread.readClock()
                var facts = Array("POST /peer".utf8).withUnsafeBytes { bytes in
                    RequestFacts(
                        method: UnsafeRawBufferPointer(rebasing: bytes[..<4]),
                        target: UnsafeRawBufferPointer(rebasing: bytes[5...]), isHTTP10: false)
                }
                facts.contentCoding = isHoled ? .holes : .identity
                let outcome = RequestProcessor(node: node).respond(
                    to: CompleteRequest(facts: facts, body: body), thread: thread,
                    onEventLoop: true)
                switch outcome {
                case .answered(let response): promise.succeed((response.status, response.bytes))
                case .pending(let start): start { promise.succeed(($0.status, $0.bytes)) }
                case .needsWorker: promise.fail(TestFailure("small exchanges are answered on the loop"))
                }
            } catch {
                promise.fail(error)
            }
            return promise.futureResult
        }.get()
        let view = Array(bytes.readableBytesView)
        let end = try #require(view.indices.dropFirst(3).first { Array(view[$0 - 3...$0]) == Array("\r\n\r\n".utf8) })
        let head = String(decoding: view[...end], as: UTF8.self)
        let content = ByteBuffer(bytes: view[(end + 1)...])
        let hasHoles = head.contains("\(PeerText.contentCoding)")
        return Response(status: status, text: hasHoles ? PeerText(holed: content) : PeerText(plain: content))
    }

    func post(_ text: String) async throws -> Response { try await post(ByteBuffer(string: text)) }

    /// A key that one of the members owns.
    func key(ownedBy id: String) -> String {
        (0..<1000).map { "key-\($0)" }.first { key in
            Array(key.utf8).withUnsafeBytes { node.cluster.routing.table.owners(of: $0) } == [id]
        } ?? ""
    }

    func close() async throws { try await group.shutdownGracefully() }
}

private func frame(
    cluster: String = "default", version: Int = peerProtocolVersion, from: String = "2", hop: Int = 1,
    operations: [UInt64] = [], _ calls: [String]
) -> String {
    let numbers =
        operations.isEmpty ? "" : #","operations":[\#(operations.map { "\"\($0)\"" }.joined(separator: ","))]"#
    return #"{"jsonrpc":"2.0","id":1,"method":"peer.calls","params":{"cluster":"\#(cluster)","protocol":\#(version),"#
        + #""from":"\#(from)","epoch":7,"hop":\#(hop)\#(numbers),"calls":[\#(calls.joined(separator: ","))]}}"#
}

private func call(_ method: String, _ parameters: String, id: Int = 1) -> String {
    #"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)","params":\#(parameters)}"#
}

@Suite("Exchange between nodes")
struct PeerExchangeTests {
    private func with(hasView: Bool = true, _ body: (Receiver) async throws -> Void) async throws {
        let receiver = Receiver(hasView: hasView)
        try await body(receiver)
        try await receiver.close()
    }

    @Test("Calls are carried out in their order, and each is answered with its id")
    func answers() async throws {
        try await with { receiver in
            let key = receiver.key(ownedBy: "me")
            let response = try await receiver.post(
                frame([
                    call("cache.put", #"{"key":"\#(key)","value":[1, 2]}"#, id: 5),
                    call("cache.get", #"{"key":"\#(key)"}"#, id: 6), call("no.such", "[]", id: 7), "3",
                ]))
            #expect(response.status == .ok)
            let replies = try #require(response.replies)
            try #require(replies.count == 4)
            #expect(replies.prefix(3).map { $0["id"]?.integer } == [5, 6, 7])
            #expect(replies[1]["result"]?["value"]?.text == "[1, 2]")
            #expect(replies[2]["error"]?["code"]?.integer == Int(RPCErrorCode.methodNotFound.rawValue))
            #expect(replies[3]["error"]?["code"]?.integer == Int(RPCErrorCode.invalidRequest.rawValue))
        }
    }

    @Test("A key of another owner is refused with a bare code, so that the call can go there")
    func wrongOwner() async throws {
        try await with { receiver in
            let response = try await receiver.post(
                frame([
                    call("cache.get", #"{"key":"\#(receiver.key(ownedBy: "2"))"}"#),
                    call("cache.get", #"{"key":"\#(receiver.key(ownedBy: "me"))"}"#),
                ]))
            let replies = try #require(response.replies)
            #expect(replies.first?.integer == Int(RPCErrorCode.wrongOwner.rawValue))
            #expect(replies.last?["result"]?["found"]?.boolean == false)
        }
    }

    @Test("A write that is told again with its number is not done again")
    func repeatedWrite() async throws {
        try await with { receiver in
            let increment = call("cache.incr", #"{"key":"\#(receiver.key(ownedBy: "me"))","delta":1,"initial":10}"#)
            var values: [Int?] = []
            for operation: UInt64 in [77, 77, 78, 78, 77, 0, 0] {
                let response = try await receiver.post(frame(operations: [operation], [increment]))
                values.append(response.replies?.first?["result"]?["value"]?.integer)
            }
            #expect(values == [10, 10, 11, 11, 10, 12, 13])
        }
    }

    @Test("Compressed values are taken and given as they are stored")
    func compressedValues() async throws {
        try await with { receiver in
            let sample = try CompressedSample(Array("\"\(String(repeating: "thread ", count: 500))\"".utf8))
            let keys = ["one", "two"].map { "\($0)-\(receiver.key(ownedBy: "me"))" }
            let records = keys.map { key in
                Array(key.utf8).withUnsafeBytes { key in
                    sample.blocks.withUnsafeBytes { blocks in
                        ReplicationCodec.record(
                            .put, key: key, version: 9, wallExpiry: .max, operation: 0,
                            value: (blocks, .deflated(originalBytes: UInt32(sample.text.count), crc32: sample.crc)))
                    }
                }
            }
            let calls = [PeerCall(text: ReplicationCodec.request(records), deadline: .max) { _ in }]
            let sender = makeNode { $0.local.nodeID = "2" }
            let (body, isHoled) = PeerEnvelope.request(calls, node: sender).finishForPeer()
            #expect(isHoled)
            let response = try await receiver.post(body, isHoled: true)
            #expect(response.replies?.first?["result"]?["applied"]?.integer == 2)
            for key in keys {
                receiver.node.storage.with(key) { key in
                    var copy: [UInt8] = []
                    let facts = receiver.node.storage.read(key, now: 0) { copy = Array($0.value) }
                    #expect(copy == sample.blocks && facts?.version == 9)
                    #expect(facts?.form == .deflated(originalBytes: UInt32(sample.text.count), crc32: sample.crc))
                }
            }
            guard
                let mine = keys.first(where: { key in
                    Array(key.utf8).withUnsafeBytes { receiver.node.cluster.routing.table.owners(of: $0) } == ["me"]
                })
            else { return }
            let read = try await receiver.post(frame([call("cache.get", #"{"key":"\#(mine)"}"#)]))
            #expect(read.text?.holes.count == 1)
        }
    }

    @Test("Calls without an id have a place among the replies too", arguments: ["cache.put", "peer.flush"])
    func notifications(method: String) async throws {
        try await with { receiver in
            let parameters =
                method == "cache.put" ? #"{"key":"\#(receiver.key(ownedBy: "me"))","value":1}"# : #"{"version":"1"}"#
            let notification = #"{"jsonrpc":"2.0","method":"\#(method)","params":\#(parameters)}"#
            let response = try await receiver.post(frame([notification, call("node.health", "[]", id: 8)]))
            #expect(response.replies?.count == 2 && response.replies?.last?["id"]?.integer == 8)
        }
    }

    // MARK: Who may ask

    @Test("Only members of the same cluster, by the same protocol and directly, are answered")
    func senders() async throws {
        try await with { receiver in
            let get = [call("cache.get", #"{"key":"\#(receiver.key(ownedBy: "me"))"}"#)]
            func code(_ frame: String) async throws -> Int? { try await receiver.post(frame).replies?.first?.integer }
            let cases: [(String, RPCErrorCode?)] = [
                (frame(get), nil), (frame(cluster: "other", get), .forbidden),
                (frame(version: peerProtocolVersion + 1, get), .forbidden), (frame(hop: 2, get), .forwardLoop),
                (frame(hop: 0, get), .forwardLoop), (frame(from: "3", get), .staleEpoch),
            ]
            for (frame, expected) in cases {
                let code = try await code(frame)
                #expect(code == expected.map { Int($0.rawValue) }, "\(frame)")
            }
        }
        try await with(hasView: false) { receiver in
            let response = try await receiver.post(frame([call("cache.get", #"{"key":"k"}"#)]))
            #expect(response.replies?.map(\.integer) == [Int(RPCErrorCode.notReady.rawValue)])
        }
    }

    @Test("Messages of the membership are taken from anybody")
    func membershipMessages() async throws {
        try await with(hasView: false) { receiver in
            var text: [UInt8] = []
            MembershipCodec.write(
                PeerMessage(
                    cluster: "default", protocolVersion: 1, sender: member("9"), sequence: 1, epoch: .none,
                    content: .leave), into: &text)
            let tell = call("peer.tell", #"{"message":\#(String(decoding: text, as: UTF8.self))}"#)
            let response = try await receiver.post(
                frame(cluster: "other", from: "9", [tell, call("node.stats", "[]")]))
            #expect(response.replies?.first?["result"]?.boolean == true)
            #expect(response.replies?.last?.integer == Int(RPCErrorCode.forbidden.rawValue))
        }
    }

    // MARK: Hostile bodies

    @Test("A frame that is cut before its calls end is a bad request")
    func truncated() async throws {
        try await with { receiver in
            let whole = frame([call("cache.get", #"{"key":"k"}"#), call("cache.get", #"["a"]"#)])
            let end = whole.utf8.count - "]}}".utf8.count
            for count in 0...end {
                let response = try await receiver.post(String(decoding: whole.utf8.prefix(count), as: UTF8.self))
                #expect(response.status == .badRequest, "cut at \(count)")
            }
            #expect(try await receiver.post(whole).status == .ok)
        }
    }

    @Test(
        "A body that is no frame is a bad request",
        arguments: ["", "null", "[]", "{}", #"{"params":{}}"#, #"{"params":[]}"#, #"{"params":{"calls":{}}}"#, "\u{0}"])
    func noFrame(_ body: String) async throws {
        try await with { receiver in
            for isHoled in [true, false] {
                let response = try await receiver.post(ByteBuffer(string: body), isHoled: isHoled)
                #expect(response.status == .badRequest)
            }
        }
    }

    @Test("1,500 changed frames are answered or refused")
    func mutated() async throws {
        let seed: UInt64 = 0x5EED_0031
        print("seed \(seed)")
        try await with { receiver in
            var random = SeededRandom(seed: seed)
            let key = receiver.key(ownedBy: "me")
            let whole = Array(
                frame(
                    operations: [1, 2, 3, 4],
                    [
                        call("cache.put", #"{"key":"\#(key)","value":{"a":[1]}}"#),
                        call("peer.replicate", #"{"records":[["p","k","5",null,"0",1],["r","k","6",null,"0"]]}"#),
                        call("peer.offer", #"{"items":[["k","5"],["\#(key)","1"]]}"#),
                        call("peer.flush", #"{"version":"1"}"#),
                    ]
                ).utf8)
            let telling = Array("\"\\{}[]:,0123456789-.eEtrufalsn".utf8)
            var statuses: [Bool: Int] = [:]
            for _ in 0..<1500 {
                var bytes = whole
                for _ in 0...Int.random(in: 0..<2, using: &random) {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: bytes[place] = telling[Int.random(in: 0..<telling.count, using: &random)]
                    case 1: bytes.remove(at: place)
                    default: bytes.insert(telling[Int.random(in: 0..<telling.count, using: &random)], at: place)
                    }
                }
                let response = try await receiver.post(ByteBuffer(bytes: bytes))
                statuses[response.status == .ok, default: 0] += 1
                // What becomes of a call that waits and has no id is another test's.
                let text = String(decoding: response.text?.bytes ?? [], as: UTF8.self)
                let isWhole = response.replies != nil || text.contains("}null")
                #expect(response.status == .ok ? isWhole : response.status == .badRequest, "\(text)")
            }
            #expect(statuses[true] ?? 0 > 200 && statuses[false] ?? 0 > 200, "\(statuses)")
        }
    }
}
