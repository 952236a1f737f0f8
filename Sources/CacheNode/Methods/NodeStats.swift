// node.stats, node.health and node.config: what the node counts, whether it is well, and its settings.

import Configuration
import JSONRPC

enum NodeStats {
    static let stats = RPCMethod(
        name: "node.stats",
        summary: "Counters under memcached's names, memory by purpose, compression and journal state.",
        resultSchema: #"{"type":"object"}"#,
        runsOffLoop: true
    ) { context, _ throws(MethodFailure) in
        let snapshot = StatsSnapshot(context.node)
        var writer = ObjectWriter(sink: context.reply)
        writer.open()
        writer.string("node", context.node.nodeID)
        for (name, value) in snapshot.counters { writer.integer(name, Int64(clamping: value)) }
        writer.object("memory", snapshot.memory)
        writer.object("compression", snapshot.compression)
        writer.journal(snapshot.journal, snapshot.recovery)
        writer.close()
        context.reply = writer.sink
    }

    static let health = RPCMethod(
        name: "node.health",
        summary: "Whether the node is ready, and what is degraded.",
        resultSchema: """
            {"type":"object","required":["status","ready"],"properties":{"status":{"enum":["ok","degraded","draining"]},\
            "ready":{"type":"boolean"},"node":{"type":"string"},"uptimeMs":{"type":"integer"},\
            "problems":{"type":"array","items":{"type":"string"}}}}
            """
    ) { context, _ throws(MethodFailure) in
        let node = context.node
        var problems: [String] = []
        if let journal = node.storage.journal, !journal.isOpen {
            problems.append("journal: \(journal.status.reason ?? "failed")")
        }
        if let damaged = node.storage.recovery?.damageCount, damaged > 0 {
            problems.append(
                "journal: \(damaged) damaged places were found at start; what they may have changed is not served")
        }
        if node.storage.journal?.isCongested == true { problems.append("journal: the disk does not keep up") }
        let table = context.thread.routing
        if !node.cluster.isServing {
            problems.append("cluster: this node owns no keys now")
        } else if table.availableReplicas < table.replicas {
            problems.append("cluster: keys have \(table.availableReplicas) of \(table.replicas) replicas")
        }
        var writer = ObjectWriter(sink: context.reply)
        writer.open()
        writer.string("status", node.isDraining ? "draining" : problems.isEmpty ? "ok" : "degraded")
        writer.boolean("ready", node.isReady)
        writer.string("node", node.nodeID)
        writer.integer("uptimeMs", context.now - node.startedMilliseconds)
        writer.strings("problems", problems)
        writer.close()
        context.reply = writer.sink
    }

    static let config = RPCMethod(
        name: "node.config",
        summary: "The settings in force, by section; files with secrets are named, never shown.",
        resultSchema: #"{"type":"object","additionalProperties":{"type":"object"}}"#
    ) { context, _ throws(MethodFailure) in
        var writer = ObjectWriter(sink: context.reply)
        writer.open()
        var section = ""
        for setting in context.node.settings {
            if setting.section != section {
                if !section.isEmpty { writer.close() }
                section = setting.section
                writer.openMember(section)
            }
            switch setting.value {
            case .unset: writer.null(setting.key)
            case .boolean(let value): writer.boolean(setting.key, value)
            case .integer(let value): writer.integer(setting.key, Int64(value))
            case .text(let value): writer.string(setting.key, value)
            case .list(let values): writer.strings(setting.key, values)
            }
        }
        writer.close()
        writer.close()
        context.reply = writer.sink
    }
}

/// Writes objects member by member and keeps track of the commas.
struct ObjectWriter<Sink: ByteSink> {
    var sink: Sink
    private var needsComma = false

    init(sink: Sink) {
        self.sink = sink
    }

    mutating func open() {
        sink.append("{")
        needsComma = false
    }

    mutating func close() {
        sink.append("}")
        needsComma = true
    }

    /// Something was appended to `sink` directly.
    mutating func needsCommaNext() { needsComma = true }

    mutating func openMember(_ name: String) {
        self.name(name)
        open()
    }

    mutating func name(_ name: String) {
        if needsComma { sink.append(",") }
        needsComma = true
        sink.appendJSONString(name)
        sink.append(":")
    }

    mutating func string(_ name: String, _ value: String) {
        self.name(name)
        sink.appendJSONString(value)
    }

    mutating func integer(_ name: String, _ value: Int64) {
        self.name(name)
        sink.append(decimal: value)
    }

    mutating func boolean(_ name: String, _ value: Bool) {
        self.name(name)
        sink.append(value ? "true" : "false")
    }

    mutating func null(_ name: String) {
        self.name(name)
        sink.append("null")
    }

    mutating func strings(_ name: String, _ values: [String]) {
        self.name(name)
        sink.append("[")
        for (index, value) in values.enumerated() {
            if index > 0 { sink.append(",") }
            sink.appendJSONString(value)
        }
        sink.append("]")
    }

    /// A number with three decimals.
    mutating func ratio(_ name: String, thousandths: Int64) {
        self.name(name)
        sink.append(decimal: thousandths / 1000)
        sink.append(".")
        let rest = thousandths % 1000
        sink.append(rest < 10 ? "00" : rest < 100 ? "0" : "")
        sink.append(decimal: rest)
    }

    mutating func object(_ name: String, _ members: [(String, Int)]) {
        openMember(name)
        for (name, value) in members { integer(name, Int64(value)) }
        close()
    }
}
