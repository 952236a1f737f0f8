// A child process of a test, started with posix_spawn: its output is collected line by line, its end is awaited with a
// deadline. Foundation.Process is not used because it ties waiting to run loops and leaks descriptors between children
// that are started at the same time, which keeps pipes open and turns "wait for end of file" into a hang.

import Foundation
import Synchronization

/// How a process ended.
package enum ProcessEnd: Equatable, Sendable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    package var description: String {
        switch self {
        case .exited(let code): "exit \(code)"
        case .signalled(let signal): "signal \(signal)"
        }
    }
}

/// What went wrong while a test drove a process or a connection; the text says it all.
package struct TestFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// A started process whose standard output is read by a thread of its own; killed and reaped on `deinit`.
package final class ChildProcess: Sendable {
    package let processID: pid_t

    private struct State {
        var output: [UInt8] = []
        var outputEnded = false
        var readingPaused = false
        var status: ProcessEnd?
    }

    private let state = Mutex(State())
    /// Signalled when `readingPaused` changes or nobody is left to change it.
    private let pauseEnds = NSCondition()

    /// Starts `executable` (searched in PATH unless it holds a slash) with the environment of the test plus `environment`.
    ///
    /// - Throws: `TestFailure` when the process cannot be started.
    package init(
        _ executable: String, _ arguments: [String], environment: [String: String] = [:], input: [UInt8] = [],
        errorPath: String? = nil
    ) throws {
        // One start at a time: pipe2() is out of reach of Swift, and between pipe() and fcntl() a child started by another
        // thread would inherit our ends and keep them open.
        let (output, standardInput, started) = try Self.starting.withLock { _ in
            try Self.spawn(executable, arguments, environment: environment, errorPath: errorPath)
        }
        processID = started
        // The writer is a thread because a child may fill its output pipe before it has read all of its input.
        Thread.detachNewThread {
            signal(SIGPIPE, SIG_IGN)
            Self.writeAll(input, to: standardInput)
            close(standardInput)
        }
        let pauseEnds = pauseEnds
        Thread.detachNewThread { [weak self] in
            var chunk = [UInt8](repeating: 0, count: 65536)
            while true {
                pauseEnds.lock()
                while self?.state.withLock({ $0.readingPaused }) == true { pauseEnds.wait() }
                pauseEnds.unlock()
                let count = read(output, &chunk, chunk.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0, let self else { break }
                self.state.withLock { $0.output.append(contentsOf: chunk[..<count]) }
            }
            self?.state.withLock { $0.outputEnded = true }
            close(output)
        }
    }

    private static let starting = Mutex(())

    /// Starts the process; the ends of its pipes that are ours.
    private static func spawn(
        _ executable: String, _ arguments: [String], environment: [String: String], errorPath: String?
    ) throws -> (output: Int32, input: Int32, processID: pid_t) {
        let output = try makePipe()
        let standardInput = try makePipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, standardInput.reading, 0)
        posix_spawn_file_actions_adddup2(&actions, output.writing, 1)
        if let errorPath {
            posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        // The test ignores SIGPIPE, and what is ignored stays ignored in children: they get the default back, so that a
        // node which forgot about SIGPIPE shows it.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        var variables = ProcessInfo.processInfo.environment
        variables.merge(environment) { $1 }
        let argumentTexts = ([executable] + arguments).map { strdup($0) } + [nil]
        let variableTexts = variables.map { strdup("\($0)=\($1)") } + [nil]
        defer { (argumentTexts + variableTexts).forEach { free($0) } }
        var started: pid_t = 0
        let problem = posix_spawnp(&started, executable, &actions, &attributes, argumentTexts, variableTexts)
        close(output.writing)
        close(standardInput.reading)
        guard problem == 0 else {
            close(output.reading)
            close(standardInput.writing)
            throw TestFailure("cannot start \(executable): \(String(cString: strerror(problem)))")
        }
        return (output.reading, standardInput.writing, started)
    }

    deinit {
        setReadingPaused(false)
        if status() == nil {
            kill(processID, SIGKILL)
            _ = try? waitForExit(within: .seconds(10))
        }
    }

    /// Sends a signal; nothing happens when the process has ended.
    package func send(signal: Int32) {
        guard status() == nil else { return }
        kill(processID, signal)
    }

    /// How the process ended, nil while it runs.
    package func status() -> ProcessEnd? {
        state.withLock { state in
            if let known = state.status { return known }
            var raw: Int32 = 0
            guard waitpid(processID, &raw, WNOHANG) == processID else { return nil }
            let signal = raw & 0x7f
            state.status = signal == 0 ? .exited((raw >> 8) & 0xff) : .signalled(signal)
            return state.status
        }
    }

    /// Waits for the end of the process.
    ///
    /// - Throws: `TestFailure` when it still runs after `deadline`.
    @discardableResult
    package func waitForExit(within deadline: Duration = .seconds(30)) throws -> ProcessEnd {
        try waitUntil("process \(processID) ends", within: deadline) { status() }
    }

    /// Everything read from standard output up to now.
    package var output: [UInt8] { state.withLock { $0.output } }

    /// Bytes of standard output from `offset` on, O(bytes returned).
    package func output(from offset: Int) -> [UInt8] {
        state.withLock { Array($0.output[min(offset, $0.output.count)...]) }
    }

    /// Everything written to standard output until the process closed it.
    package func waitForOutput(within deadline: Duration = .seconds(60)) throws -> [UInt8] {
        try waitUntil("process \(processID) closes its output", within: deadline) {
            state.withLock { $0.outputEnded ? $0.output : nil }
        }
    }

    /// Stops reading standard output, so that the pipe fills up, or goes on reading it.
    package func setReadingPaused(_ paused: Bool) {
        pauseEnds.lock()
        state.withLock { $0.readingPaused = paused }
        pauseEnds.broadcast()
        pauseEnds.unlock()
    }

    private static func makePipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            throw TestFailure("pipe: \(String(cString: strerror(errno)))")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
        var sent = 0
        bytes.withUnsafeBytes { buffer in
            while sent < buffer.count {
                let count = write(descriptor, buffer.baseAddress?.advanced(by: sent), buffer.count - sent)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                sent += count
            }
        }
    }
}

/// A finished command: its status and what it wrote.
package struct CommandResult: Sendable {
    package let status: ProcessEnd
    package let output: [UInt8]
    package let errorText: String

    package var text: String { String(decoding: output, as: UTF8.self) }

    /// The output without the line end at its end.
    package var line: String { text.hasSuffix("\n") ? String(text.dropLast()) : text }
}

/// Runs a command to its end and returns what it wrote.
///
/// - Throws: `TestFailure` when it cannot be started or runs for longer than `deadline`.
package func runCommand(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], input: [UInt8] = [],
    within deadline: Duration = .seconds(120)
) throws -> CommandResult {
    let directory = try TemporaryDirectory()
    let errorPath = directory.path("stderr")
    let process = try ChildProcess(
        executable, arguments, environment: environment, input: input, errorPath: errorPath)
    let output = try process.waitForOutput(within: deadline)
    let status = try process.waitForExit(within: deadline)
    let errors = FileManager.default.contents(atPath: errorPath) ?? Data()
    return CommandResult(status: status, output: output, errorText: String(decoding: errors, as: UTF8.self))
}

/// Asks `condition` every millisecond until it has an answer.
///
/// - Throws: `TestFailure` when there is none by `deadline`, or what `condition` throws.
package func waitUntil<Answer>(
    _ what: @autoclosure () -> String, within deadline: Duration = .seconds(20), _ condition: () throws -> Answer?
) throws -> Answer {
    let start = ContinuousClock.now
    while true {
        if let answer = try condition() { return answer }
        guard start.duration(to: .now) < deadline else {
            throw TestFailure("not within \(deadline): \(what())")
        }
        usleep(1000)
    }
}
