// put, delete, touch and incr: what changes something.

import ArgumentParser
import SpyderCacheClient

extension PutOptions.Mode: ExpressibleByArgument {}
extension PutOptions.Compression: ExpressibleByArgument {}

extension CacheVersion: ExpressibleByArgument {
    public init?(argument: String) {
        guard let value = UInt64(argument) else { return nil }
        self.init(rawValue: value)
    }
}

extension ClientCommands {
    struct Put: ClientCommand {
        static let configuration = CommandConfiguration(
            abstract: "Store a value under a key.",
            discussion: "Exit code 0 when it was stored, 1 when a condition did not hold. "
                + "A value that begins with - goes behind --, as in: put -- temperature -5"
        )

        @Argument(help: "The key.")
        var key: String

        @Argument(help: "The value, stored as a JSON string; - reads it from the standard input.")
        var value: String

        @OptionGroup
        var options: NodeOptions

        @Flag(help: "Take the value as JSON.")
        var jsonValue = false

        @Option(help: ArgumentHelp("Let the value expire after this time.", valueName: "ms"))
        var ttlMs: Int64?

        @Option(help: "add: only a new key; replace: only an existing one.")
        var mode: PutOptions.Mode?

        @Option(help: ArgumentHelp("Store only if the key's value has this version.", valueName: "cas"))
        var ifMatch: CacheVersion?

        @Option(help: "Whether the node keeps the value compressed.")
        var compress: PutOptions.Compression?

        func validate() throws {
            try ClientCommands.check(ttlMs: self.ttlMs)
            guard self.ifMatch == nil || self.mode == nil || self.mode == .set else {
                throw ValidationError("--if-match cannot be combined with --mode add or replace.")
            }
        }

        func answer(from client: CacheClient) async throws(CommandFailure) -> Answer {
            let item = PutItem(
                key: self.key,
                value: try self.text(standardInput: Console.standardInput),
                options: PutOptions(
                    timeToLive: self.ttlMs.map { .milliseconds($0) },
                    mode: self.mode,
                    ifMatch: self.ifMatch,
                    compression: self.compress
                )
            )
            return try await self.ask(.put(item), of: client) { outcome in
                switch outcome {
                case .stored(let version): Answer("stored, cas \(version)")
                case .notStored(let reason, let version):
                    Answer(
                        "not stored: \(reason.rawValue)" + (version.map { ", cas \($0)" } ?? ""),
                        status: .negative
                    )
                }
            }
        }

        /// The value to store, from the argument or the standard input, which is taken as it is, line feeds included.
        func text(standardInput: () throws(CommandFailure) -> [UInt8]) throws(CommandFailure) -> JSONText {
            let content = self.value == "-" ? try standardInput() : Array(self.value.utf8)
            guard !self.jsonValue else {
                do throws(CacheClientError) {
                    return try JSONText(content)
                } catch {
                    throw CommandFailure("the value is \(error)", ExitStatus.usage.exitCode)
                }
            }
            guard let string = String(validating: content, as: UTF8.self) else {
                throw CommandFailure("the value is not UTF-8", ExitStatus.usage.exitCode)
            }
            return .string(string)
        }
    }

    struct Delete: ClientCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete keys.",
            discussion: "Exit code 0 when every key was there, 1 otherwise."
        )

        @Argument(help: "The keys.")
        var keys: [String]

        @OptionGroup
        var options: NodeOptions

        @Option(help: ArgumentHelp("Delete only if the key's value has this version; for one key.", valueName: "cas"))
        var ifMatch: CacheVersion?

        func validate() throws {
            guard self.ifMatch == nil || self.keys.count == 1 else {
                throw ValidationError("--if-match is for one key.")
            }
        }

        func answer(from client: CacheClient) async throws(CommandFailure) -> Answer {
            if let key = self.keys.first, self.keys.count == 1 {
                return try await self.ask(.delete(key, ifMatch: self.ifMatch), of: client) { outcome in
                    switch outcome {
                    case .deleted: Answer("deleted")
                    case .notFound: Answer("not found", status: .negative)
                    case .casMismatch(let version):
                        Answer("not deleted: casMismatch" + (version.map { ", cas \($0)" } ?? ""), status: .negative)
                    }
                }
            }
            return try await self.ask(.deleteMany(self.keys), of: client) { outcomes in
                let deleted = outcomes.count { $0 == .deleted }
                let rest = outcomes.count - deleted
                return Answer("\(deleted) deleted, \(rest) not found", status: rest == 0 ? .success : .negative)
            }
        }
    }

    struct Touch: ClientCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a key expire after a time.",
            discussion: "Exit code 0 when the key was there, 1 otherwise."
        )

        @Argument(help: "The key.")
        var key: String

        @Argument(help: "The time to live from now.")
        var ttlMs: Int64

        @OptionGroup
        var options: NodeOptions

        func validate() throws {
            try ClientCommands.check(ttlMs: self.ttlMs)
        }

        func answer(from client: CacheClient) async throws(CommandFailure) -> Answer {
            try await self.ask(.touch(self.key, timeToLive: .milliseconds(self.ttlMs)), of: client) { found in
                found ? Answer("touched") : Answer("not found", status: .negative)
            }
        }
    }

    struct Incr: ClientCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add to the integer under a key and print the sum.",
            discussion: "Exit code 0 when there is a sum, 1 when there is no such key and no --initial. "
                + "A negative DELTA goes behind --, as in: incr -- hits -5"
        )

        @Argument(help: "The key.")
        var key: String

        @Argument(help: "What to add.")
        var delta: Int64 = 1

        @OptionGroup
        var options: NodeOptions

        @Option(help: "The value of a counter that is not there yet.")
        var initial: Int64?

        @Option(help: ArgumentHelp("Let a counter that is not there yet expire after this time.", valueName: "ms"))
        var ttlMs: Int64?

        func validate() throws {
            try ClientCommands.check(ttlMs: self.ttlMs)
        }

        func answer(from client: CacheClient) async throws(CommandFailure) -> Answer {
            let call = CacheCall.incr(
                self.key,
                by: self.delta,
                initial: self.initial,
                timeToLive: self.ttlMs.map { .milliseconds($0) }
            )
            return try await self.ask(call, of: client) { count in
                guard let count else { return Answer("not found", status: .negative) }
                return Answer(String(count.value))
            }
        }
    }

    fileprivate static func check(ttlMs: Int64?) throws {
        guard let ttlMs else { return }
        guard ttlMs > 0 else { throw ValidationError("A time to live is at least 1 ms.") }
    }
}
