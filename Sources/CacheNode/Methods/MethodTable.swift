// All methods, one line each. Dispatch, `rpc.discover` and schemas/openrpc.json come from this table.

import JSONRPC

/// Finds methods by name.
struct MethodTable: Sendable {
    static let all: [RPCMethod] = [
        CacheGet.one,
        CachePut.one,
        CacheDelete.one,
        CacheTouch.one,
        CacheIncr.one,
        CacheGet.many,
        CachePut.many,
        CacheDelete.many,
        CacheDelete.flush,
        CacheInvalidate.one,
        NodeStats.stats,
        NodeStats.health,
        NodeStats.config,
        NodeReconstruct.one,
        ClusterStatus.members,
        ClusterStatus.status,
        ClusterStatus.ring,
        ClusterStatus.owner,
        ClusterChange.connect,
        ClusterChange.remove,
        ClusterChange.leave,
        RPCDiscover.one,
    ]

    /// What nodes ask of each other, behind the methods of clients: a method has one number in both tables.
    static let forPeers: [RPCMethod] =
        all + [
            PeerReplicate.one, PeerOffer.one, PeerFlush.one, PeerTell.one, PeerTell.clock, PeerFetch.one,
            PeerFetch.changed,
            PeerFetch.lease,
            ClusterChange.leaving,
        ]

    private let methods: [RPCMethod]

    /// Names of the methods that run on a worker thread.
    let slowMethodNames: [StaticString]

    init(_ methods: [RPCMethod] = MethodTable.all) {
        self.methods = methods
        slowMethodNames = methods.filter(\.runsOffLoop).map(\.name)
    }

    /// The method that a call names; nil for an unknown one. O(methods), each a comparison of lengths first: at this
    /// table's size that is cheaper than hashing the name.
    @inline(__always)
    func index(of name: JSONValue, in body: UnsafeRawBufferPointer) -> Int? {
        let content = JSONSlice(start: name.slice.start + 1, end: name.slice.end - 1)
        for index in methods.indices
        where stringEquals(content, hasEscapes: name.hasEscapes, methods[index].name, in: body) {
            return index
        }
        return nil
    }

    subscript(_ index: Int) -> RPCMethod {
        @inline(__always) _read { yield methods[index] }
    }
}
