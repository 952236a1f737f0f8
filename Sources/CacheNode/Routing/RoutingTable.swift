// Who owns which key under one view: an immutable snapshot, swapped whole. The data path reads one and never waits for the
// membership.
//
// While members are joining there are two rings. Clients are answered by `ring`, that of the serving members; whatever is
// written goes to the holders under both, and what is there already is copied by Handoff. The next view has the joining
// members serve, with their keys in place.

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

    let view: View?
    let selfID: MemberID
    let replicas: Int
    /// Of the serving members.
    let ring: HashRing
    /// Of those that will serve; nil when they are the same.
    let nextRing: HashRing?
    /// This node answers for every key and has nobody to tell: the data path skips everything else.
    let servesAlone: Bool
    /// By place in `ring`; nil for this node.
    private let targets: [PeerTarget?]
    private let nextTargets: [PeerTarget?]
    private let selfIndex: RingIndex?

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
        let serving = view?.serving ?? []
        ring = HashRing(
            members: members.map(\.id.text).filter { serving.contains(MemberID($0)) }, virtualNodes: virtualNodes)
        let future = members.map(\.id.text).filter { !isLeaving || $0 != selfID.text }
        nextRing =
            Set(future) == Set(ring.members) || future.isEmpty
            ? nil : HashRing(members: future, virtualNodes: virtualNodes)
        let byID = Dictionary(members.map { ($0.id.text, $0) }, uniquingKeysWith: { first, _ in first })
        func target(_ id: String) -> PeerTarget? {
            id == selfID.text ? nil : byID[id].flatMap { PeerTarget($0) }
        }
        targets = ring.members.map(target)
        nextTargets = nextRing?.members.map(target) ?? []
        selfIndex = ring.index(of: selfID.text)
        servesAlone = mayServeAlone && members.count == 1 && selfIndex != nil
    }

    var epoch: Epoch { view?.epoch ?? .none }
    var isServing: Bool { selfIndex != nil }

    /// Who answers for a position on the ring.
    func owner(at position: UInt64) -> Owner {
        guard let index = ring.owner(at: position) else { return .nobody }
        if index == selfIndex { return .me }
        return targets[index.rawValue].map { .node($0) } ?? .nobody
    }

    /// The other nodes that have to hold what stands at a position: owner and replicas, of both rings.
    func copies(at position: UInt64) -> [PeerTarget] {
        var copies = ring.successors(at: position, count: replicas + 1).compactMap { targets[$0.rawValue] }
        if let nextRing {
            for index in nextRing.successors(at: position, count: replicas + 1) {
                if let target = nextTargets[index.rawValue], !copies.contains(target) { copies.append(target) }
            }
        }
        return copies
    }

    /// Whether this node has to hold what stands at a position.
    func isHolder(at position: UInt64) -> Bool {
        isHolder(selfID.text, of: ring, at: position)
            || nextRing.map { isHolder(selfID.text, of: $0, at: position) } ?? false
    }

    private func isHolder(_ id: String, of ring: HashRing, at position: UInt64) -> Bool {
        ring.successors(at: position, count: replicas + 1).contains { ring.id(of: $0) == id }
    }

    /// How many replicas a key can have now.
    var availableReplicas: Int { min(replicas, max(ring.members.count - 1, 0)) }

    /// Whether a node is in the view, and whether it serves.
    func standing(of id: MemberID) -> (isMember: Bool, isServing: Bool) {
        (view?.member(id) != nil, view?.serving.contains(id) ?? false)
    }

    /// The owner's id and those of its replicas, in ring order.
    func owners(of key: UnsafeRawBufferPointer) -> [String] {
        ring.successors(of: key, count: replicas + 1).map { ring.id(of: $0) }
    }

    /// All other members.
    var others: [PeerTarget] {
        (view?.members ?? []).filter { $0.id != selfID }.compactMap { PeerTarget($0) }
    }
}
