// The connections of one event loop: which wait for the journal, which have run out of time. Confined to the loop.

import NIOCore

final class ConnectionRegistry {
    private var connections: [HTTPConnectionHandler] = []
    private var parked: [HTTPConnectionHandler] = []
    private var flushable: [HTTPConnectionHandler] = []
    /// Set when the loop is running: has `endOfTick` called once this tick's reads are done.
    var onWork: () -> Void = {}
    private var isTickEndScheduled = false
    private var isCommitWanted = false

    var count: Int { connections.count }
    var hasParked: Bool { !parked.isEmpty }

    func add(_ connection: HTTPConnectionHandler) {
        connection.registryIndex = connections.count
        connections.append(connection)
    }

    /// O(1): the last connection takes the place of the one that goes.
    func remove(_ connection: HTTPConnectionHandler) {
        let index = connection.registryIndex
        guard connections.indices.contains(index), connections[index] === connection else { return }
        connections.swapAt(index, connections.count - 1)
        connections[index].registryIndex = index
        connections.removeLast()
        if connection.isInParkedList {
            parked.removeAll { $0 === connection }
            connection.isInParkedList = false
        }
    }

    /// Notes a connection whose replies wait for the journal.
    func park(_ connection: HTTPConnectionHandler) {
        guard !connection.isInParkedList else { return requestCommit() }
        connection.isInParkedList = true
        parked.append(connection)
        requestCommit()
    }

    /// Notes a connection with replies to send.
    func scheduleFlush(_ connection: HTTPConnectionHandler) {
        flushable.append(connection)
        scheduleTickEnd()
    }

    private func requestCommit() {
        isCommitWanted = true
        scheduleTickEnd()
    }

    private func scheduleTickEnd() {
        guard !isTickEndScheduled else { return }
        isTickEndScheduled = true
        onWork()
    }

    /// The reads of a tick are done: sends all replies. Returns whether some of them wait for the journal now.
    func endOfTick() -> Bool {
        isTickEndScheduled = false
        var ready: [HTTPConnectionHandler] = []
        swap(&ready, &flushable)
        for connection in ready {
            connection.isFlushScheduled = false
            connection.flushOutput()
            connection.proceed()
        }
        ready.removeAll(keepingCapacity: true)
        if flushable.isEmpty { swap(&ready, &flushable) }
        defer { isCommitWanted = false }
        return isCommitWanted
    }

    /// Sends every reply that the journal has made safe.
    func release(upTo watermark: UInt64) {
        retry { $0.release(upTo: watermark) }
    }

    /// Answers again what waited for records that are lost.
    func journalFailed(watermark: UInt64) {
        retry { $0.journalFailed(watermark: watermark) }
    }

    private func retry(_ body: (HTTPConnectionHandler) -> Void) {
        let waiting = parked
        parked = []
        for connection in waiting {
            connection.isInParkedList = false
            body(connection)
            if !connection.parked.isEmpty && !connection.isInParkedList {
                connection.isInParkedList = true
                parked.append(connection)
            }
        }
    }

    /// Cuts off connections that are too slow. O(connections), a few times a second.
    func sweep(now: Int64, _ timeouts: ConnectionTimeouts, _ cutOff: (CutOff) -> Void) {
        for connection in connections {
            if let reason = connection.checkDeadlines(now: now, timeouts) { cutOff(reason) }
        }
    }

    /// Closes connections that have nothing under way; the others close after their reply.
    func drain() {
        for connection in connections { connection.drain() }
    }

    /// Closes everything at once, at the end of the drain time.
    func closeAll() {
        for connection in connections { connection.context?.close(promise: nil) }
    }
}

/// Why a client was cut off.
struct CutOff {
    /// What the node was waiting for: header, body or write.
    var phase: String
    var limitMilliseconds: Int64
}

/// How long a client may take, in milliseconds.
struct ConnectionTimeouts: Sendable {
    var headerMilliseconds: Int64
    var bodyMilliseconds: Int64
    var idleMilliseconds: Int64

    /// How often to look, in milliseconds: often enough for the shortest.
    var sweepMilliseconds: Int64 {
        min(max(min(headerMilliseconds, bodyMilliseconds, idleMilliseconds) / 4, 20), 1000)
    }
}

extension HTTPConnectionHandler {
    /// Acts on a deadline that has passed; says why when a client was cut off in the middle of something.
    func checkDeadlines(now: Int64, _ timeouts: ConnectionTimeouts) -> CutOff? {
        if let since = unwritableSince, now - since > timeouts.idleMilliseconds {
            context?.close(promise: nil)
            return CutOff(phase: "write", limitMilliseconds: timeouts.idleMilliseconds)
        }
        switch phase {
        case .idle(let since):
            if now - since > timeouts.idleMilliseconds && hasNothingToSend { context?.close(promise: nil) }
            return nil
        case .head(let since):
            guard now - since > timeouts.headerMilliseconds else { return nil }
            timedOut()
            return CutOff(phase: "header", limitMilliseconds: timeouts.headerMilliseconds)
        case .body(_, _, _, let since):
            guard now - since > timeouts.bodyMilliseconds else { return nil }
            timedOut()
            return CutOff(phase: "body", limitMilliseconds: timeouts.bodyMilliseconds)
        case .lingering(let since):
            // While its reply is not out yet, the client may take as long as between two requests.
            let isOver =
                since.map { now - $0 > Self.lingerMilliseconds } ?? (now - closingSince > timeouts.idleMilliseconds)
            if isOver && parked.isEmpty { context?.close(promise: nil) }
            return nil
        case .executing, .closed:
            return nil
        }
    }

    private var hasNothingToSend: Bool { parked.isEmpty && output.isEmpty && queuedWrites == 0 }

    /// The node is stopping: an idle connection closes now, a busy one after its reply.
    func drain() {
        switch phase {
        case .idle where hasNothingToSend: context?.close(promise: nil)
        case .idle, .head, .body, .executing, .lingering, .closed: break
        }
    }
}
