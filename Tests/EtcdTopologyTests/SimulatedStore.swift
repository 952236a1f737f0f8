// What etcd promises about keys, leases, transactions and watches, as slowly and obviously as can be.

@testable import EtcdTopology

struct SimulatedStore {
    struct StoredLease {
        let ttlSeconds: Int64
        var end: Int64
    }

    let clusterID: UInt64
    private(set) var revision: Int64 = 1
    private(set) var pairs: [String: KeyValue] = [:]
    private(set) var leases: [Int64: StoredLease] = [:]
    /// Every change with its revision; those up to `compacted` cannot be watched any more.
    private(set) var history: [(revision: Int64, event: KeyEvent)] = []
    private(set) var compacted: Int64 = 0
    private var nextLease: Int64

    init(clusterID: UInt64 = 7, firstLease: Int64 = 1) {
        self.clusterID = clusterID
        nextLease = firstLease
    }

    var header: StoreHeader { StoreHeader(clusterID: clusterID, revision: Revision(rawValue: revision)) }

    mutating func answer(_ request: GatewayRequest, now: Int64) -> Result<EtcdReply, EtcdError> {
        switch request {
        case .grant(let ttlSeconds):
            nextLease += 1
            leases[nextLease] = StoredLease(ttlSeconds: ttlSeconds, end: now + ttlSeconds * 1000)
            return reply(.granted(LeaseID(rawValue: nextLease), ttlSeconds: ttlSeconds))
        case .keepAlive(let id):
            guard let lease = leases[id.rawValue] else { return reply(.kept(ttlSeconds: 0)) }
            leases[id.rawValue]?.end = now + lease.ttlSeconds * 1000
            return reply(.kept(ttlSeconds: lease.ttlSeconds))
        case .revoke(let id):
            guard leases[id.rawValue] != nil else { return .failure(.leaseNotFound) }
            end(lease: id.rawValue)
            return reply(.revoked)
        case .list(let prefix):
            let found = pairs.values.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }
            return reply(.listed(found))
        case .commit(let transaction):
            guard transaction.conditions.allSatisfy(holds) else { return reply(.committed(succeeded: false)) }
            for case .put(_, _, let lease?) in transaction.operations where leases[lease.rawValue] == nil {
                return .failure(.leaseNotFound)
            }
            revision += 1
            for operation in transaction.operations { apply(operation) }
            return reply(.committed(succeeded: true))
        case .watch:
            return .failure(.malformed("a watch has no single reply"))
        }
    }

    /// Ends leases whose time is over.
    mutating func expire(now: Int64) {
        for id in leases.filter({ $0.value.end <= now }).keys.sorted() { end(lease: id) }
    }

    /// Ends a lease and removes its keys, each... in one revision, as etcd does.
    mutating func end(lease id: Int64) {
        guard leases.removeValue(forKey: id) != nil else { return }
        let keys = pairs.values.filter { $0.lease?.rawValue == id }.map(\.key).sorted()
        guard !keys.isEmpty else { return }
        revision += 1
        for key in keys { apply(.delete(key)) }
    }

    /// A change that is none of ours.
    mutating func touchForeignKey() {
        revision += 1
        apply(.put("/foreign", value: [], lease: nil))
    }

    mutating func compact() {
        compacted = revision
    }

    /// Events from a revision on, nil when they are no longer known.
    func events(prefix: String, from first: Int64) -> [KeyEvent]? {
        guard first > compacted else { return nil }
        return history.filter { $0.revision >= first }.map(\.event).filter { event in
            switch event {
            case .put(let pair): pair.key.hasPrefix(prefix)
            case .deleted(let key, _): key.hasPrefix(prefix)
            }
        }
    }

    private func holds(_ condition: Transaction.Condition) -> Bool {
        switch condition {
        case .created(let key, let at): (pairs[key]?.createRevision ?? .none) == at
        case .modified(let key, let at): (pairs[key]?.modRevision ?? .none) == at
        }
    }

    private mutating func apply(_ operation: Transaction.Operation) {
        let now = Revision(rawValue: revision)
        switch operation {
        case .put(let key, let value, let lease):
            let pair = KeyValue(
                key: key, value: value, createRevision: pairs[key]?.createRevision ?? now, modRevision: now,
                lease: lease)
            pairs[key] = pair
            history.append((revision, .put(pair)))
        case .delete(let key):
            guard pairs.removeValue(forKey: key) != nil else { return }
            history.append((revision, .deleted(key: key, at: now)))
        }
    }

    private func reply(_ content: EtcdReply.Content) -> Result<EtcdReply, EtcdError> {
        .success(EtcdReply(header: header, content: content))
    }
}
