// A client of one cache node: JSON-RPC 2.0 over one persistent, pipelined HTTP/1.1 connection.
//
// Calls may be made from any number of tasks at once: up to `maxInFlight` are on the wire together, the others wait
// their turn. The connection is made by the first call and made again by the first call after it was lost. A client
// is one connection on purpose; a program that wants several makes several clients.

import NIOCore
import NIOPosix
import Synchronization

/// A connection to a node and the calls on it. Any node of a cluster answers for any key.
public final class CacheClient: Sendable {
    /// What a client needs to know before its first call.
    public struct Configuration: Sendable {
        /// Name, IPv4 or IPv6 address, the last without brackets.
        public var host: String
        public var port: Int
        /// Sent as `Authorization: Bearer` with every call.
        public var token: BearerToken?
        /// Deadline of a call, its wait and the connecting included, unless the call brings its own.
        public var timeout = Duration.seconds(5)
        /// How long making a connection may take.
        public var connectTimeout = Duration.seconds(2)
        /// Calls on the wire at once, at least 1. More are not faster than the node; they only queue there.
        public var maxInFlight = 64
        /// Calls waiting for their turn; one more fails with `tooManyWaiting`.
        public var maxWaiting = 10_000
        /// A longer reply costs its connection and fails with `replyTooLarge`.
        public var maxReplyBytes = 256 << 20

        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    private let configuration: Configuration
    private let eventLoop: any EventLoop
    private let dispatcher: NIOLoopBoundBox<CallDispatcher>
    private let nextID = Atomic<UInt64>(1)

    /// Makes a client; nothing is connected before the first call.
    public convenience init(host: String, port: Int) {
        self.init(Configuration(host: host, port: port))
    }

    /// Makes a client on one event loop of `eventLoopGroup`; nothing is connected before the first call.
    public init(
        _ configuration: Configuration,
        eventLoopGroup: any EventLoopGroup = .singletonMultiThreadedEventLoopGroup
    ) {
        precondition(configuration.maxInFlight > 0, "maxInFlight must allow at least one call")
        let eventLoop = eventLoopGroup.next()
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.dispatcher = .makeBoxSendingValue(
            CallDispatcher(configuration: configuration, eventLoop: eventLoop),
            eventLoop: eventLoop
        )
    }

    deinit {
        let dispatcher = self.dispatcher
        self.eventLoop.execute { dispatcher.value.shutDown() }
    }

    /// Fails the calls that are not answered yet and closes the connection; later calls fail with `shutDown`.
    public func shutDown() async {
        let dispatcher = self.dispatcher
        let done = self.eventLoop.submit { dispatcher.value.shutDown() }
        // Fails only when the event loop has been stopped, and then there is nothing left to close.
        try? await done.get()
    }

    /// Calls `method` and returns the text of its result as the node sent it.
    ///
    /// - Parameters:
    ///   - params: a JSON object or array; nil leaves the member out.
    ///   - timeout: instead of the configuration's.
    public func call(
        method: String,
        params: JSONText? = nil,
        timeout: Duration? = nil
    ) async throws(CacheClientError) -> JSONText {
        let reply = try await self.perform(method, timeout: timeout) { request in
            if let params { request.append(json: params) }
        }
        return reply.read { $0.text(of: $1) }
    }

    /// Sends one call. `writeParams` writes the params' whole JSON text, or nothing to leave them out.
    func perform(
        _ method: String,
        isRead: Bool = false,
        timeout: Duration?,
        writeParams: (inout RequestText) -> Void
    ) async throws(CacheClientError) -> RPCReply {
        let id = RequestID(rawValue: self.nextID.wrappingAdd(1, ordering: .relaxed).oldValue)
        let submission = CallDispatcher.Submission(
            id: id,
            body: RequestText.call(id: id, method: method, writeParams: writeParams),
            timeout: timeout ?? self.configuration.timeout,
            isRead: isRead
        )
        let reply = try await self.send(submission).get()
        do throws(CacheClientError) {
            return try RPCReply(reply, to: id)
        } catch {
            if case .badReply = error {
                self.eventLoop.execute { [dispatcher] in dispatcher.value.replyNotUnderstood() }
            }
            throw error
        }
    }

    private func send(_ submission: CallDispatcher.Submission) async -> CallDispatcher.Outcome {
        let dispatcher = self.dispatcher
        let eventLoop = self.eventLoop
        @Sendable func cancel() {
            eventLoop.execute { dispatcher.value.cancelled(submission.id) }
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { completion in
                eventLoop.execute { dispatcher.value.submit(submission, completion: completion) }
                // The handler below may have run before the loop knew the call: then its message was in vain.
                if Task.isCancelled { cancel() }
            }
        } onCancel: {
            cancel()
        }
    }
}

/// A token that can go into an HTTP header.
public struct BearerToken: Sendable {
    let text: String

    /// Throws `invalidArgument` unless the text is one or more visible ASCII characters (RFC 6750 allows fewer still).
    public init(_ text: String) throws(CacheClientError) {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .invalidArgument("a token is one or more visible ASCII characters")
        }
        self.text = text
    }
}
