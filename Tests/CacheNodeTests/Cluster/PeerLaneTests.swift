// Calls over real connections to a node that does as it is told: gathered, answered in order, ended in time.

import NIOCore
import NIOPosix
import Testing

@testable import CacheNode

@Suite("Peer lane", .timeLimit(.minutes(1)))
struct PeerLaneTests {
    /// Lends a peer and a lane to it, and ends both.
    private func withLane(
        _ kind: PeerLaneKind = .membership, node: NodeCore = makeNode(),
        _ body: (ScriptedPeer, LaneHarness) async throws -> Void
    ) async throws {
        let peer = try await ScriptedPeer()
        let lane = try await LaneHarness(peer.target, kind, node: node)
        try await body(peer, lane)
        try await lane.close()
        try? await peer.stop()
    }

    private func next(_ peer: ScriptedPeer) async throws -> ScriptedPeer.Request {
        try #require(await peer.requests.next(1).first)
    }

    /// Has a connection opened, so that a short time is not used up by that.
    private func warmUp(_ peer: ScriptedPeer, _ lane: LaneHarness) async throws {
        lane.send([0])
        try await next(peer).answer()
        #expect(await lane.outcomes.next(1) == ["0 for 0"])
    }

    @Test("Calls of one tick go at once and together, and each gets its own reply")
    func oneTick() async throws {
        try await withLane { peer, lane in
            lane.send([1, 2, 3])
            let request = try await next(peer)
            #expect(request.calls == ["1", "2", "3"])
            #expect(request.head.method == .POST && request.head.uri == "/peer")
            #expect(request.head.headers["host"] == ["127.0.0.1:\(peer.port)"])
            #expect(request.head.headers["content-encoding"] == [])
            request.answer()
            #expect(await lane.outcomes.next(3) == ["1 for 1", "2 for 2", "3 for 3"])
        }
    }

    @Test("A connection that is idle again takes the next call, without another one being opened")
    func reuse() async throws {
        try await withLane { peer, lane in
            for id in 1...5 {
                lane.send([id])
                let request = try await next(peer)
                #expect(request.calls == ["\(id)"] && request.connection == 1)
                request.answer()
                #expect(await lane.outcomes.next(1) == ["\(id) for \(id)"])
                #expect(try await lane.isUnused())
            }
            #expect(peer.connectionCount == 1)
        }
    }

    @Test("Calls that come while the only connection is busy go together when it is free, in their order")
    func gathering() async throws {
        try await withLane { peer, lane in
            lane.send([1])
            let first = try await next(peer)
            for id in 2...6 { lane.send([id]) }
            // All of them have been taken by the lane once it answers this.
            #expect(try await !lane.isUnused())
            first.answer()
            let second = try await next(peer)
            #expect(second.calls == ["2", "3", "4", "5", "6"] && second.connection == 1)
            second.answer()
            #expect(await lane.outcomes.next(6) == (1...6).map { "\($0) for \($0)" })
        }
    }

    @Test(
        "While all connections are busy another is opened, up to the lane's number",
        arguments: [PeerLaneKind.calls, .data])
    func connections(kind: PeerLaneKind) async throws {
        try await withLane(kind) { peer, lane in
            var requests: [ScriptedPeer.Request] = []
            for id in 1...kind.maxConnections {
                lane.send([id])
                requests.append(try await next(peer))
            }
            #expect(requests.map(\.connection) == Array(1...kind.maxConnections))
            lane.send([100])
            lane.send([101])
            #expect(try await !lane.isUnused())
            // The last to come is the first to be answered: its connection takes what waits.
            requests[kind.maxConnections - 1].answer()
            let waiting = try await next(peer)
            #expect(waiting.calls == ["100", "101"] && waiting.connection == kind.maxConnections)
            for request in requests.dropLast() { request.answer() }
            waiting.answer()
            #expect(await lane.outcomes.next(kind.maxConnections + 2).count == kind.maxConnections + 2)
            #expect(peer.connectionCount == kind.maxConnections)
        }
    }

    @Test("An exchange holds 512 calls, and a megabyte of them unless one is larger")
    func exchangeLimits() async throws {
        try await withLane { peer, lane in
            lane.send(Array(1...600))
            let full = try await next(peer)
            #expect(full.calls == (1...512).map(String.init))
            full.answer()
            let rest = try await next(peer)
            #expect(rest.calls == (513...600).map(String.init))
            rest.answer()
            #expect(await lane.outcomes.next(600) == (1...600).map { "\($0) for \($0)" })
            lane.send([1, 2, 3, 4, 5], padding: 300_000)
            let large = try await next(peer)
            #expect(large.calls == ["1", "2", "3"])
            large.answer()
            let second = try await next(peer)
            #expect(second.calls == ["4", "5"])
            second.answer()
            lane.send([6, 7], padding: 2 << 20)
            let sixth = try await next(peer)
            #expect(sixth.calls == ["6"])
            sixth.answer()
            let seventh = try await next(peer)
            seventh.answer()
            #expect(await lane.outcomes.next(7) == (1...7).map { "\($0) for \($0)" })
        }
    }

    @Test("What does not fit into the queue is turned away, without being sent")
    func fullQueue() async throws {
        try await withLane { peer, lane in
            lane.send([0])
            let first = try await next(peer)
            lane.send(Array(1...20_003))
            #expect(await lane.outcomes.next(3) == (20_001...20_003).map { "\($0) unreachable" })
            first.answer()
            #expect(await lane.outcomes.next(1) == ["0 for 0"])
            // The node goes: what it was sent is lost, and the rest is known not to have reached it.
            let second = try await next(peer)
            try await peer.stop()
            second.close()
            let rest = await lane.outcomes.next(20_000)
            #expect(rest.prefix(512) == (1...512).map { "\($0) lost" }[...])
            #expect(rest.dropFirst(512) == (513...20_000).map { "\($0) refused" }[...])
            #expect(try await lane.isUnused())
        }
    }

    // MARK: Time

    @Test("A call that is not answered in time is told so, and its connection is given up")
    func timeout() async throws {
        try await withLane { peer, lane in
            try await warmUp(peer, lane)
            lane.send([1], milliseconds: 300)
            let first = try await next(peer)
            #expect(await lane.outcomes.next(1) == ["1 timedOut"])
            // What comes too late reaches nobody, the next call least of all.
            first.answer()
            lane.send([2])
            let second = try await next(peer)
            #expect(second.connection == 2)
            second.answer()
            #expect(await lane.outcomes.next(1) == ["2 for 2"])
        }
    }

    @Test("A call that waits for a connection ends in time too")
    func timeoutInQueue() async throws {
        try await withLane { peer, lane in
            lane.send([1])
            let first = try await next(peer)
            lane.send([2], milliseconds: 40)
            lane.send([3])
            #expect(await lane.outcomes.next(1) == ["2 timedOut"])
            first.answer()
            let second = try await next(peer)
            #expect(second.calls == ["3"])
            second.answer()
            #expect(await lane.outcomes.next(2) == ["1 for 1", "3 for 3"])
        }
    }

    @Test("A call whose time is over when it is sent is not sent")
    func overAlready() async throws {
        try await withLane { peer, lane in
            lane.send([1], milliseconds: -1)
            #expect(await lane.outcomes.next(1) == ["1 timedOut"])
            lane.send([2])
            let request = try await next(peer)
            #expect(request.calls == ["2"])
            request.answer()
            #expect(await lane.outcomes.next(1) == ["2 for 2"])
        }
    }

    @Test("A call ends in time although another of its exchange has longer")
    func mixedDeadlines() async throws {
        try await withLane { peer, lane in
            try await warmUp(peer, lane)
            let started = NodeClock.monotonicMilliseconds()
            // One tick, so one exchange.
            lane.loop.execute {
                lane.send([1], milliseconds: 300)
                lane.send([2], milliseconds: 1500)
            }
            let request = try await next(peer)
            #expect(request.calls == ["1", "2"])
            #expect(await lane.outcomes.next(1) == ["1 timedOut"])
            let waited = NodeClock.monotonicMilliseconds() - started
            #expect(waited < 1400)
        }
    }

    // MARK: Failures

    @Test("Where nobody listens calls are refused")
    func refused() async throws {
        let peer = try await ScriptedPeer()
        try await peer.stop()
        let lane = try await LaneHarness(peer.target, .calls)
        lane.send([1, 2])
        #expect(await lane.outcomes.next(2) == ["1 refused", "2 refused"])
        lane.send([3])
        #expect(await lane.outcomes.next(1) == ["3 refused"])
        #expect(try await lane.isUnused())
        try await lane.close()
    }

    @Test("A response that is cut, at whatever byte, loses its calls and no others", arguments: [0, 1, 14, 30, 40, 60])
    func cut(bytes: Int) async throws {
        try await withLane { peer, lane in
            lane.send([1, 2])
            let request = try await next(peer)
            let whole = "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{\"result\":{\"epoch\":0,\"replies\":[1,2]}}"
            request.send(String(whole.prefix(bytes)))
            request.close()
            #expect(await lane.outcomes.next(2) == ["1 lost", "2 lost"])
            lane.send([3])
            let second = try await next(peer)
            #expect(second.connection == 2)
            second.answer()
            #expect(await lane.outcomes.next(1) == ["3 for 3"])
        }
    }

    @Test("What waits behind a connection that is lost goes over another one")
    func lostWithQueue() async throws {
        try await withLane { peer, lane in
            lane.send([1])
            let first = try await next(peer)
            lane.send([2])
            #expect(try await !lane.isUnused())
            first.close()
            #expect(await lane.outcomes.next(1) == ["1 lost"])
            let second = try await next(peer)
            #expect(second.calls == ["2"] && second.connection == 2)
            second.answer()
            #expect(await lane.outcomes.next(1) == ["2 for 2"])
        }
    }

    @Test("A connection that the other node closed while it was idle is not used again")
    func closedWhileIdle() async throws {
        try await withLane { peer, lane in
            lane.send([1])
            let first = try await next(peer)
            first.answer(fields: "Connection: close\r\n")
            #expect(await lane.outcomes.next(1) == ["1 for 1"])
            #expect(try await lane.isUnused())
            lane.send([2])
            let second = try await next(peer)
            #expect(second.connection == 2)
            second.answer()
            #expect(await lane.outcomes.next(1) == ["2 for 2"])
        }
    }

    @Test(
        "A status says whether the calls were looked at",
        arguments: [
            ("503 Service Unavailable", "unreachable"), ("400 Bad Request", "lost"), ("404 Not Found", "lost"),
            ("500 Internal Server Error", "lost"), ("301 Moved", "lost"),
        ])
    func statuses(_ status: String, outcome: String) async throws {
        try await withLane { peer, lane in
            lane.send([1])
            try await next(peer).answer(status: status)
            #expect(await lane.outcomes.next(1) == ["1 \(outcome)"])
            // The connection is as good as before.
            lane.send([2])
            let second = try await next(peer)
            #expect(second.connection == 1)
            second.answer()
            #expect(await lane.outcomes.next(1) == ["2 for 2"])
        }
    }

    @Test(
        "Bytes that are no response, or no answer, lose the call",
        arguments: [
            "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Encoding: x-spydercache-holes\r\nContent-Length: 8\r\n\r\n12345678",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
        ])
    func noAnswer(_ bytes: String) async throws {
        try await withLane { peer, lane in
            lane.send([1])
            try await next(peer).send(bytes)
            #expect(await lane.outcomes.next(1) == ["1 lost"])
            lane.send([2])
            try await next(peer).answer()
            #expect(await lane.outcomes.next(1) == ["2 for 2"])
        }
    }

    @Test("A response that comes byte by byte is read as one that comes at once")
    func bytewise() async throws {
        try await withLane { peer, lane in
            lane.send([1])
            let request = try await next(peer)
            let body = "{\"result\":{\"replies\":[{\"result\":\"grüße\"}]}}"
            let response = "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            for scalar in response.unicodeScalars { request.send(String(scalar)) }
            #expect(await lane.outcomes.next(1) == ["1 grüße"])
        }
    }

    @Test("A response larger than bodies between nodes may be loses its calls")
    func tooLarge() async throws {
        let node = makeNode {
            $0.local.memoryLimitBytes = 8 << 20
            $0.limits.maxValueBytes = 1024
        }
        try await withLane(.membership, node: node) { peer, lane in
            lane.send([1])
            let request = try await next(peer)
            let limit = node.limits.maxPeerBodyBytes
            request.send("HTTP/1.1 200 OK\r\nContent-Length: \(limit + 1)\r\n\r\n")
            request.send(String(repeating: " ", count: limit + 1))
            #expect(await lane.outcomes.next(1) == ["1 lost"])
        }
    }
}
