// Keys and values of a cluster in etcd.

import Membership
import TestSupport
import Testing

@testable import EtcdTopology

struct StoreRecordTests {
    static let layout = KeyLayout(prefix: "/spydercache/", cluster: "a/b")

    @Test(arguments: ["1", "node-1", "a/b", "%41", "ü☃", "with space", "..", "\u{0}"])
    func `Any id makes one key and comes back from it`(id: String) {
        for key in [StoreKey.claim(MemberID(id)), .settled(MemberID(id)), .departed(MemberID(id))] {
            let text = Self.layout.key(key)
            #expect(text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
            #expect(text.split(separator: "/").count == 4)
            #expect(Self.layout.meaning(of: text) == key)
        }
    }

    @Test func `Keys are where they are said to be`() {
        #expect(Self.layout.key(.claim(MemberID("n 1"))) == "/spydercache/a%2Fb/members/n%201")
        #expect(Self.layout.key(.view) == "/spydercache/a%2Fb/view")
        #expect(Self.layout.meaning(of: "/spydercache/a%2Fb/view") == .view)
    }

    @Test(arguments: [
        "/other/view", "/spydercache/a%2Fb/", "/spydercache/a%2Fb/members", "/spydercache/a%2Fb/members/",
        "/spydercache/a%2Fb/members/a/b", "/spydercache/a%2Fb/members/%4", "/spydercache/a%2Fb/members/%zz",
        "/spydercache/a%2Fb/members/%41", "/spydercache/a%2Fb/members/%FF", "/spydercache/a%2Fb/view/1",
    ])
    func `Strangers' keys mean nothing`(key: String) {
        #expect(Self.layout.meaning(of: key) == nil)
    }

    @Test func `Records come back as they were written`() throws {
        let one = MemberIdentity(id: MemberID("\"1\"\n"), address: "[::1]:80", incarnation: .max)
        let two = MemberIdentity(id: MemberID("ü"), address: "host:1", incarnation: 0, mirrors: ["a:1", "\"b\":2"])
        let claim = ClaimRecord(identity: one, floor: 77)
        #expect(try ClaimRecord(claim.value) == claim)
        let view = ViewRecord(
            base: 5, origin: LeaseID(rawValue: .max), proposer: one.id, members: [two, one], serving: [two.id],
            mirrors: [one.id: two.id])
        #expect(try ViewRecord(view.value) == view)
        for cause in [DepartureRecord.Cause.left, .removed] {
            let departure = DepartureRecord(incarnation: 3, cause: cause)
            #expect(try DepartureRecord(departure.value) == departure)
        }
        #expect(try SettledRecord.number(SettledRecord.value(.max)) == .max)
    }

    @Test func `A claim reads as people expect`() {
        let identity = MemberIdentity(id: MemberID("1"), address: "host:1", incarnation: 9)
        #expect(
            String(decoding: ClaimRecord(identity: identity, floor: 0).value, as: UTF8.self)
                == #"{"id":"1","address":"host:1","incarnation":"9","floor":"0"}"#)
    }

    static let one = #"{"id":"1","address":"a","incarnation":"1"}"#

    @Test(arguments: [
        #"{"base":"0","origin":"1","proposer":"1","members":[],"serving":[]}"#,
        #"{"base":"0","origin":"1","proposer":"1","members":[\#(one)],"serving":[]}"#,
        #"{"base":"0","origin":"1","proposer":"1","members":[\#(one)],"serving":["2"]}"#,
        #"{"base":"0","origin":"1","proposer":"1","members":[\#(one),\#(one)],"serving":["1"]}"#,
        #"{"base":"9223372036854775807","origin":"1","proposer":"1","members":[\#(one)],"serving":["1"]}"#,
    ])
    func `A view that cannot be is refused`(text: String) {
        #expect(throws: EtcdError.self) { try ViewRecord(Array(text.utf8)) }
    }

    @Test func `The mirror follows a model of the store through any changes`() {
        let seed: UInt64 = 11
        var random = SeededRandom(seed: seed)
        var store = SimulatedStore()
        let root = Self.layout.root
        let ids = ["1", "2", "3"].map { MemberID($0) }
        func list() -> StoreMirror {
            guard case .success(let reply) = store.answer(.list(prefix: root), now: 0),
                case .listed(let pairs) = reply.content
            else { return StoreMirror([], header: store.header, layout: Self.layout) }
            return StoreMirror(pairs, header: reply.header, layout: Self.layout)
        }
        var followed = list()
        for step in 0..<500 {
            let id = ids[Int.random(in: 0..<3, using: &random)]
            let identity = MemberIdentity(id: id, address: "a", incarnation: UInt64(step))
            let operation: Transaction.Operation =
                switch Int.random(in: 0..<7, using: &random) {
                case 0:
                    .put(
                        Self.layout.key(.claim(id)), value: ClaimRecord(identity: identity, floor: 1).value, lease: nil)
                case 1:
                    .put(
                        Self.layout.key(.view),
                        value: ViewRecord(
                            base: 0, origin: LeaseID(rawValue: 1), proposer: id, members: [identity], serving: [id]
                        ).value, lease: nil)
                case 2: .put(Self.layout.key(.settled(id)), value: SettledRecord.value(UInt64(step)), lease: nil)
                case 3:
                    .put(
                        Self.layout.key(.departed(id)), value: DepartureRecord(incarnation: 1, cause: .left).value,
                        lease: nil)
                case 4: .put(Self.layout.key(.claim(id)), value: [0], lease: nil)
                case 5: .delete(Self.layout.key(.claim(id)))
                default: .delete(Self.layout.key(.view))
                }
            _ = store.answer(.commit(Transaction(conditions: [], operations: [operation])), now: 0)
            guard step % 3 == 0 else { continue }
            // One event too early, again: the mirror takes each once.
            let first = max(followed.revision.rawValue - 1, 1)
            followed.apply(store.events(prefix: root, from: first) ?? [])
            let listed = list()
            #expect(followed.claims == listed.claims, "seed \(seed), step \(step)")
            #expect(followed.view == listed.view && followed.viewRevision == listed.viewRevision, "seed \(seed)")
            #expect(followed.settled == listed.settled && followed.departed == listed.departed, "seed \(seed)")
        }
    }
}
