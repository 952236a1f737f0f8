// Everything that can go wrong with a journal through the world outside.

package enum JournalError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A file operation failed. `code` is errno, `text` what the system says about it.
    case file(operation: String, path: String, code: Int32, text: String)
    /// Another process holds the data directory.
    case locked(path: String, holder: String)
    /// The journal refuses writes until it is reopened and proven.
    case readOnly(reason: String)
    /// The service was closed while something waited for it.
    case closed
    /// The files changed under a job in a way that makes its result unusable.
    case abandoned(reason: String)

    package var description: String {
        switch self {
        case .file(let operation, let path, let code, let text): "\(operation) \(path): \(text) (errno \(code))"
        case .locked(let path, let holder):
            "data directory \(path) is in use by another process\(holder.isEmpty ? "" : " (\(holder))")"
        case .readOnly(let reason): "journal is read-only: \(reason)"
        case .closed: "journal is closed"
        case .abandoned(let reason): "journal job abandoned: \(reason)"
        }
    }
}
