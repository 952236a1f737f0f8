// Remembers across restarts that a node was in a cluster.

import Configuration

#if canImport(Glibc)
    import Glibc
#endif

/// A file that says that the data directory's node was in a cluster: removals are remembered from its start on, although
/// its settings may name no other node.
enum ClusterMark {
    static func isSet(in configuration: NodeConfiguration) -> Bool {
        configuration.journal.enabled && access(path(configuration), F_OK) == 0
    }

    /// Writes the mark on a thread of its own, and logs when that fails.
    static func set(in configuration: NodeConfiguration, _ log: NodeLog) {
        guard configuration.journal.enabled, !configuration.network.isClustered else { return }
        let path = path(configuration)
        BlockingThread.run {
            let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o640)
            guard descriptor < 0 else {
                close(descriptor)
                return
            }
            let reason = String(cString: strerror(errno))
            log.emit(.journalJobFailed, ["job": "cluster mark", "reason": .string("\(path): \(reason)")])
        }
    }

    private static func path(_ configuration: NodeConfiguration) -> String {
        configuration.local.dataDirectory + "/clustered"
    }
}
