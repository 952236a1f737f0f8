// What grows with entries, members and threads, measured at the pure targets themselves, without a node around them. Prints
// JSON for utils/bench/growth, which draws it. Not a judge: nothing here expects anything of the clock.

import ArgumentParser
import Foundation

@main
struct StoreBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "storebench",
        abstract: "Measure the store, the ring, the membership rules and the shards' locks without a node around them.",
        subcommands: [FillCommand.self, ChurnCommand.self, RingCommand.self, MembersCommand.self, LocksCommand.self])

    /// One line of JSON on standard output.
    static func printJSON(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}

/// Refuses a number that would trap further in.
func requirePositive(_ number: Int, _ option: String) throws {
    guard number > 0 else { throw ValidationError("\(option) must be at least 1.") }
}

struct FillCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fill", abstract: "Put new keys into one store: the time of each put, by the size it met.")

    @Option(help: "Entries to put: 16 B keys, 100 B values.")
    var entries = 10_000_000
    @Option(help: "How often the same puts are done anew; of each put the least time counts.")
    var rounds = 3

    func validate() throws {
        try requirePositive(entries, "--entries")
        try requirePositive(rounds, "--rounds")
    }

    func run() throws { try StoreBench.printJSON(Filling(entries: entries).measure(rounds: rounds)) }
}

struct ChurnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "churn", abstract: "A day of puts, gets, removals and expiry of random sizes at the memory limit.")

    @Option(help: "Operations of the day.")
    var operations = 10_000_000
    @Option(help: "Memory limit of the store in MiB.")
    var limitMebibytes = 256
    @Option(help: "Sizes of values: mixed (10 B to 4 KiB all day) or shifting (a narrow band that wanders).")
    var sizes = ChurnWorkload.Sizes.mixed
    @Option(help: "How often the same day is played; of each operation the least time counts.")
    var rounds = 3

    func validate() throws {
        try requirePositive(operations, "--operations")
        try requirePositive(limitMebibytes, "--limit-mebibytes")
        try requirePositive(rounds, "--rounds")
    }

    func run() throws {
        let churn = Churn(
            workload: ChurnWorkload(operations: operations, sizes: sizes, seed: 1), limitBytes: limitMebibytes << 20)
        try StoreBench.printJSON(churn.measure(rounds: rounds))
    }
}

extension ChurnWorkload.Sizes: ExpressibleByArgument {}

struct RingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ring", abstract: "Build the ring of so many members, and look up owners.")

    @Option(help: "Members.")
    var members = 1000

    func validate() throws { try requirePositive(members, "--members") }

    func run() throws { try StoreBench.printJSON(RingFigures.measure(members: members)) }
}

struct MembersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "members",
        abstract: "Members in virtual time: what heartbeats cost, how soon a death is known.")

    @Option(help: "Members.")
    var members = 100
    @Option(help: "Of how many others each member is told at its start.")
    var seedsPerNode = 3
    @Flag(help: "With a majority rule (min_replicas of 1 or more) instead of every side going on.")
    var majority = false

    func validate() throws {
        guard members > 1 else { throw ValidationError("--members must be at least 2.") }
        try requirePositive(seedsPerNode, "--seeds-per-node")
    }

    func run() throws {
        try StoreBench.printJSON(
            MemberFigures.measure(members: members, seedsPerNode: seedsPerNode, rule: majority ? .majority : .everySide)
        )
    }
}

struct LocksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "locks",
        abstract: "Threads that read from shards behind a node's locks, with work in between.")

    @Option(help: "Threads.")
    var threads = 2
    @Option(help: "Shards.")
    var shards = 8
    @Option(help: "Entries, in all shards together.")
    var entries = 1_000_000
    @Option(help: "Work of a thread between two reads, in nanoseconds on average.")
    var between = 7000
    @Flag(help: "All threads read one key.")
    var oneHot = false
    @Option(help: "Reads of each thread.")
    var reads = 300_000

    func validate() throws {
        for (number, option) in [
            (threads, "--threads"), (shards, "--shards"), (entries, "--entries"), (reads, "--reads"),
        ] {
            try requirePositive(number, option)
        }
        guard between >= 0 else { throw ValidationError("--between must not be negative.") }
    }

    func run() throws {
        try StoreBench.printJSON(
            LockContention(
                threads: threads, shards: shards, entries: entries, betweenNanoseconds: between, isOneHot: oneHot,
                reads: reads
            ).measure())
    }
}
