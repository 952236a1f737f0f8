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
    /// Set while requests are answered again because the journal has failed: writes get 1201.
    var refusesWrites = false
    /// Memory of replies handed on, oldest first; by the time one comes to the front the socket has usually taken it.
    private var replyBuffers = CircularBuffer<ByteBuffer>(initialCapacity: 128)

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

    /// Memory for the next reply: that of an earlier one, when there have been enough since. Should somebody still hold
    /// it, ByteBuffer copies on write.
    func takeReplyBuffer() -> ByteBuffer {
        replyBuffers.count < Self.keptReplyBuffers / 2 ? ByteBuffer() : replyBuffers.removeFirst()
    }

    /// Keeps the memory of a reply that was handed on.
    func keepReplyBuffer(_ buffer: ByteBuffer) {
        guard buffer.capacity <= Self.keptReplyBytes, replyBuffers.count < Self.keptReplyBuffers else { return }
        replyBuffers.append(buffer)
    }

    private static let keptReplyBuffers = 128
    private static let keptReplyBytes = 4096

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
