// A node that does what a test says: a real socket, real HTTP, scripted answers.

import NIOCore
import NIOHTTP1
import NIOPosix
import SpyderCacheClient
import Synchronization

/// Listens on a free port and answers each request with what `answer` returns for it.
final class FakeNode: Sendable {
    /// A request as it arrived.
    struct Request: Sendable {
        /// Connections are numbered from 1 in the order in which they were accepted.
        let connection: Int
        let head: HTTPRequestHead
        let body: String

        /// The `id` member; the client writes it second, as a plain integer.
        var id: String {
            String(self.body.drop { !$0.isNumber }.dropFirst(5).drop { !$0.isNumber }.prefix { $0.isNumber })
        }
    }

    /// What to do on the connection of a request.
    enum Step: Sendable {
        case send(String)
        /// Every byte in a write of its own.
        case sendBytewise(String)
        case close
    }

    let port: Int
    private let channel: any Channel
    private let log: Log

    /// What has arrived so far, oldest first.
    var requests: [Request] { self.log.requests.withLock { $0 } }
    /// How many connections were accepted.
    var connectionCount: Int { self.log.connections.load(ordering: .relaxed) }

    init(_ answer: @escaping @Sendable (Request) -> [Step]) async throws {
        let log = Log()
        self.log = log
        self.channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let number = log.connections.wrappingAdd(1, ordering: .relaxed).newValue
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder()))
                    try pipeline.addHandler(Script(connection: number, log: log, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        self.port = self.channel.localAddress?.port ?? 0
    }

    /// Stops listening; connections stay.
    func stop() async throws {
        try await self.channel.close()
    }

    /// An HTTP reply with a body of JSON.
    static func http(_ body: String, status: String = "200 OK", headers: String = "") -> String {
        "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    /// A reply with a result.
    static func result(_ result: String, to request: Request, headers: String = "") -> String {
        self.http("{\"jsonrpc\":\"2.0\",\"result\":\(result),\"id\":\(request.id)}", headers: headers)
    }

    private final class Log: Sendable {
        let requests = Mutex<[Request]>([])
        let connections = Atomic<Int>(0)
    }

    private final class Script: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = ByteBuffer

        private let connection: Int
        private let log: Log
        private let answer: @Sendable (Request) -> [Step]
        private var head: HTTPRequestHead?
        private var body = ""

        init(connection: Int, log: Log, answer: @escaping @Sendable (Request) -> [Step]) {
            self.connection = connection
            self.log = log
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch self.unwrapInboundIn(data) {
            case .head(let head):
                self.head = head
                self.body = ""
            case .body(let part):
                self.body += String(buffer: part)
            case .end:
                guard let head = self.head else { return }
                let request = Request(connection: self.connection, head: head, body: self.body)
                self.log.requests.withLock { $0.append(request) }
                for step in self.answer(request) { self.perform(step, context: context) }
            }
        }

        private func perform(_ step: Step, context: ChannelHandlerContext) {
            switch step {
            case .send(let text):
                context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            case .sendBytewise(let text):
                for byte in text.utf8 {
                    context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(bytes: [byte])), promise: nil)
                }
            case .close:
                context.close(promise: nil)
            }
        }
    }
}

/// The error a call throws, nil when it throws none.
func failure<Value>(
    of call: () async throws(CacheClientError) -> Value
) async -> CacheClientError? {
    do throws(CacheClientError) {
        _ = try await call()
        return nil
    } catch {
        return error
    }
}
