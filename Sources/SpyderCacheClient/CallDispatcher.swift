// Decides which connection carries which call: queue, deadlines, connecting and connecting again. It reads no reply.
//
// One connection takes new calls at a time. A connection on which a reply is late takes none any more, so a retired one
// may live beside its successor until its last caller has an answer or has given up.
//
//     submitted ─▶ waiting ─▶ sent ─▶ completed (reply, error, deadline, cancelled)
//                    ▲          │
//                    └──────────┘ a read whose connection broke, once

import NIOCore
import NIOHTTP1
import NIOPosix

/// Owner of a client's calls and connections. Confined to one event loop; CacheClient hops onto it.
final class CallDispatcher {
    typealias Outcome = Result<HTTPReply, CacheClientError>

    /// A call as the client hands it over.
    struct Submission: Sendable {
        let id: RequestID
        let body: ByteBuffer
        let timeout: Duration
        /// Changes nothing on the node, so it may be sent twice.
        let isRead: Bool
    }

    private enum Phase {
        case waiting
        case sent(on: ConnectionHandler)
    }

    private struct Call {
        let submission: Submission
        let completion: CheckedContinuation<Outcome, Never>
        let deadline: Scheduled<Void>
        var phase = Phase.waiting
        var wasSentTwice = false
    }

    private enum Link {
        case down
        case connecting
        case up(ConnectionHandler)
        case shutDown
    }

    private let eventLoop: any EventLoop
    private let configuration: CacheClient.Configuration
    private var link = Link.down
    private var calls: [RequestID: Call] = [:]
    /// Ids without an entry in `calls` have been given up and are skipped.
    private var waiting = CircularBuffer<RequestID>()
    /// Every open connection, retired ones included.
    private var connections: [ConnectionHandler] = []

    init(configuration: CacheClient.Configuration, eventLoop: any EventLoop) {
        self.configuration = configuration
        self.eventLoop = eventLoop
    }

    /// Takes a call; `completion` is resumed exactly once, at the latest when its timeout has passed.
    func submit(_ submission: Submission, completion: CheckedContinuation<Outcome, Never>) {
        self.eventLoop.assertInEventLoop()
        if case .shutDown = self.link {
            completion.resume(returning: .failure(.shutDown))
            return
        }
        guard self.waiting.count < self.configuration.maxWaiting else {
            completion.resume(returning: .failure(.tooManyWaiting(limit: self.configuration.maxWaiting)))
            return
        }
        let timeout = TimeAmount.milliseconds(submission.timeout.wholeMilliseconds)
        let deadline = self.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            self.deadlinePassed(submission.id)
        }
        self.calls[submission.id] = Call(submission: submission, completion: completion, deadline: deadline)
        self.waiting.append(submission.id)
        self.advance()
    }

    /// The caller's task was cancelled.
    func cancelled(_ id: RequestID) {
        self.eventLoop.assertInEventLoop()
        guard let call = self.complete(id, with: .failure(.cancelled)) else { return }
        switch call.phase {
        case .waiting: return
        case .sent(let connection): connection.callAbandoned(id)
        }
    }

    /// A reply was no JSON-RPC answer to its call: the next call has a fresh connection, in case this one is out of step.
    func replyNotUnderstood() {
        self.eventLoop.assertInEventLoop()
        guard case .up(let connection) = self.link else { return }
        self.link = .down
        connection.retired()
        self.advance()
    }

    /// Fails every call and closes every connection.
    func shutDown() {
        self.eventLoop.assertInEventLoop()
        self.link = .shutDown
        self.waiting.removeAll()
        for id in self.calls.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            self.complete(id, with: .failure(.shutDown))
        }
        for connection in self.connections { connection.close() }
    }

    func replyArrived(_ id: RequestID, _ reply: HTTPReply) {
        self.complete(id, with: .success(reply))
        self.advance()
    }

    /// A connection is closed. `failure` says why if it was not simply the peer, and concerns the oldest call alone.
    func connectionLost(
        _ connection: ConnectionHandler,
        inFlight: CircularBuffer<ConnectionStateMachine.Slot>,
        failure: CacheClientError?
    ) {
        self.connections.removeAll { $0 === connection }
        if case .up(let current) = self.link, current === connection { self.link = .down }
        let lost = CacheClientError.connectionLost("closed by the node")
        var sendAgain: [RequestID] = []
        for (position, slot) in inFlight.enumerated() where !slot.isAbandoned {
            let error = position == 0 ? failure ?? lost : lost
            if self.mayBeSentAgain(slot.id, after: error) {
                sendAgain.append(slot.id)
            } else {
                self.complete(slot.id, with: .failure(error))
            }
        }
        for id in sendAgain.reversed() {
            self.calls[id]?.phase = .waiting
            self.calls[id]?.wasSentTwice = true
            self.waiting.prepend(id)
        }
        self.advance()
    }

    private func mayBeSentAgain(_ id: RequestID, after error: CacheClientError) -> Bool {
        guard case .connectionLost = error, let call = self.calls[id] else { return false }
        return call.submission.isRead && !call.wasSentTwice
    }

    private func deadlinePassed(_ id: RequestID) {
        guard let call = self.calls[id] else { return }
        let timeout = call.submission.timeout
        switch call.phase {
        case .waiting:
            self.complete(id, with: .failure(.timedOut(after: timeout, wasSent: call.wasSentTwice)))
        case .sent(let connection):
            self.complete(id, with: .failure(.timedOut(after: timeout, wasSent: true)))
            if case .up(let current) = self.link, current === connection { self.link = .down }
            connection.callOverdue(id)
            self.advance()
        }
    }

    @discardableResult
    private func complete(_ id: RequestID, with outcome: Outcome) -> Call? {
        guard let call = self.calls.removeValue(forKey: id) else { return nil }
        call.deadline.cancel()
        call.completion.resume(returning: outcome)
        return call
    }

    /// Moves what waits: writes while the connection has room, connects when there is none.
    private func advance() {
        while let id = self.waiting.first, self.calls[id] == nil { self.waiting.removeFirst() }
        guard !self.waiting.isEmpty else { return }
        switch self.link {
        case .connecting, .shutDown:
            return
        case .down:
            self.link = .connecting
            self.connect()
        case .up(let connection):
            while connection.hasRoom, let id = self.waiting.popFirst() {
                guard let call = self.calls[id] else { continue }
                self.calls[id]?.phase = .sent(on: connection)
                connection.send(id, body: call.submission.body)
            }
            connection.flush()
        }
    }

    private func connect() {
        let configuration = self.configuration
        let isolated = NIOLoopBound(self, eventLoop: self.eventLoop)
        ClientBootstrap(group: self.eventLoop)
            .connectTimeout(.milliseconds(configuration.connectTimeout.wholeMilliseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandlers([
                        ReplyAssembler(maxReplyBytes: configuration.maxReplyBytes),
                        ConnectionHandler(configuration: configuration, dispatcher: isolated.value),
                    ])
                }
            }
            .connect(host: configuration.host, port: configuration.port)
            .assumeIsolated()
            .flatMapThrowing { try $0.pipeline.syncOperations.handler(type: ConnectionHandler.self) }
            .whenComplete { result in
                switch result {
                case .success(let connection): self.connected(connection)
                case .failure(let error): self.connectFailed(error)
                }
            }
    }

    private func connected(_ connection: ConnectionHandler) {
        switch self.link {
        case .connecting:
            guard connection.hasRoom else {
                // Closed between the handshake and this call-back: the next call tries again.
                return self.connectFailed(CacheClientError.connectionLost("closed by the node"))
            }
            self.connections.append(connection)
            self.link = .up(connection)
            self.advance()
        case .shutDown:
            connection.close()
        case .down, .up:
            preconditionFailure("a connection is made only on the way out of connecting")
        }
    }

    /// Everything that waits fails at once instead of at its deadline; the next call tries to connect again.
    private func connectFailed(_ error: any Error) {
        guard case .connecting = self.link else { return }
        self.link = .down
        let host = self.configuration.host.contains(":") ? "[\(self.configuration.host)]" : self.configuration.host
        let place = "\(host):\(self.configuration.port)"
        let failure = CacheClientError.unreachable("\(place): \(SocketFailure.reason(error))")
        let failed = self.waiting
        self.waiting.removeAll()
        for id in failed { self.complete(id, with: .failure(failure)) }
    }
}

@available(*, unavailable)
extension CallDispatcher: Sendable {}
