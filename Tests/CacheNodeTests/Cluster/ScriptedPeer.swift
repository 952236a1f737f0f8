// A node on loopback that does what a test says: takes requests and answers when and how it is told.

import JSONRPC
import Membership
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

@testable import CacheNode

/// Listens on a free port. Requests are handed out in the order in which they came; each is answered by hand.
final class ScriptedPeer: Sendable {
    /// A request and the connection to answer it on.
    struct Request: Sendable {
        /// Connections are numbered from 1 in the order in which they were accepted.
        let connection: Int
        let head: HTTPRequestHead
        let body: ByteBuffer
        private let channel: any Channel

        fileprivate init(connection: Int, head: HTTPRequestHead, body: ByteBuffer, channel: any Channel) {
            self.connection = connection
            self.head = head
            self.body = body
            self.channel = channel
        }

        /// The body as nodes read it.
        var text: PeerText? {
            head.headers["content-encoding"].isEmpty ? PeerText(plain: body) : PeerText(holed: body)
        }

        /// The `id` of each call in it.
        var calls: [String] {
            guard let text else { return [] }
            return text.text.withUnsafeReadableBytes { bytes in
                let whole = JSONValue(kind: .object, slice: JSONSlice(start: 0, end: Int32(bytes.count)))
                guard let parameters = JSONMembers(whole, in: bytes)["params"],
                    let calls = JSONMembers(parameters, in: bytes)["calls"]
                else { return [] }
                var ids: [String] = []
                var cursor = JSONArrayCursor(bytes, calls.slice)
                while let call = cursor.next() {
                    let id = JSONMembers(call, in: bytes)["id"]
                    ids.append(id.map { String(decoding: $0.slice.bytes(in: bytes), as: UTF8.self) } ?? "")
                }
                return ids
            }
        }

        func send(_ bytes: String) { channel.writeAndFlush(ByteBuffer(string: bytes), promise: nil) }

        /// Answers every call with a result that names its id.
        func answer(status: String = "200 OK", fields: String = "") {
            let replies = calls.map { "{\"jsonrpc\":\"2.0\",\"id\":\($0),\"result\":\"for \($0)\"}" }
            respond("{\"result\":{\"epoch\":0,\"replies\":[\(replies.joined(separator: ","))]}}", status, fields)
        }

        func respond(_ body: String, _ status: String = "200 OK", _ fields: String = "") {
            send("HTTP/1.1 \(status)\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        }

        func close() { channel.close(promise: nil) }
    }

    let port: Int
    let requests: AsyncStream<Request>
    private let channel: any Channel
    private let accepted: Counted

    private final class Counted: Sendable {
        let connections = Atomic<Int>(0)
    }

    /// How many connections were accepted.
    var connectionCount: Int { accepted.connections.load(ordering: .relaxed) }

    /// The address as other nodes know it.
    var target: PeerTarget {
        guard
            let target = PeerTarget(MemberIdentity(id: MemberID("peer"), address: "127.0.0.1:\(port)", incarnation: 1))
        else { preconditionFailure("a host and a port") }
        return target
    }

    init() async throws {
        let (requests, continuation) = AsyncStream.makeStream(of: Request.self)
        let accepted = Counted()
        self.requests = requests
        self.accepted = accepted
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let number = accepted.connections.wrappingAdd(1, ordering: .relaxed).newValue
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder()))
                    try pipeline.addHandler(Receiver(number, continuation))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        port = channel.localAddress?.port ?? 0
    }

    /// Stops listening: from then on connections are refused. Those that are open stay.
    func stop() async throws { try await channel.close() }

    private final class Receiver: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = ByteBuffer

        private let connection: Int
        private let continuation: AsyncStream<Request>.Continuation
        private var head: HTTPRequestHead?
        private var body = ByteBuffer()

        init(_ connection: Int, _ continuation: AsyncStream<Request>.Continuation) {
            self.connection = connection
            self.continuation = continuation
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                self.head = head
                body = ByteBuffer()
            case .body(var part): body.writeBuffer(&part)
            case .end:
                guard let head else { return }
                continuation.yield(
                    Request(connection: connection, head: head, body: body, channel: context.channel))
            }
        }
    }
}

/// One lane on an event loop of its own, and what came back over it.
final class LaneHarness: Sendable {
    private struct Confined {
        let lane: PeerLane
    }

    let loop: any EventLoop
    private let group: MultiThreadedEventLoopGroup
    private let lane: NIOLoopBound<Confined>
    /// What each call came to, in the order in which they did.
    let outcomes: AsyncStream<String>
    private let continuation: AsyncStream<String>.Continuation

    init(_ target: PeerTarget, _ kind: PeerLaneKind, node: NodeCore = makeNode()) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        self.group = group
        self.loop = loop
        (outcomes, continuation) = AsyncStream.makeStream(of: String.self)
        lane = try await loop.submit {
            NIOLoopBound(Confined(lane: PeerLane(target: target, kind: kind, loop: loop, node: node)), eventLoop: loop)
        }.get()
    }

    /// Sends calls within one tick of the loop. `milliseconds`: until their time is over.
    func send(_ ids: [Int], milliseconds: Int64 = 60_000, padding: Int = 0) {
        loop.execute { [lane, continuation] in
            let deadline = NodeClock.monotonicMilliseconds() + milliseconds
            for id in ids {
                var text = ReplyBuffer.empty()
                text.append("{\"jsonrpc\":\"2.0\",\"id\":")
                text.append(decimal: id)
                text.append(",\"method\":\"m\",\"params\":[\"")
                text.append(text: [UInt8](repeating: UInt8(ascii: "x"), count: padding))
                text.append("\"]}")
                lane.value.lane.send(
                    PeerCall(text: text, deadline: deadline) { result in
                        switch result {
                        case .failure(let failure): continuation.yield("\(id) \(failure)")
                        case .success(let reply):
                            let text = reply.text.text.withUnsafeReadableBytes { bytes in
                                JSONMembers(reply.value, in: bytes).string("result") ?? "no result"
                            }
                            continuation.yield("\(id) \(text)")
                        }
                    })
            }
        }
    }

    func isUnused() async throws -> Bool {
        try await loop.submit { [lane] in lane.value.lane.isUnused }.get()
    }

    func close() async throws {
        try await loop.submit { [lane] in lane.value.lane.close() }.get()
        try await group.shutdownGracefully()
    }
}

extension AsyncStream where Element: Sendable {
    /// The next elements, as many as asked for.
    func next(_ count: Int) async -> [Element] {
        var elements: [Element] = []
        for await element in self {
            elements.append(element)
            if elements.count == count { break }
        }
        return elements
    }
}
