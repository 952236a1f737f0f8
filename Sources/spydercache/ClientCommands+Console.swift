// The standard streams, files and environment of a subcommand, without Foundation: bytes in, bytes out.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Blocking input and output of a command; never for use on an event loop.
enum Console {
    /// Input longer than this is refused: no node takes such a value.
    static let maxInputBytes = 256 << 20

    /// Writes all of `bytes` to the standard output.
    static func print(_ bytes: [UInt8]) throws(CommandFailure) {
        guard self.write(bytes, to: STDOUT_FILENO) else { throw self.failure("standard output") }
    }

    /// Writes one line for people to the error stream.
    static func report(_ message: String) {
        // Nobody is left to be told that this stream fails.
        _ = self.write(Array("spydercache: \(message)\n".utf8), to: STDERR_FILENO)
    }

    /// Everything the standard input holds.
    static func standardInput() throws(CommandFailure) -> [UInt8] {
        try self.contents(of: STDIN_FILENO, name: "standard input")
    }

    static func contents(ofFile path: String) throws(CommandFailure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.failure(path) }
        defer { close(descriptor) }
        return try self.contents(of: descriptor, name: path)
    }

    static func environmentVariable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    private static func contents(of descriptor: Int32, name: String) throws(CommandFailure) -> [UInt8] {
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { return content }
            if count < 0 {
                if errno == EINTR { continue }
                throw self.failure(name)
            }
            content.append(contentsOf: chunk[..<count])
            guard content.count <= self.maxInputBytes else {
                throw CommandFailure("\(name): longer than \(self.maxInputBytes >> 20) MiB", .usage)
            }
        }
    }

    /// False with `errno` set when not everything could be written.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        bytes.withUnsafeBytes { buffer in
            var written = 0
            while written < buffer.count {
                let rest = UnsafeRawBufferPointer(rebasing: buffer[written...])
                #if canImport(Glibc)
                    let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                #elseif canImport(Musl)
                    let count = Musl.write(descriptor, rest.baseAddress, rest.count)
                #else
                    let count = Darwin.write(descriptor, rest.baseAddress, rest.count)
                #endif
                if count < 0 {
                    if errno == EINTR { continue }
                    return false
                }
                written += count
            }
            return true
        }
    }

    private static func failure(_ name: String) -> CommandFailure {
        CommandFailure("\(name): \(String(cString: strerror(errno)))", .inputOutput)
    }
}
