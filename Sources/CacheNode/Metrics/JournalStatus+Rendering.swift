// The journal's state as node.stats and /metrics show it.

import JSONRPC

extension ObjectWriter {
    /// The member `journal` of node.stats; `{"enabled":false}` without one.
    mutating func journal(_ status: JournalStatus?, _ recovery: [(String, Int)]) {
        openMember("journal")
        boolean("enabled", status != nil)
        if let status {
            string("state", status.isOpen ? "open" : "readOnly")
            if let reason = status.reason { string("reason", reason) }
            // Sequence numbers are decimal strings: they pass 2^53.
            string("lastSequence", String(status.lastSequence))
            string("acknowledgedSequence", String(status.watermark))
            string("durableSequence", String(status.durableSequence))
            for (name, value) in status.gauges + status.counters { integer(name, Int64(value)) }
            object("recovery", recovery)
        }
        close()
    }
}

extension PrometheusWriter {
    mutating func journal(_ status: JournalStatus, _ recovery: [(String, Int)]) {
        family("spydercache_journal_open", "gauge", "0 while the storage is read-only because the journal failed.")
        sample(status.isOpen ? 1 : 0)
        for (name, value) in status.gauges {
            family("spydercache_journal_\(Self.snake(name))", "gauge", "node.stats journal \(name)")
            sample(value)
        }
        for (name, value) in status.counters {
            family("spydercache_journal_\(Self.snake(name))_total", "counter", "node.stats journal \(name)")
            sample(value)
        }
        for (name, value) in recovery {
            family("spydercache_journal_\(Self.snake(name))", "gauge", "At the last start: node.stats journal \(name)")
            sample(value)
        }
    }
}

extension JournalStatus {
    fileprivate var gauges: [(String, Int)] {
        [
            ("segments", segments), ("bytes", bytes), ("snapshots", snapshots), ("snapshotBytes", snapshotBytes),
            ("pendingBytes", pendingBytes),
        ]
    }

    fileprivate var counters: [(String, Int)] {
        [
            ("fsyncs", fsyncs), ("fsyncFailures", fsyncFailures), ("compressedSegments", compressedSegments),
            ("compressedRawBytes", compressedRawBytes), ("compressedStoredBytes", compressedStoredBytes),
            ("compactions", compactions),
        ]
    }
}
