// The table of events: level, constant message, meaning and fields of each. Adding one: a case in NodeEvent, its lines here,
// and the schema rewritten by running the tests with UPDATE_SCHEMAS=1.
//
// Levels: debug tells the flow, info the life of the node, warning that something is degraded, error that data was lost
// or the node cannot go on. Field names end in their unit. Values and secrets have no field; keys come from LogKey.cut.

extension NodeEvent {
    func makeDefinition() -> LogEventDefinition {
        switch self {
        case .nodeStarting:
            .init(
                .info, "Starting", "The settings are read; recovery comes next.",
                [
                    .text("version", "of the program"),
                    .int("pid", "process id"),
                    .text("configFile", "the INI file; absent with the defaults").optional,
                    .text("dataDir", "where journal and snapshots are").optional,
                    .int("threads", "event loops").optional,
                    .int("memoryLimitBytes", "memory_limit").optional,
                ])
        case .nodeListening:
            .init(
                .info, "Listening", "The port is bound; it may have been chosen by the system.",
                [.int("port", "TCP port"), .text("host", "as configured"), .text("address", "host:port as bound")])
        case .nodeReady:
            .init(
                .info, "Ready", "Recovery is done and requests are answered.",
                [.int("durationMs", "since the start of the process"), .int("keys", "keys held").optional])
        case .nodeReconstructed:
            .init(
                .info, "Reconstructed from the journal", "node.reconstruct was called.",
                [
                    .int("records", "records read"), .int("keys", "keys restored"),
                    .int("droppedBytes", "bytes of the journal that could not be used"), .int("durationMs", "it took"),
                ])
        case .nodeDraining:
            .init(
                .info, "Draining", "The node stops: no new connections, requests in flight are finished.",
                [
                    .int("limitMs", "when open connections are cut"),
                    .text("signal", "that asked for it").optional,
                    .int("connections", "still open").optional,
                ])
        case .nodeStopped:
            .init(
                .info, "Stopped", "The last line of a clean stop.",
                [
                    .int("uptimeMs", "since the start of the process"),
                    .int("connectionsCut", "connections that were not finished in time").optional,
                ])
        case .nodeFailed:
            .init(
                .error, "Cannot run", "The last line of a node that gives up.",
                [.text("reason", "why"), .int("exitCode", "of the process, as in sysexits.h").optional])
        case .configWarning:
            .init(
                .warning, "Setting without effect",
                "A setting is valid but has no effect in this version or combination.",
                [
                    .text("setting", "section.key"),
                    .text("reason", "why it has no effect"),
                    .text("file", "where it was set").optional,
                    .int("line", "line in that file").optional,
                ])
        case .configReloaded:
            .init(
                .info, "Settings reloaded", "SIGHUP was answered.",
                [.text("logLevel", "the level in force from now on").optional])
        case .clusterView:
            .init(
                .info, "View installed", "The cluster has a new membership; keys are routed by it from now on.",
                [
                    .int("epoch", "number of the view"), .text("coordinator", "id of the oldest member"),
                    .text("members", "ids, oldest first, separated by commas"),
                    .text("joining", "ids of those that own no keys yet"),
                ])
        case .clusterServing:
            .init(
                .info, "Serving", "The node owns its share of the keys from now on.",
                [.int("epoch", "number of the view")])
        case .clusterExpelled:
            .init(
                .warning, "Expelled", "The cluster went on without this node, which joins it again.",
                [.int("epoch", "number of the view it was in")])
        case .clusterLeft:
            .init(.info, "Left the cluster", "The node owns no keys until it is connected again.")
        case .memberAlive: .init(.info, "Member alive", "A node is heard, again or for the first time.", Self.member)
        case .memberSuspect:
            .init(
                .info, "Member suspect", "A member was not heard for half of failure_ms; others are asked.", Self.member
            )
        case .memberDead:
            .init(.warning, "Member dead", "A member was not heard for failure_ms, or its host refuses.", Self.member)
        case .memberLeft: .init(.info, "Member left", "A member went on purpose.", Self.member)
        case .memberRefused:
            .init(
                .warning, "Node refused", "A node does not fit into this cluster.",
                [
                    .text("member", "its id"), .text("address", "host:port"), .text("reason", "why"),
                ])
        case .handoffFinished:
            .init(
                .info, "Hand-off finished", "Every key held here is with all nodes that have to hold it.",
                [
                    .int("epoch", "number of the view"), .int("records", "entries and removals sent"),
                    .int("bytes", "sent"), Self.duration,
                ])
        case .topologyUnreachable:
            .init(
                .warning, "Topology store unreachable", "etcd does not answer; the last view stays in force.",
                [.text("reason", "why")])
        case .topologyDropped:
            .init(
                .warning, "Topology record dropped", "Something in etcd, or an answer of it, could not be used.",
                [.text("reason", "what, and why")])
        case .topologyReached:
            .init(.info, "Topology store reached", "etcd answers again.")
        case .journalRecovered:
            .init(
                .info, "Journal recovered", "What the journal held is in memory again.",
                [
                    .int("records", "records replayed"), .int("keys", "keys in memory after it"),
                    .int("droppedBytes", "bytes that could not be used, torn ones not counted"),
                    .int("tornBytes", "bytes of a record that was being written when the process ended"), Self.duration,
                    .int("droppedKeys", "keys left out because damage may have changed or deleted them").optional,
                    .int("expired", "keys left out because their time had passed").optional,
                    .int("segments", "files read").optional,
                ])
        case .journalDamaged:
            .init(
                .error, "Journal damaged",
                "Part of a journal file cannot be read; what it may have changed is not served.",
                [Self.file, .int("offsetBytes", "where the damage begins"), .text("reason", "what is wrong there")])
        case .journalAside:
            .init(
                .info, "Journal kept aside", "Journal files were moved out of the way; nothing reads or deletes them.",
                [.text("path", "where they are now"), .text("reason", "why"), .int("files", "how many").optional])
        case .journalSegmentSealed:
            .init(
                .info, "Segment sealed", "A segment is full; writing goes on in the next.",
                [Self.file, .int("bytes", "its size"), .int("records", "records in it").optional])
        case .journalSegmentCompressed:
            .init(
                .info, "Segment compressed", "A sealed segment was replaced by its compressed form.",
                [Self.file, .int("bytes", "its size before"), .int("storedBytes", "its size now")])
        case .journalCompacted:
            .init(
                .info, "Journal compacted", "A snapshot was written and the segments it covers were deleted.",
                [
                    Self.file, .int("records", "records in the snapshot"), .int("segments", "files deleted"),
                    .int("bytesAfter", "size of the snapshot"), Self.duration,
                ])
        case .journalFailed:
            .init(
                .error, "Journal failed",
                "The journal cannot be written: the storage is read-only until it is reopened.",
                [.text("reason", "the operation, the file and what the system says")])
        case .journalReopenFailed:
            .init(
                .warning, "Journal not reopened", "The storage stays read-only; the next attempt comes later.",
                [.text("reason", "the system's"), .int("attempts", "so far")])
        case .journalJobFailed:
            .init(
                .warning, "Journal upkeep failed", "A background job failed; the journal goes on without it.",
                [.text("job", "which one"), .text("reason", "the system's")])
        case .journalReopened:
            .init(
                .info, "Journal reopened", "The journal takes writes again after a failure.",
                [.int("durationMs", "since it failed"), Self.file.optional])
        case .requestAccess:
            .init(
                .info, "Request", "A request was answered; written as [log] access asks.",
                [
                    .int("status", "of the HTTP response"),
                    .int("code", "of the first error in the reply").optional,
                    .text("path", "other than the RPC endpoint").optional,
                ] + Self.sizes + Self.subject)
        case .requestSlow:
            .init(
                .warning, "Slow request", "A request took longer than [log] slow_ms.",
                Self.sizes + [.int("limitMs", "the threshold")] + Self.subject)
        case .requestFailed:
            .init(
                .warning, "Request failed", "A call ended in an error the node is to blame for.",
                [.int("code", "of the error"), .text("reason", "what went wrong")] + Self.subject)
        case .connectionRefused:
            .init(
                .warning, "Connection refused", "A client was turned away before it could send a request.",
                [
                    .text("reason", "why"),
                    .text("remote", "address of the client").optional,
                    .int("connections", "open connections").optional,
                    .int("suppressed", "refusals since the last such line that got no line of their own").optional,
                ])
        case .connectionTimeout:
            .init(
                .info, "Connection timed out", "A client was cut off because it was too slow or silent.",
                [
                    .choice("phase", ["header", "body", "idle", "write"], "what the node was waiting for"),
                    .int("limitMs", "how long it waited"),
                    .text("remote", "address of the client").optional,
                ])
        case .memoryPressure:
            .init(
                .warning, "Memory limit reached", "Writes are refused because nothing more can be evicted.",
                [
                    .int("usedBytes", "memory counted against the limit"),
                    .int("limitBytes", "the limit"),
                    .int("refusedWrites", "writes refused since the last such line").optional,
                ])
        case .watchdogStalled:
            .init(
                .warning, "Event loop stalled",
                "An event loop did not answer its liveness check.",
                [.text("part", "which one"), .int("stalledMs", "for how long")])
        case .logDropped:
            .init(
                .warning, "Log lines dropped",
                "Lines before this one were lost: the log's reader was too slow, or it failed.",
                [.int("droppedLines", "how many")])
        case .logReopenFailed:
            .init(
                .warning, "Log not reopened", "The log file could not be opened anew; the old one stays in use.",
                [.text("path", "the file"), .text("reason", "the system's")])
        case .libraryMessage:
            .init(
                nil, "Message of a library", "A library the node is built with logged something.",
                [
                    .text("library", "label of the library's logger"),
                    .text("source", "module that logged"),
                    .text("text", "the message"),
                    .text("error", "the error that came with it").optional,
                    .texts("metadata", "what else came with it").optional,
                ])
        }
    }

    private static let file = LogField.text("file", "name in the journal's directory")
    private static let member: [LogField] = [
        .text("member", "its id"), .text("address", "host:port"), .int("incarnation", "rises with each run"),
    ]
    private static let duration = LogField.int("durationMs", "it took")
    /// What a line about a request says about it.
    private static let subject: [LogField] = [
        .text("method", "RPC method; absent when there was none to read").optional,
        .text("key", "the key concerned, cut to 256 bytes").optional,
        .text("remote", "address of the client").optional,
    ]
    /// What it says about sizes and times.
    private static let sizes: [LogField] = [
        .double("durationMs", "from the last byte of the request to the reply"),
        .int("calls", "calls in the request").optional,
        .int("requestBytes", "body as received").optional,
        .int("responseBytes", "body as sent").optional,
    ]
}
