// The subcommands that talk to a node: options they share, their one way to run, their exit codes.
//
//     0 done, hit    1 miss, not stored, not found    2 the node answered with an error
//     64 usage       69 node unreachable or silent    74 a file, or the standard streams

import ArgumentParser
import SpyderCacheClient

/// The client's subcommands, for the root command.
package enum ClientCommands {
    package static let all: [any ParsableCommand.Type] = [
        Get.self, Put.self, Delete.self, Touch.self, Incr.self, Stats.self,
    ]
}

/// Why a subcommand has nothing to print.
struct CommandFailure: Error, Equatable {
    let message: String
    let status: ExitCode

    init(_ message: String, _ status: ExitCode) {
        self.message = message
        self.status = status
    }

    init(_ error: CacheClientError) {
        self.message = error.description
        switch error {
        case .rpc, .badReply, .httpStatus, .replyTooLarge: self.status = .refused
        case .unreachable, .connectionLost, .timedOut, .tooManyWaiting, .cancelled, .shutDown:
            self.status = ExitStatus.unavailable.exitCode
        case .invalidArgument: self.status = ExitStatus.usage.exitCode
        }
    }
}

/// What the client's subcommands add to `ExitStatus`.
extension ExitCode {
    /// The answer is no: a miss, a condition that did not hold, a key that is not there.
    static let negative = ExitCode(1)
    /// The node answered with an error.
    static let refused = ExitCode(2)
}

/// What a subcommand has to say when the node answered.
struct Answer: Equatable {
    /// Printed with a line feed behind it; nil prints nothing.
    var output: [UInt8]?
    /// A line for people on the error stream.
    var note: String?
    var status = ExitCode.success

    init(_ output: [UInt8]?, note: String? = nil, status: ExitCode = .success) {
        self.output = output
        self.note = note
        self.status = status
    }

    init(_ output: String, status: ExitCode = .success) {
        self.init(Array(output.utf8), status: status)
    }
}

/// Where the node is and how to talk to it.
struct NodeOptions: ParsableArguments {
    @Option(help: "The node (default: $SPYDERCACHE_NODE, else 127.0.0.1:8001).")
    var node: NodeAddress?

    @Flag(help: "Print the result as the node sent it.")
    var json = false

    @Option(help: ArgumentHelp("How long to wait for the answer.", valueName: "ms"))
    var timeoutMs: Int64 = 5000

    @Option(help: ArgumentHelp("A file with the token that authenticates.", valueName: "path"))
    var tokenFile: String?

    func validate() throws {
        guard self.timeoutMs > 0 else { throw ValidationError("--timeout-ms must be at least 1.") }
        _ = try self.address()
    }

    /// The option, else the environment, else the default.
    func address(
        environment: (String) -> String? = Console.environmentVariable
    ) throws(ValidationError) -> NodeAddress {
        if let node = self.node { return node }
        guard let text = environment("SPYDERCACHE_NODE"), !text.isEmpty else { return .standard }
        guard let address = NodeAddress(argument: text) else {
            throw ValidationError("SPYDERCACHE_NODE is '\(text)', not HOST:PORT.")
        }
        return address
    }

    func makeClient() throws -> CacheClient {
        let address = try self.address()
        var configuration = CacheClient.Configuration(host: address.host, port: address.port)
        configuration.timeout = .milliseconds(self.timeoutMs)
        configuration.connectTimeout = .milliseconds(self.timeoutMs)
        if let path = self.tokenFile {
            let content = String(decoding: try Console.contents(of: path), as: UTF8.self)
            let token = content.drop(while: \.isWhitespace).prefix { !$0.isNewline }
            do throws(CacheClientError) {
                configuration.token = try BearerToken(String(token))
            } catch {
                throw CommandFailure("\(path): \(error)", ExitStatus.usage.exitCode)
            }
        }
        return CacheClient(configuration)
    }
}

/// A subcommand that makes calls to a node.
protocol ClientCommand: AsyncParsableCommand {
    var options: NodeOptions { get }

    func answer(from client: CacheClient) async throws(CommandFailure) -> Answer
}

extension ClientCommand {
    mutating func run() async throws {
        do {
            let client = try self.options.makeClient()
            let answer = try await self.answer(from: client)
            await client.shutDown()
            if let output = answer.output { try Console.print(output + [UInt8(ascii: "\n")]) }
            if let note = answer.note { printError("spydercache: \(note)") }
            guard answer.status == .success else { throw answer.status }
        } catch let failure as CommandFailure {
            printError("spydercache: \(failure.message)")
            throw failure.status
        }
    }

    /// Makes the call; with `--json` the answer is the result as sent, else what `describe` makes of it.
    func ask<Outcome>(
        _ call: CacheCall<Outcome>,
        of client: CacheClient,
        describe: (Outcome) -> Answer
    ) async throws(CommandFailure) -> Answer {
        do throws(CacheClientError) {
            let reply = try await client.reply(to: call)
            var answer = describe(reply.outcome)
            if self.options.json {
                answer.output = reply.text.bytes
                answer.note = nil
            }
            return answer
        } catch {
            throw CommandFailure(error)
        }
    }
}
