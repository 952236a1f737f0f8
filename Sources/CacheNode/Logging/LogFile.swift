// The descriptor that lines go to: opened, reopened after a rotation, written to until all is out or an error stands.
// Used by the writer thread alone; that it may block here is why that thread exists.

#if canImport(Glibc)
    import Glibc
#endif

/// Where log lines go.
package enum LogDestination: Sendable, Equatable {
    case stdout
    case stderr
    /// Appended to, created with mode 0640, reopened by `LogSystem.reopen()`.
    case file(path: String)
    /// A descriptor of the caller's, which stays open.
    case descriptor(CInt)
}

/// The log cannot be opened.
package struct LogError: Error, Equatable, Sendable, CustomStringConvertible {
    package var path: String
    /// The system's error number.
    package var code: CInt

    package var description: String { "cannot open the log \(path): \(LogError.reason(code))" }

    static func reason(_ code: CInt) -> String { String(cString: strerror(code)) }
}

/// An open destination.
struct LogFile: ~Copyable {
    private let destination: LogDestination
    private var descriptor: CInt

    init(_ destination: LogDestination) throws(LogError) {
        self.destination = destination
        descriptor =
            switch destination {
            case .stdout: STDOUT_FILENO
            case .stderr: STDERR_FILENO
            case .descriptor(let descriptor): descriptor
            case .file(let path): try Self.open(path)
            }
    }

    deinit {
        if case .file = destination { close(descriptor) }
    }

    /// Opens the path anew and only then closes the old file, so that a failure leaves the log where it was. Nothing to
    /// do, and false, for a destination that has no path.
    mutating func reopen() throws(LogError) -> Bool {
        guard case .file(let path) = destination else { return false }
        let opened = try Self.open(path)
        close(descriptor)
        descriptor = opened
        return true
    }

    /// Writes `bytes`, waiting while the reader is slow, until they are out, `isStopping` says so while nothing moves, or
    /// an error stands; returns how many are out.
    func write(_ bytes: ArraySlice<UInt8>, isStopping: () -> Bool) -> Int {
        bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count > 0 {
                    written += count
                } else if count < 0, errno == EINTR {
                    continue
                } else if count < 0, errno == EAGAIN, !isStopping() {
                    // A descriptor inherited non-blocking. 100 ms bounds how late a stop is seen.
                    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&request, 1, 100)
                } else {
                    return written
                }
            }
            return written
        }
    }

    /// O_NONBLOCK: a path that is a FIFO without a reader must fail instead of hanging the start.
    private static func open(_ path: String) throws(LogError) -> CInt {
        let descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0o640)
        guard descriptor >= 0 else { throw LogError(path: path, code: errno) }
        return descriptor
    }
}
