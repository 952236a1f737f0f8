// Removing what is past its deadline, before anybody asks for it.

extension Store {
    /// Removes entries whose deadline has come, `limit` units of work at most (an entry removed or filed again is one);
    /// returns how many were removed. Call it regularly: promptness is the caller's interval. O(work done).
    package mutating func expire(now: Int64, limit: Int) -> Int {
        var removed = 0
        work: for _ in 0..<limit {
            switch wheel.step(now: now, in: arena) {
            case .due(let address):
                expireEntry(address)
                removed += 1
            case .refiled: continue
            case .idle: break work
            }
        }
        payForCleaning()
        return removed
    }

    /// When `expire` next finds work: monotonic milliseconds, never later than the first deadline, often earlier (a
    /// far deadline is approached in steps). nil when nothing expires.
    package var nextExpiryHint: Int64? { wheel.nextDue }

    /// Removes the first entry past its deadline if `steps` units of work find one.
    mutating func expireFirst(now: Int64, steps: Int) -> Bool {
        for _ in 0..<steps {
            switch wheel.step(now: now, in: arena) {
            case .due(let address):
                expireEntry(address)
                return true
            case .refiled: continue
            case .idle: return false
            }
        }
        return false
    }

    /// Drops an entry whose deadline has come.
    private mutating func expireEntry(_ address: EntryAddress) {
        let record = arena.record(at: address)
        let hash = hasher.hash(record.key)
        forgotten.note(record.version, hash)
        discard(address, hash: hash)
        counters.expired &+= 1
    }
}
