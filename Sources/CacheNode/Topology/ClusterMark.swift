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

    static func set(in configuration: NodeConfiguration) {
        guard configuration.journal.enabled else { return }
        let descriptor = open(path(configuration), O_WRONLY | O_CREAT | O_CLOEXEC, 0o640)
        if descriptor >= 0 { close(descriptor) }
    }

    private static func path(_ configuration: NodeConfiguration) -> String {
        configuration.local.dataDirectory + "/clustered"
    }
}
