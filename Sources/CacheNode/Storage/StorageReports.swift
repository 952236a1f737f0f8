// What storage tells of an entry and of what became of a change. Types only.

import CacheStore

/// What is known of an entry apart from its value.
struct EntryFacts {
    var form: StoredForm
    var version: UInt64
    /// Monotonic milliseconds; `.max` = never.
    var expiresAt: Int64
    var hits: UInt32
    var idleMilliseconds: Int64
    var storedBytes: Int

    /// Length of the value's JSON text.
    var originalBytes: Int {
        switch form {
        case .plain: storedBytes
        case .deflated(let originalBytes, _): Int(originalBytes)
        }
    }
}

/// A report that names the record to wait for.
protocol JournalledReport {
    /// Zero when nothing was written to the journal.
    var sequence: UInt64 { get }
}

/// What became of a write, and the record to wait for.
struct WriteReport: JournalledReport {
    var outcome: PutOutcome
    /// The entry's new version when it was stored.
    var version: UInt64 = 0
    /// Monotonic milliseconds; `.max` = never. Of a stored entry.
    var expiresAt = Int64.max
    /// Zero when nothing was written to the journal.
    var sequence: UInt64 = 0
}

struct RemoveReport: JournalledReport {
    var outcome: RemoveOutcome
    /// Of the removal; older versions of the key must not come back.
    var version: UInt64 = 0
    var sequence: UInt64 = 0
}

struct TouchReport: JournalledReport {
    var found: Bool
    /// The entry's, which stays.
    var version: UInt64 = 0
    var sequence: UInt64 = 0
}

struct IncrementReport: JournalledReport {
    enum Outcome {
        case missing
        case counted(Int64, wasCreated: Bool)
    }

    var outcome: Outcome
    var version: UInt64 = 0
    var expiresAt = Int64.max
    var sequence: UInt64 = 0
}
