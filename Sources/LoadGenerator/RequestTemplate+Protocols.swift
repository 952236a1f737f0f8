// The requests of each protocol. A key is `key:` and twelve digits (16 bytes); a value begins with the digits of its key,
// so that a reply that belongs to another request does not pass for a hit.

extension RequestTemplate {
    /// The request that reads values under `plan`.
    package static func read(_ plan: LoadPlan) -> RequestTemplate {
        switch plan.protocol {
        case .jsonrpc:
            return self.jsonRPC(plan, isRead: true) { call, ordinals in
                if plan.keysPerCall == 1 {
                    call.append("\"cache.get\",\"params\":{\"key\":")
                    call.appendQuotedKey(ordinals.lowerBound)
                } else {
                    call.append("\"cache.getMany\",\"params\":{\"keys\":[")
                    call.appendList(ordinals) { $0.appendQuotedKey($1) }
                    call.append("]")
                }
                call.append("}")
            }
        case .httpGet:
            var request = RequestTemplate(isRead: true, keys: plan.keysPerCall)
            request.appendHead("GET \(plan.path)", plan)
            return request
        case .redis:
            var request = RequestTemplate(isRead: true, keys: plan.keysPerCall)
            request.append(
                "*\(1 + plan.keysPerCall)\r\n" + (plan.keysPerCall == 1 ? "$3\r\nGET\r\n" : "$4\r\nMGET\r\n"))
            for ordinal in 0..<plan.keysPerCall { request.appendBulkKey(ordinal) }
            return request
        case .memcached:
            var request = RequestTemplate(isRead: true, keys: plan.keysPerCall)
            request.append("get")
            for ordinal in 0..<plan.keysPerCall {
                request.append(" ")
                request.appendKey(ordinal)
            }
            request.append("\r\n")
            return request
        case .webdis:
            var request = RequestTemplate(isRead: true, keys: plan.keysPerCall)
            request.append(plan.keysPerCall == 1 ? "GET /GET" : "GET /MGET")
            for ordinal in 0..<plan.keysPerCall {
                request.append("/")
                request.appendKey(ordinal)
            }
            request.appendHead("", plan)
            return request
        }
    }

    /// The request that writes values under `plan`; nil where the protocol has none.
    package static func write(_ plan: LoadPlan) -> RequestTemplate? {
        let value = SampleValue(plan)
        switch plan.protocol {
        case .jsonrpc:
            let expiry = plan.ttlMilliseconds.map { ",\"ttlMs\":\($0)" } ?? ""
            func appendItem(_ target: inout RequestTemplate, _ ordinal: Int) {
                target.append("{\"key\":")
                target.appendQuotedKey(ordinal)
                target.append(",\"value\":")
                target.appendValue(value, ordinal)
                target.append(expiry + "}")
            }
            return self.jsonRPC(plan, isRead: false) { call, ordinals in
                if plan.keysPerCall == 1 {
                    call.append("\"cache.put\",\"params\":")
                    appendItem(&call, ordinals.lowerBound)
                } else {
                    call.append("\"cache.putMany\",\"params\":{\"items\":[")
                    call.appendList(ordinals) { appendItem(&$0, $1) }
                    call.append("]}")
                }
            }
        case .httpGet:
            return nil
        case .redis:
            var request = RequestTemplate(isRead: false, keys: plan.keysPerCall)
            let name = plan.keysPerCall == 1 ? "$3\r\nSET\r\n" : "$4\r\nMSET\r\n"
            request.append("*\(1 + 2 * plan.keysPerCall)\r\n" + name)
            for ordinal in 0..<plan.keysPerCall {
                request.appendBulkKey(ordinal)
                request.append("$\(value.count)\r\n")
                request.appendValue(value, ordinal)
                request.append("\r\n")
            }
            return request
        case .memcached:
            var request = RequestTemplate(isRead: false, keys: 1)
            request.append("set ")
            request.appendKey(0)
            request.append(" 0 0 \(value.count)\r\n")
            request.appendValue(value, 0)
            request.append("\r\n")
            return request
        case .webdis:
            var request = RequestTemplate(isRead: false, keys: 1)
            request.append("PUT /SET/")
            request.appendKey(0)
            request.appendHead("", plan, bodyBytes: value.count)
            request.appendValue(value, 0)
            return request
        }
    }

    private static func jsonRPC(
        _ plan: LoadPlan, isRead: Bool, _ appendMethod: (inout RequestTemplate, Range<Int>) -> Void
    ) -> RequestTemplate {
        let keys = plan.operationsPerRequest
        var body = RequestTemplate(isRead: isRead, keys: keys)
        if plan.batch > 1 { body.append("[") }
        body.appendList(0..<plan.batch) { body, index in
            body.append("{\"jsonrpc\":\"2.0\",\"id\":\(index + 1),\"method\":")
            appendMethod(&body, index * plan.keysPerCall..<(index + 1) * plan.keysPerCall)
            body.append("}")
        }
        if plan.batch > 1 { body.append("]") }
        var request = RequestTemplate(isRead: isRead, keys: keys)
        request.appendHead(
            "POST /rpc", plan, bodyBytes: body.bytes.count, fields: "Content-Type: application/json\r\n")
        request.append(body)
        return request
    }

    private mutating func appendHead(_ line: String, _ plan: LoadPlan, bodyBytes: Int? = nil, fields: String = "") {
        let host = plan.host.contains(":") ? "[\(plan.host)]" : plan.host
        self.append("\(line) HTTP/1.1\r\nHost: \(host):\(plan.port)\r\n" + fields)
        if plan.acceptsGzip { self.append("Accept-Encoding: gzip\r\n") }
        if let bodyBytes { self.append("Content-Length: \(bodyBytes)\r\n") }
        self.append("\r\n")
    }

    private mutating func appendKey(_ ordinal: Int) {
        self.append("key:")
        self.appendKeyDigits(ordinal)
    }

    private mutating func appendQuotedKey(_ ordinal: Int) {
        self.append("\"")
        self.appendKey(ordinal)
        self.append("\"")
    }

    private mutating func appendBulkKey(_ ordinal: Int) {
        self.append("$\(4 + LoadPlan.keyDigits)\r\n")
        self.appendKey(ordinal)
        self.append("\r\n")
    }

    private mutating func appendValue(_ value: SampleValue, _ ordinal: Int) {
        self.append(value.head)
        self.appendKeyDigits(ordinal)
        self.append(value.tail)
    }

    private mutating func appendList(_ ordinals: Range<Int>, _ append: (inout RequestTemplate, Int) -> Void) {
        for ordinal in ordinals {
            if ordinal > ordinals.lowerBound { self.append(",") }
            append(&self, ordinal)
        }
    }
}

/// A value around the digits of its key: JSON in every protocol, so that all servers move the same bytes.
struct SampleValue {
    /// A quote for `text`, more for `records`.
    let head: [UInt8]
    let tail: [UInt8]

    var count: Int { self.head.count + LoadPlan.keyDigits + self.tail.count }

    init(_ plan: LoadPlan) {
        var random = LoadRandom(seed: plan.seed)
        let bytes = max(plan.valueBytes, LoadPlan.minValueBytes)
        switch plan.valueKind {
        case .text:
            let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
            self.head = Array("\"".utf8)
            let count = bytes - 2 - LoadPlan.keyDigits
            self.tail =
                (0..<count).map { _ in letters[Int(random.next() & 63)] } + Array("\"".utf8)
        case .records:
            // ["000000000012",{…},{…}   ]
            self.head = Array("[\"".utf8)
            var text = "\""
            let names = ["Ada", "Grace", "Edsger", "Barbara", "Donald", "Leslie", "Tony", "Frances"]
            let room = bytes - self.head.count - LoadPlan.keyDigits - 4
            while true {
                let number = random.next()
                let record =
                    ",{\"id\":\(number % 1_000_000),\"name\":\"\(names[Int(number >> 32 & 7)])\",\"active\":"
                    + "\(number & 1 == 0),\"score\":\(number % 997),\"tags\":[\"alpha\",\"beta\"]}"
                guard text.utf8.count + record.utf8.count <= room else { break }
                text += record
            }
            let padding = bytes - self.head.count - LoadPlan.keyDigits - text.utf8.count
            text += String(repeating: " ", count: padding - 1) + "]"
            self.tail = Array(text.utf8)
        }
    }
}
