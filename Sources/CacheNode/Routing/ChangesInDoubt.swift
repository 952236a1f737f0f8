// Keys whose newest change may be with this node alone, where a majority decides (min_replicas of 1 or more). Were the node
// cut off now, the others would go on without that change: an answer that shows it could be taken back by theirs.
//
//     a change begins (before the store has it)     a ticket is taken          answers about the key wait for it
//     its holders have it                           the ticket is given back   they stand
//     its time is over                              the key is left in doubt   they ask again
//     an answer about a key left in doubt           takes a ticket itself and has the entry sent to its holders again;
//                                                   others wait for that
//     a later change, a whole round of hand-off     no doubt any more
//     a cut-off node would have noticed by now      no doubt any more: whoever may still act is not cut off, and a holder
//                                                   that lives and takes no writes does not keep the key from being read;
//                                                   nor is more kept than so many keys
//
// So a read that shows a change finds it with enough holders first, as readers write back in Attiya, Bar-Noy and Dolev,
// "Sharing Memory Robustly in Message-Passing Systems" (1995), section 4. An answer waits for the changes that were under
// way when it was made, not for later ones. Where nothing is under way that costs one load of a counter.
//
// What a node comes to own by a new view is in doubt as well, as far as it is recent, until the hand-off of that view is over:
// the owner before may have sent it to this node alone.
//
// Every step is O(1), amortised, whatever waits for a key:
//
//     tickets of a key    0 1 2 3 4 5 6      given back: 0 1 . 3 . . .      first: 2, the oldest that is out
//     answers, in order   ≤2 ≤4 ≤4 ≤7        each stands when `first` has reached its end

import Synchronization

/// Safe to use from any thread. Keys are known by their positions on the ring: two of one position wait for each other.
final class ChangesInDoubt: Sendable {
    /// A change that has begun: given back by exactly one call of `ended`.
    struct Ticket: Sendable {
        let position: UInt64
        /// Of those of its key since it is in doubt.
        fileprivate let number: Int
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
    enum Certainty {
        case certain
        /// Its completion will be called.
        case waiting
        /// Its completion will be called when the ticket is given back: for sending again what there is of the key, or that
        /// the version is gone.
        case repair(Ticket, version: UInt64)
    }

    /// Told whether the answer stands; otherwise it is to be asked again. Called on the thread that ends the change.
    typealias Completion = @Sendable (Bool) -> Void

    private struct Doubt {
        /// Whether each ticket has been given back; those before `head` have, and `first` is the number of the one there.
        private var isBack: [Bool] = []
        private var head = 0
        private(set) var first = 0
        private(set) var next = 0
        /// Answers, each with the first ticket that it does not wait for, in that order.
        private var waiting: [(end: Int, completion: Completion?)] = []
        private var toldHead = 0
        /// The newest version that was missed; zero: none.
        var missedVersion: UInt64 = 0
        /// The last round of hand-off that had begun by then.
        var missedRound: UInt64 = 0
        /// When it is no doubt any more, in monotonic milliseconds.
        var missedUntil: Int64 = 0
        /// The ticket of the answer that has the entry sent again.
        var repair: Int?

        var hasOpen: Bool { first < next }
        var isOver: Bool { !hasOpen && missedVersion == 0 }

        mutating func open() -> Int {
            isBack.append(false)
            next += 1
            return next - 1
        }

        mutating func wait(_ completion: @escaping Completion) { waiting.append((next, completion)) }

        /// Gives a ticket back; returns the answers that stand, and those that are to be asked again.
        mutating func close(_ number: Int, isMissed: Bool) -> (stand: [Completion], fall: [Completion]) {
            isBack[head + number - first] = true
            while head < isBack.count, isBack[head] {
                head += 1
                first += 1
            }
            if head > 32, 2 * head > isBack.count {
                isBack.removeFirst(head)
                head = 0
            }
            if repair == number { repair = nil }
            var fall: [Completion] = []
            if isMissed {
                while let last = waiting.last, waiting.count > toldHead, last.end > number {
                    if let completion = last.completion { fall.append(completion) }
                    waiting.removeLast()
                }
            }
            var stand: [Completion] = []
            while toldHead < waiting.count, waiting[toldHead].end <= first {
                if let completion = waiting[toldHead].completion { stand.append(completion) }
                waiting[toldHead].completion = nil
                toldHead += 1
            }
            if toldHead > 32, 2 * toldHead > waiting.count {
                waiting.removeFirst(toldHead)
                toldHead = 0
            }
            return (stand, fall.reversed())
        }
    }

    private struct Keys {
        var doubts: [UInt64: Doubt] = [:]
        /// Versions that enough holders have, of keys that were or may be inherited.
        var confirmed: [UInt64: UInt64] = [:]
        /// Keys that were left in doubt, and until when, in order; those before `head` have been seen to.
        var expiring: [(until: Int64, position: UInt64)] = []
        var head = 0
    }

    /// What this node owns since a view whose hand-off is not over.
    private struct Inheritance: Sendable {
        /// The last table whose hand-off was over and all since: what it owned by each of them it did not inherit. Empty: there
        /// is none.
        let earlier: [RoutingTable]
        /// What is older is with all holders.
        let from: UInt64
    }

    private final class Part: Sendable {
        /// Guards a share of the keys.
        let keys = Mutex(Keys())
    }

    /// In each part: 64 times as many in all.
    private static let maxConfirmed = 4096
    private static let maxMissed = 1024

    /// Whether anything is kept at all.
    let isOn: Bool
    private let missedMilliseconds: Int64
    private let parts: [Part]
    /// Keys in doubt. Raised before the store has the change, so that whoever reads the change sees it.
    private let count = Atomic<Int>(0)
    private let round = Atomic<UInt64>(0)
    private let inheritance = Mutex<Inheritance?>(nil)
    private let hasInherited = Atomic<Bool>(false)

    /// `missedMilliseconds`: how long a change that was missed stays in doubt, at the most.
    init(isOn: Bool, missedMilliseconds: Int64) {
        self.isOn = isOn
        self.missedMilliseconds = missedMilliseconds
        parts = isOn ? (0..<64).map { _ in Part() } : []
    }

    /// Whether an answer can be in doubt now; asked after the store was read.
    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 && !hasInheritance }

    private func part(_ position: UInt64) -> Part { parts[Int(position >> 32) % parts.count] }

    // MARK: Changes

    /// The key at a position is about to be changed.
    func began(at position: UInt64) -> Ticket {
        part(position).keys.withLock { open(position, &$0) }
    }

    private func open(_ position: UInt64, _ keys: inout Keys) -> Ticket {
        if keys.doubts[position] == nil {
            count.add(1, ordering: .relaxed)
            keys.doubts[position] = Doubt()
        }
        return Ticket(position: position, number: keys.doubts[position]?.open() ?? 0)
    }

    /// The change of a ticket has become `version`, or there was none. A change of the expiry alone has the version 0: it
    /// says nothing about the value, and is not left in doubt.
    func ended(_ ticket: Ticket, _ fate: Fate, version: UInt64, now: Int64) {
        let told = part(ticket.position).keys.withLock { keys in
            let told = keys.doubts[ticket.position]?.close(ticket.number, isMissed: fate == .missed)
            switch fate {
            case .nothing: break
            case .held: settle(version, at: ticket.position, &keys)
            case .missed where version > 0: miss(version, at: ticket.position, &keys, now)
            case .missed: break
            }
            dropIfOver(ticket.position, &keys)
            return told
        }
        guard let told else { return }
        for completion in told.stand { completion(true) }
        for completion in told.fall { completion(false) }
    }

    /// Enough holders have this version of a key: what was missed until then does not matter.
    func spread(at position: UInt64, version: UInt64) {
        guard !isEmpty else { return }
        part(position).keys.withLock { keys in
            settle(version, at: position, &keys)
            dropIfOver(position, &keys)
        }
    }

    private func miss(_ version: UInt64, at position: UInt64, _ keys: inout Keys, _ now: Int64) {
        keys.doubts[position]?.missedRound = round.load(ordering: .acquiring)
        // A repair that fails does not prolong the doubt.
        guard let missed = keys.doubts[position]?.missedVersion, version > missed else { return }
        keys.doubts[position]?.missedVersion = version
        keys.doubts[position]?.missedUntil = now + missedMilliseconds
        keys.expiring.append((now + missedMilliseconds, position))
        // A holder that lives and takes no writes may make every key one of these: the oldest doubts are given up for memory.
        if keys.expiring.count - keys.head > Self.maxMissed { endOldestMissed(&keys, now: .max) }
    }

    private func endOldestMissed(_ keys: inout Keys, now: Int64) {
        let position = keys.expiring[keys.head].position
        keys.head += 1
        endMissed(position, &keys, now)
        guard 2 * keys.head >= keys.expiring.count else { return }
        keys.expiring.removeFirst(keys.head)
        keys.head = 0
    }

    /// Ends the doubt that a missed change left, if its time is over.
    private func endMissed(_ position: UInt64, _ keys: inout Keys, _ now: Int64) {
        guard let missed = keys.doubts[position]?.missedVersion, missed > 0,
            let until = keys.doubts[position]?.missedUntil, now >= until
        else { return }
        settle(missed, at: position, &keys)
        dropIfOver(position, &keys)
    }

    private func settle(_ version: UInt64, at position: UInt64, _ keys: inout Keys) {
        if hasInheritance {
            // Whoever is forgotten here is sent to its holders once more.
            if keys.confirmed.count >= Self.maxConfirmed { keys.confirmed = [:] }
            keys.confirmed[position, default: 0].raise(to: version)
        }
        if let missed = keys.doubts[position]?.missedVersion, version >= missed {
            keys.doubts[position]?.missedVersion = 0
        }
    }

    private func dropIfOver(_ position: UInt64, _ keys: inout Keys) {
        guard keys.doubts[position]?.isOver ?? false else { return }
        keys.doubts[position] = nil
        count.subtract(1, ordering: .relaxed)
    }

    // MARK: Answers

    /// Whether an answer about a key, made just now, can be given.
    func isCertain(at position: UInt64) -> Bool {
        guard !isEmpty else { return true }
        return part(position).keys.withLock { $0.doubts[position] == nil }
    }

    /// Whether `isInherited` has to be asked.
    var hasInheritance: Bool { hasInherited.load(ordering: .acquiring) }

    /// Whether a version of a key may be with this node alone because another one owned the key before.
    func isInherited(_ version: UInt64, at position: UInt64) -> Bool {
        guard hasInheritance, let inherited = inheritance.withLock({ $0 }), version >= inherited.from,
            inherited.earlier.isEmpty || !inherited.earlier.allSatisfy({ $0.isOwner(at: position) })
        else { return false }
        return part(position).keys.withLock { $0.confirmed[position] ?? 0 < version }
    }

    /// How an answer about a key stands that was made before; `completion` is called once, unless it is certain.
    func ask(at position: UInt64, now: Int64, _ completion: @escaping Completion) -> Certainty {
        part(position).keys.withLock { keys in
            endMissed(position, &keys, now)
            guard let missed = keys.doubts[position]?.missedVersion else { return .certain }
            guard missed > 0, keys.doubts[position]?.repair == nil else {
                keys.doubts[position]?.wait(completion)
                return .waiting
            }
            return .repair(openRepair(position, &keys, completion), version: missed)
        }
    }

    /// As `ask` for a version that is inherited.
    func askAboutInherited(at position: UInt64, _ completion: @escaping Completion) -> Certainty {
        part(position).keys.withLock { keys in
            guard keys.doubts[position]?.repair == nil else {
                keys.doubts[position]?.wait(completion)
                return .waiting
            }
            return .repair(openRepair(position, &keys, completion), version: 0)
        }
    }

    private func openRepair(_ position: UInt64, _ keys: inout Keys, _ completion: @escaping Completion) -> Ticket {
        let ticket = open(position, &keys)
        keys.doubts[position]?.repair = ticket.number
        keys.doubts[position]?.wait(completion)
        return ticket
    }

    // MARK: Hand-off

    /// A view comes by which this node may own other keys than by the tables `earlier`: the one in which it has settled, and
    /// all since. What is older than the version `from` is with all holders.
    func viewComes(after earlier: [RoutingTable], recentFrom from: UInt64) {
        guard isOn else { return }
        inheritance.withLock { $0 = Inheritance(earlier: earlier, from: min($0?.from ?? from, from)) }
        hasInherited.store(true, ordering: .releasing)
    }

    /// Forgets what is no doubt any more; to be called now and then. O(what was left in doubt since).
    func sweep(now: Int64) {
        for part in parts {
            part.keys.withLock { keys in
                while keys.head < keys.expiring.count, keys.expiring[keys.head].until <= now {
                    endOldestMissed(&keys, now: now)
                }
                // Dictionaries and arrays keep the room that they once needed.
                if keys.expiring.isEmpty { keys.expiring = [] }
                if keys.doubts.isEmpty { keys.doubts = [:] }
            }
        }
    }

    /// A round that offers everything to everybody begins; returns its number.
    func roundBegan() -> UInt64 { round.add(1, ordering: .acquiringAndReleasing).newValue }

    /// All holders have what this node had when the round, that of the newest view, began.
    func roundSettled(_ number: UInt64) {
        guard !isEmpty else { return }
        hasInherited.store(false, ordering: .releasing)
        inheritance.withLock { $0 = nil }
        for part in parts {
            part.keys.withLock { keys in
                keys.confirmed = [:]
                for position in Array(keys.doubts.keys) {
                    guard let round = keys.doubts[position]?.missedRound, round < number else { continue }
                    keys.doubts[position]?.missedVersion = 0
                    dropIfOver(position, &keys)
                }
            }
        }
    }
}

extension UInt64 {
    fileprivate mutating func raise(to other: UInt64) { self = Swift.max(self, other) }
}
