// Who owns which key under one view: an immutable snapshot, swapped whole. The data path reads one and never waits for the
// membership.
//
// While members are joining there are two rings. Clients are answered by `ring`, that of the serving members; whatever is
// written goes to the holders under both, and what is there already is copied by Handoff. The next view has the joining
// members serve, with their keys in place.
//
// A mirror stands by for one member, its origin, and is no point on the ring. It holds what the origin owns; while the
// origin does not serve, the origin's points stay on the ring and lead to the mirror.

import HashRing
import Membership

/// The routing of one view, as one node sees it.
final class RoutingTable: Sendable {
    /// Where a key belongs.
    enum Owner {
        case me
        case node(PeerTarget)
        /// There is no view, or the owner's address is none.
        case nobody
    }

    /// A ring and who stands behind its names.
    private struct Layout: Sendable {
        let ring: HashRing
        /// By place in the ring: who answers for the name; nil for this node and for an address that is none.
        let targets: [PeerTarget?]
        /// By place in the ring: whether this node answers for the name.
        let isMine: [Bool]
        /// By place in the ring: other nodes that stand by for the name, and whether this one does.
        let mirrors: [[PeerTarget]]
        let isMirroredHere: [Bool]
    }

    let view: View?
    let selfID: MemberID
    let replicas: Int
    /// All other members.
    let others: [PeerTarget]
    /// This node answers for every key and has nobody to tell: the data path skips everything else.
    let servesAlone: Bool
    /// Of those that own keys.
    private let current: Layout
    /// Of those that will; nil when they are the same.
    private let next: Layout?

    /// Before any view.
    static func none(selfID: MemberID) -> RoutingTable {
        RoutingTable(view: nil, selfID: selfID, replicas: 0, virtualNodes: 1, isLeaving: false, mayServeAlone: false)
    }

    /// `isLeaving`: this node hands its keys over before it goes. `mayServeAlone`: without others nobody is asked whether
    /// this node may act.
    init(
        view: View?, selfID: MemberID, replicas: Int, virtualNodes: Int, isLeaving: Bool, mayServeAlone: Bool
    ) {
        self.view = view
        self.selfID = selfID
        self.replicas = replicas
        let members = view?.members ?? []
        others = members.filter { $0.id != selfID }.compactMap { PeerTarget($0) }
        let mirrors = view?.mirrors ?? [:]
        let future = members.map(\.id).filter { mirrors[$0] == nil && !(isLeaving && $0 == selfID) }
        let now = members.map(\.id).filter { view?.serving.contains($0) ?? false }
        current = Self.layout(now, members, mirrors, selfID, virtualNodes)
        let coming = Self.layout(future, members, mirrors, selfID, virtualNodes)
        let isSame = coming.ring.members == current.ring.members && coming.targets == current.targets
        next = isSame || coming.ring.members.isEmpty ? nil : coming
        servesAlone = mayServeAlone && members.count == 1 && current.ring.members == [selfID.text]
    }

    /// `serving`: members that answer for their own names. Origins of mirrors that are not among them keep their names.
    private static func layout(
        _ serving: [MemberID], _ members: [MemberIdentity], _ mirrors: [MemberID: MemberID], _ selfID: MemberID,
        _ virtualNodes: Int
    ) -> Layout {
        let byID = Dictionary(members.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let isServing = Set(serving)
        // The first by id answers, should an origin have several.
        var standIns: [String: MemberID] = [:]
        for (mirror, origin) in mirrors.sorted(by: { $0.key < $1.key })
        where !isServing.contains(origin) && byID[mirror] != nil && standIns[origin.text] == nil {
            standIns[origin.text] = mirror
        }
        let ring = HashRing(members: serving.map(\.text) + standIns.keys, virtualNodes: virtualNodes)
        func answering(_ name: String) -> MemberID { standIns[name] ?? MemberID(name) }
        func target(_ id: MemberID) -> PeerTarget? { id == selfID ? nil : byID[id].flatMap { PeerTarget($0) } }
        return Layout(
            ring: ring, targets: ring.members.map { target(answering($0)) },
            isMine: ring.members.map { answering($0) == selfID },
            mirrors: ring.members.map { name in
                mirrors.filter { $0.value.text == name && $0.key != answering(name) }.keys.sorted().compactMap(target)
            },
            isMirroredHere: ring.members.map { mirrors[selfID]?.text == $0 })
    }

    var epoch: Epoch { view?.epoch ?? .none }

    /// Whether the node is what the view wants it to be: an owner, or a mirror, and not on its way in.
    var isServing: Bool { view.map { $0.serving.contains(selfID) || $0.mirrors[selfID] != nil } ?? false }

    /// Of the names that own keys.
    var ring: HashRing { current.ring }

    /// Keys are being copied to nodes that will own them.
    var isChanging: Bool { next != nil }

    /// Who answers for a position on the ring.
    func owner(at position: UInt64) -> Owner {
        guard let index = current.ring.owner(at: position) else { return .nobody }
        if current.isMine[index.rawValue] { return .me }
        return current.targets[index.rawValue].map { .node($0) } ?? .nobody
    }

    /// Whether this node answers for a position.
    func isOwner(at position: UInt64) -> Bool {
        if case .me = owner(at: position) { true } else { false }
    }

    /// The other nodes that have to hold what stands at a position: owner, replicas and mirrors, of both rings.
    func copies(at position: UInt64) -> [PeerTarget] {
        var copies: [PeerTarget] = []
        collect(current, position, &copies)
        if let next { collect(next, position, &copies) }
        return copies
    }

    private func collect(_ layout: Layout, _ position: UInt64, _ copies: inout [PeerTarget]) {
        for (place, index) in layout.ring.successors(at: position, count: replicas + 1).enumerated() {
            if let target = layout.targets[index.rawValue], !copies.contains(target) { copies.append(target) }
            guard place == 0 else { continue }
            for mirror in layout.mirrors[index.rawValue] where !copies.contains(mirror) { copies.append(mirror) }
        }
    }

    /// Whether who answered for a position in an earlier table is a member in this one, the same run of it.
    func hasMember(owning position: UInt64, in earlier: RoutingTable) -> Bool {
        switch earlier.owner(at: position) {
        case .me: true
        case .node(let target): others.contains(target)
        case .nobody: false
        }
    }

    /// Whether this node has to hold what stands at a position.
    func isHolder(at position: UInt64) -> Bool {
        isHolder(current, position) || next.map { isHolder($0, position) } ?? false
    }

    private func isHolder(_ layout: Layout, _ position: UInt64) -> Bool {
        let successors = layout.ring.successors(at: position, count: replicas + 1)
        if let owner = successors.first, layout.isMirroredHere[owner.rawValue] { return true }
        return successors.contains { layout.isMine[$0.rawValue] }
    }

    /// How many replicas a key can have now.
    var availableReplicas: Int { min(replicas, max(current.ring.members.count - 1, 0)) }

    /// How many replicas must have a change before it is acknowledged, at the least. Where a majority decides, so many that
    /// every majority has one of the holders, as far as there are replicas: or those that hold it could be cut off from the
    /// side that goes on, which would answer without it.
    func neededReplicas(least: Int) -> Int {
        guard least > 0, let view else { return least }
        return max(least, min(availableReplicas, view.members.count - view.majority))
    }

    /// Whether changes of this node's keys go to other nodes.
    var hasCopies: Bool { replicas > 0 || next != nil || !(view?.mirrors.isEmpty ?? true) }

    /// A member's part, for operators.
    func role(of id: MemberID) -> String {
        guard let view, view.member(id) != nil else { return "none" }
        if view.serving.contains(id) { return "serving" }
        return view.mirrors[id] == nil ? "joining" : "mirror"
    }

    func isMember(_ id: MemberID) -> Bool { view?.member(id) != nil }

    /// Whether what a member holds is up to date: it serves, or stands in for one that is not there.
    func isUpToDate(_ id: MemberID) -> Bool {
        guard let view, view.member(id) != nil else { return false }
        return view.serving.contains(id) || view.mirrors[id].map { !view.serving.contains($0) } ?? false
    }

    /// The ids of those that answer for a key and hold its replicas, in ring order.
    func owners(of key: UnsafeRawBufferPointer) -> [String] {
        current.ring.successors(of: key, count: replicas + 1).map { index in
            current.isMine[index.rawValue]
                ? selfID.text : current.targets[index.rawValue]?.id.text ?? current.ring.id(of: index)
        }
    }

}
