// `spydercache serve`: one node in the foreground, from its settings to its exit status.

import ArgumentParser
import CEpoll
import CacheNode
import Configuration

#if canImport(Glibc)
    import Glibc
#endif

/// Runs a node until SIGTERM or SIGINT.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run one node in the foreground.",
        discussion: """
            Without a file the node is called 1 and listens on 127.0.0.1:8001. Settings come from --set, then from the \
            environment (SPYDERCACHE_SECTION_KEY), then from the file, then from the defaults. Logs go to standard \
            output as JSON lines.
            """)

    @Option(help: "The INI file.", completion: .file(extensions: ["ini"]))
    var config: String?

    @Option(
        name: .customLong("set"), help: .init("Replace a setting; may be repeated.", valueName: "section.key=value"))
    var overrides: [String] = []

    func run() throws {
        let loaded = try loadConfiguration(file: config, overrides: overrides)
        let configuration = loaded.configuration
        var signals = BlockedSignals()
        Allocator.keepLean()
        let system: LogSystem
        do {
            system = try LogSystem(
                node: configuration.local.nodeID, destination: CacheNode.LogDestination(configuration.log.destination),
                level: LogLevel(configuration.log.level))
        } catch {
            printError("spydercache: cannot open the log: \(error)")
            throw ExitStatus.ioError.exitCode
        }
        system.captureLibraries()
        let log = system.log
        defer { system.flush(deadlineMilliseconds: 2000) }
        log.emit(
            .nodeStarting,
            [
                "version": .string(Version.text), "pid": .int(Int(getpid())),
                "dataDir": .string(configuration.local.dataDirectory),
                "threads": .int(configuration.local.threads),
                "memoryLimitBytes": .int(configuration.local.memoryLimitBytes),
            ].merging(config.map { ["configFile": .string($0)] } ?? [:]) { first, _ in first })
        for setting in loaded.notYetInForce {
            log.emit(
                .configWarning,
                ["setting": .string(setting.name), "reason": .string("\(setting)")])
        }
        let manager = ServiceManager(log)
        manager.starting()
        let node: Node
        do throws(NodeStartError) {
            node = try Node(configuration, log: log)
        } catch {
            throw give(up: error, log)
        }
        manager.ready(node, address: node.address)
        while true {
            switch signals.wait() {
            case SIGHUP:
                manager.reloading()
                reload(system, log)
                manager.ready(node, address: node.address)
            case let signal:
                manager.stopping(drainMilliseconds: configuration.limits.drainMilliseconds)
                node.stop(signal: signal == SIGINT ? "SIGINT" : "SIGTERM")
                if let reason = node.refusal { throw give(up: .unavailable(reason), log) }
                return
            }
        }
    }

    /// Logs why there is no node, and says it on standard error too for whoever started it by hand.
    private func give(up error: NodeStartError, _ log: NodeLog) -> ExitCode {
        let (reason, status): (String, ExitStatus) =
            switch error {
            case .unavailable(let reason): (reason, .unavailable)
            case .inputOutput(let reason): (reason, .ioError)
            }
        log.emit(.nodeFailed, ["reason": .string(reason), "exitCode": .int(Int(status.rawValue))])
        printError("spydercache: \(reason)")
        return status.exitCode
    }

    /// SIGHUP: the log level is read again, and a log file is opened anew after a rotation.
    private func reload(_ system: LogSystem, _ log: NodeLog) {
        system.reopen()
        do {
            let loaded = try loadConfiguration(file: config, overrides: overrides)
            let level = LogLevel(loaded.configuration.log.level)
            system.threshold.level = level
            log.emit(.configReloaded, ["logLevel": .string(level.name)])
        } catch {
            log.emit(
                .configWarning,
                ["setting": "log.level", "reason": "the configuration has errors; the old settings stay in force"])
        }
    }
}

/// The C library's allocator, which serves buffers in flight; entries have memory of their own.
enum Allocator {
    /// Large buffers go back to the system when they are freed, and threads share two arenas: else each thread would keep
    /// its largest burst, and the resident set would pass the limit by it.
    static func keepLean() {
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, 128 * 1024)
        mallopt(M_TRIM_THRESHOLD, 256 * 1024)
    }
}

/// Signals that only `wait` receives: every thread made later inherits the mask.
struct BlockedSignals {
    private var set = sigset_t()

    init() {
        sigemptyset(&set)
        for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        // A client that goes away is an error of write(2), not the end of the node.
        signal(SIGPIPE, SIG_IGN)
    }

    /// The next signal.
    mutating func wait() -> Int32 {
        var received: Int32 = 0
        while sigwait(&set, &received) != 0 {}
        return received
    }
}

extension CacheNode.LogDestination {
    init(_ destination: Configuration.LogDestination) {
        switch destination {
        case .standardOutput: self = .stdout
        case .standardError: self = .stderr
        case .file(let path): self = .file(path: path)
        }
    }
}

extension LogLevel {
    init(_ name: LogLevelName) {
        switch name {
        case .trace, .debug: self = .debug
        case .info, .notice: self = .info
        case .warning: self = .warning
        case .error, .critical: self = .error
        }
    }
}
