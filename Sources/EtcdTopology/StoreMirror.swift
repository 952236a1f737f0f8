// The cluster's keys as of one revision: a list, and the changes watched since. It only reads; what follows from it is
// EtcdMembership's business.

import Membership

/// A node's claim as it stands in the store.
struct Claim: Equatable, Sendable {
    var identity: MemberIdentity
    var floor: UInt64
    var lease: LeaseID?
    var createRevision: Revision
    var modRevision: Revision
}

/// A view and where it comes from.
struct StoredView: Equatable, Sendable {
    var view: View
    var base: UInt64
    var origin: LeaseID
}

/// All that etcd says about one cluster.
struct StoreMirror: Sendable {
    /// Which store this is.
    let clusterID: UInt64
    private(set) var revision: Revision
    private(set) var claims: [MemberID: Claim] = [:]
    private(set) var view: StoredView?
    /// When the view's key was written last, also when its value makes no sense; `.none` without one.
    private(set) var viewRevision = Revision.none
    private(set) var settled: [MemberID: UInt64] = [:]
    private(set) var departed: [MemberID: DepartureRecord] = [:]
    private let layout: KeyLayout
    /// Values that were dropped because they make no sense, with the reason; for the log.
    private var dropped: [String] = []

    /// From a list; O(length).
    init(_ pairs: [KeyValue], header: StoreHeader, layout: KeyLayout) {
        clusterID = header.clusterID
        revision = header.revision
        self.layout = layout
        for pair in pairs { put(pair) }
    }

    /// Changes later than the mirror; earlier ones are no news.
    mutating func apply(_ events: [KeyEvent]) {
        var latest = revision
        for event in events {
            switch event {
            case .put(let pair):
                guard pair.modRevision > revision else { continue }
                latest = max(latest, pair.modRevision)
                put(pair)
            case .deleted(let key, let at):
                guard at > revision else { continue }
                latest = max(latest, at)
                delete(key)
            }
        }
        revision = latest
    }

    /// What was dropped since the last call.
    mutating func takeDropped() -> [String] {
        defer { dropped = [] }
        return dropped
    }

    /// The highest number that a living node has been under.
    var floor: UInt64 { claims.values.reduce(0) { max($0, $1.floor) } }

    private mutating func put(_ pair: KeyValue) {
        guard let key = layout.meaning(of: pair.key) else {
            dropped.append("\(pair.key.prefix(256)): no key of a cluster")
            return
        }
        // A value that makes no sense replaces the one before all the same.
        forget(key)
        do throws(EtcdError) {
            switch key {
            case .claim(let id):
                let record = try ClaimRecord(pair.value)
                guard record.identity.id == id else { throw .malformed("a claim of another id") }
                claims[id] = Claim(
                    identity: record.identity, floor: record.floor, lease: pair.lease,
                    createRevision: pair.createRevision, modRevision: pair.modRevision)
            case .view:
                viewRevision = pair.modRevision
                let record = try ViewRecord(pair.value)
                let number = record.base + UInt64(max(pair.modRevision.rawValue, 0))
                view = StoredView(
                    view: View(
                        epoch: Epoch(number: number, proposer: record.proposer), members: record.members,
                        serving: record.serving, mirrors: record.mirrors),
                    base: record.base, origin: record.origin)
            case .settled(let id): settled[id] = try SettledRecord.number(pair.value)
            case .departed(let id): departed[id] = try DepartureRecord(pair.value)
            }
        } catch {
            dropped.append("\(pair.key.prefix(256)): \(error)")
        }
    }

    private mutating func delete(_ key: String) {
        if let key = layout.meaning(of: key) { forget(key) }
    }

    private mutating func forget(_ key: StoreKey) {
        switch key {
        case .claim(let id): claims[id] = nil
        case .view:
            view = nil
            viewRevision = .none
        case .settled(let id): settled[id] = nil
        case .departed(let id): departed[id] = nil
        }
    }
}
