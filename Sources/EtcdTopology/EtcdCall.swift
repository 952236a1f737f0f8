// One call with all its attempts.

import NIOCore

/// Confined to its event loop.
final class EtcdCall {
    private let request: GatewayRequest
    private let connector: EndpointConnector
    private let loop: any EventLoop
    private let attemptMilliseconds: Int64
    private var endpointsLeft: Int
    private var finish: ((EtcdCall, Result<EtcdReply, EtcdError>) -> Void)?
    private var timer: Scheduled<Void>?
    /// Late results of earlier attempts carry a lower number.
    private var attempt = 0
    private var endpoint = ""
    private var connection: GatewayConnection?
    private var status = 0
    private var body: [UInt8] = []

    /// The time is divided among the endpoints.
    init(_ request: GatewayRequest, timeoutMilliseconds: Int64, connector: EndpointConnector, loop: any EventLoop) {
        self.request = request
        self.connector = connector
        self.loop = loop
        endpointsLeft = connector.count
        attemptMilliseconds = max(1, timeoutMilliseconds / Int64(connector.count))
    }

    /// Makes the first attempt; `finish` is called once, unless `cancel` was.
    func begin(_ finish: @escaping (EtcdCall, Result<EtcdReply, EtcdError>) -> Void) {
        self.finish = finish
        tryEndpoint()
    }

    /// Gives up without a result.
    func cancel() {
        endAttempt()
        finish = nil
    }

    private func tryEndpoint() {
        attempt += 1
        endpoint = connector.name
        let attempt = attempt
        timer = loop.assumeIsolated().scheduleTask(in: .milliseconds(attemptMilliseconds)) {
            guard attempt == self.attempt else { return }
            self.failed(.timedOut(milliseconds: self.attemptMilliseconds))
        }
        if let connection = connector.takeIdle() {
            send(on: connection, isFresh: false)
        } else {
            openConnection()
        }
    }

    private func openConnection() {
        let attempt = attempt
        let endpoint = endpoint
        connector.open(timeout: .milliseconds(attemptMilliseconds)) { result in
            switch result {
            case .success(let connection):
                guard attempt == self.attempt, self.finish != nil else {
                    return self.connector.giveBack(connection, of: endpoint)
                }
                self.send(on: connection, isFresh: true)
            case .failure(let error):
                guard attempt == self.attempt else { return }
                self.failed(error)
            }
        }
    }

    private func send(on connection: GatewayConnection, isFresh: Bool) {
        self.connection = connection
        status = 0
        body = []
        connection.send(path: request.path, body: request.body) { part in
            switch part {
            case .status(let status):
                self.status = status
            case .bytes(let bytes):
                guard self.body.count + bytes.readableBytes <= EtcdClient.maxReplyBytes else {
                    return self.failed(.tooLarge(limitBytes: EtcdClient.maxReplyBytes))
                }
                self.body.append(contentsOf: bytes.readableBytesView)
            case .end:
                self.connection = nil
                self.connector.giveBack(connection, of: self.endpoint)
                self.replied()
            case .lost(let reason):
                self.connection = nil
                // etcd closed a kept connection before it knew of this call: no fault of the endpoint.
                if !isFresh && self.status == 0 { return self.openConnection() }
                self.failed(.unreachable("\(self.endpoint): \(reason)"))
            }
        }
    }

    private func replied() {
        guard status == 200 else { return failed(EtcdError(status: status, body: body)) }
        do throws(EtcdError) {
            let reply = try EtcdReply(to: request, body: body)
            endAttempt()
            complete(.success(reply))
        } catch {
            failed(error)
        }
    }

    private func failed(_ error: EtcdError) {
        endAttempt()
        guard error.isEndpointsFault else { return complete(.failure(error)) }
        connector.failed(endpoint)
        endpointsLeft -= 1
        if endpointsLeft > 0 { tryEndpoint() } else { complete(.failure(error)) }
    }

    private func endAttempt() {
        attempt += 1
        timer?.cancel()
        timer = nil
        connection?.close()
        connection = nil
    }

    private func complete(_ result: Result<EtcdReply, EtcdError>) {
        let finish = finish
        self.finish = nil
        finish?(self, result)
    }
}

@available(*, unavailable)
extension EtcdCall: Sendable {}
