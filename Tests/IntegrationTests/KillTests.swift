// kill -9 while eight clients write: nothing acknowledged is lost, whatever the fsync mode.

import Foundation
import Synchronization
import TestSupport
import Testing

extension IntegrationTests {
    @Suite struct Kill {
        private static let writers = 8

        @Test(arguments: ["always", "interval", "never"])
        func `20 rounds of kill -9 under 8 writers lose no acknowledged write`(fsync: String) throws {
            let seed = UInt64(0x5eed) + UInt64(fsync.utf8.count)
            print("seed \(seed)")
            var random = SeededRandom(seed: seed)
            let directory = try TemporaryDirectory()
            let settings = ["local.reconstruct=True", "journal.fsync=\(fsync)", "journal.segment_size=128KiB"]
            var ledgers = (0..<Self.writers).map(WriterLedger.init)
            var unanswered = 0
            for round in 0..<20 {
                if round % 5 == 4 {
                    // Killed within the start too: recovery itself must not lose what it recovers.
                    let starting = try NodeProcess(settings, directory: directory)
                    let pause = Duration.milliseconds(Int.random(in: 0..<60, using: &random))
                    let began = ContinuousClock.now
                    try waitUntil("a moment of starting") { ContinuousClock.now - began > pause ? () : nil }
                    try starting.killHard()
                }
                let node = try NodeProcess.start(settings, directory: directory)
                try verify(&ledgers, against: node, round: round)
                let port = try node.port()
                let (before, roundSeed) = (ledgers, random.next())
                let target = Int.random(in: 50..<800, using: &random)
                let acknowledged = SharedCount()
                let running = start(Self.writers) { index in
                    var random = SeededRandom(seed: roundSeed &+ UInt64(index))
                    return before[index].writing(to: port, counting: acknowledged, random: &random)
                }
                try waitUntil("\(target) writes are acknowledged") {
                    acknowledged.count.load(ordering: .relaxed) >= target ? () : nil
                }
                try node.killHard()
                ledgers = try running.wait().map { try $0.get() }
                unanswered += ledgers.reduce(0) { $0 + $1.inFlight.count }
            }
            let last = try NodeProcess.start(settings, directory: directory)
            let total = ledgers.reduce(0) { $0 + $1.acknowledgedWrites }
            try verify(&ledgers, against: last, round: 20)
            print("fsync \(fsync): \(total) writes acknowledged, \(unanswered) unanswered at a kill")
            #expect(total > 20 * 50)
            #expect(unanswered > 20, "the kills have to hit writes in flight")
        }

        /// Compares every key with what its writer knows; then what is there counts as acknowledged.
        private func verify(_ ledgers: inout [WriterLedger], against node: NodeProcess, round: Int) throws {
            let client = try node.client()
            for index in ledgers.indices {
                let found = try client.values(ledgers[index].keys)
                let problems = ledgers[index].keys.compactMap { ledgers[index].contradiction($0, found[$0]) }
                #expect(problems.isEmpty, "round \(round): \(problems.count) of writer \(index), \(problems.prefix(3))")
                ledgers[index].settle(found)
            }
        }
    }
}

/// A number that threads share.
private final class SharedCount: Sendable {
    let count = Atomic<Int>(0)
}

/// What one writer knows about its keys: the last acknowledged state of each and the states it asked for since.
private struct WriterLedger: Sendable {
    let keys: [String]
    private let writer: Int
    private var acknowledged: [String: String] = [:]
    /// States asked for and not answered, by key; each may or may not have happened.
    private(set) var inFlight: [String: [String?]] = [:]
    private(set) var acknowledgedWrites = 0
    private var serial = 0

    init(writer: Int) {
        self.writer = writer
        keys = (0..<40).map { "w\(writer)-\($0)" }
    }

    /// Why `observed` (nil: a miss) can't be the state of `key`; nil when it can.
    func contradiction(_ key: String, _ observed: String?) -> String? {
        if observed == acknowledged[key] || inFlight[key]?.contains(observed) == true { return nil }
        let last = acknowledged[key]?.prefix(40) ?? "gone"
        return "\(key) is \(observed?.prefix(40) ?? "gone"), acknowledged was \(last)"
    }

    /// Takes what was found after a restart for the truth from now on.
    mutating func settle(_ found: [String: String]) {
        acknowledged = found
        inFlight = [:]
    }

    /// Writes until the node is gone; the ledger as it is then.
    func writing(to port: Int, counting: SharedCount, random: inout SeededRandom) -> WriterLedger {
        var ledger = self
        do {
            let client = try RPCClient(port: port)
            while true {
                let count = ledger.writeSome(client, &random)
                guard let count else { return ledger }
                counting.count.add(count, ordering: .relaxed)
            }
        } catch {
            return ledger
        }
    }

    /// One request of one to five writes; how many were acknowledged, nil when the node is gone.
    private mutating func writeSome(_ client: RPCClient, _ random: inout SeededRandom) -> Int? {
        var writes: [(key: String, state: String?)] = []
        for _ in 0..<(Bool.random(using: &random) ? 1 : 5) {
            let key = keys[Int.random(in: 0..<keys.count, using: &random)]
            serial += 1
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<3:
                writes.append((key, nil))
            case 3..<6:
                // Long enough to be compressed, and different in every byte range from its predecessor.
                let filler = String(repeating: "\(serial)-", count: 300)
                writes.append((key, "\"\(writer)/\(serial)/\(filler)\""))
            default:
                writes.append((key, "\"\(writer)/\(serial)\""))
            }
        }
        for write in writes { inFlight[write.key, default: []].append(write.state) }
        let calls = writes.map { write -> (method: String, params: String?) in
            guard let state = write.state else { return ("cache.delete", "[\(quoted(write.key))]") }
            return ("cache.put", "[\(quoted(write.key)),\(state)]")
        }
        guard let replies = try? client.batch(calls) else { return nil }
        for (write, reply) in zip(writes, replies) {
            // Anything but a result would leave the state unknown: it stays in flight and shows up as "unanswered".
            guard reply["stored"]?.boolean == true || reply["deleted"] != nil else { return nil }
            acknowledged[write.key] = write.state
            acknowledgedWrites += 1
        }
        for write in writes { inFlight[write.key] = nil }
        return writes.count
    }
}
