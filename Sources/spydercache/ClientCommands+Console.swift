// What subcommands read and write beside the node: standard streams, small files, the environment.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Blocking input and output of a command; never for use on an event loop.
enum Console {
    /// Input longer than this is refused: no node takes such a value.
    static let maxInputBytes = 256 << 20

    /// Writes all of `bytes` to the standard output.
    static func print(_ bytes: [UInt8]) throws(CommandFailure) {
        let isWritten = bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = write(STDOUT_FILENO, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count >= 0 {
                    rest = rest.dropFirst(count)
                } else if errno != EINTR {
                    return false
                }
            }
            return true
        }
        guard isWritten else {
            throw CommandFailure("standard output: \(String(cString: strerror(errno)))", ExitStatus.ioError.exitCode)
        }
    }

    /// Everything the standard input holds.
    static func standardInput() throws(CommandFailure) -> [UInt8] {
        try self.contents(of: "/dev/stdin")
    }

    /// The bytes of a file, device or pipe.
    static func contents(of path: String) throws(CommandFailure) -> [UInt8] {
        do throws(FileReadError) {
            return try FileBytes.read(path: path, limitBytes: self.maxInputBytes)
        } catch {
            throw CommandFailure(error.description, ExitStatus.ioError.exitCode)
        }
    }

    static func environmentVariable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}
