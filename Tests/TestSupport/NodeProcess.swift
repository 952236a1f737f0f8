// A node as an operator runs it: the real binary with `serve`, observed through its log lines and its port alone.

import Foundation
import Synchronization

/// One line of a node's log.
package struct LogLine: Sendable, CustomStringConvertible {
    package let text: String
    /// The parsed line, nil when it is not JSON.
    package let json: RawJSON?

    package var event: String? { json?["event"]?.string }
    package var description: String { text }
}

/// A running node on a free port; killed on `deinit`.
package final class NodeProcess: Sendable {
    package let process: ChildProcess
    package let dataDirectory: String
    /// Keeps a temporary data directory alive for as long as the node.
    private let ownedDirectory: TemporaryDirectory?
    private let errorFile: TemporaryDirectory

    /// Starts `spydercache serve` on a free port without waiting for anything.
    ///
    /// - Parameters:
    ///   - settings: `section.key=value` overrides; `local.node_port=0` and the data directory go before them.
    ///   - config: path of an INI file.
    ///   - directory: the data directory, a fresh one when nil.
    ///   - wrapper: a command that runs the node as its own process, such as `prlimit`.
    package init(
        _ settings: [String] = [], config: String? = nil, directory: TemporaryDirectory? = nil, dataPath: String? = nil,
        environment: [String: String] = [:], wrapper: [String] = []
    ) throws {
        let owned = try directory ?? TemporaryDirectory()
        ownedDirectory = owned
        dataDirectory = dataPath ?? owned.path
        errorFile = try TemporaryDirectory()
        var command = wrapper + [Repository.binary, "serve"]
        if let config { command += ["--config", config] }
        for setting in ["local.node_port=0", "local.data_dir=\(dataDirectory)"] + settings {
            // The last one wins in a test's eyes, so that a test can override the two above.
            let key = setting.prefix { $0 != "=" } + "="
            if let index = command.firstIndex(where: { $0.hasPrefix(key) }) {
                command[index] = setting
            } else {
                command += ["--set", setting]
            }
        }
        process = try ChildProcess(
            command[0], Array(command.dropFirst()), environment: environment, errorPath: errorFile.path("stderr"))
    }

    /// Starts a node and waits until it is ready.
    package static func start(
        _ settings: [String] = [], config: String? = nil, directory: TemporaryDirectory? = nil, dataPath: String? = nil,
        environment: [String: String] = [:], wrapper: [String] = [], within deadline: Duration = .seconds(30)
    ) throws -> NodeProcess {
        let node = try NodeProcess(
            settings, config: config, directory: directory, dataPath: dataPath, environment: environment,
            wrapper: wrapper)
        try node.waitUntilReady(within: deadline)
        return node
    }

    package var processID: pid_t { process.processID }

    /// What the node wrote to standard error.
    package var errorText: String {
        String(decoding: FileManager.default.contents(atPath: errorFile.path("stderr")) ?? Data(), as: UTF8.self)
    }

    /// Lines parsed up to now and how many bytes of the output they are: a long log is not parsed again at every look.
    private let parsed = Mutex((lines: [LogLine](), bytes: 0))

    /// Every complete line that the node has logged up to now.
    package var logLines: [LogLine] {
        parsed.withLock { parsed in
            let output = process.output(from: parsed.bytes)
            guard let end = output.lastIndex(of: UInt8(ascii: "\n")) else { return parsed.lines }
            parsed.lines += output[..<end].split(separator: UInt8(ascii: "\n")).map { line in
                LogLine(text: String(decoding: line, as: UTF8.self), json: try? RawJSON(line))
            }
            parsed.bytes += end + 1
            return parsed.lines
        }
    }

    /// Waits for a log line with that event.
    ///
    /// - Throws: `TestFailure` when the process ends or the deadline passes first.
    @discardableResult
    package func waitForLog(_ event: String, within deadline: Duration = .seconds(30)) throws -> LogLine {
        try waitUntil("log line \(event)", within: deadline) {
            let status = process.status()
            if let line = logLines.first(where: { $0.event == event }) { return line }
            if let status { throw TestFailure("node ended (\(status)) before \(event)\n\(lastWords)") }
            return nil
        }
    }

    private var lastWords: String {
        logLines.suffix(10).map(\.text).joined(separator: "\n") + "\n" + errorText.suffix(2000)
    }

    /// The port in the node's `node.listening` line; waits for it.
    package func port(within deadline: Duration = .seconds(30)) throws -> Int {
        let line = try waitForLog("node.listening", within: deadline)
        guard let port = line.json?["port"]?.integer else { throw TestFailure("no port in \(line)") }
        return port
    }

    /// Waits until `/readyz` answers 200.
    package func waitUntilReady(within deadline: Duration = .seconds(30)) throws {
        let port = try port(within: deadline)
        try waitUntil("node on port \(port) is ready", within: deadline) {
            if let status = process.status() {
                throw TestFailure("node ended (\(status)) while starting\n\(lastWords)")
            }
            let connection = try RawHTTPConnection(port: port)
            try connection.send(HTTPRequest.bare("GET", "/readyz", headers: ["Connection: close"]))
            return try connection.receive().status == 200 ? () : nil
        }
    }

    /// A client on a connection of its own, which keeps the node alive.
    package func client(timeout: Duration = .seconds(20)) throws -> RPCClient {
        let client = try RPCClient(port: port(), timeout: timeout)
        client.connection.node = self
        return client
    }

    /// A connection, which keeps the node alive.
    package func connection(timeout: Duration = .seconds(20)) throws -> RawHTTPConnection {
        let connection = try RawHTTPConnection(port: port(), timeout: timeout)
        connection.node = self
        return connection
    }

    /// Sends SIGKILL and waits for the end: what a power cut is to a process.
    package func killHard() throws {
        process.send(signal: SIGKILL)
        let status = try process.waitForExit(within: .seconds(10))
        guard status == .signalled(SIGKILL) else {
            throw TestFailure("node had ended before kill -9: \(status)\n\(lastWords)")
        }
    }

    /// Sends SIGTERM and waits for the end.
    package func terminate(within deadline: Duration = .seconds(20)) throws -> ProcessEnd {
        process.send(signal: SIGTERM)
        return try process.waitForExit(within: deadline)
    }

    /// A figure of `/proc/<pid>/status` in KiB, such as `VmRSS` or `VmHWM`.
    package func memoryKiB(_ name: String) throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        guard let number = line?.split(whereSeparator: \.isWhitespace).dropFirst().first, let value = Int(number) else {
            throw TestFailure("no \(name) of process \(processID)")
        }
        return value
    }
}
