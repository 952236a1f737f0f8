// Keys whose newest change may be with this node alone, where a majority decides (min_replicas of 1 or more). Were the node
// cut off now, the others would go on without that change: an answer that shows it could be taken back by theirs.
//
//     a change begins (before the store has it)     a ticket is taken          answers about the key wait for it
//     enough holders have it                        the ticket is given back   they stand
//     its time is over                              the key is left in doubt   they fail, 1104
//     an answer about a key left in doubt           the entry goes to its holders again, and the answer waits for them
//     a later change, or a whole round of hand-off  no doubt any more
//
// So a read that shows a change finds it with enough holders first, as readers write back in Attiya, Bar-Noy and Dolev,
// "Sharing Memory Robustly in Message-Passing Systems" (1995), section 4. An answer waits for the changes that were under
// way when it was made, not for later ones. Where nothing is under way that costs one load of a counter.

import Synchronization

/// Safe to use from any thread. Keys are known by their positions on the ring: two of one position wait for each other.
final class ChangesInDoubt: Sendable {
    /// A change that has begun: given back by exactly one call of `ended`.
    struct Ticket: Sendable {
        let position: UInt64
        fileprivate let number: UInt64
    }

    /// What became of a change.
    enum Fate: Equatable {
        /// There was none.
        case nothing
        /// So many nodes have it as a change needs to be acknowledged.
        case held
        /// Nobody knows.
        case missed
    }

    /// How an answer about a key stands.
    enum Certainty: Equatable {
        case certain
        /// It is to wait for changes under way.
        case waiting
        /// A change was missed: the entry has to be sent again.
        case left
    }

    /// Told whether the answer stands. Called on the thread that ends the change.
    typealias Completion = @Sendable (Bool) -> Void

    private struct Doubt {
        /// Tickets of changes under way.
        var open: [UInt64] = []
        /// The newest version that was missed; zero: none.
        var missedVersion: UInt64 = 0
        /// The last round of hand-off that had begun by then.
        var missedRound: UInt64 = 0
        /// Answers, each with the first ticket that they do not wait for.
        var waiting: [(end: UInt64, completion: Completion)] = []

        var isOver: Bool { open.isEmpty && missedVersion == 0 }
    }

    private struct Keys {
        var doubts: [UInt64: Doubt] = [:]
        var nextTicket: UInt64 = 1
    }

    private final class Part: Sendable {
        /// Guards a share of the keys.
        let keys = Mutex(Keys())
    }

    /// Whether anything is kept at all.
    let isOn: Bool
    private let parts: [Part]
    /// Keys in doubt. Raised before the store has the change, so that whoever reads the change sees it.
    private let count = Atomic<Int>(0)
    private let round = Atomic<UInt64>(0)

    init(isOn: Bool) {
        self.isOn = isOn
        parts = isOn ? (0..<64).map { _ in Part() } : []
    }

    /// Whether an answer can be in doubt now; asked after the store was read.
    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

    private func part(_ position: UInt64) -> Part { parts[Int(position >> 32) % parts.count] }

    // MARK: Changes

    /// The key at a position is about to be changed.
    func began(at position: UInt64) -> Ticket {
        part(position).keys.withLock { keys in
            let number = keys.nextTicket
            keys.nextTicket += 1
            if keys.doubts[position] == nil { count.add(1, ordering: .relaxed) }
            keys.doubts[position, default: Doubt()].open.append(number)
            return Ticket(position: position, number: number)
        }
    }

    /// The change of a ticket has become `version`, or there was none.
    func ended(_ ticket: Ticket, _ fate: Fate, version: UInt64) {
        let completions = part(ticket.position).keys.withLock { keys -> [(Completion, Bool)] in
            guard var doubt = keys.doubts[ticket.position] else { return [] }
            doubt.open.removeAll { $0 == ticket.number }
            switch fate {
            case .nothing: break
            case .held: if version >= doubt.missedVersion { doubt.missedVersion = 0 }
            case .missed:
                doubt.missedVersion = max(doubt.missedVersion, version)
                doubt.missedRound = round.load(ordering: .relaxed)
            }
            let oldest = doubt.open.min() ?? .max
            var told: [(Completion, Bool)] = []
            doubt.waiting.removeAll { answer in
                let isLost = fate == .missed && answer.end > ticket.number
                guard isLost || answer.end <= oldest else { return false }
                told.append((answer.completion, !isLost))
                return true
            }
            keep(doubt, at: ticket.position, &keys)
            return told
        }
        for (completion, stands) in completions { completion(stands) }
    }

    /// Enough holders have this version of a key: what was missed until then does not matter.
    func spread(at position: UInt64, version: UInt64) {
        guard !isEmpty else { return }
        part(position).keys.withLock { keys in
            guard var doubt = keys.doubts[position], version >= doubt.missedVersion else { return }
            doubt.missedVersion = 0
            keep(doubt, at: position, &keys)
        }
    }

    private func keep(_ doubt: Doubt, at position: UInt64, _ keys: inout Keys) {
        if doubt.isOver {
            keys.doubts[position] = nil
            count.subtract(1, ordering: .relaxed)
        } else {
            keys.doubts[position] = doubt
        }
    }

    // MARK: Answers

    /// Whether an answer about a key, made just now, can be given.
    func isCertain(at position: UInt64) -> Bool {
        guard !isEmpty else { return true }
        return part(position).keys.withLock { $0.doubts[position] == nil }
    }

    /// How an answer about a key stands that was made before; `completion` is called once if it is `.waiting`.
    func ask(at position: UInt64, _ completion: @escaping Completion) -> Certainty {
        part(position).keys.withLock { keys in
            guard var doubt = keys.doubts[position] else { return .certain }
            guard doubt.missedVersion == 0 else { return .left }
            doubt.waiting.append((keys.nextTicket, completion))
            keys.doubts[position] = doubt
            return .waiting
        }
    }

    // MARK: Hand-off

    /// A round that offers everything to everybody begins; returns its number.
    func roundBegan() -> UInt64 { round.add(1, ordering: .relaxed).newValue }

    /// All holders have what this node had when the round began.
    func roundSettled(_ number: UInt64) {
        guard !isEmpty else { return }
        for part in parts {
            part.keys.withLock { keys in
                for (position, doubt) in keys.doubts where doubt.missedVersion > 0 && doubt.missedRound < number {
                    var doubt = doubt
                    doubt.missedVersion = 0
                    keep(doubt, at: position, &keys)
                }
            }
        }
    }
}
