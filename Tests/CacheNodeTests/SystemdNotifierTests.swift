// What a service manager receives from the notifier, through real sockets of both address kinds.

import Foundation
import Glibc
import Testing

@testable import CacheNode

@Suite("systemd notifications")
struct SystemdNotifierTests {
    @Test("Without NOTIFY_SOCKET there is no notifier")
    func noSocketNamed() {
        #expect(SystemdNotifier(environment: [:]) == nil)
        #expect(SystemdNotifier(environment: ["NOTIFY_SOCKET": "", "WATCHDOG_USEC": "1000000"]) == nil)
    }

    @Test("Messages of one call arrive as one datagram", arguments: [true, false])
    func oneDatagram(abstract: Bool) throws {
        let manager = try Manager(abstract: abstract)
        let notifier = try #require(SystemdNotifier(environment: ["NOTIFY_SOCKET": manager.address]))
        try notifier.notify(.ready, .status("serving 12 keys"), .extendTimeout(milliseconds: 1_500))
        try notifier.notify(.watchdog)
        try notifier.notify(.stopping, .status("draining"))
        #expect(manager.receive() == "READY=1\nSTATUS=serving 12 keys\nEXTEND_TIMEOUT_USEC=1500000")
        #expect(manager.receive() == "WATCHDOG=1")
        #expect(manager.receive() == "STOPPING=1\nSTATUS=draining")
        #expect(manager.receive() == nil)
    }

    @Test("A status with line breaks cannot forge another message")
    func statusIsOneLine() throws {
        let manager = try Manager(abstract: true)
        let notifier = try #require(SystemdNotifier(environment: ["NOTIFY_SOCKET": manager.address]))
        try notifier.notify(.status("a\nREADY=1\r\u{0}\u{7F}é"))
        #expect(manager.receive() == "STATUS=a READY=1   é")
    }

    @Test("A reload carries the monotonic time")
    func reloadCarriesTime() throws {
        let manager = try Manager(abstract: true)
        let notifier = try #require(SystemdNotifier(environment: ["NOTIFY_SOCKET": manager.address]))
        try notifier.notify(.reloading)
        let lines = try #require(manager.receive()).split(separator: "\n")
        #expect(lines.first == "RELOADING=1")
        #expect(lines.count == 2)
        #expect(lines.last?.hasPrefix("MONOTONIC_USEC=") == true)
        #expect(try #require(Int64(lines[1].dropFirst("MONOTONIC_USEC=".count))) > 0)
    }

    @Test("Extensions out of range are clamped, not trapped on")
    func extensionIsClamped() throws {
        let manager = try Manager(abstract: true)
        let notifier = try #require(SystemdNotifier(environment: ["NOTIFY_SOCKET": manager.address]))
        try notifier.notify(.extendTimeout(milliseconds: .max), .extendTimeout(milliseconds: -1))
        #expect(manager.receive() == "EXTEND_TIMEOUT_USEC=9223372036854775000\nEXTEND_TIMEOUT_USEC=0")
    }

    @Test(
        "Addresses that are no unix socket are refused by name",
        arguments: ["vsock:2:1234", "relative/path", "/" + String(repeating: "a", count: 107)])
    func unsupportedAddress(address: String) throws {
        let notifier = try #require(SystemdNotifier(environment: ["NOTIFY_SOCKET": address]))
        #expect(throws: SystemdNotifier.Failure.unsupportedAddress(address)) { try notifier.notify(.ready) }
    }

    @Test("The longest addresses are used in full")
    func longestAddress() throws {
        let manager = try Manager(address: "@" + String(repeating: "z", count: 96) + Manager.uniqueDigits())
        let notifier = try #require(SystemdNotifier(environment: ["NOTIFY_SOCKET": manager.address]))
        try notifier.notify(.ready)
        #expect(manager.address.utf8.count == 107 && manager.receive() == "READY=1")
    }

    @Test("A manager that has gone is an error with its errno, not a crash")
    func managerGone() throws {
        let notifier = try #require(SystemdNotifier(environment: ["NOTIFY_SOCKET": "/nonexistent/notify"]))
        #expect(throws: SystemdNotifier.Failure.notSent(errno: ENOENT)) { try notifier.notify(.ready) }
    }

    @Test("The watchdog is fed at half the manager's limit, and only by the process that is watched")
    func watchdogInterval() {
        func interval(_ usec: String?, pid: String?) -> Int64? {
            var environment = ["NOTIFY_SOCKET": "@x"]
            environment["WATCHDOG_USEC"] = usec
            environment["WATCHDOG_PID"] = pid
            return SystemdNotifier(environment: environment, processID: 42)?.watchdogIntervalMilliseconds
        }
        #expect(interval("30000000", pid: "42") == 15_000)
        #expect(interval("30000000", pid: nil) == 15_000)
        #expect(interval("30000000", pid: "43") == nil)
        #expect(interval("30000000", pid: "rubbish") == nil)
        #expect(interval(nil, pid: "42") == nil)
        #expect(interval("0", pid: nil) == nil)
        #expect(interval("-5", pid: nil) == nil)
        #expect(interval("99999999999999999999", pid: nil) == nil)
        #expect(interval("1", pid: nil) == 1)
    }
}

/// The receiving end: a datagram socket bound as a service manager binds its own.
private final class Manager {
    let address: String
    private let descriptor: Int32

    struct NotBound: Error { let errno: Int32 }

    static func uniqueDigits() -> String {
        String(UInt64.random(in: 1_000_000_000...9_999_999_999))
    }

    convenience init(abstract: Bool) throws {
        let name = "spydercache-notify-\(Self.uniqueDigits())"
        try self.init(address: abstract ? "@" + name : NSTemporaryDirectory() + name)
    }

    init(address: String) throws {
        self.address = address
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var name = Array(address.utf8)
        if name[0] == UInt8(ascii: "@") { name[0] = 0 } else { name.append(0) }
        var bound = sockaddr_un()
        bound.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &bound.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let status = withUnsafeBytes(of: &bound) {
            bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, length)
        }
        guard status == 0 else { throw NotBound(errno: errno) }
    }

    deinit {
        close(descriptor)
        if address.hasPrefix("/") { unlink(address) }
    }

    /// The next datagram, `nil` when none is queued: a local datagram is there when sendto(2) has returned.
    func receive() -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }
}
