// Requests and replies of the JSON gateway; the replies are copies of what etcd 3.4.23 sent.

import Membership
import TestSupport
import Testing

@testable import EtcdTopology

struct GatewayCodecTests {
    static let header =
        #""header":{"cluster_id":"324952591200643719","member_id":"33","revision":"7","raft_term":"2"}"#
    static let pair = #"{"key":"L2E=","create_revision":"2","mod_revision":"3","version":"2","value":"eA=="}"#
    static let parsedHeader = StoreHeader(clusterID: 324_952_591_200_643_719, revision: Revision(rawValue: 7))

    private func reply(_ request: GatewayRequest, _ text: String) throws(EtcdError) -> EtcdReply {
        try EtcdReply(to: request, body: Array(text.utf8))
    }

    @Test func `Requests carry Base64 keys and integers as strings`() throws {
        func text(_ request: GatewayRequest) -> String { String(decoding: request.body, as: UTF8.self) }
        #expect(text(.grant(ttlSeconds: 2)) == #"{"TTL":"2"}"#)
        #expect(text(.keepAlive(LeaseID(rawValue: .max))) == #"{"ID":"9223372036854775807"}"#)
        #expect(text(.list(prefix: "/a/")) == #"{"key":"L2Ev","range_end":"L2Ew"}"#)
        #expect(
            text(.watch(prefix: "/a/", from: Revision(rawValue: 8)))
                == #"{"create_request":{"key":"L2Ev","range_end":"L2Ew","start_revision":"8"}}"#)
        let transaction = Transaction(
            conditions: [.created("/a", at: .none), .modified("/b", at: Revision(rawValue: 3))],
            operations: [.put("/a", value: Array("x".utf8), lease: LeaseID(rawValue: 9)), .delete("/b")])
        let parsed = try RawJSON(GatewayRequest.commit(transaction).body)
        #expect(
            parsed["compare"]?[0]?.text == #"{"result":"EQUAL","target":"CREATE","create_revision":"0","key":"L2E="}"#)
        #expect(parsed["compare"]?[1]?.text == #"{"result":"EQUAL","target":"MOD","mod_revision":"3","key":"L2I="}"#)
        #expect(parsed["success"]?[0]?.text == #"{"request_put":{"key":"L2E=","value":"eA==","lease":"9"}}"#)
        #expect(parsed["success"]?[1]?.text == #"{"request_delete_range":{"key":"L2I="}}"#)
    }

    @Test func `A range ends before the first key without its prefix`() {
        #expect(GatewayRequest.end(of: "ab") == Array("ac".utf8))
        #expect(GatewayRequest.end(of: "") == [0])
    }

    @Test func `Replies are read`() throws {
        #expect(
            try reply(.grant(ttlSeconds: 2), "{\(Self.header),\"ID\":\"2324035620129378566\",\"TTL\":\"2\"}")
                == EtcdReply(
                    header: Self.parsedHeader,
                    content: .granted(LeaseID(rawValue: 2_324_035_620_129_378_566), ttlSeconds: 2)))
        let keepAlive = GatewayRequest.keepAlive(LeaseID(rawValue: 123))
        #expect(
            try reply(keepAlive, "{\"result\":{\(Self.header),\"ID\":\"123\",\"TTL\":\"2\"}}\n").content
                == .kept(ttlSeconds: 2))
        // What etcd says of a lease that has ended.
        #expect(
            try reply(keepAlive, "{\"result\":{\(Self.header),\"ID\":\"123\"}}\n").content == .kept(ttlSeconds: 0))
        #expect(
            try reply(
                .list(prefix: "/"),
                "{\(Self.header),\"kvs\":[\(Self.pair.dropLast()),\"lease\":\"5\",\"novelty\":[{}]}],\"count\":\"1\"}"
            ).content
                == .listed([
                    KeyValue(
                        key: "/a", value: [0x78], createRevision: Revision(rawValue: 2),
                        modRevision: Revision(rawValue: 3), lease: LeaseID(rawValue: 5))
                ]))
        #expect(try reply(.list(prefix: "/"), "{\(Self.header)}").content == .listed([]))
        let commit = GatewayRequest.commit(Transaction(conditions: [], operations: []))
        #expect(try reply(commit, "{\(Self.header),\"succeeded\":true}").content == .committed(succeeded: true))
        #expect(try reply(commit, "{\(Self.header)}").content == .committed(succeeded: false))
    }

    @Test func `Errors keep their kind`() {
        let text = "etcdserver: requested lease not found"
        let lease = "{\"error\":\"\(text)\",\"message\":\"\(text)\",\"code\":5}"
        #expect(EtcdError(status: 404, body: Array(lease.utf8)) == .leaseNotFound)
        let other = #"{"error":"e","message":"etcdserver: no leader","code":14}"#
        let error = EtcdError(status: 503, body: Array(other.utf8))
        #expect(error == .refused(status: 503, code: 14, message: "etcdserver: no leader"))
        #expect(error.isEndpointsFault)
        #expect(
            EtcdError(status: 404, body: Array("404 page not found\n".utf8))
                == .refused(status: 404, code: 0, message: "no reason given"))
    }

    @Test func `Lines of a watch are read`() throws {
        func line(_ text: String) throws(EtcdError) -> WatchMessage { try WatchMessage(line: Array(text.utf8)) }
        let deletion = #"{"type":"DELETE","kv":{"key":"L2E=","mod_revision":"4"}}"#
        let compacted = "etcdserver: mvcc: required revision has been compacted"
        #expect(try line("{\"result\":{\(Self.header),\"created\":true}}") == .created(Self.parsedHeader))
        #expect(
            try line(
                "{\"result\":{\(Self.header),\"events\":[{\"kv\":\(Self.pair)},\(deletion)]}}"
            )
                == .events(
                    [
                        .put(
                            KeyValue(
                                key: "/a", value: [0x78], createRevision: Revision(rawValue: 2),
                                modRevision: Revision(rawValue: 3), lease: nil)),
                        .deleted(key: "/a", at: Revision(rawValue: 4)),
                    ], Self.parsedHeader))
        #expect(throws: EtcdError.compacted) {
            try line("{\"result\":{\"header\":{},\"canceled\":true,\"compact_revision\":\"3\"}}")
        }
        #expect(throws: EtcdError.compacted) {
            try line("{\"error\":{\"grpc_code\":11,\"http_code\":400,\"message\":\"\(compacted)\"}}")
        }
        #expect(throws: EtcdError.refused(status: 200, code: 1, message: "why")) {
            try line("{\"result\":{\"canceled\":true,\"cancel_reason\":\"why\"}}")
        }
    }

    @Test func `A reply that is cut off anywhere is malformed`() {
        let whole = Array("{\(Self.header),\"kvs\":[\(Self.pair)],\"count\":\"1\"}".utf8)
        for length in 0..<whole.count {
            #expect(throws: EtcdError.self) { try EtcdReply(to: .list(prefix: "/"), body: Array(whole[..<length])) }
            #expect(throws: EtcdError.self) { try WatchMessage(line: Array(whole[..<length])) }
        }
    }

    @Test(arguments: [
        "[]", "{}", "null", "{\"result\":[]}", "{\"result\":{\"events\":[{}]}}", "{\"error\":7}",
        "{\"result\":{\"events\":[{\"kv\":{\"key\":\"?\"}}]}}",
        "{\"result\":{\"events\":[{\"type\":\"MELT\",\"kv\":{\"key\":\"L2E=\"}}]}}",
        "{\"kvs\":[{\"key\":\"L2E=\",\"value\":\"?\"}]}", "{\"kvs\":[{}]}", "{\"kvs\":[],\"more\":true}",
    ])
    func `Nonsense never traps`(text: String) {
        let body = Array(text.utf8)
        for request in [
            GatewayRequest.grant(ttlSeconds: 1), .keepAlive(LeaseID(rawValue: 1)), .revoke(LeaseID(rawValue: 1)),
            .list(prefix: ""), .commit(Transaction(conditions: [], operations: [])),
            .watch(prefix: "", from: .none),
        ] {
            _ = try? EtcdReply(to: request, body: body)
        }
        _ = try? WatchMessage(line: body)
        _ = EtcdError(status: 500, body: body)
        #expect(throws: EtcdError.self) { try ClaimRecord(body) }
        #expect(throws: EtcdError.self) { try ViewRecord(body) }
        #expect(throws: EtcdError.self) { try DepartureRecord(body) }
        #expect(throws: EtcdError.self) { try SettledRecord.number(body) }
    }

    @Test func `A list that is not complete is refused`() {
        #expect(throws: EtcdError.self) { try reply(.list(prefix: ""), "{\"kvs\":[],\"more\":true}") }
    }
}
