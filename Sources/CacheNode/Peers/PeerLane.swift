// The calls from one event loop to one node: gathered while its connections are busy, sent together when one is free.
// Confined to its event loop.
//
// An idle connection takes what the current tick of the loop brought, so a single call waits for nobody; under load each
// exchange carries what came during the one before it. The queue is bounded: what does not fit is turned away at once.

import JSONRPC
import NIOCore
import NIOHTTP1
import NIOPosix

final class PeerLane {
    /// Calls and bytes that may wait for a connection.
    private static let maxQueuedCalls = 20_000
    private static let maxQueuedBytes = 64 << 20
    /// Calls and bytes of one exchange; a single call may be larger, and the calls of one message stay together.
    private static let maxExchangeCalls = 512
    private static let maxExchangeBytes = 1 << 20

    private let target: PeerTarget
    private let kind: PeerLaneKind
    private let loop: any EventLoop
    private let node: NodeCore
    private var queue = CircularBuffer<PeerCall>(initialCapacity: 16)
    private var queuedBytes = 0
    private var idle: [PeerConnection] = []
    private var openConnections = 0
    private var isConnecting = false
    private var isFlushScheduled = false
    private var isSweepScheduled = false

    init(target: PeerTarget, kind: PeerLaneKind, loop: any EventLoop, node: NodeCore) {
        self.target = target
        self.kind = kind
        self.loop = loop
        self.node = node
    }

    /// Sends a call in this tick if a connection is free, else as soon as one is. The completion is called later, never
    /// from within.
    func send(_ call: PeerCall) {
        guard queue.count < Self.maxQueuedCalls,
            queuedBytes + call.text.textBytes <= Self.maxQueuedBytes || queue.isEmpty
        else {
            return loop.assumeIsolated().execute { call.completion(.failure(.unreachable)) }
        }
        queue.append(call)
        queuedBytes += call.text.textBytes
        node.budget.add(bytes: call.text.textBytes)
        scheduleFlush()
        scheduleSweep()
    }

    private func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        loop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.flush()
        }
    }

    private func flush() {
        while !queue.isEmpty {
            guard let connection = idle.popLast() else { return connectIfWanted() }
            let calls = takeCalls()
            guard !calls.isEmpty else { return idle.append(connection) }
            let (body, isHoled) = PeerEnvelope.request(calls, node: node).finishForPeer()
            let exchange = PeerExchange(
                body: body, isHoled: isHoled, deadline: calls.reduce(.max) { min($0, $1.deadline) }
            ) { [node] result in
                PeerEnvelope.answer(calls, with: result, node: node)
            }
            connection.send(exchange, now: NodeClock.monotonicMilliseconds())
        }
    }

    private func takeCalls() -> [PeerCall] {
        var calls: [PeerCall] = []
        var bytes = 0
        let now = NodeClock.monotonicMilliseconds()
        while let next = queue.first {
            let belongs = next.message != nil && next.message == calls.last?.message
            let hasRoom =
                calls.count < Self.maxExchangeCalls
                && (bytes == 0 || bytes + next.text.textBytes <= Self.maxExchangeBytes)
            guard belongs || hasRoom else { break }
            let call = queue.removeFirst()
            queuedBytes -= call.text.textBytes
            node.budget.release(bytes: call.text.textBytes)
            guard call.deadline > now else {
                call.completion(.failure(.timedOut))
                continue
            }
            bytes += call.text.textBytes
            calls.append(call)
        }
        return calls
    }

    private func connectIfWanted() {
        guard !isConnecting, openConnections < kind.maxConnections else { return }
        isConnecting = true
        openConnections += 1
        if let address = try? SocketAddress(ipAddress: target.host, port: target.port) { return connect(to: address) }
        // Looking a name up blocks: on a thread of its own, and not by NIO's resolver, which brings Dispatch's threads.
        let lane = NIOLoopBound(self, eventLoop: loop)
        BlockingThread.run { [loop, host = target.host, port = target.port] in
            let address = try? SocketAddress.makeAddressResolvingHost(host, port: port)
            loop.execute {
                if let address { return lane.value.connect(to: address) }
                lane.value.isConnecting = false
                lane.value.openConnections -= 1
                lane.value.connectFailed(.unreachable)
            }
        }
    }

    private func connect(to address: SocketAddress) {
        let host = target.host.contains(":") ? "[\(target.host)]" : target.host
        let handler = NIOLoopBound(
            PeerConnection(
                hostField: "\(host):\(target.port)", maxBodyBytes: node.limits.maxPeerBodyBytes,
                onChange: { [weak self] connection, isUsable in self?.changed(connection, isUsable) }),
            eventLoop: loop)
        let channel = ClientBootstrap(group: loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connectTimeout(.milliseconds(Int64(node.configuration.network.forwardTimeoutMilliseconds)))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(handler.value)
                }
            }
            .connect(to: address)
        channel.assumeIsolated().whenComplete { result in
            self.isConnecting = false
            switch result {
            case .success:
                self.idle.append(handler.value)
                self.flush()
            case .failure(let error):
                self.openConnections -= 1
                self.connectFailed(PeerFailure(connecting: error))
            }
        }
    }

    /// What waits goes elsewhere, unless other connections are at work.
    private func connectFailed(_ failure: PeerFailure) {
        if failure == .refused { node.cluster.connectionRefused(by: target) }
        guard openConnections == 0 else { return }
        let waiting = queue
        queue.removeAll()
        for call in waiting { node.budget.release(bytes: call.text.textBytes) }
        queuedBytes = 0
        for call in waiting { call.completion(.failure(failure)) }
    }

    private func changed(_ connection: PeerConnection, _ isUsable: Bool) {
        if isUsable {
            idle.append(connection)
        } else {
            idle.removeAll { $0 === connection }
            openConnections -= 1
        }
        if !queue.isEmpty { scheduleFlush() }
    }

    /// Ends calls whose time is over while they wait for a connection.
    private func scheduleSweep() {
        guard !isSweepScheduled else { return }
        isSweepScheduled = true
        loop.assumeIsolated().scheduleTask(in: .milliseconds(25)) {
            self.isSweepScheduled = false
            let now = NodeClock.monotonicMilliseconds()
            var ended: [PeerCall] = []
            self.queue.removeAll { call in
                guard call.deadline <= now else { return false }
                ended.append(call)
                self.queuedBytes -= call.text.textBytes
                self.node.budget.release(bytes: call.text.textBytes)
                return true
            }
            for call in ended { call.completion(.failure(.timedOut)) }
            if !self.queue.isEmpty { self.scheduleSweep() }
        }
    }

    /// Closes its connections, once the node has gone.
    func close() {
        let connections = idle
        idle = []
        for connection in connections { connection.close(.lost) }
    }

    /// Nothing is under way.
    var isUnused: Bool { queue.isEmpty && idle.count == openConnections && !isConnecting }
}

extension PeerFailure {
    /// What a failed connection attempt says.
    init(connecting error: any Error) {
        var codes: [CInt] = []
        if let error = error as? IOError { codes.append(error.errnoCode) }
        if let error = error as? NIOConnectionError {
            codes += error.connectionErrors.compactMap { ($0.error as? IOError)?.errnoCode }
        }
        self = !codes.isEmpty && codes.allSatisfy { $0 == ECONNREFUSED } ? .refused : .unreachable
    }
}

/// All lanes of one event loop.
final class PeerClient {
    private struct LaneKey: Hashable {
        var address: String
        var kind: PeerLaneKind
    }

    private let loop: any EventLoop
    private let node: NodeCore
    private var lanes: [LaneKey: PeerLane] = [:]

    /// Lanes kept before those to nodes that are gone are looked for.
    private static let keptLanes = 64

    init(loop: any EventLoop, node: NodeCore) {
        self.loop = loop
        self.node = node
    }

    func send(_ call: PeerCall, to target: PeerTarget, over kind: PeerLaneKind) {
        let key = LaneKey(address: target.address, kind: kind)
        if let lane = lanes[key] { return lane.send(call) }
        if lanes.count >= Self.keptLanes { prune() }
        let lane = PeerLane(target: target, kind: kind, loop: loop, node: node)
        lanes[key] = lane
        lane.send(call)
    }

    private func prune() {
        for (key, lane) in lanes where lane.isUnused {
            lane.close()
            lanes[key] = nil
        }
    }
}

@available(*, unavailable)
extension PeerLane: Sendable {}
@available(*, unavailable)
extension PeerClient: Sendable {}
