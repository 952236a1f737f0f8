// The service side of systemd's notification protocol, sd_notify(3): one datagram of NAME=VALUE lines to the socket
// that the service manager names in NOTIFY_SOCKET.
//
// Written by hand, because the whole protocol is one sendto(2): libsystemd would be a build dependency and a shared
// library on every machine that the statically linked program is copied to. It is no service loop: when the node is
// ready, alive or stopping is decided by its callers.
//
//     process                              manager
//     READY=1 STATUS=...      ───────────▶ "active"        (Type=notify)
//     WATCHDOG=1              ───────────▶ every watchdogIntervalMilliseconds, else SIGABRT and a restart
//     EXTEND_TIMEOUT_USEC=n   ───────────▶ recovery and draining may take n µs more from now on
//     STOPPING=1              ───────────▶ "deactivating"

import Glibc

/// Tells the service manager that started this process how it fares. A value without a descriptor: every call opens and
/// closes its own socket, so that copies may be used from any thread.
package struct SystemdNotifier: Sendable {
    /// One assignment of the protocol; names and meaning are those of sd_notify(3).
    package enum Message: Equatable, Sendable {
        /// Start-up, or a reload, is complete.
        case ready
        /// A line for people, shown by `systemctl status`. Control characters are sent as spaces.
        case status(String)
        /// The process begins to shut down.
        case stopping
        /// The process is alive; resets the watchdog.
        case watchdog
        /// The running start, stop or runtime timeout ends that many milliseconds from now at the earliest.
        case extendTimeout(milliseconds: Int64)
        /// Configuration is being read again; `ready` must follow. Carries the monotonic time that newer managers ask for.
        case reloading
    }

    /// Why a message did not reach the manager. Nothing in the node depends on it: callers log it and go on.
    package enum Failure: Error, Equatable, Sendable {
        /// NOTIFY_SOCKET is neither an absolute path nor an abstract name (`@…`), or longer than a socket address.
        case unsupportedAddress(String)
        /// No socket could be had, with the errno of socket(2).
        case noSocket(errno: Int32)
        /// The manager's socket did not take the datagram, with the errno of sendto(2); `EAGAIN`: its queue stayed full.
        case notSent(errno: Int32)
    }

    /// How often `.watchdog` is due, in milliseconds: half of the manager's limit, as sd_watchdog_enabled(3) advises.
    /// `nil` when the manager does not watch this process.
    package let watchdogIntervalMilliseconds: Int64?

    private let address: String

    /// `nil` when no service manager asked to be notified (NOTIFY_SOCKET unset or empty). A watchdog meant for another
    /// process (WATCHDOG_PID), or a WATCHDOG_USEC that is no positive number, counts as no watchdog.
    package init?(environment: [String: String], processID: Int32 = getpid()) {
        guard let address = environment["NOTIFY_SOCKET"], !address.isEmpty else { return nil }
        self.address = address
        let watched = environment["WATCHDOG_PID"].map { Int32($0) == processID } ?? true
        if watched, let limit = environment["WATCHDOG_USEC"].flatMap({ Int64($0) }), limit > 0 {
            watchdogIntervalMilliseconds = max(1, limit / 2_000)
        } else {
            watchdogIntervalMilliseconds = nil
        }
    }

    /// Sends the messages as one datagram, so that the manager takes them in one step. Waits for room in the manager's
    /// queue for at most a second, so it is for a thread that may wait: never an event loop.
    package func notify(_ messages: Message...) throws(Failure) {
        try send(Array(messages.map(Self.line).joined(separator: "\n").utf8))
    }

    private static func line(_ message: Message) -> String {
        switch message {
        case .ready: "READY=1"
        case .status(let text):
            "STATUS=" + String(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : Character($0) })
        case .stopping: "STOPPING=1"
        case .watchdog: "WATCHDOG=1"
        case .extendTimeout(let milliseconds):
            "EXTEND_TIMEOUT_USEC=\(min(max(0, milliseconds), .max / 1_000) * 1_000)"
        case .reloading: "RELOADING=1\nMONOTONIC_USEC=\(monotonicMicroseconds())"
        }
    }

    private static func monotonicMicroseconds() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
    }

    private func send(_ text: [UInt8]) throws(Failure) {
        var (destination, length) = try socketAddress()
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .noSocket(errno: errno) }
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let sent = withUnsafeBytes(of: &destination) { raw in
            sendto(
                descriptor, text, text.count, Int32(MSG_NOSIGNAL),
                raw.assumingMemoryBound(to: sockaddr.self).baseAddress, length)
        }
        guard sent == text.count else { throw .notSent(errno: errno) }
    }

    /// unix(7): a path ends with NUL; an abstract name (`@` in the environment) starts with NUL and ends with the length.
    private func socketAddress() throws(Failure) -> (sockaddr_un, socklen_t) {
        var name = Array(address.utf8)
        switch name.first {
        case UInt8(ascii: "@"): name[0] = 0
        case UInt8(ascii: "/"): name.append(0)
        default: throw .unsupportedAddress(address)
        }
        var result = sockaddr_un()
        result.sun_family = sa_family_t(AF_UNIX)
        guard name.count <= MemoryLayout.size(ofValue: result.sun_path) else { throw .unsupportedAddress(address) }
        withUnsafeMutableBytes(of: &result.sun_path) { $0.copyBytes(from: name) }
        let head = MemoryLayout<sockaddr_un>.size - MemoryLayout.size(ofValue: result.sun_path)
        return (result, socklen_t(head + name.count))
    }
}
