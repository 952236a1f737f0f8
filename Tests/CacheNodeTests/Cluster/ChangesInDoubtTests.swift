// Answers about keys whose changes not enough holders are known to have, against a model that remembers every event.

import HashRing
import Membership
import Synchronization
import TestSupport
import Testing

@testable import CacheNode

/// One key by the rules, in their plainest form.
private struct NaiveDoubt {
    var open: Set<Int> = []
    var repair: Int?
    /// The newest version missed, and of the last miss the round and when it is over.
    var missed: (version: UInt64, round: UInt64, until: Int64)?
    /// Answers that wait, with the changes that each waits for.
    var waiting: [Int: Set<Int>] = [:]

    mutating func covered(upTo version: UInt64) {
        if let missed, version >= missed.version { self.missed = nil }
    }
}

@Suite("Changes in doubt")
struct ChangesInDoubtTests {
    /// The answers that were told, in order.
    private final class Told: Sendable {
        let answers = Mutex<[(Int, Bool)]>([])
    }

    @Test(
        "Answers wait for what was under way, fall with what is missed, and each is told once; one of them repairs",
        arguments: 1...40)
    func againstModel(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let doubts = ChangesInDoubt(isOn: true, missedMilliseconds: 50)
        let positions: [UInt64] = [1, 2, 1 << 40, .max]
        var model = Dictionary(uniqueKeysWithValues: positions.map { ($0, NaiveDoubt()) })
        var tickets: [(id: Int, ticket: ChangesInDoubt.Ticket)] = []
        var nextTicket = 0
        var nextAnswer = 0
        var version: UInt64 = 1
        var now: Int64 = 0
        var rounds: UInt64 = 0
        let told = Told()
        var due: [Int: Bool] = [:]
        func opened(_ ticket: ChangesInDoubt.Ticket, isRepair: Bool) {
            tickets.append((nextTicket, ticket))
            model[ticket.position]?.open.insert(nextTicket)
            if isRepair { model[ticket.position]?.repair = nextTicket }
            nextTicket += 1
        }
        for _ in 0..<3000 {
            now += Int64.random(in: 0...3, using: &random)
            let position = positions.randomElement(using: &random) ?? 1
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<3: opened(doubts.began(at: position), isRepair: false)
            case 3..<7:
                guard let place = tickets.indices.randomElement(using: &random) else { continue }
                let (id, ticket) = tickets.remove(at: place)
                version += UInt64.random(in: 0...1, using: &random)
                // Changes end in another order than that of their versions; some are of the expiry alone.
                let ended =
                    Int.random(in: 0..<8, using: &random) == 0
                    ? 0 : version - min(version - 1, UInt64.random(in: 0...3, using: &random))
                let fate = [.nothing, .held, .held, .missed].randomElement(using: &random) ?? ChangesInDoubt.Fate.held
                doubts.ended(ticket, fate, version: ended, now: now)
                var key = model[ticket.position] ?? NaiveDoubt()
                key.open.remove(id)
                if key.repair == id { key.repair = nil }
                for (answer, missing) in key.waiting where missing.contains(id) {
                    key.waiting[answer]?.remove(id)
                    if fate == .missed || missing.count == 1 {
                        due[answer] = fate != .missed
                        key.waiting[answer] = nil
                    }
                }
                if fate == .held { key.covered(upTo: ended) }
                if fate == .missed, ended > 0 {
                    let isNewer = ended > key.missed?.version ?? 0
                    key.missed = (
                        isNewer ? ended : key.missed?.version ?? 0, rounds,
                        isNewer ? now + 50 : key.missed?.until ?? 0
                    )
                }
                model[ticket.position] = key
            case 7..<10:
                let answer = nextAnswer
                nextAnswer += 1
                if let missed = model[position]?.missed, now >= missed.until { model[position]?.missed = nil }
                let key = model[position] ?? NaiveDoubt()
                let certainty = doubts.ask(at: position, now: now) { stands in
                    told.answers.withLock { $0.append((answer, stands)) }
                }
                switch certainty {
                case .certain: #expect(key.open.isEmpty && key.missed == nil, "seed \(seed)")
                case .waiting:
                    #expect(!key.open.isEmpty && (key.missed == nil || key.repair != nil), "seed \(seed)")
                    model[position]?.waiting[answer] = key.open
                case .repair(let ticket, let missed):
                    #expect(key.missed?.version == missed && key.repair == nil, "seed \(seed)")
                    opened(ticket, isRepair: true)
                    let open = model[position]?.open
                    model[position]?.waiting[answer] = open
                }
            case 10:
                let reached = UInt64.random(in: 0...(version + 1), using: &random)
                doubts.spread(at: position, version: reached)
                model[position]?.covered(upTo: reached)
            default:
                if Bool.random(using: &random) {
                    rounds = doubts.roundBegan()
                } else {
                    let number = UInt64.random(in: 0...rounds, using: &random)
                    doubts.roundSettled(number)
                    for position in positions {
                        if let missed = model[position]?.missed, missed.round < number { model[position]?.missed = nil }
                    }
                }
            }
            let answers = told.answers.withLock { $0 }
            #expect(answers.count == due.count && answers.allSatisfy { due[$0.0] == $0.1 }, "seed \(seed)")
        }
        for (_, ticket) in tickets { doubts.ended(ticket, .nothing, version: 0, now: now) }
        if seed % 2 == 0 { doubts.roundSettled(doubts.roundBegan()) } else { doubts.sweep(now: now + 50) }
        #expect(doubts.isEmpty, "seed \(seed)")
        let waiting = model.values.reduce(0) { $0 + $1.waiting.count }
        #expect(told.answers.withLock { $0.count } == due.count + waiting, "seed \(seed)")
    }

    @Test("A hundred thousand answers about one key, and as many changes of it, take time in proportion")
    func oneHotKey() {
        let doubts = ChangesInDoubt(isOn: true, missedMilliseconds: 50)
        let count = 100_000
        let stood = Atomic<Int>(0)
        var tickets: [ChangesInDoubt.Ticket] = []
        for _ in 0..<count {
            tickets.append(doubts.began(at: 3))
            guard case .waiting = doubts.ask(at: 3, now: 0, { if $0 { stood.add(1, ordering: .relaxed) } }) else {
                Issue.record("nothing is under way")
                return
            }
        }
        // Given back from both ends: copies of all that wait at each would be 10^10 steps.
        for (index, ticket) in (tickets[(count / 2)...].reversed() + tickets[..<(count / 2)]).enumerated() {
            doubts.ended(ticket, .held, version: UInt64(index) + 1, now: 0)
        }
        #expect(stood.load(ordering: .relaxed) == count && doubts.isEmpty)
    }

    /// A table of a view of these members, all serving, as the first of them sees it.
    private func table(_ names: [String], incarnations: [String: UInt64] = [:]) -> RoutingTable {
        let members = names.map {
            MemberIdentity(
                id: MemberID($0), address: "127.0.0.1:800\($0.utf8.count)", incarnation: incarnations[$0] ?? 1)
        }
        let view = View(
            epoch: Epoch(number: 7, proposer: members[0].id), members: members, serving: Set(members.map(\.id)))
        return RoutingTable(
            view: view, selfID: members[0].id, replicas: 2, virtualNodes: 16, isLeaving: false, mayServeAlone: false)
    }

    @Test("What was another node's before is in doubt while it is recent, until it is confirmed or handed off")
    func inherited() throws {
        let before = table(["a", "b", "c", "d"])
        var random = SeededRandom(seed: 3)
        let positions = (0..<200).map { _ in random.next() }
        let mine = try #require(positions.first { before.isOwner(at: $0) })
        let moved = try #require(positions.first { !before.isOwner(at: $0) })
        let doubts = ChangesInDoubt(isOn: true, missedMilliseconds: 50)
        #expect(doubts.isEmpty && !doubts.isInherited(200, at: moved))
        doubts.viewComes(after: [before], recentFrom: 100)
        #expect(!doubts.isEmpty && doubts.isInherited(100, at: moved) && doubts.isInherited(.max, at: moved))
        #expect(!doubts.isInherited(99, at: moved) && !doubts.isInherited(100, at: mine))
        // Another view before the hand-off is over, by which it owned less.
        let between = table(["d", "c", "b", "a"])
        doubts.viewComes(after: [before, between], recentFrom: 150)
        #expect(doubts.isInherited(100, at: moved) && doubts.isInherited(100, at: mine) == !between.isOwner(at: mine))
        doubts.spread(at: moved, version: 120)
        #expect(!doubts.isInherited(120, at: moved) && doubts.isInherited(121, at: moved))
        doubts.ended(doubts.began(at: moved), .held, version: 130, now: 0)
        #expect(!doubts.isInherited(130, at: moved) && doubts.isInherited(131, at: moved))
        doubts.ended(doubts.began(at: moved), .nothing, version: 0, now: 0)
        #expect(doubts.isInherited(131, at: moved))
        doubts.roundSettled(doubts.roundBegan())
        #expect(doubts.isEmpty && !doubts.isInherited(131, at: moved))
        // A node that has settled in no view owned nothing.
        doubts.viewComes(after: [], recentFrom: 150)
        #expect(doubts.isInherited(150, at: mine))
        #expect(ChangesInDoubt(isOn: false, missedMilliseconds: 50).isEmpty)
    }

    @Test("A repair that keeps failing does not keep the key from being read, an inherited one neither")
    func failingRepair() {
        let doubts = ChangesInDoubt(isOn: true, missedMilliseconds: 50)
        doubts.viewComes(after: [], recentFrom: 1)
        var now: Int64 = 0
        var repairs = 0
        while doubts.isInherited(7, at: 3), now < 1000 {
            switch doubts.ask(at: 3, now: now, { _ in }) {
            case .repair(let ticket, let version):
                #expect(version == 7)
                doubts.ended(ticket, .missed, version: 7, now: now)
                repairs += 1
            case .waiting: Issue.record("nothing is under way")
            case .certain:
                guard doubts.isInherited(7, at: 3) else { break }
                guard case .repair(let ticket, 0) = doubts.askAboutInherited(at: 3, { _ in }) else { return }
                doubts.ended(ticket, .missed, version: 7, now: now)
                repairs += 1
            }
            now += 10
        }
        #expect(now == 60 && repairs == 5, "\(now) ms, \(repairs) repairs")
    }

    @Test("However many keys are missed, so many are kept: the newest")
    func bounded() {
        let doubts = ChangesInDoubt(isOn: true, missedMilliseconds: .max / 2)
        let count: UInt64 = 64 * 1024 * 3
        for position in 0..<count {
            doubts.ended(doubts.began(at: position << 32), .missed, version: 1, now: 0)
        }
        let kept = (0..<count).filter { !doubts.isCertain(at: $0 << 32) }
        #expect(kept == Array(count * 2 / 3..<count))
    }

    @Test("What was missed of keys that nobody asks for is forgotten when its time is over")
    func forgotten() {
        let doubts = ChangesInDoubt(isOn: true, missedMilliseconds: 50)
        for position in UInt64(0)..<10_000 {
            doubts.ended(doubts.began(at: position << 32), .missed, version: 1, now: Int64(position / 100))
        }
        doubts.sweep(now: 99)
        #expect(!doubts.isEmpty && doubts.isCertain(at: 4_900 << 32) && !doubts.isCertain(at: 5_000 << 32))
        doubts.sweep(now: 149)
        #expect(doubts.isEmpty)
    }

    @Test("An owner of before counts as gone when it is no member, or another run of it is")
    func goneOwner() {
        let before = table(["a", "b", "c", "d"])
        let without = table(["a", "c", "d"])
        let restarted = table(["a", "b", "c", "d"], incarnations: ["b": 2])
        var random = SeededRandom(seed: 4)
        for _ in 0..<500 {
            let position = random.next()
            let owner =
                switch before.owner(at: position) {
                case .me: "a"
                case .node(let target): target.id.text
                case .nobody: ""
                }
            #expect(before.hasMember(owning: position, in: before))
            #expect(without.hasMember(owning: position, in: before) == (owner != "b"))
            #expect(restarted.hasMember(owning: position, in: before) == (owner != "b"))
        }
    }

    @Test("Whoever reads a change that enough do not have yet finds its key in doubt")
    func concurrent() throws {
        let doubts = ChangesInDoubt(isOn: true, missedMilliseconds: 50)
        let stored = Atomic<Int>(0)
        let held = Atomic<Int>(0)
        let results = concurrently(4) { thread in
            guard thread > 0 else {
                for change in 1...20_000 {
                    let ticket = doubts.began(at: 5)
                    stored.store(change, ordering: .releasing)
                    held.store(change, ordering: .releasing)
                    doubts.ended(ticket, .held, version: UInt64(change), now: 0)
                }
                return true
            }
            while stored.load(ordering: .acquiring) < 20_000 {
                let read = stored.load(ordering: .acquiring)
                if doubts.isCertain(at: 5), held.load(ordering: .acquiring) < read { return false }
            }
            return true
        }
        for result in results { #expect(try result.get()) }
        #expect(doubts.isEmpty)
    }
}
