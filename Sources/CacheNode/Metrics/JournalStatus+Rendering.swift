// The journal's state as node.stats and /metrics show it.

import JSONRPC

extension ObjectWriter {
    /// The member `journal` of node.stats; `{"enabled":false}` without one.
    mutating func journal(_ status: JournalStatus?) {
        openMember("journal")
        boolean("enabled", status != nil)
        if let status {
            string("state", status.isOpen ? "open" : "readOnly")
            if let reason = status.reason { string("reason", reason) }
            // Sequence numbers are decimal strings: they pass 2^53.
            string("lastSequence", String(status.lastSequence))
            string("acknowledgedSequence", String(status.watermark))
            string("durableSequence", String(status.durableSequence))
            for (name, value) in status.numbers { integer(name, Int64(value)) }
        }
        close()
    }
}

extension PrometheusWriter {
    mutating func journal(_ status: JournalStatus) {
        family("spydercache_journal_open", "gauge", "0 while the storage is read-only because the journal failed.")
        sample(status.isOpen ? 1 : 0)
        family("spydercache_journal", "gauge", "Numbers of the journal, as in node.stats.")
        for (name, value) in status.numbers { sample(value, label: ("number", name)) }
    }
}

extension JournalStatus {
    fileprivate var numbers: [(String, Int)] {
        [
            ("segments", segments), ("bytes", bytes), ("snapshots", snapshots), ("snapshotBytes", snapshotBytes),
            ("pendingBytes", pendingBytes), ("fsyncs", fsyncs), ("fsyncFailures", fsyncFailures),
            ("compressedSegments", compressedSegments), ("compressedRawBytes", compressedRawBytes),
            ("compressedStoredBytes", compressedStoredBytes), ("compactions", compactions),
        ]
    }
}
