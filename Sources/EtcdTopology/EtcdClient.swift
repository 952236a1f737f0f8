// Calls etcd through its JSON gateway: HTTP/1.1, persistent connections, a deadline a call, the next endpoint when one
// fails. It does not repeat a call that etcd has answered, and knows nothing of membership.

import NIOCore

/// Confined to its event loop, on which all results come.
final class EtcdClient {
    typealias Completion = (Result<EtcdReply, EtcdError>) -> Void

    /// Longest answer to a call and longest line of a watch.
    static let maxReplyBytes = 8 << 20

    private let loop: any EventLoop
    private let connector: EndpointConnector
    private var calls: [ObjectIdentifier: EtcdCall] = [:]
    private var watches: [ObjectIdentifier: WatchStream] = [:]
    private var isShutDown = false

    /// Nothing is opened before the first call.
    init(endpoints: [EtcdSettings.Endpoint], loop: any EventLoop) {
        self.loop = loop
        connector = EndpointConnector(endpoints: endpoints, loop: loop)
    }

    /// Makes a call. Each endpoint in turn gets an equal part of the time; a transaction may have happened although the
    /// call failed. The caller bounds how many it makes at a time.
    func call(_ request: GatewayRequest, timeoutMilliseconds: Int64, completion: @escaping Completion) {
        loop.assertInEventLoop()
        guard !isShutDown else { return }
        let call = EtcdCall(request, timeoutMilliseconds: timeoutMilliseconds, connector: connector, loop: loop)
        calls[ObjectIdentifier(call)] = call
        call.begin { [weak self] call, result in
            guard self?.calls.removeValue(forKey: ObjectIdentifier(call)) != nil else { return }
            completion(result)
        }
    }

    /// Begins a watch. `receive` gets messages until the first failure, which is the last call.
    @discardableResult
    func watch(
        prefix: String, from revision: Revision, timeoutMilliseconds: Int64,
        receive: @escaping (Result<WatchMessage, EtcdError>) -> Void
    ) -> WatchStream {
        loop.assertInEventLoop()
        let watch = WatchStream(
            .watch(prefix: prefix, from: revision), timeoutMilliseconds: timeoutMilliseconds, connector: connector,
            loop: loop)
        watches[ObjectIdentifier(watch)] = watch
        watch.begin { [weak self] watch, result in
            guard self?.watches[ObjectIdentifier(watch)] != nil else { return }
            if case .failure = result { self?.watches[ObjectIdentifier(watch)] = nil }
            receive(result)
        }
        return watch
    }

    /// Ends a watch; nothing more is received.
    func cancel(_ watch: WatchStream) {
        guard watches.removeValue(forKey: ObjectIdentifier(watch)) != nil else { return }
        watch.cancel()
    }

    /// Ends everything; no completion is called after it.
    func shutDown() {
        loop.assertInEventLoop()
        isShutDown = true
        let (calls, watches) = (calls.values, watches.values)
        self.calls = [:]
        self.watches = [:]
        for call in calls { call.cancel() }
        for watch in watches { watch.cancel() }
        connector.shutDown()
    }
}

@available(*, unavailable)
extension EtcdClient: Sendable {}
