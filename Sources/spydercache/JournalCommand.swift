// `spydercache journal verify DIR` and `journal dump DIR`: a journal looked at without starting a node. Nothing is changed,
// no lock is taken; while a node runs on the directory its newest record may look torn.
//
//     0 clean    1 damaged or torn    74 unreadable, or no journal there

import ArgumentParser
import CacheNode
import JSONRPC
import Journal

/// The group of commands around the journal.
struct JournalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal",
        abstract: "Check a journal or print it as JSON lines, without starting a node.",
        subcommands: [Verify.self, Dump.self]
    )

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check everything that a start would load.",
            discussion: "Exit code 0 when it is clean, 1 when it is damaged or ends in an unfinished record."
        )

        @Argument(help: "A node's data directory, or the journal directory itself.", completion: .directory)
        var directory: String

        @Flag(help: "Print the report as one JSON object.")
        var json = false

        func run() throws {
            let report = try JournalCommand.reporting {
                let report = try JournalCommand.inspect(self.directory) { (journal) throws(JournalError) in
                    try journal.verify()
                }
                let text = JournalReportText(report)
                try Console.print(self.json ? text.json : text.lines)
                return report
            }
            guard report.isClean else { throw ExitCode.negative }
        }
    }

    struct Dump: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print every record that a start would load, one JSON object a line, oldest first.",
            discussion: "The lines follow schemas/journal-dump.schema.json. "
                + "Exit code 0 when the journal is clean, 1 when it is damaged or ends in an unfinished record."
        )

        @Argument(help: "A node's data directory, or the journal directory itself.", completion: .directory)
        var directory: String

        @Flag(help: "Leave out the values.")
        var withoutValues = false

        func run() throws {
            let report = try JournalCommand.reporting {
                var output = BufferedOutput()
                let report = try JournalCommand.inspect(self.directory) { (journal) throws(JournalError) in
                    try journal.dump(includingValues: !self.withoutValues) { line in
                        output.write { $0.append(line, includingValues: !self.withoutValues) }
                    }
                }
                try output.finish()
                return report
            }
            guard report.isClean else {
                printError("spydercache: \(JournalReportText(report).summary)")
                throw ExitCode.negative
            }
        }
    }

    /// Opens the journal and runs `body`; what cannot be read ends the command with 74.
    static func inspect(
        _ directory: String,
        _ body: (JournalInspection) throws(JournalError) -> RecoveryReport
    ) throws(CommandFailure) -> RecoveryReport {
        let report: RecoveryReport
        do throws(JournalError) {
            // A node may have been configured with larger values than is usual; the check must not call those damage.
            let limits = JournalLimits(maxValueBytes: 1 << 30)
            report = try body(JournalInspection(directory, codec: self.codec, limits: limits))
        } catch {
            throw CommandFailure(error.description, ExitStatus.ioError.exitCode)
        }
        guard !report.files.isEmpty else {
            // "Clean" would be a dangerous answer to a mistyped path.
            throw CommandFailure("\(directory): no journal here", ExitStatus.ioError.exitCode)
        }
        return report
    }

    private static func reporting(_ body: () throws -> RecoveryReport) throws -> RecoveryReport {
        do {
            return try body()
        } catch let failure as CommandFailure {
            printError("spydercache: \(failure.message)")
            throw failure.status
        }
    }

    private static let codec = JournalCodec(
        inflate: { JournalCodec.inflate($0, into: $1) },
        deflate: nil
    )
}

/// Standard output in pieces of 64 KiB; the first failure silences the rest and is thrown at the end.
private struct BufferedOutput {
    private var bytes: [UInt8] = []
    private var failure: CommandFailure?

    mutating func write(_ append: (inout [UInt8]) -> Void) {
        guard self.failure == nil else { return }
        append(&self.bytes)
        if self.bytes.count >= 64 << 10 { self.flush() }
    }

    mutating func finish() throws(CommandFailure) {
        self.flush()
        if let failure = self.failure { throw failure }
    }

    private mutating func flush() {
        do throws(CommandFailure) {
            try Console.print(self.bytes)
        } catch {
            self.failure = error
        }
        self.bytes.removeAll(keepingCapacity: true)
    }
}
