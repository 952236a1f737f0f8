// Answers about keys whose changes not enough holders are known to have, against a model that remembers every event.

import Synchronization
import TestSupport
import Testing

@testable import CacheNode

/// What happened, in order; everything is worked out from the definitions.
private struct Model {
    enum Event {
        case ended(position: UInt64, fate: ChangesInDoubt.Fate, version: UInt64)
        case spread(position: UInt64, version: UInt64)
        case roundBegan(UInt64)
        case roundSettled(UInt64)
    }

    var events: [Event] = []
    /// Answers that wait: the changes that each waits for, by number.
    var waiting: [Int: Set<Int>] = [:]

    func isLeft(_ position: UInt64) -> Bool {
        events.indices.contains { index in
            guard case .ended(position, .missed, let missed) = events[index] else { return false }
            let later = events[(index + 1)...]
            var begun: Set<UInt64> = []
            for event in later {
                switch event {
                case .ended(position, .held, let version) where version >= missed: return false
                case .spread(position, let version) where version >= missed: return false
                case .roundBegan(let number): begun.insert(number)
                case .roundSettled(let number) where begun.contains(number): return false
                default: break
                }
            }
            return true
        }
    }
}

@Suite("Changes in doubt")
struct ChangesInDoubtTests {
    /// The answers that were told, in order.
    private final class Told: Sendable {
        let answers = Mutex<[(Int, Bool)]>([])
    }

    @Test("Answers wait for what was under way, fail with what was missed, and each is told once", arguments: 1...40)
    func againstModel(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let doubts = ChangesInDoubt(isOn: true)
        var model = Model()
        var tickets: [(id: Int, ticket: ChangesInDoubt.Ticket)] = []
        var nextTicket = 0
        var nextAnswer = 0
        var version: UInt64 = 0
        let told = Told()
        var due: [Int: Bool] = [:]
        let positions: [UInt64] = [1, 2, 1 << 40, .max]
        for _ in 0..<2000 {
            let position = positions.randomElement(using: &random) ?? 1
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<3:
                tickets.append((nextTicket, doubts.began(at: position)))
                nextTicket += 1
            case 3..<7:
                guard let place = tickets.indices.randomElement(using: &random) else { continue }
                let (id, ticket) = tickets.remove(at: place)
                version += UInt64.random(in: 0...1, using: &random)
                // Changes end in another order than that of their versions.
                let ended = version - min(version, UInt64.random(in: 0...3, using: &random)) + 1
                let fate = [.nothing, .held, .held, .missed].randomElement(using: &random) ?? ChangesInDoubt.Fate.held
                doubts.ended(ticket, fate, version: ended)
                model.events.append(.ended(position: ticket.position, fate: fate, version: ended))
                for (answer, missing) in model.waiting where missing.contains(id) {
                    model.waiting[answer]?.remove(id)
                    if fate == .missed || missing.count == 1 {
                        due[answer] = fate != .missed
                        model.waiting[answer] = nil
                    }
                }
            case 7..<10:
                let answer = nextAnswer
                nextAnswer += 1
                let open = Set(tickets.filter { $0.ticket.position == position }.map(\.id))
                let isLeft = model.isLeft(position)
                #expect(doubts.isCertain(at: position) == (open.isEmpty && !isLeft))
                let certainty = doubts.ask(at: position) { stands in
                    told.answers.withLock { $0.append((answer, stands)) }
                }
                #expect(certainty == (isLeft ? .left : open.isEmpty ? .certain : .waiting))
                if certainty == .waiting { model.waiting[answer] = open }
            case 10:
                let reached = UInt64.random(in: 0...(version + 1), using: &random)
                doubts.spread(at: position, version: reached)
                model.events.append(.spread(position: position, version: reached))
            default:
                if Bool.random(using: &random) {
                    model.events.append(.roundBegan(doubts.roundBegan()))
                } else {
                    let begun = UInt64(model.events.count { if case .roundBegan = $0 { true } else { false } })
                    let number = UInt64.random(in: 0...begun, using: &random)
                    doubts.roundSettled(number)
                    model.events.append(.roundSettled(number))
                }
            }
            let answers = told.answers.withLock { $0 }
            #expect(answers.count == due.count && answers.allSatisfy { due[$0.0] == $0.1 }, "seed \(seed)")
        }
        for (_, ticket) in tickets { doubts.ended(ticket, .nothing, version: 0) }
        doubts.roundSettled(doubts.roundBegan())
        #expect(doubts.isEmpty, "seed \(seed)")
        #expect(told.answers.withLock { $0.count } == due.count + model.waiting.count)
    }

    @Test("Whoever reads a change that enough do not have yet finds its key in doubt")
    func concurrent() throws {
        let doubts = ChangesInDoubt(isOn: true)
        let stored = Atomic<Int>(0)
        let held = Atomic<Int>(0)
        let results = concurrently(4) { thread in
            guard thread > 0 else {
                for change in 1...20_000 {
                    let ticket = doubts.began(at: 5)
                    stored.store(change, ordering: .releasing)
                    held.store(change, ordering: .releasing)
                    doubts.ended(ticket, .held, version: UInt64(change))
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
