// The client alone against a real etcd, dead endpoints, and servers that answer badly.

import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import EtcdTopology

/// A client on a loop of its own, called from a test's thread.
final class BlockingClient: Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let client: NIOLoopBoundBox<EtcdClient?>
    private let messages = Mutex<[Result<WatchMessage, EtcdError>]>([])

    init(ports: [Int], host: String = "127.0.0.1") throws {
        let loop = group.next()
        client = NIOLoopBoundBox.makeEmptyBox(valueType: EtcdClient.self, eventLoop: loop)
        try loop.submit { [client] in
            client.value = EtcdClient(endpoints: ports.map { .init(host: host, port: $0) }, loop: loop)
        }.wait()
    }

    deinit {
        let client = client
        try? group.next().submit { client.value?.shutDown() }.wait()
        group.shutdownGracefully { _ in }
    }

    func call(_ request: GatewayRequest, timeout: Int64 = 2000) throws -> EtcdReply {
        let promise = group.next().makePromise(of: EtcdReply.self)
        group.next().execute { [client] in
            client.value?.call(request, timeoutMilliseconds: timeout) { promise.completeWith($0.mapError { $0 }) }
        }
        return try promise.futureResult.wait()
    }

    func watch(prefix: String, from revision: Int64) {
        // The loop must not hold the last reference: `deinit` waits for the loop.
        group.next().execute { [client, weak self] in
            client.value?.watch(prefix: prefix, from: Revision(rawValue: revision), timeoutMilliseconds: 2000) {
                result in
                self?.messages.withLock { $0.append(result) }
            }
        }
    }

    var watched: [Result<WatchMessage, EtcdError>] { messages.withLock { $0 } }
    var failure: EtcdError? {
        if case .failure(let error)? = watched.last { error } else { nil }
    }
}

struct EtcdClientTests {
    private func put(_ key: String, _ value: [UInt8] = []) -> GatewayRequest {
        .commit(Transaction(conditions: [], operations: [.put(key, value: value, lease: nil)]))
    }

    @Test func `Calls, transactions and leases work, byte by byte too`() throws {
        let etcd = try EtcdServer()
        for port in [etcd.port, try TCPProxy(to: etcd.port, isBytewise: true).port] {
            let proxy = port == etcd.port ? nil : try TCPProxy(to: etcd.port, isBytewise: true)
            let client = try BlockingClient(ports: [proxy?.port ?? port])
            guard case .granted(let lease, 5) = try client.call(.grant(ttlSeconds: 5)).content else {
                Issue.record("no lease of 5 s")
                return
            }
            #expect(try client.call(.keepAlive(lease)).content == .kept(ttlSeconds: 5))
            let value = Array("väl\u{0}ue".utf8)
            let create = GatewayRequest.commit(
                Transaction(
                    conditions: [.created("/a/k", at: .none)],
                    operations: [.put("/a/k", value: value, lease: lease), .put("/b", value: [], lease: nil)]))
            let created = try client.call(create)
            #expect(created.content == .committed(succeeded: true))
            #expect(try client.call(create).content == .committed(succeeded: false))
            guard case .listed(let pairs) = try client.call(.list(prefix: "/a/")).content else { return }
            #expect(
                pairs == [
                    KeyValue(
                        key: "/a/k", value: value, createRevision: created.header.revision,
                        modRevision: created.header.revision, lease: lease)
                ])
            client.watch(prefix: "/a/", from: created.header.revision.rawValue)
            #expect(try client.call(.revoke(lease)).content == .revoked)
            try waitFor("the end of the lease is watched") {
                client.watched.contains { message in
                    if case .success(.events(let events, _)) = message, case .deleted("/a/k", _)? = events.last {
                        true
                    } else {
                        false
                    }
                }
            }
            #expect(client.failure == nil)
            #expect(throws: EtcdError.leaseNotFound) { try client.call(.revoke(lease)) }
            #expect(try client.call(.keepAlive(lease)).content == .kept(ttlSeconds: 0))
        }
    }

    @Test func `The next endpoint is asked when one is dead, broken or silent`() throws {
        let etcd = try EtcdServer()
        let silent = try EtcdServer()
        try silent.pause()
        let problem = #"{"error":"e","message":"no leader","code":14}"#
        let broken = try CannedServer(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: \(problem.utf8.count)\r\n\r\n\(problem)")
        let nonsense = try CannedServer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{]\n")
        let foreign = try CannedServer("220 mail ready\r\n")
        let client = try BlockingClient(
            ports: [try EtcdServer.freePort(), silent.port, broken.port, nonsense.port, foreign.port, etcd.port])
        let start = MonotonicClock.milliseconds()
        #expect(try client.call(.list(prefix: "/"), timeout: 1800).content == .listed([]))
        // A sixth of the time went to the silent one.
        #expect(300..<1800 ~= MonotonicClock.milliseconds() - start)
        let again = MonotonicClock.milliseconds()
        #expect(try client.call(.list(prefix: "/"), timeout: 1800).content == .listed([]))
        #expect(MonotonicClock.milliseconds() - again < 300)
    }

    @Test func `Failures have their reason`() throws {
        let etcd = try EtcdServer()
        let dead = try BlockingClient(ports: [try EtcdServer.freePort()])
        let refused = #expect(throws: EtcdError.self) { try dead.call(.list(prefix: "/")) }
        #expect(refused?.description.contains("Connection refused") == true)
        let nowhere = try BlockingClient(ports: [80], host: "no-such-host.invalid")
        #expect(throws: EtcdError.self) { try nowhere.call(.list(prefix: "/")) }
        let client = try BlockingClient(ports: [etcd.port], host: "localhost")
        _ = try client.call(.list(prefix: "/"))
        try etcd.pause()
        #expect(throws: EtcdError.timedOut(milliseconds: 200)) { try client.call(.list(prefix: "/"), timeout: 200) }
        try etcd.resume()
        _ = try client.call(.list(prefix: "/"))
        // Five values that fit a request each, and are too much together.
        for index in 0..<5 { _ = try client.call(put("/big/\(index)", [UInt8](repeating: 0, count: 1_400_000))) }
        #expect(throws: EtcdError.tooLarge(limitBytes: EtcdClient.maxReplyBytes)) {
            try client.call(.list(prefix: "/big/"), timeout: 10_000)
        }
        let answer = #expect(throws: EtcdError.self) {
            try client.call(put("/big/x", [UInt8](repeating: 0, count: 1_700_000)))
        }
        #expect(answer?.isEndpointsFault == false)
    }

    @Test func `A connection that etcd closed meanwhile costs no call`() throws {
        let etcd = try EtcdServer()
        let proxy = try TCPProxy(to: etcd.port)
        let client = try BlockingClient(ports: [proxy.port])
        for _ in 0..<5 {
            _ = try client.call(.list(prefix: "/"))
            proxy.cutConnections()
        }
    }

    @Test func `A watch says when its history is compacted and when it is cut`() throws {
        let etcd = try EtcdServer()
        let proxy = try TCPProxy(to: etcd.port)
        let client = try BlockingClient(ports: [proxy.port])
        for _ in 0..<5 { _ = try client.call(put("/k")) }
        try etcd.control("compaction", "4")
        client.watch(prefix: "/", from: 2)
        try waitFor("the watch fails") { client.failure != nil }
        #expect(client.failure == .compacted)
        client.watch(prefix: "/", from: 5)
        try waitFor("the watch stands") {
            if case .success? = client.watched.last { true } else { false }
        }
        proxy.cut()
        try waitFor("the watch is cut") { client.failure != nil }
        #expect(client.failure?.isEndpointsFault == true)
    }
}
