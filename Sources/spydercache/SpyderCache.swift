// The executable: one program, its subcommands.

import ArgumentParser

#if canImport(Glibc)
    import Glibc
#endif

/// The root command.
struct SpyderCache: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spydercache",
        abstract: "A distributed in-memory cache that speaks JSON-RPC 2.0 over HTTP.",
        version: Version.text,
        subcommands: [Serve.self, ConfigCommand.self, JournalCommand.self, BenchCommand.self] + ClientCommands.all)
}

/// The program's version.
enum Version {
    static let text = "1.0.0"
}

/// Starts commands: those of the client on Swift's concurrency runtime, the server without it, so that it never has
/// libdispatch's worker threads (they call setpriority(2), which a hardened service must not).
@main
enum Program {
    static func main() {
        do {
            var command = try SpyderCache.parseAsRoot()
            guard let client = command as? any AsyncParsableCommand else { return try command.run() }
            run(client)
        } catch {
            SpyderCache.exit(withError: error)
        }
    }

    /// Runs a client command to the end of the process.
    private static func run(_ client: sending any AsyncParsableCommand) -> Never {
        Task.detached {
            var client = client
            do {
                try await client.run()
                SpyderCache.exit()
            } catch {
                SpyderCache.exit(withError: error)
            }
        }
        while true { pause() }
    }
}
