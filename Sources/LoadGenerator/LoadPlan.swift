// What a load run sends, to whom and for how long. Values only: LoadRun acts on them.

/// What the server under load speaks. The same generator loads all of them, so that its own cost cancels out of
/// comparisons.
package enum LoadProtocol: String, CaseIterable, Sendable {
    /// `POST /rpc` with JSON-RPC 2.0, a SpyderCache node.
    case jsonrpc
    /// `GET` of one fixed path from any web server; keys, values and the read ratio do not apply.
    case httpGet = "http-get"
    /// RESP 2, arrays of bulk strings.
    case redis
    /// The text protocol.
    case memcached
    /// Redis behind Webdis: `GET /GET/key`, `PUT /SET/key`.
    case webdis
}

/// Which key the next operation names.
package enum KeyChoice: Equatable, Sendable {
    case uniform
    /// Key k is named in proportion to 1 / (k + 1)^exponent.
    case zipf(exponent: Double)
    /// Every operation names the first key.
    case oneHot
}

/// What values look like.
package enum ValueKind: String, CaseIterable, Sendable {
    /// Letters and digits without repetition: zlib saves about a quarter.
    case text
    /// JSON records with repeating member names: zlib saves about four fifths.
    case records
}

/// When a run ends.
package enum LoadLength: Equatable, Sendable {
    case milliseconds(Int)
    case requests(Int)
}

/// All settings of a run.
package struct LoadPlan: Sendable {
    /// A name or an address; IPv6 without its brackets.
    package var host: String
    package var port: Int
    package var `protocol`: LoadProtocol = .jsonrpc
    package var connections = 32
    /// Threads of the generator; each has its share of the connections.
    package var threads = 1
    /// Requests in flight on a connection.
    package var pipeline = 1
    /// Keys a read or write names at once: `cache.getMany` and `cache.putMany`, `MGET` and `MSET`, `get k1 k2 …`.
    package var keysPerCall = 1
    /// JSON-RPC calls a request: more than one makes it a batch.
    package var batch = 1
    /// Requests a second of all connections together; nil for as many as the server answers. Latency is then counted
    /// from the moment a request was due, so that a stall of the server shows in full.
    package var ratePerSecond: Int?
    /// How many different keys there are.
    package var keys = 10_000
    package var choice = KeyChoice.uniform
    /// The share of requests that read, 0…1.
    package var readRatio = 1.0
    /// Bytes of a value as it is sent: for JSON-RPC its JSON text, quotes included. At least `minValueBytes`.
    package var valueBytes = 100
    package var valueKind = ValueKind.text
    /// `ttlMs` of JSON-RPC writes; nil for values that stay.
    package var ttlMilliseconds: Int?
    /// Whether HTTP requests say that gzip is welcome.
    package var acceptsGzip = false
    /// What `httpGet` asks for.
    package var path = "/"
    /// Whether every key is written before the run, so that reads hit.
    package var fills = true
    package var length = LoadLength.milliseconds(5000)
    /// Load before anything is counted, in milliseconds; only with a length in time.
    package var warmUpMilliseconds = 500
    package var seed: UInt64 = 1
    /// Processes of the server, whose processor time is reported as one sum; empty where they are not known.
    package var serverProcesses: [Int32] = []

    /// The shortest value: the digits of its key, by which a reply is checked, and what encloses them.
    package static let minValueBytes = 24
    /// Key digits are fixed in number so that every request of a kind has one length.
    package static let keyDigits = 12

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Operations on a key that one request makes.
    package var operationsPerRequest: Int { self.batch * self.keysPerCall }
}

/// Why a run could not be made or ended early.
package enum LoadError: Error, Equatable, CustomStringConvertible {
    case cannotResolve(host: String, reason: String)
    case cannotConnect(host: String, port: Int, reason: String)
    case noMetrics(process: Int32)
    case system(call: String, reason: String)
    /// The server would not take the keys that the run reads.
    case fillFailed(reason: String)
    case stalled(milliseconds: Int)
    /// Connection after connection was closed without a readable reply.
    case dropsConnections

    package var description: String {
        switch self {
        case .cannotResolve(let host, let reason): "\(host): \(reason)"
        case .cannotConnect(let host, let port, let reason): "cannot connect to \(host) port \(port): \(reason)"
        case .noMetrics(let process): "process \(process): no processor time to be read from /proc"
        case .system(let call, let reason): "\(call): \(reason)"
        case .fillFailed(let reason): "the server did not take the keys that were to be read: \(reason)"
        case .dropsConnections: "the server closes connections, or sends what cannot be read, instead of replies"
        case .stalled(let milliseconds): "no reply for \(milliseconds) ms"
        }
    }
}
