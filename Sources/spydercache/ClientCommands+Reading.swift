// get and stats: what asks and changes nothing.

import ArgumentParser
import JSONRPC
import SpyderCacheClient

extension ClientCommands {
    struct Get: ClientCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the value of a key.",
            discussion: "A string is printed raw, anything else as JSON. Exit code 0 for a hit, 1 for a miss."
        )

        @Argument(help: "The key.")
        var key: String

        @OptionGroup
        var options: NodeOptions

        func answer(from client: CacheClient) async throws(CommandFailure) -> Answer {
            try await self.ask(.get(self.key), of: client) { item in
                guard let item else { return Answer(nil, note: "no such key", status: .negative) }
                return Answer(item.value.stringValue.map { Array($0.utf8) } ?? item.value.bytes)
            }
        }
    }

    struct Stats: ClientCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the node's counters.",
            discussion: "One counter a line, members of objects as object.member; --json prints the object as it is."
        )

        @OptionGroup
        var options: NodeOptions

        func answer(from client: CacheClient) async throws(CommandFailure) -> Answer {
            try await self.ask(.stats, of: client) { text in
                var lines: [UInt8] = []
                text.bytes.withUnsafeBytes { Self.flatten($0, into: &lines) }
                return Answer(lines.isEmpty ? nil : lines)
            }
        }

        /// Writes `name value` lines with a line feed between them. Not recursive: what a node sends has no say in how
        /// deep this goes.
        private static func flatten(_ bytes: UnsafeRawBufferPointer, into lines: inout [UInt8]) {
            guard let whole = try? validateJSON(bytes), whole.kind == .object else { return }
            var open = [(prefix: [UInt8](), cursor: JSONObjectCursor(bytes, whole.slice))]
            while var level = open.popLast() {
                guard let member = level.cursor.next() else { continue }
                open.append(level)
                let name = level.prefix + member.name.bytes(in: bytes)
                if member.value.kind == .object {
                    open.append((name + [UInt8(ascii: ".")], JSONObjectCursor(bytes, member.value.slice)))
                    continue
                }
                if !lines.isEmpty { lines.append(UInt8(ascii: "\n")) }
                lines += name + [UInt8(ascii: " ")]
                let text = member.value.kind == .string ? member.value.content : member.value.slice
                lines += text.bytes(in: bytes)
            }
        }
    }
}
