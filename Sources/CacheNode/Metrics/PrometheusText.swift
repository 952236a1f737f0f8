// The text of /metrics: Prometheus exposition format 0.0.4. Written by hand, as there is no exporter among the kept
// libraries that reads plain counters without a registry lock on the request path.

import JSONRPC

enum PrometheusText {
    static func render(_ node: NodeCore) -> [UInt8] {
        let snapshot = StatsSnapshot(node)
        var text = PrometheusWriter()
        for (name, value) in snapshot.counters where !Self.left.contains(name) {
            let isGauge = Self.gauges.contains(name)
            let plain = PrometheusWriter.snake(name.hasPrefix("total") ? String(name.dropFirst(5)) : name)
            let unit = name == "uptime" ? "_seconds" : isGauge ? "" : "_total"
            let stem = plain.hasPrefix("_") ? String(plain.dropFirst()) : plain
            text.family("spydercache_\(stem)\(unit)", isGauge ? "gauge" : "counter", "node.stats \(name)")
            text.sample(Int(clamping: value))
        }
        text.family("spydercache_memory_bytes", "gauge", "Memory by purpose, as in node.stats.")
        for (purpose, bytes) in snapshot.memory {
            text.sample(bytes, label: ("purpose", PrometheusWriter.snake(String(purpose.dropLast("Bytes".count)))))
        }
        text.family("spydercache_compression_bytes_total", "counter", "Values compressed: before and after.")
        for (form, bytes) in snapshot.compression.prefix(2) {
            text.sample(bytes, label: ("form", String(form.dropLast("Bytes".count))))
        }
        calls(node, &text)
        durations(node, &text)
        if let journal = snapshot.journal { text.journal(journal, snapshot.recovery) }
        let table = node.cluster.routing.table
        text.family("spydercache_cluster_epoch", "gauge", "Number of the view of the membership; 0 without one.")
        text.sample(Int(clamping: table.epoch.number))
        text.family("spydercache_cluster_members", "gauge", "Members of the view.")
        text.sample(table.view?.members.count ?? 0)
        text.family("spydercache_cluster_handoff_ratio", "gauge", "1 when every key is where the view wants it.")
        text.sample(hundredths: node.cluster.progress.percent)
        text.family("spydercache_cluster_under_replicated", "gauge", "Keys that may lack copies.")
        text.sample(node.cluster.progress.underReplicated)
        text.family("spydercache_ready", "gauge", "1 when requests are served.")
        text.sample(node.isReady ? 1 : 0)
        return text.bytes
    }

    /// Not metrics: identity and the clock.
    private static let left: Set<String> = ["pid", "time"]
    private static let gauges: Set<String> = [
        "uptime", "threads", "shards", "currItems", "bytes", "limitMaxbytes", "currConnections", "nearItems",
        "tombstones",
    ]

    private static func calls(_ node: NodeCore, _ text: inout PrometheusWriter) {
        text.family("spydercache_calls_total", "counter", "Calls by method.")
        for (index, method) in MethodTable.all.enumerated() {
            let count = node.metrics.calls(ofMethod: index)
            text.sample(Int(clamping: count), label: ("method", "\(method.name)"))
        }
    }

    private static func durations(_ node: NodeCore, _ text: inout PrometheusWriter) {
        let (counts, sum) = node.metrics.durations()
        text.histogram(
            "spydercache_request_duration_seconds", "Time from a complete request to its reply, in powers of two.",
            counts, sumNanoseconds: sum)
    }
}

/// Writes families and samples.
struct PrometheusWriter {
    private(set) var bytes: [UInt8] = []
    private var name = ""

    mutating func family(_ name: String, _ type: String, _ help: String) {
        self.name = name
        line("# HELP \(name) \(help)")
        line("# TYPE \(name) \(type)")
    }

    mutating func sample(_ value: Int) {
        line("\(name) \(value)")
    }

    mutating func sample(hundredths value: Int) {
        line("\(name) \(Double(value) / 100)")
    }

    mutating func sample(_ value: Int, label: (String, String)) {
        line("\(name){\(label.0)=\"\(label.1)\"} \(value)")
    }

    /// Buckets of 2^index microseconds, cumulative as the format wants them.
    mutating func histogram(_ name: String, _ help: String, _ counts: [UInt64], sumNanoseconds: UInt64) {
        family(name, "histogram", help)
        var total: UInt64 = 0
        for (index, count) in counts.enumerated() {
            total += count
            let limit = index == counts.count - 1 ? "+Inf" : "\(Double(1 << index) / 1_000_000)"
            line("\(name)_bucket{le=\"\(limit)\"} \(total)")
        }
        line("\(name)_sum \(Double(sumNanoseconds) / 1_000_000_000)")
        line("\(name)_count \(total)")
    }

    /// `currItems` to `curr_items`.
    static func snake(_ name: String) -> String {
        var result = ""
        for character in name {
            if character.isUppercase { result += "_" }
            result += character.lowercased()
        }
        return result
    }

    private mutating func line(_ text: String) {
        bytes.append(contentsOf: text.utf8)
        bytes.append(UInt8(ascii: "\n"))
    }
}
