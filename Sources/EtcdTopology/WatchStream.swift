// One watch: a request whose answer has no end, one JSON object a line.

import NIOCore

/// Confined to its event loop.
final class WatchStream {
    private let request: GatewayRequest
    private let connector: EndpointConnector
    private let loop: any EventLoop
    private let timeoutMilliseconds: Int64
    private let endpoint: String
    private var receive: ((WatchStream, Result<WatchMessage, EtcdError>) -> Void)?
    private var connection: GatewayConnection?
    /// Runs until etcd has said that the watch stands; from then on silence is no fault.
    private var timer: Scheduled<Void>?
    private var status = 0
    /// What came after the last line end.
    private var line: [UInt8] = []

    /// The time-out is for the way to a watch that stands.
    init(_ request: GatewayRequest, timeoutMilliseconds: Int64, connector: EndpointConnector, loop: any EventLoop) {
        self.request = request
        self.connector = connector
        self.loop = loop
        self.timeoutMilliseconds = timeoutMilliseconds
        endpoint = connector.name
    }

    /// Asks for the watch; `receive` is called until the first failure or `cancel`.
    func begin(_ receive: @escaping (WatchStream, Result<WatchMessage, EtcdError>) -> Void) {
        self.receive = receive
        timer = loop.assumeIsolated().scheduleTask(in: .milliseconds(timeoutMilliseconds)) {
            self.failed(.timedOut(milliseconds: self.timeoutMilliseconds))
        }
        // Always a connection of its own: it is busy for as long as the watch lasts.
        connector.open(timeout: .milliseconds(timeoutMilliseconds)) { result in
            switch result {
            case .success(let connection):
                guard self.receive != nil else { return connection.close() }
                self.send(on: connection)
            case .failure(let error): self.failed(error)
            }
        }
    }

    /// Nothing is received any more.
    func cancel() {
        receive = nil
        timer?.cancel()
        connection?.close()
        connection = nil
    }

    private func send(on connection: GatewayConnection) {
        self.connection = connection
        connection.send(path: request.path, body: request.body) { part in
            switch part {
            case .status(let status): self.status = status
            case .bytes(let bytes): self.received(bytes)
            case .end where self.status != 200: self.failed(EtcdError(status: self.status, body: self.line))
            case .end: self.failed(.unreachable("\(self.endpoint): the watch was ended"))
            case .lost(let reason): self.failed(.unreachable("\(self.endpoint): \(reason)"))
            }
        }
    }

    private func received(_ bytes: ByteBuffer) {
        var rest = bytes.readableBytesView[...]
        while status == 200, receive != nil, let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            line.append(contentsOf: rest[..<end])
            rest = rest[(end + 1)...]
            lineEnded()
        }
        guard line.count + rest.count <= EtcdClient.maxReplyBytes else {
            return failed(.tooLarge(limitBytes: EtcdClient.maxReplyBytes))
        }
        line.append(contentsOf: rest)
    }

    private func lineEnded() {
        let ended = line
        line = []
        guard !ended.isEmpty else { return }
        do throws(EtcdError) {
            let message = try WatchMessage(line: ended)
            timer?.cancel()
            receive?(self, .success(message))
        } catch {
            failed(error)
        }
    }

    private func failed(_ error: EtcdError) {
        let receive = receive
        cancel()
        if error.isEndpointsFault, receive != nil { connector.failed(endpoint) }
        receive?(self, .failure(error))
    }
}

@available(*, unavailable)
extension WatchStream: Sendable {}
