// Answers of etcd's JSON gateway. Unknown members are ignored; a member that is missing has its type's zero, as in
// Protocol Buffers.

/// The answer to one call.
struct EtcdReply: Equatable, Sendable {
    /// What was asked for.
    enum Content: Equatable, Sendable {
        case granted(LeaseID, ttlSeconds: Int64)
        /// 0 seconds: the lease has ended.
        case kept(ttlSeconds: Int64)
        case revoked
        case listed([KeyValue])
        case committed(succeeded: Bool)
    }

    var header: StoreHeader
    var content: Content

    /// Reads a reply with status 200.
    init(to request: GatewayRequest, body: [UInt8]) throws(EtcdError) {
        self = try GatewayJSON.read(body) { json throws(EtcdError) in
            switch request {
            case .grant:
                guard let lease = json["ID"]?.integer, let seconds = json["TTL"]?.integer, seconds > 0 else {
                    throw .malformed("a lease without ID or TTL")
                }
                return EtcdReply(json, .granted(LeaseID(rawValue: lease), ttlSeconds: seconds))
            case .keepAlive:
                guard let result = json["result"] else { throw EtcdError(streamed: json) }
                return EtcdReply(result, .kept(ttlSeconds: result["TTL"]?.integer ?? 0))
            case .revoke:
                return EtcdReply(json, .revoked)
            case .list:
                // A partial list would make members vanish.
                guard json["more"]?.isTrue != true else { throw .malformed("a list that is not complete") }
                var pairs: [KeyValue] = []
                for element in json["kvs"]?.elements ?? [] { pairs.append(try KeyValue(element)) }
                return EtcdReply(json, .listed(pairs))
            case .commit:
                return EtcdReply(json, .committed(succeeded: json["succeeded"]?.isTrue == true))
            case .watch:
                throw .malformed("a watch has no single reply")
            }
        }
    }

    private init(_ json: GatewayJSON, _ content: Content) {
        header = StoreHeader(json["header"])
        self.content = content
    }

    init(header: StoreHeader, content: Content) {
        self.header = header
        self.content = content
    }
}

/// One line of a watch.
enum WatchMessage: Equatable, Sendable {
    /// The watch stands.
    case created(StoreHeader)
    /// What happened, oldest first; none when etcd only says how far it is.
    case events([KeyEvent], StoreHeader)

    /// Reads a line without its end.
    ///
    /// - Throws: `compacted` when the history has gone, `refused` when etcd ended the watch for another reason.
    init(line: [UInt8]) throws(EtcdError) {
        self = try GatewayJSON.read(line) { json throws(EtcdError) in
            guard let result = json["result"] else { throw EtcdError(streamed: json) }
            if result["compact_revision"]?.integer ?? 0 > 0 { throw .compacted }
            if result["canceled"]?.isTrue == true {
                throw .refused(status: 200, code: 1, message: result["cancel_reason"]?.string ?? "watch cancelled")
            }
            let header = StoreHeader(result["header"])
            if result["created"]?.isTrue == true { return .created(header) }
            var events: [KeyEvent] = []
            for element in result["events"]?.elements ?? [] {
                guard let pair = element["kv"] else { throw .malformed("an event without a key") }
                let keyValue = try KeyValue(pair)
                switch element["type"]?.string {
                case nil, "PUT": events.append(.put(keyValue))
                case "DELETE": events.append(.deleted(key: keyValue.key, at: keyValue.modRevision))
                case let type?: throw .malformed("an event of type \(type.prefix(20))")
                }
            }
            return .events(events, header)
        }
    }
}

extension StoreHeader {
    init(_ json: GatewayJSON?) {
        clusterID = json?["cluster_id"]?.unsigned ?? 0
        revision = Revision(rawValue: json?["revision"]?.integer ?? 0)
    }
}

extension KeyValue {
    init(_ json: GatewayJSON) throws(EtcdError) {
        guard let key = json["key"]?.base64 else { throw .malformed("a pair without a key") }
        self.key = String(decoding: key, as: UTF8.self)
        guard let value = json["value"].map(\.base64) ?? [] else { throw .malformed("a value that is not Base64") }
        self.value = value
        createRevision = Revision(rawValue: json["create_revision"]?.integer ?? 0)
        modRevision = Revision(rawValue: json["mod_revision"]?.integer ?? 0)
        let lease = json["lease"]?.integer ?? 0
        self.lease = lease == 0 ? nil : LeaseID(rawValue: lease)
    }
}

extension EtcdError {
    /// The error in the body of a reply whose status is not 200.
    init(status: Int, body: [UInt8]) {
        let read = try? GatewayJSON.read(body) { json throws(EtcdError) in
            (code: json["code"]?.integer ?? 0, message: json["message"]?.string ?? json["error"]?.string ?? "")
        }
        self.init(status: status, code: read?.code ?? 0, message: read?.message ?? "no reason given")
    }

    /// The error in a stream: status 200 was sent before it was known.
    init(streamed json: GatewayJSON) {
        guard let error = json["error"] else {
            self = .malformed("neither result nor error")
            return
        }
        let message = error["message"]?.string ?? error.string ?? "no reason given"
        let status = Int(exactly: error["http_code"]?.integer ?? 500) ?? 500
        self.init(status: status, code: error["grpc_code"]?.integer ?? 0, message: message)
    }

    /// Messages are those of etcd's `rpctypes/error.go`.
    private init(status: Int, code: Int64, message: String) {
        if message.hasSuffix("requested lease not found") {
            self = .leaseNotFound
        } else if message.hasSuffix("required revision has been compacted") {
            self = .compacted
        } else {
            self = .refused(status: status, code: code, message: String(message.prefix(200)))
        }
    }
}
