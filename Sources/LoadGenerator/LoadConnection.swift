// One connection of the generator: requests out, replies in, in order. Confined to its worker's thread.

#if canImport(Glibc)
    import Glibc
#endif

/// What happened on a connection when it was served.
enum ConnectionEvent {
    case replied(ReplyVerdict, sentAt: UInt64, isRead: Bool)
    /// The connection is gone or unreadable; so many operations had no answer.
    case lost(operations: Int)
}

/// A socket with its buffers and the requests in flight on it.
final class LoadConnection {
    private(set) var descriptor: Int32
    /// Requests sent whose replies have not come.
    private(set) var inFlight = 0
    /// The kernel did not take everything: the worker must wait for room.
    var wantsRoom: Bool { self.sendStart < self.sendEnd }

    private let depth: Int
    private let maxKeys: Int
    private let checker: ReplyChecker

    // A ring of `depth` requests in flight.
    private var head = 0
    private let sentAt: UnsafeMutablePointer<UInt64>
    private let isRead: UnsafeMutablePointer<Bool>
    private let keyCounts: UnsafeMutablePointer<Int>
    private let keys: UnsafeMutablePointer<Int>

    private var sendBuffer: UnsafeMutablePointer<UInt8>
    private let sendCapacity: Int
    private var sendStart = 0
    private var sendEnd = 0

    private var receiveBuffer: UnsafeMutablePointer<UInt8>
    private var receiveCapacity = 32 << 10
    private var received = 0
    /// The reply in the buffer is known to have at least this many bytes.
    private var neededBytes = 0

    init(descriptor: Int32, depth: Int, maxKeys: Int, maxRequestBytes: Int, checker: ReplyChecker) {
        self.descriptor = descriptor
        self.depth = depth
        self.maxKeys = maxKeys
        self.checker = checker
        self.sentAt = .allocate(capacity: depth)
        self.isRead = .allocate(capacity: depth)
        self.keyCounts = .allocate(capacity: depth)
        self.keys = .allocate(capacity: depth * maxKeys)
        self.sendCapacity = depth * maxRequestBytes
        self.sendBuffer = .allocate(capacity: self.sendCapacity)
        self.receiveBuffer = .allocate(capacity: self.receiveCapacity)
    }

    deinit {
        close(self.descriptor)
        self.sentAt.deallocate()
        self.isRead.deallocate()
        self.keyCounts.deallocate()
        self.keys.deallocate()
        self.sendBuffer.deallocate()
        self.receiveBuffer.deallocate()
    }

    var hasRoom: Bool { self.inFlight < self.depth }

    /// Puts a request into the send buffer; `chooseKey` is called for each of its keys. Only while `hasRoom`.
    @inline(__always)
    func enqueue(_ template: RequestTemplate, at time: UInt64, chooseKey: () -> Int) {
        precondition(self.hasRoom, "a connection has no more than its depth of requests in flight")
        let place = (self.head + self.inFlight) % self.depth
        self.inFlight += 1
        let keys = self.keys + place * self.maxKeys
        for index in 0..<template.keys { keys[index] = chooseKey() }
        self.keyCounts[place] = template.keys
        self.sentAt[place] = time
        self.isRead[place] = template.isRead
        if self.sendEnd + template.bytes.count > self.sendCapacity {
            memmove(self.sendBuffer, self.sendBuffer + self.sendStart, self.sendEnd - self.sendStart)
            self.sendEnd -= self.sendStart
            self.sendStart = 0
        }
        template.write(to: self.sendBuffer + self.sendEnd, keys: keys)
        self.sendEnd += template.bytes.count
    }

    /// Gives the kernel what it takes; false when the connection is broken.
    func flush() -> Bool {
        while self.sendStart < self.sendEnd {
            let count = send(
                self.descriptor, self.sendBuffer + self.sendStart, self.sendEnd - self.sendStart,
                Int32(MSG_NOSIGNAL))
            if count > 0 {
                self.sendStart += count
            } else if errno == EAGAIN {
                return true
            } else if errno != EINTR {
                return false
            }
        }
        self.sendStart = 0
        self.sendEnd = 0
        return true
    }

    /// Receives once and reports every reply that is complete.
    @inline(__always)
    func receive(_ report: (ConnectionEvent) -> Void) {
        self.growBuffer()
        let count = recv(
            self.descriptor, self.receiveBuffer + self.received, self.receiveCapacity - self.received, 0)
        if count <= 0 {
            if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
            return report(.lost(operations: self.operationsInFlight))
        }
        self.received += count
        guard self.received >= self.neededBytes else { return }
        var start = 0
        while start < self.received {
            guard self.inFlight > 0 else {
                // A reply that nobody asked for.
                return report(.lost(operations: 1))
            }
            let expected = ExpectedReply(
                isRead: self.isRead[self.head],
                keys: UnsafeBufferPointer(start: self.keys + self.head * self.maxKeys, count: self.keyCounts[self.head])
            )
            let bytes = ByteScanner(self.receiveBuffer + start, count: self.received - start)
            switch self.checker.check(bytes, expected) {
            case .incomplete(let needed):
                self.keep(from: start, needed: needed)
                return
            case .complete(let length, let verdict):
                start += length
                let sentAt = self.sentAt[self.head]
                self.head = (self.head + 1) % self.depth
                self.inFlight -= 1
                report(.replied(verdict, sentAt: sentAt, isRead: expected.isRead))
            case .malformed:
                return report(.lost(operations: self.operationsInFlight))
            }
        }
        self.keep(from: start, needed: 0)
    }

    /// Starts again with a new socket; what was in flight is forgotten.
    func replace(descriptor: Int32) {
        close(self.descriptor)
        self.descriptor = descriptor
        self.inFlight = 0
        self.sendStart = 0
        self.sendEnd = 0
        self.received = 0
        self.neededBytes = 0
    }

    private var operationsInFlight: Int {
        (0..<self.inFlight).reduce(0) { $0 + self.keyCounts[(self.head + $1) % self.depth] }
    }

    private func keep(from start: Int, needed: Int) {
        self.received -= start
        if self.received > 0 && start > 0 {
            memmove(self.receiveBuffer, self.receiveBuffer + start, self.received)
        }
        self.neededBytes = needed
    }

    private func growBuffer() {
        let wanted = max(self.neededBytes, self.received + 1)
        guard wanted > self.receiveCapacity else { return }
        let capacity = max(wanted, 2 * self.receiveCapacity)
        let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        grown.update(from: self.receiveBuffer, count: self.received)
        self.receiveBuffer.deallocate()
        self.receiveBuffer = grown
        self.receiveCapacity = capacity
    }
}
