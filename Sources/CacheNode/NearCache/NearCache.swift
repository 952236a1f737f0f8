// Copies of other nodes' entries, for keys that are read often (`near_cache_size`). Off unless set.
//
// An owner tells each node that holds a copy when the key changes (CopyHolders): messages numbered one by one in a stream
// for that node. This node serves a copy only while it holds a lease of the owner, which it asks for again and again:
//
//     lease asked at t ─▶ owner: "your stream is s, its last message is number n"
//         n is the last one seen here     copies of that owner are good until t + forward_timeout / 2
//         n is newer                      a message is on its way, or lost: no lease; at the next look, if nothing came, all
//                                         copies go and counting starts at n
//
// So a copy is never older than a change that was acknowledged half a forward timeout ago, and a node that is cut off from
// the owner stops serving its copies by its own clock. A message out of order, of another stream, or a new view: all copies
// go. A change that overtakes the answer to a fetch marks it, and the answer is not kept.

import CacheStore
import Configuration
import Membership
import Synchronization

/// What the owner said together with a value.
struct CopyTicket: Sendable {
    var stream: UInt64
    /// The last message of the stream, or one that is on its way.
    var sequence: UInt64
}

final class NearCache: Sendable {
    /// What is known of one owner.
    private struct Source {
        var stream: UInt64
        var seen: UInt64
        var goodUntil: Int64
        /// A lease reply named a message that had not come.
        var isBehind = false
    }

    private struct State: ~Copyable {
        var store: Store
        var epoch: UInt64 = 0
        var sources: [MemberID: Source] = [:]
        /// Keys being fetched: by how many calls, and whether one of them changed meanwhile.
        var fetches: [[UInt8]: (count: Int, isOutdated: Bool)] = [:]
    }

    /// Guards all of it; held for a look-up or a copy.
    private let state: Mutex<State>
    private let hasher: KeyHasher
    private let leaseMilliseconds: Int64
    let isOn: Bool

    /// What copies may take of `memory_limit`.
    static func limitBytes(_ configuration: NodeConfiguration) -> Int {
        configuration.network.nearCacheMaxKeys > 0 ? configuration.local.memoryLimitBytes / 8 : 0
    }

    init(_ configuration: NodeConfiguration, hasher: KeyHasher) {
        isOn = configuration.network.nearCacheMaxKeys > 0
        leaseMilliseconds = Int64(max(configuration.network.forwardTimeoutMilliseconds / 2, 1))
        self.hasher = hasher
        state = Mutex(
            State(
                store: Store(
                    settings: StoreSettings(
                        maxKeys: configuration.network.nearCacheMaxKeys, limitBytes: Self.limitBytes(configuration),
                        policy: .lru, hasher: hasher))))
    }

    /// How often leases are asked for, in milliseconds.
    var renewalMilliseconds: Int64 { max(leaseMilliseconds / 2, 1) }

    /// Finds a copy of `owner`'s entry that may be served. `copy` runs under the lock and does no more than copy bytes.
    func read(_ key: CacheKey, owner: MemberID, now: Int64, _ copy: (borrowing Entry) -> Void) -> EntryFacts? {
        state.withLock { state in
            guard let source = state.sources[owner], now < source.goodUntil,
                let entry = state.store.get(key.bytes, hash: key.hash, now: now)
            else { return nil }
            copy(entry)
            return EntryFacts(entry)
        }
    }

    // MARK: Fetching

    /// A fetch begins; returns the epoch to be given to `fetched`.
    func fetching(_ key: [UInt8]) -> UInt64 {
        state.withLock { state in
            state.fetches[key, default: (0, false)].count += 1
            return state.epoch
        }
    }

    /// A fetch ended without an entry.
    func fetchFailed(_ key: [UInt8]) {
        state.withLock { _ = endFetch(key, &$0) }
    }

    /// The owner's answer to a fetch that was sent at `sentAt`; kept unless the key changed meanwhile.
    func fetched(
        _ key: [UInt8], _ value: UnsafeRawBufferPointer, _ form: StoredForm, version: UInt64, deadline: Int64,
        from owner: MemberID, _ ticket: CopyTicket, epoch: UInt64, sentAt: Int64, now: Int64
    ) {
        state.withLock { state in
            guard !endFetch(key, &state), state.epoch == epoch else { return }
            if let source = state.sources[owner], source.stream != ticket.stream { clear(&state) }
            if state.sources[owner] == nil {
                state.sources[owner] = Source(
                    stream: ticket.stream, seen: ticket.sequence, goodUntil: sentAt + leaseMilliseconds)
            }
            key.withUnsafeBytes { bytes in
                _ = state.store.put(
                    bytes, hash: hasher.hash(bytes), value: value, form: form,
                    expiry: deadline == .max ? .never : .at(deadline), version: version, condition: .always, now: now)
            }
        }
    }

    private func endFetch(_ key: [UInt8], _ state: inout State) -> Bool {
        guard var fetch = state.fetches[key] else { return true }
        fetch.count -= 1
        state.fetches[key] = fetch.count == 0 ? nil : fetch
        return fetch.isOutdated
    }

    // MARK: What owners say

    /// A numbered message of an owner: these keys have changed.
    func changed(_ keys: [[UInt8]], from owner: MemberID, _ ticket: CopyTicket, now: Int64) {
        state.withLock { state in
            if let source = state.sources[owner] {
                if source.stream != ticket.stream || ticket.sequence != source.seen + 1 {
                    clear(&state)
                } else {
                    state.sources[owner]?.seen = ticket.sequence
                    state.sources[owner]?.isBehind = false
                }
            }
            for key in keys { drop(key, &state, now: now) }
        }
    }

    /// An owner's answer to a lease that was asked for at `askedAt`.
    func leased(by owner: MemberID, _ ticket: CopyTicket, askedAt: Int64) {
        state.withLock { state in
            guard let source = state.sources[owner] else { return }
            guard source.stream == ticket.stream else { return clear(&state) }
            if source.seen == ticket.sequence {
                state.sources[owner]?.goodUntil = max(source.goodUntil, askedAt + leaseMilliseconds)
                state.sources[owner]?.isBehind = false
            } else if source.isBehind {
                clear(&state)
            } else {
                state.sources[owner]?.isBehind = true
            }
        }
    }

    /// Owners whose leases are wanted: those of whom something may be held.
    var owners: [MemberID] {
        state.withLock { state in state.store.count == 0 ? [] : Array(state.sources.keys) }
    }

    /// Drops one copy; a fetch of it that is under way is not kept.
    func drop(_ key: UnsafeRawBufferPointer, now: Int64) {
        guard isOn else { return }
        state.withLock { drop(Array(key), &$0, now: now) }
    }

    /// A new view, or a flush: nothing is kept.
    func clear(epoch: UInt64? = nil) {
        guard isOn else { return }
        state.withLock { state in
            if let epoch { state.epoch = epoch }
            clear(&state)
        }
    }

    private func drop(_ key: [UInt8], _ state: inout State, now: Int64) {
        if state.fetches[key] != nil { state.fetches[key]?.isOutdated = true }
        key.withUnsafeBytes { bytes in
            _ = state.store.remove(bytes, hash: hasher.hash(bytes), ifVersion: nil, now: now)
        }
    }

    private func clear(_ state: inout State) {
        _ = state.store.removeAll()
        state.sources.removeAll()
        for key in state.fetches.keys { state.fetches[key]?.isOutdated = true }
    }

    // MARK: Numbers

    /// Copies held, their memory, and reads answered by them.
    var numbers: (keys: Int, bytes: Int, hits: UInt64) {
        guard isOn else { return (0, 0, 0) }
        return state.withLock { ($0.store.count, $0.store.memory.footprintBytes, $0.store.counters.getHits) }
    }
}
