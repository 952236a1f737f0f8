// What one thread (an event loop or a worker) reuses from request to request. Confined to its thread: no locks.

import Compression
import NIOCore
import NIOPosix

/// A thread's reusable buffers, compressors and counters.
///
/// Not Sendable: EventLoops and WorkerPool give each thread its own.
final class ThreadState {
    let counters: ThreadCounters
    /// Room for one decoded key.
    let keyBuffer: UnsafeMutableRawBufferPointer
    var deflater: Deflater
    var inflater: Inflater
    /// Output of the deflater, kept between requests.
    var deflated: [UInt8] = []
    var replicationTime = ReplicationTime()
    /// Blocks copied out of the store, to be inflated after its lock is released.
    var blocks = ByteBuffer()
    /// The event loop that the thread is.
    let loop: any EventLoop
    /// Calls to other nodes.
    let peers: PeerClient
    private let routingState: RoutingState
    private var table: RoutingTable
    private var seenStamp: UInt64 = 0
    private var tableServesAlone = false
    private var lastOperation = UInt64.random(in: 1 ... .max / 2)
    /// Connections of this event loop that wait for the journal, and their timeouts.
    let connections = ConnectionRegistry()
    let heads = ResponseHeads()
    /// Request heads that came before.
    let knownHeads = KnownHeads()
    /// Set while requests are answered again because the journal has failed: writes get 1201.
    var refusesWrites = false
    /// Memory of replies that have been handed on, most of it free again.
    private var replyBuffers: [ByteBuffer] = []
    private var replyBufferBytes = 0

    /// Scratch memory above this is given back after the request.
    static let retainedScratchBytes = 256 * 1024

    init(node: NodeCore) throws {
        guard let loop = MultiThreadedEventLoopGroup.currentEventLoop else {
            preconditionFailure("threads of the node are event loops")
        }
        routingState = node.cluster.routing
        self.loop = loop
        peers = PeerClient(loop: loop, node: node)
        table = node.cluster.routing.table
        counters = node.metrics.registerThread()
        keyBuffer = .allocate(byteCount: node.limits.maxKeyBytes, alignment: 8)
        deflater = try Deflater(level: node.compression.level)
        inflater = try Inflater()
    }

    deinit {
        keyBuffer.deallocate()
    }

    /// The routing as of now.
    var routing: RoutingTable {
        refreshRouting()
        return table
    }

    /// `routing.servesAlone`, without touching the table: its reference count is every thread's.
    var servesAlone: Bool {
        @inline(__always) get {
            if routingState.hasChanged(since: seenStamp) { refreshRouting() }
            return tableServesAlone
        }
    }

    private func refreshRouting() {
        guard routingState.refresh(&table, &seenStamp) else { return }
        tableServesAlone = table.servesAlone
    }

    /// A number for a write that is sent to another node, not used by any node before in all likelihood.
    func nextOperation() -> UInt64 {
        lastOperation &+= 1
        return lastOperation
    }

    /// Monotonic time as last read on this thread: once a read and once a request, not wherever a time is wanted.
    private(set) var lastNanoseconds: Int64 = 0
    var lastMilliseconds: Int64 { lastNanoseconds / 1_000_000 }

    /// Reads the clock; monotonic milliseconds.
    @discardableResult
    func readClock() -> Int64 {
        lastNanoseconds = NodeClock.monotonicNanoseconds()
        return lastMilliseconds
    }

    /// A reply without content, in the memory of an earlier one where there is some. Should somebody still hold that,
    /// ByteBuffer copies on write.
    func emptyReply(acceptsGzip: Bool) -> ReplyBuffer {
        guard let buffer = replyBuffers.popLast() else {
            return ReplyBuffer(bytes: ByteBuffer(), acceptsGzip: acceptsGzip)
        }
        replyBufferBytes -= buffer.storageCapacity
        return ReplyBuffer(bytes: buffer, acceptsGzip: acceptsGzip)
    }

    /// Keeps the memory of a reply that was sent.
    func keepReplyBuffer(_ buffer: ByteBuffer) {
        let bytes = buffer.storageCapacity
        guard bytes <= Self.keptReplyBytes, replyBufferBytes + bytes <= Self.keptReplyBytesInAll else { return }
        replyBuffers.append(buffer)
        replyBufferBytes += bytes
    }

    private static let keptReplyBytes = 32 * 1024
    private static let keptReplyBytesInAll = 512 * 1024

    /// Whether blocks of another node inflate to what they say.
    func areIntact(_ blocks: UnsafeRawBufferPointer, _ hole: PeerText.Hole) -> Bool {
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(hole.originalBytes), alignment: 8)
        defer { target.deallocate() }
        do {
            try inflater.inflateBlocks(blocks, into: target, crc: hole.crc32)
            return true
        } catch {
            return false
        }
    }

    /// Gives back what an unusually large request made the scratch buffers grow to.
    func trim() {
        if deflated.capacity > Self.retainedScratchBytes { deflated = [] }
        if blocks.capacity > Self.retainedScratchBytes { blocks = ByteBuffer() }
    }
}
