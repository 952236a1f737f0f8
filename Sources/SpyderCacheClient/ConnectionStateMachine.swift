// One HTTP/1.1 connection as a value: which calls are on the wire and whether more may follow.
//
// HTTP/1.1 answers in the order of the requests, so the calls in flight are a queue. It knows no sockets, no buffers and
// no clock; ConnectionHandler does what its actions say. What waits for a connection is CallDispatcher's business.
//
//     open ──retired, or the node says it closes──▶ retiring ──last live reply──▶ closed
//       └──────────────────────connection lost──────────┴──────────────────────────▲

import NIOCore

/// Number of a call, unique within a client; it is the `id` on the wire.
struct RequestID: Hashable, Sendable {
    let rawValue: UInt64
}

/// The rules of one connection; `~Copyable`, so that a path that forgets its transition does not compile.
struct ConnectionStateMachine: ~Copyable {
    /// A request on the wire whose reply has not arrived.
    struct Slot: Equatable {
        let id: RequestID
        /// Nobody waits any longer, but the reply still takes its turn on the wire.
        var isAbandoned = false
    }

    /// Calls on the wire, oldest first.
    private struct InFlight {
        var slots = CircularBuffer<Slot>()
        let limit: Int

        var isFull: Bool { self.slots.count >= self.limit }
        var hasNobodyWaiting: Bool { self.slots.allSatisfy(\.isAbandoned) }

        mutating func abandon(_ id: RequestID) {
            guard let index = self.slots.firstIndex(where: { $0.id == id }) else { return }
            self.slots[index].isAbandoned = true
        }
    }

    private enum State: ~Copyable {
        case open(InFlight)
        case retiring(InFlight)
        case closed
    }

    private var state: State

    private init(_ state: consuming State) {
        self.state = state
    }

    init(maxInFlight: Int) {
        precondition(maxInFlight > 0, "a connection that may carry no call would never be used")
        self.init(.open(InFlight(limit: maxInFlight)))
    }

    /// Whether another call may be written now.
    var hasRoom: Bool {
        switch self.state {
        case .open(let inFlight): !inFlight.isFull
        case .retiring: false
        case .closed: false
        }
    }

    enum SendAction: Equatable {
        case write
        case refuse
    }

    /// A call wants to go out; refused when the connection is full or takes no new ones.
    mutating func callSubmitted(_ id: RequestID) -> SendAction {
        switch consume self.state {
        case .open(var inFlight):
            guard !inFlight.isFull else {
                self = Self(.open(inFlight))
                return .refuse
            }
            inFlight.slots.append(Slot(id: id))
            self = Self(.open(inFlight))
            return .write
        case .retiring(let inFlight):
            self = Self(.retiring(inFlight))
            return .refuse
        case .closed:
            self = Self(.closed)
            return .refuse
        }
    }

    enum ReplyAction: Equatable {
        /// Hand the reply to its caller.
        case deliver(RequestID, thenClose: Bool)
        /// Its caller has gone.
        case drop(thenClose: Bool)
        /// Nobody asked: the peer cannot be trusted to be in step, close.
        case unsolicited
    }

    /// A whole reply has arrived; `keepsAlive` is false when its head announced that the node closes (RFC 9112, 9.6).
    mutating func replyCompleted(keepsAlive: Bool) -> ReplyAction {
        switch consume self.state {
        case .open(var inFlight):
            guard let slot = inFlight.slots.popFirst() else {
                self = Self(.retiring(inFlight))
                return .unsolicited
            }
            self = Self(keepsAlive ? .open(inFlight) : .retiring(inFlight))
            return Self.action(for: slot, thenClose: !keepsAlive)
        case .retiring(var inFlight):
            guard let slot = inFlight.slots.popFirst() else {
                self = Self(.retiring(inFlight))
                return .unsolicited
            }
            let isLastLive = inFlight.hasNobodyWaiting
            self = Self(.retiring(inFlight))
            return Self.action(for: slot, thenClose: isLastLive || !keepsAlive)
        case .closed:
            self = Self(.closed)
            return .drop(thenClose: false)
        }
    }

    enum RetireAction: Equatable {
        case none
        case close
    }

    /// The caller of `id` has gone; the connection stays in use.
    mutating func callAbandoned(_ id: RequestID) -> RetireAction {
        switch consume self.state {
        case .open(var inFlight):
            inFlight.abandon(id)
            self = Self(.open(inFlight))
            return .none
        case .retiring(var inFlight):
            inFlight.abandon(id)
            let isIdle = inFlight.hasNobodyWaiting
            self = Self(.retiring(inFlight))
            return isIdle ? .close : .none
        case .closed:
            self = Self(.closed)
            return .none
        }
    }

    /// The reply of `id` is late: its caller has gone and no new call goes behind it.
    mutating func callOverdue(_ id: RequestID) -> RetireAction {
        _ = self.callAbandoned(id)
        return self.retired()
    }

    /// The connection takes no new call; those in flight keep their chance until their own deadlines.
    mutating func retired() -> RetireAction {
        switch consume self.state {
        case .open(let inFlight):
            let isIdle = inFlight.hasNobodyWaiting
            self = Self(.retiring(inFlight))
            return isIdle ? .close : .none
        case .retiring(let inFlight):
            let isIdle = inFlight.hasNobodyWaiting
            self = Self(.retiring(inFlight))
            return isIdle ? .close : .none
        case .closed:
            self = Self(.closed)
            return .none
        }
    }

    /// The channel is closed; returns what was in flight, oldest first. Once: later calls return nothing.
    mutating func connectionLost() -> CircularBuffer<Slot> {
        switch consume self.state {
        case .open(let inFlight):
            self = Self(.closed)
            return inFlight.slots
        case .retiring(let inFlight):
            self = Self(.closed)
            return inFlight.slots
        case .closed:
            self = Self(.closed)
            return []
        }
    }

    private static func action(for slot: Slot, thenClose: Bool) -> ReplyAction {
        slot.isAbandoned ? .drop(thenClose: thenClose) : .deliver(slot.id, thenClose: thenClose)
    }
}
