// The sending half of a connection: one write a read cycle, replies parked until their records are safe, and what
// happens to them when the journal fails.

import NIOCore

/// Replies in order, not yet sent.
struct PendingOutput {
    var bytes = ByteBuffer()
    /// The newest journal record that any of the replies tells of; zero for none.
    var sequence: UInt64 = 0
    /// Bytes of the replies in front of the first one that waits: true whatever becomes of the journal.
    private(set) var settledBytes = 0
    /// What was answered behind that, to be answered again if the journal fails: the first, which nearly always is the
    /// only one, and those behind it.
    private var firstUnsettled: Unsettled?
    private var moreUnsettled: [Unsettled] = []
    /// Bytes of the requests kept for that.
    private var requestBytes = 0

    /// An answer that may have to be given again.
    enum Unsettled {
        case request(CompleteRequest)
        /// A refusal, which does not depend on the journal.
        case refusal(ByteBuffer)
    }

    /// Bytes kept until this is sent.
    var heldBytes: Int { bytes.readableBytes + requestBytes }

    var isEmpty: Bool { bytes.readableBytes == 0 }

    var unsettled: [Unsettled] { firstUnsettled.map { [$0] + moreUnsettled } ?? [] }

    mutating func append(_ response: borrowing ProcessedResponse, for request: CompleteRequest?) {
        if sequence == 0 && response.sequence > 0 { settledBytes = bytes.readableBytes }
        sequence = max(sequence, response.sequence)
        if sequence > 0 {
            let entry: Unsettled = request.map { .request($0) } ?? .refusal(response.bytes)
            if firstUnsettled == nil { firstUnsettled = entry } else { moreUnsettled.append(entry) }
            requestBytes += request?.body.readableBytes ?? 0
        }
        if isEmpty {
            bytes = response.bytes
        } else {
            bytes.writeImmutableBuffer(response.bytes)
        }
    }

    /// What stays true when the records are lost.
    func settled() -> PendingOutput {
        var rest = PendingOutput()
        let count = sequence == 0 ? bytes.readableBytes : settledBytes
        rest.bytes = bytes.getSlice(at: bytes.readerIndex, length: count) ?? ByteBuffer()
        return rest
    }
}

/// Replies that wait for the journal.
struct Parked {
    var output: PendingOutput
    var closes: Bool
}

/// Parked replies of one connection, in order, and what they keep.
struct ParkedQueue {
    /// Nearly always the only one: a client that waits for its reply sends nothing more.
    private var first: Parked?
    private var others = CircularBuffer<Parked>(initialCapacity: 0)
    /// Bytes kept until they are sent.
    private(set) var heldBytes = 0

    var isEmpty: Bool { first == nil }

    mutating func append(_ parked: consuming Parked) {
        heldBytes += parked.output.heldBytes
        if first == nil { first = parked } else { others.append(parked) }
    }

    /// Takes out the first one if it waits for `watermark` or less.
    mutating func takeFirst(upTo watermark: UInt64) -> Parked? {
        guard let sequence = first?.output.sequence, sequence <= watermark, let taken = first.take() else { return nil }
        heldBytes -= taken.output.heldBytes
        first = others.popFirst()
        return taken
    }

    /// Takes out all.
    mutating func removeAll() -> [Parked] {
        defer { self = ParkedQueue() }
        return first.map { [$0] + others } ?? []
    }
}

extension HTTPConnectionHandler {
    /// Memory of this size or more is counted as a buffer in flight while a reply in it waits in NIO's queue.
    private static let countedReplyBytes = 64 * 1024

    /// Sees to it that replies leave at the end of the loop's tick, together with those of other connections: a client
    /// that waits on many of them is woken once (measured: a quarter of the server's time a request).
    func scheduleFlush() {
        guard !output.isEmpty, !isFlushScheduled else { return }
        isFlushScheduled = true
        thread.connections.scheduleFlush(self)
    }

    /// Sends the replies that are ready, or parks them behind the journal.
    func flushOutput() {
        guard !output.isEmpty, context != nil else { return }
        var ready = PendingOutput()
        swap(&ready, &output)
        let closes = isClosing
        if parked.isEmpty && (ready.sequence == 0 || ready.sequence <= node.storage.watermark) {
            write(ready.bytes)
            thread.keepReplyBuffer(ready.bytes)
            if closes { finishClosing() }
        } else {
            parked.append(Parked(output: ready, closes: closes))
            thread.connections.park(self)
        }
    }

    /// Sends what the journal has made safe.
    func release(upTo watermark: UInt64) {
        while let first = parked.takeFirst(upTo: watermark) {
            write(first.output.bytes)
            thread.keepReplyBuffer(first.output.bytes)
            if first.closes { return finishClosing() }
        }
        // A last reply that is not flushed yet closes when it is.
        if parked.isEmpty && output.isEmpty && isClosing { return finishClosing() }
        sendContinueIfDue()
        proceed()
    }

    /// The journal has failed: nothing above `watermark` is safe. The requests behind those replies are answered again:
    /// writes by 1201, whatever has become of the journal meanwhile, and reads by what is there now.
    func journalFailed(watermark: UInt64) {
        release(upTo: watermark)
        guard !parked.isEmpty else { return }
        let lost = parked.removeAll()
        thread.refusesWrites = true
        defer { thread.refusesWrites = false }
        for entry in lost {
            write(entry.output.settled().bytes)
            for unsettled in entry.output.unsettled {
                switch unsettled {
                case .refusal(let bytes):
                    write(bytes)
                case .request(let request):
                    let outcome = processor.respond(
                        to: request, thread: thread, onEventLoop: false)
                    // Nothing is pending: while writes are refused, so are calls to other nodes.
                    if case .answered(let response) = outcome { write(response.bytes) }
                }
            }
        }
        if output.isEmpty && isClosing { return finishClosing() }
        sendContinueIfDue()
        proceed()
    }

    /// Says that a body may come, once every reply in front of it is on its way: an interim response belongs to the
    /// request behind the last one that was answered.
    func sendContinueIfDue() {
        guard owesContinue, parked.isEmpty, output.isEmpty else { return }
        owesContinue = false
        guard case .body = phase else { return }
        write(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n"))
    }

    /// Sends bytes, at once as far as the socket takes them; the rest waits in NIO's queue.
    func write(_ bytes: ByteBuffer) {
        let count = bytes.readableBytes
        thread.counters.bytesWritten.add(count)
        guard queuedWrites == 0, let socket else { return enqueue(bytes) }
        let sent = bytes.withUnsafeReadableBytes { socket.send($0) }
        guard sent < count else { return }
        var rest = bytes
        rest.moveReaderIndex(forwardBy: sent)
        if rest.readableBytes < Self.countedReplyBytes && rest.storageCapacity >= Self.countedReplyBytes {
            // A slice would hold on to all of a large reply for its last few bytes.
            rest = ByteBuffer(bytes: rest.readableBytesView)
        }
        enqueue(rest)
    }

    /// Has NIO write when the socket is ready. Memory of 64 KiB or more is counted meanwhile, and the client's time
    /// runs.
    private func enqueue(_ bytes: ByteBuffer) {
        guard let context else { return }
        let budget = node.budget
        let countedBytes = bytes.storageCapacity >= Self.countedReplyBytes ? bytes.storageCapacity : 0
        budget.add(bytes: countedBytes)
        queuedWrites += 1
        unwritableSince = unwritableSince ?? thread.readClock()
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { _ in
            budget.release(bytes: countedBytes)
            self.queuedWrites -= 1
            // A client that takes one reply after the other is slow, not deaf.
            self.unwritableSince = self.queuedWrites == 0 ? nil : self.thread.readClock()
        }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: promise)
    }

    /// The last reply has been handed to the socket: say so to the client and wait for its end, briefly.
    func finishClosing() {
        guard let context else { return }
        if case .closed = phase { return }
        phase = .lingering(since: nil)
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { _ in
            // Nothing more can come from a client that has closed its half: no reason to linger once the reply is out.
            guard !self.inputClosed else { return context.close(promise: nil) }
            if case .lingering = self.phase { self.phase = .lingering(since: self.thread.readClock()) }
        }
        if inputClosed {
            // Closing the second half would close the channel at once, with what waits in NIO's queue.
            context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
        } else {
            context.close(mode: .output, promise: sent)
        }
    }
}
