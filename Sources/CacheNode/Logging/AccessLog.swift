// One line a request, or only for those that failed or were slow, as `[log] access` says. Never a value.

import Configuration

/// Decides which requests are logged, and writes their lines.
///
/// Each mode includes the one before it: off, errors, slow, all.
struct AccessLog: Sendable {
    private let mode: Configuration.AccessLog
    private let slowMilliseconds: Int
    private let log: NodeLog

    init(_ settings: NodeConfiguration.Log, _ log: NodeLog) {
        mode = settings.access
        slowMilliseconds = settings.slowMilliseconds
        self.log = log
    }

    /// Whether any request may get a line: then it is worth knowing who sent it.
    var isOn: Bool { mode != .off }

    /// Notes a request that was answered.
    @inline(__always)
    func record(_ request: borrowing CompleteRequest, _ response: borrowing ProcessedResponse, nanoseconds: Int64) {
        guard mode != .off else { return }
        write(request.body.readableBytes, request.remote, response, nanoseconds)
    }

    /// Notes a request that was refused before its body had come.
    func refused(_ response: borrowing ProcessedResponse, remote: String?) {
        guard mode != .off else { return }
        write(0, remote, response, 0)
    }

    private func write(
        _ requestBytes: Int, _ remote: String?, _ response: borrowing ProcessedResponse, _ nanoseconds: Int64
    ) {
        let isSlow = mode != .errors && nanoseconds >= Int64(slowMilliseconds) * 1_000_000
        guard isSlow || mode == .all || response.failures > 0 else { return }
        var fields: LogFields = [
            "requestBytes": .int(requestBytes), "responseBytes": .int(response.bytes.readableBytes),
            "durationMs": .double(Double(nanoseconds / 1000) / 1000), "calls": .int(response.calls),
        ]
        if let remote { fields["remote"] = .string(remote) }
        if let method = response.method, response.calls == 1 {
            fields["method"] = .string("\(MethodTable.all[method].name)")
        }
        if isSlow {
            fields["limitMs"] = .int(slowMilliseconds)
            log.emit(.requestSlow, fields)
        } else {
            fields["status"] = .int(response.status.code)
            if let code = response.firstErrorCode { fields["code"] = .int(Int(code)) }
            log.emit(.requestAccess, fields)
        }
    }
}
