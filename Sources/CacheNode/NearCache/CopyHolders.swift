// At the owner: which nodes hold copies of which keys, and the streams in which they are told of changes (NearCache.swift
// tells the protocol). Exactly the holders of a key are told, once: whoever reads it again registers again.
//
// Bounded: when too many keys have holders, one is given up, which its holders are told as if it had changed.

import Membership
import Synchronization

final class CopyHolders: Sendable {
    private static let maxKeys = 100_000

    private struct State {
        /// Tells the messages of one view from those of another.
        var stream: UInt64 = 0
        var holders: [[UInt8]: [MemberID]] = [:]
        /// The number of the last message to each node.
        var sequences: [MemberID: UInt64] = [:]
        /// Changed keys that each node has not been told of.
        var untold: [MemberID: [[UInt8]]] = [:]
    }

    /// A message to a holder.
    struct Notice: Sendable {
        var holder: MemberID
        var ticket: CopyTicket
        var keys: [[UInt8]]
    }

    /// Guards all of it.
    private let state = Mutex(State())
    /// Whether any key has holders: what a write looks at first.
    private let hasAny = Atomic<Bool>(false)

    /// A node is about to be given the entry under `key`. Called before the entry is read, so that no change can come
    /// between unnoticed.
    func register(_ key: UnsafeRawBufferPointer, _ holder: MemberID) -> CopyTicket {
        hasAny.store(true, ordering: .sequentiallyConsistent)
        let key = Array(key)
        return state.withLock { state in
            if state.holders[key] == nil, state.holders.count >= Self.maxKeys, let other = state.holders.keys.first {
                giveUp(other, &state)
            }
            if state.holders[key]?.contains(holder) != true { state.holders[key, default: []].append(holder) }
            return ticket(holder, state)
        }
    }

    /// The entry under `key` has changed; returns whether somebody has to be told (`takeNotices`).
    func changed(_ key: UnsafeRawBufferPointer) -> Bool {
        guard hasAny.load(ordering: .sequentiallyConsistent) else { return false }
        let key = Array(key)
        return state.withLock { state in
            guard state.holders[key] != nil else { return false }
            giveUp(key, &state)
            return true
        }
    }

    /// What is to be sent, numbered; each in one message, in this order.
    func takeNotices() -> [Notice] {
        state.withLock { state in
            let untold = state.untold
            state.untold = [:]
            return untold.map { holder, keys in
                state.sequences[holder, default: 0] += 1
                return Notice(holder: holder, ticket: ticket(holder, state), keys: keys)
            }
        }
    }

    /// What a holder that asks for a lease is told.
    func ticket(for holder: MemberID) -> CopyTicket { state.withLock { ticket(holder, $0) } }

    /// A new view: all nodes drop their copies when they enter it, or when they hear of the new stream.
    func begin(stream: UInt64) {
        state.withLock { state in
            state = State()
            state.stream = stream
        }
        hasAny.store(false, ordering: .sequentiallyConsistent)
    }

    private func giveUp(_ key: [UInt8], _ state: inout State) {
        for holder in state.holders.removeValue(forKey: key) ?? [] { state.untold[holder, default: []].append(key) }
    }

    /// A message that waits to be sent counts: a lease that was given without it could outlive what it tells.
    private func ticket(_ holder: MemberID, _ state: borrowing State) -> CopyTicket {
        let waiting: UInt64 = state.untold[holder] == nil ? 0 : 1
        return CopyTicket(stream: state.stream, sequence: (state.sequences[holder] ?? 0) + waiting)
    }
}
