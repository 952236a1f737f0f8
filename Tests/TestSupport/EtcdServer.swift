// A real etcd of a test: started on free ports with a data directory of its own, paused, killed, wiped, and ended with
// the value that stands for it. The binary comes from the Debian package etcd-server.

import Foundation
import Synchronization

/// An etcd with one member; killed on `deinit`.
package final class EtcdServer: Sendable {
    package let port: Int
    private let peerPort: Int
    private let directory: TemporaryDirectory
    private struct State {
        var process: ChildProcess?
        var generation = 0
    }
    private let state = Mutex(State())

    /// Starts an etcd and waits until it answers.
    ///
    /// - Throws: `TestFailure` when the program is not installed or does not get ready.
    package init() throws {
        guard ["/usr/bin/etcd", "/usr/local/bin/etcd"].contains(where: FileManager.default.isExecutableFile) else {
            throw TestFailure("etcd is not installed: apt-get install etcd-server, or run utils/test, which does")
        }
        directory = try TemporaryDirectory()
        port = try Self.freePort()
        peerPort = try Self.freePort()
        try start()
    }

    package var processID: pid_t { state.withLock { $0.process?.processID ?? 0 } }

    /// Starts it again on the data it has, after `kill`.
    package func start(within deadline: Duration = .seconds(20)) throws {
        let client = "http://127.0.0.1:\(port)"
        let peer = "http://127.0.0.1:\(peerPort)"
        let process = try state.withLock { state in
            let process = try ChildProcess(
                "etcd",
                [
                    "--data-dir", directory.path("data-\(state.generation)"), "--listen-client-urls", client,
                    "--advertise-client-urls", client, "--listen-peer-urls", peer,
                    "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=\(peer)",
                    "--heartbeat-interval", "20", "--election-timeout", "200",
                ], errorPath: directory.path("log"))
            state.process = process
            return process
        }
        try waitUntil("etcd on port \(port) is ready", within: deadline) { () -> Void? in
            if let end = process.status() { throw TestFailure("etcd ended: \(end)\n\(log.suffix(2000))") }
            guard let connection = try? RawHTTPConnection(port: port) else { return nil }
            try connection.send(HTTPRequest.bare("GET", "/health", headers: ["Connection: close"]))
            return try connection.receive().text.contains("true") ? () : nil
        }
    }

    /// Sends SIGKILL and waits for the end.
    package func kill() throws {
        let process = state.withLock { $0.process }
        process?.send(signal: SIGKILL)
        try process?.waitForExit(within: .seconds(10))
    }

    /// Kills it and starts another on the same port without any data. Its cluster id is the same: that comes from URLs.
    package func wipe() throws {
        try kill()
        state.withLock { $0.generation += 1 }
        try start()
    }

    /// Stops the process and waits until the system says so.
    package func pause() throws {
        Foundation.kill(processID, SIGSTOP)
        try waitUntil("etcd is stopped") { try runState() == "T" ? () : nil }
    }

    package func resume() throws {
        Foundation.kill(processID, SIGCONT)
        try waitUntil("etcd runs again") { try runState() != "T" ? () : nil }
    }

    /// Runs etcdctl and returns what it wrote.
    @discardableResult
    package func control(_ arguments: String...) throws -> String {
        let result = try runCommand(
            "etcdctl", ["--endpoints", "127.0.0.1:\(port)"] + arguments, environment: ["ETCDCTL_API": "3"])
        guard result.status == .exited(0) else {
            throw TestFailure("etcdctl \(arguments): \(result.errorText.suffix(500))")
        }
        return result.text
    }

    /// What it logged.
    package var log: String { (try? String(contentsOfFile: directory.path("log"), encoding: .utf8)) ?? "" }

    /// A port that was free a moment ago.
    package static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 ? getsockname(descriptor, generic, &length) : -1
            }
        }
        guard status == 0 else { throw TestFailure("no free port: \(String(cString: strerror(errno)))") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// The third field of `/proc/<pid>/stat`.
    private func runState() throws -> String {
        let text = try String(contentsOfFile: "/proc/\(processID)/stat", encoding: .utf8)
        return text.split(separator: ")").last?.split(separator: " ").first.map(String.init) ?? ""
    }
}
