// Who owns and holds what under a view, beside a slow model that asks the ring for everything.

import HashRing
import Membership
import TestSupport
import Testing

@testable import CacheNode

/// The rules in their plainest form.
private struct NaiveRouting {
    /// Members that answer for names, and who stands in or by for whom.
    private struct Layout {
        let ring: HashRing
        let standIns: [String: String]
        let mirrors: [String: String]

        init(_ serving: [String], _ view: View, _ virtualNodes: Int) {
            mirrors = Dictionary(uniqueKeysWithValues: view.mirrors.map { ($0.key.text, $0.value.text) })
            var standIns: [String: String] = [:]
            for (mirror, origin) in mirrors where view.member(MemberID(mirror)) != nil && !serving.contains(origin) {
                standIns[origin] = min(standIns[origin] ?? mirror, mirror)
            }
            self.standIns = standIns
            ring = HashRing(members: serving + standIns.keys, virtualNodes: virtualNodes)
        }

        /// Owner first, then those that stand by for it, then replicas.
        func holders(_ position: UInt64, _ count: Int) -> [String] {
            let names = ring.successors(at: position, count: count).map(ring.id(of:))
            let answering = names.map { standIns[$0] ?? $0 }
            guard let owner = names.first else { return [] }
            let mirrors = mirrors.filter { $0.value == owner }.keys.sorted()
            return answering.prefix(1) + mirrors.filter { $0 != answering[0] } + answering.dropFirst()
        }
    }

    let replicas: Int
    /// Of those that serve.
    private let now: Layout
    /// Of those that will when this view is settled; the same as now when nobody would.
    private let future: Layout

    init(view: View, selfID: String, replicas: Int, virtualNodes: Int, isLeaving: Bool) {
        self.replicas = replicas
        let members = view.members.map(\.id.text)
        now = Layout(members.filter { view.serving.contains(MemberID($0)) }, view, virtualNodes)
        let staying = members.filter { view.mirrors[MemberID($0)] == nil && (!isLeaving || $0 != selfID) }
        let coming = Layout(staying, view, virtualNodes)
        future = coming.ring.members.isEmpty ? now : coming
    }

    func owner(_ position: UInt64) -> String? { now.holders(position, 1).first }
    var names: Int { now.ring.members.count }

    func holders(_ position: UInt64) -> [String] {
        var holders: [String] = []
        for id in now.holders(position, replicas + 1) + future.holders(position, replicas + 1)
        where !holders.contains(id) { holders.append(id) }
        return holders
    }
}

private func name(_ owner: RoutingTable.Owner, selfID: String) -> String? {
    switch owner {
    case .me: selfID
    case .node(let target): target.id.text
    case .nobody: nil
    }
}

private func view(
    _ members: [String], serving: [String]? = nil, mirrors: [String: String] = [:], number: UInt64 = 3
) -> View {
    View(
        epoch: Epoch(number: number, proposer: MemberID(members.first ?? "")),
        members: members.enumerated().map { member($1, port: 8001 + $0, incarnation: UInt64($0) + 10) },
        serving: serving.map { Set($0.map { MemberID($0) }) },
        mirrors: Dictionary(uniqueKeysWithValues: mirrors.map { (MemberID($0.key), MemberID($0.value)) }))
}

private func table(
    _ view: View?, self id: String = "a", replicas: Int = 1, isLeaving: Bool = false, mayServeAlone: Bool = true
) -> RoutingTable {
    RoutingTable(
        view: view, selfID: MemberID(id), replicas: replicas, virtualNodes: 4, isLeaving: isLeaving,
        mayServeAlone: mayServeAlone)
}

@Suite("Routing table")
struct RoutingTableTests {
    @Test(
        "Owner, copies and holders are those of the model, joining and leaving members included",
        arguments: UInt64(1)...60)
    func againstModel(seed: UInt64) throws {
        print("routing, seed \(seed)")
        var random = SeededRandom(seed: seed)
        let members = (0..<Int.random(in: 1...7, using: &random)).map { "node-\($0)" }.shuffled(using: &random)
        var mirrors: [String: String] = [:]
        for member in members where Int.random(in: 0..<5, using: &random) == 0 {
            // The origin may be gone.
            mirrors[member] = "node-\(Int.random(in: 0..<8, using: &random))"
            if mirrors[member] == member { mirrors[member] = nil }
        }
        let serving = members.filter { mirrors[$0] == nil && Int.random(in: 0..<4, using: &random) > 0 }
        let replicas = Int.random(in: 0...3, using: &random)
        let isLeaving = Int.random(in: 0..<3, using: &random) == 0
        let view = view(members, serving: serving, mirrors: mirrors)
        // Mostly a member; one that was expelled still routes by its last view.
        let selfID = Int.random(in: 0..<8, using: &random) == 0 ? "other" : members[members.count / 2]
        let table = table(view, self: selfID, replicas: replicas, isLeaving: isLeaving)
        let model = NaiveRouting(
            view: view, selfID: selfID, replicas: replicas, virtualNodes: 4, isLeaving: isLeaving)

        #expect(table.isServing == (serving.contains(selfID) || mirrors[selfID] != nil))
        for index in 0..<100 {
            let position = index == 0 ? 0 : index == 1 ? .max : random.next()
            #expect(name(table.owner(at: position), selfID: selfID) == model.owner(position))
            let holders = model.holders(position)
            let copies = table.copies(at: position)
            #expect(copies.map(\.id.text) == holders.filter { $0 != selfID })
            for copy in copies {
                let identity = try #require(view.member(copy.id))
                #expect(copy.address == identity.address && copy.incarnation == identity.incarnation)
            }
            #expect(table.isHolder(at: position) == holders.contains(selfID))
        }
        #expect(table.availableReplicas == min(replicas, max(0, model.names - 1)))
        for id in members + ["nobody"] {
            #expect(table.isMember(MemberID(id)) == members.contains(id))
            let hasStoodIn = mirrors[id].map { !serving.contains($0) } ?? false
            #expect(table.isUpToDate(MemberID(id)) == (serving.contains(id) || hasStoodIn))
        }
        #expect(Set(table.others.map(\.id.text)) == Set(members).subtracting([selfID]))
    }

    @Test("While a member joins it answers for nothing, and every write goes to it where it will own or replicate")
    func joining() {
        let joining = table(view(["a", "b", "c"], serving: ["a", "b"]), self: "a", replicas: 0)
        let afterwards = table(view(["a", "b", "c"]), self: "a", replicas: 0)
        #expect(joining.isChanging && !afterwards.isChanging)
        var random = SeededRandom(seed: 3)
        var owned = 0
        for _ in 0..<500 {
            let position = random.next()
            let owner = name(joining.owner(at: position), selfID: "a")
            #expect(owner != "c")
            let next = name(afterwards.owner(at: position), selfID: "a")
            let copies = joining.copies(at: position).map(\.id.text)
            #expect(copies.contains("c") == (next == "c"))
            if next == "c" { owned += 1 }
        }
        #expect(owned > 50)
        let itself = table(view(["a", "b", "c"], serving: ["a", "b"]), self: "c", replicas: 0)
        #expect(!itself.isServing)
    }

    @Test("A node that leaves still answers, and its keys go to whoever will own them")
    func leaving() {
        let leaving = table(view(["a", "b", "c"]), self: "a", replicas: 0, isLeaving: true)
        let afterwards = table(view(["b", "c"]), self: "b", replicas: 0)
        #expect(leaving.isServing && leaving.isChanging)
        var random = SeededRandom(seed: 4)
        var owned = 0
        for _ in 0..<500 {
            let position = random.next()
            guard case .me = leaving.owner(at: position) else { continue }
            owned += 1
            #expect(leaving.isHolder(at: position))
            #expect(leaving.copies(at: position).map(\.id.text) == [name(afterwards.owner(at: position), selfID: "b")])
        }
        #expect(owned > 50)
    }

    @Test("The last member that leaves has nobody to hand over to")
    func leavingAlone() {
        let table = table(view(["a"]), replicas: 1, isLeaving: true)
        #expect(!table.isChanging && table.copies(at: 7).isEmpty && table.isHolder(at: 7))
    }

    @Test("Only the one member of a view that serves, where nobody is asked, skips the cluster")
    func servesAlone() {
        #expect(table(view(["a"])).servesAlone)
        #expect(!table(view(["a"]), mayServeAlone: false).servesAlone)
        #expect(!table(view(["a"], serving: [])).servesAlone)
        #expect(!table(view(["b"])).servesAlone)
        #expect(!table(view(["a", "b"])).servesAlone)
        #expect(!table(view(["a", "b"], serving: ["a"])).servesAlone)
        #expect(!table(nil).servesAlone)
    }

    @Test("A mirror holds what its origin owns, and answers for it while the origin does not serve")
    func mirrors() {
        let there = table(view(["a", "b", "m"], mirrors: ["m": "b"]), self: "a", replicas: 0)
        let gone = table(view(["a", "m"], mirrors: ["m": "b"]), self: "a", replicas: 0)
        let back = table(view(["a", "m", "b"], serving: ["a"], mirrors: ["m": "b"]), self: "a", replicas: 0)
        #expect(there.ring.members == ["a", "b"] && gone.ring.members == ["a", "b"])
        #expect(!there.isChanging && !gone.isChanging && back.isChanging)
        let mirror = table(view(["a", "m"], mirrors: ["m": "b"]), self: "m", replicas: 0)
        var random = SeededRandom(seed: 5)
        var owned = 0
        for _ in 0..<200 {
            let position = random.next()
            guard name(there.owner(at: position), selfID: "a") == "b" else {
                #expect(name(gone.owner(at: position), selfID: "a") == "a" && !mirror.isHolder(at: position))
                continue
            }
            owned += 1
            #expect(there.copies(at: position).map(\.id.text) == ["b", "m"])
            #expect(name(gone.owner(at: position), selfID: "a") == "m")
            #expect(gone.copies(at: position).map(\.id.text) == ["m"])
            // Until the origin has its keys again the mirror answers, and both are told of changes.
            #expect(name(back.owner(at: position), selfID: "a") == "m")
            #expect(back.copies(at: position).map(\.id.text) == ["m", "b"])
            #expect(name(mirror.owner(at: position), selfID: "m") == "m" && mirror.isHolder(at: position))
        }
        #expect(owned > 50)
    }

    @Test("Before any view nobody owns a key")
    func noView() {
        let none = RoutingTable.none(selfID: MemberID("a"))
        #expect(name(none.owner(at: 1), selfID: "a") == nil)
        #expect(none.copies(at: 1).isEmpty && !none.isHolder(at: 1) && !none.isServing && !none.servesAlone)
        #expect(none.epoch == .none && none.availableReplicas == 0 && none.others.isEmpty)
    }

    @Test("A member whose address is none owns its keys but can't be asked or told")
    func unusableAddress() {
        let members = [
            member("a"), MemberIdentity(id: MemberID("b"), address: "nowhere", incarnation: 1),
        ]
        let table = table(View(epoch: Epoch(number: 1, proposer: MemberID("a")), members: members), replicas: 1)
        var random = SeededRandom(seed: 6)
        var nobody = 0
        for _ in 0..<200 {
            let position = random.next()
            #expect(table.copies(at: position).isEmpty)
            if case .nobody = table.owner(at: position) { nobody += 1 }
        }
        #expect(nobody > 20)
        #expect(table.others.isEmpty)
    }

    @Test("The owners of a key are those of its position, in ring order")
    func ownersOfKey() {
        let table = table(view(["a", "b", "c", "d"]), replicas: 2)
        for index in 0..<50 {
            Array("key-\(index)".utf8).withUnsafeBytes { key in
                let owners = table.owners(of: key)
                let position = RingHash.hash(key)
                #expect(owners.count == 3)
                #expect(owners.first == name(table.owner(at: position), selfID: "a"))
                #expect(owners.filter { $0 != "a" } == table.copies(at: position).map(\.id.text))
            }
        }
    }

    @Test(
        "An address is a host and a port",
        arguments: [
            ("127.0.0.1:8001", "127.0.0.1", 8001), ("node.example:1", "node.example", 1), ("[::1]:65535", "::1", 65535),
        ])
    func addresses(_ address: String, host: String, port: Int) {
        let target = PeerTarget(address: address)
        #expect(target?.host == host && target?.port == port && target?.address == address)
    }

    @Test(
        "What is no host and port is no target",
        arguments: [
            "", ":", "host", "host:", "host:0", "host:65536", ":80", "[]:80", "host:-1", "host:8o",
            "host:99999999999999999999",
        ])
    func badAddresses(_ address: String) {
        #expect(PeerTarget(address: address) == nil)
    }

    @Test("A thread's copy of the routing is brought up to date when another is published, and only then")
    func routingState() {
        let first = table(view(["a"], number: 4))
        let second = table(view(["a", "b"], number: 5))
        let state = RoutingState(first)
        var (copy, seen) = (state.table, UInt64(0))
        state.refresh(&copy, &seen)
        #expect(copy === first)
        state.publish(second)
        #expect(copy === first && state.epochNumber == 5)
        state.refresh(&copy, &seen)
        #expect(copy === second && state.table === second)
        // Nothing new: whatever the copy is, it stays.
        copy = first
        state.refresh(&copy, &seen)
        #expect(copy === first)
    }

    @Test("A node may act until its limit, and not at all before it is given one")
    func mayAct() {
        let state = RoutingState(.none(selfID: MemberID("a")))
        #expect(!state.mayAct(now: 0) && !state.mayAct(now: .min))
        state.mayAct(until: 100)
        #expect(state.mayAct(now: 99) && !state.mayAct(now: 100))
        state.mayAct(until: .max)
        #expect(state.mayAct(now: .max - 1))
        state.mayAct(until: .min)
        #expect(!state.mayAct(now: 0))
    }
}
