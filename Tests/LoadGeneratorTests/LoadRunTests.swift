import Synchronization
import Testing

@testable import LoadGenerator

#if canImport(Glibc)
    import Glibc
#endif

/// A server on loopback that answers every complete line with the same bytes, on one thread, until it is closed.
private final class LineServer: Sendable {
    let port: Int
    private let listener: Int32
    private let reply: [UInt8]
    private let closesAfter: Int
    private let thread = Atomic<UInt>(0)

    /// `closesAfter`: replies after which a connection is closed.
    init(reply: String, closesAfter: Int = .max) throws {
        self.reply = Array(reply.utf8)
        self.closesAfter = closesAfter
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = descriptor
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 && listen(descriptor, 64) == 0
                    && getsockname(descriptor, address, &length) == 0
            }
        }
        try #require(isBound)
        self.port = Int(UInt16(bigEndian: address.sin_port))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<LineServer>.fromOpaque(argument).takeRetainedValue().serve()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        try #require(status == 0)
        self.thread.store(thread, ordering: .relaxed)
    }

    /// Ends the thread.
    func close() {
        shutdown(self.listener, Int32(SHUT_RDWR))
        pthread_join(self.thread.load(ordering: .relaxed), nil)
        Glibc.close(self.listener)
    }

    private func serve() {
        var descriptors = [pollfd(fd: self.listener, events: Int16(POLLIN), revents: 0)]
        var served = [0]
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            poll(&descriptors, nfds_t(descriptors.count), -1)
            for index in descriptors.indices.reversed() where descriptors[index].revents != 0 {
                if index == 0 {
                    let accepted = accept(self.listener, nil, nil)
                    guard accepted >= 0 else {
                        for connection in descriptors.dropFirst() { Glibc.close(connection.fd) }
                        return
                    }
                    descriptors.append(pollfd(fd: accepted, events: Int16(POLLIN), revents: 0))
                    served.append(0)
                    continue
                }
                let count = recv(descriptors[index].fd, &buffer, buffer.count, 0)
                // Requests of these tests fit one segment; each ends with one line feed.
                let lines = buffer.prefix(max(count, 0)).count { $0 == UInt8(ascii: "\n") }
                let replies = (0..<lines).flatMap { _ in self.reply }
                _ = send(descriptors[index].fd, replies, replies.count, Int32(MSG_NOSIGNAL))
                served[index] += lines
                if count <= 0 || served[index] >= self.closesAfter {
                    Glibc.close(descriptors[index].fd)
                    descriptors.remove(at: index)
                    served.remove(at: index)
                }
            }
        }
    }
}

@Suite("Load runs")
struct LoadRunTests {
    private func plan(_ server: LineServer, requests: Int) -> LoadPlan {
        var plan = LoadPlan(host: "127.0.0.1", port: server.port)
        plan.protocol = .memcached
        plan.connections = 5
        plan.threads = 2
        plan.fills = false
        plan.length = .requests(requests)
        return plan
    }

    @Test("A run of so many requests makes exactly these, over all threads and connections", arguments: [1, 7])
    func countsRequests(pipeline: Int) throws {
        let server = try LineServer(reply: "END\r\n")
        defer { server.close() }
        var plan = self.plan(server, requests: 1003)
        plan.pipeline = pipeline
        let report = try LoadRun.run(plan)
        #expect(report.requests == 1003)
        #expect(report.reads == 1003 && report.misses == 1003 && report.hits == 0 && report.failures == 0)
        #expect(report.latencies.count == 1003)
        #expect(report.requestsPerSecond > 0)
    }

    @Test("Wrong replies are failures, not speed")
    func countsFailures() throws {
        let server = try LineServer(reply: "SERVER_ERROR busy\r\n")
        defer { server.close() }
        let report = try LoadRun.run(self.plan(server, requests: 100))
        #expect(report.failures == 100 && report.reads == 0)
    }

    @Test("A connection that the server closes is opened again and counted")
    func reconnects() throws {
        let server = try LineServer(reply: "END\r\n", closesAfter: 10)
        defer { server.close() }
        let report = try LoadRun.run(self.plan(server, requests: 1000))
        #expect(report.reconnects >= 80)
        #expect(report.requests + report.failures == 1000)
    }

    @Test("A server that answers rubbish ends the run with an error")
    func refusesRubbish() throws {
        let server = try LineServer(reply: "\r\n")
        defer { server.close() }
        var plan = self.plan(server, requests: 100)
        plan.protocol = .redis
        #expect(throws: LoadError.dropsConnections) { try LoadRun.run(plan) }
    }

    @Test("Keys that the server does not take end the run before it begins")
    func fillFails() throws {
        let server = try LineServer(reply: "ERROR\r\n")
        defer { server.close() }
        var plan = self.plan(server, requests: 100)
        plan.fills = true
        plan.keys = 10
        #expect {
            try LoadRun.run(plan)
        } throws: { error in
            guard case .fillFailed? = error as? LoadError else { return false }
            return true
        }
    }

    @Test("A rate is kept, and a run in time ends in time with the processor time of the server")
    func keepsRate() throws {
        let server = try LineServer(reply: "END\r\n")
        defer { server.close() }
        var plan = self.plan(server, requests: 0)
        plan.ratePerSecond = 2000
        plan.length = .milliseconds(500)
        plan.warmUpMilliseconds = 100
        plan.serverProcesses = [getpid()]
        let report = try LoadRun.run(plan)
        // A machine that is busy may fall behind; it must never run ahead.
        #expect(report.requests > 100 && report.requests <= 1100)
        #expect((report.serverNanoseconds ?? 0) > 0)
        #expect(report.nanoseconds >= 500_000_000)
    }

    @Test("Nobody listening, and a process that does not exist, are errors that say so")
    func reportsUnreachable() throws {
        let server = try LineServer(reply: "END\r\n")
        var plan = self.plan(server, requests: 1)
        plan.serverProcesses = [.max]
        #expect(throws: LoadError.noMetrics(process: .max)) { try LoadRun.run(plan) }
        server.close()
        plan.serverProcesses = []
        #expect {
            try LoadRun.run(plan)
        } throws: { error in
            guard case .cannotConnect? = error as? LoadError else { return false }
            return true
        }
    }
}
