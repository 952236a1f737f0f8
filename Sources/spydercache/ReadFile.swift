// Small system calls of the command line without Foundation: a whole file, a line to standard error, the environment,
// the number of cores. Blocking, so for start-up alone: nothing here may run on an event loop.

// `environ` is a global of C; the import's annotations predate concurrency checking.
@preconcurrency import Glibc

/// A file that could not be read.
struct FileReadError: Error, CustomStringConvertible {
    let path: String
    let reason: String

    var description: String { "\(path): \(reason)" }
}

/// Reading whole files.
enum FileBytes {
    /// The bytes of the file, device or pipe at `path`; more than `limitBytes` are refused.
    /// - Throws: `FileReadError` with the system's reason.
    static func read(path: String, limitBytes: Int = 1 << 20) throws(FileReadError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileReadError(path: path, reason: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileReadError(path: path, reason: String(cString: strerror(errno)))
            }
            bytes += chunk[..<count]
            guard bytes.count <= limitBytes else {
                throw FileReadError(path: path, reason: "longer than \(limitBytes) bytes")
            }
        }
    }
}

/// Writes `text` and a line feed to standard error; what cannot be written is lost.
func printError(_ text: String) {
    fputs(text + "\n", stderr)
}

/// What the process was started with.
enum ProcessEnvironment {
    /// All variables in order. Call it before any thread that might change the environment exists.
    static var variables: [(String, String)] {
        var variables: [(String, String)] = []
        var entry = environ
        while let text = entry.pointee {
            let line = String(cString: text)
            if let equals = line.firstIndex(of: "=") {
                variables.append((String(line[..<equals]), String(line[line.index(after: equals)...])))
            }
            entry += 1
        }
        return variables
    }

    /// The cores this process may run on, so `taskset` and cpusets count; at least 1.
    ///
    /// Read from /proc because `sched_getaffinity` is not in Swift's view of glibc; without /proc all cores count.
    static var cores: Int {
        let status = (try? FileBytes.read(path: "/proc/self/status")) ?? []
        for line in status.split(separator: UInt8(ascii: "\n")) {
            let text = String(decoding: line, as: UTF8.self)
            // "Cpus_allowed:\t0000000f", groups of eight hexadecimal digits with commas between them.
            guard text.hasPrefix("Cpus_allowed:") else { continue }
            let bits = text.dropFirst("Cpus_allowed:".count).reduce(0) { $0 + ($1.hexDigitValue ?? 0).nonzeroBitCount }
            return max(1, bits)
        }
        return max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }
}
