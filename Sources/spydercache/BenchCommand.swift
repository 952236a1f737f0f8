// `spydercache bench`: loads a node, or another server for comparison, and tells requests a second, latencies and what the
// requests cost the server.
//
//     0 done    1 some replies were wrong    64 usage    69 server unreachable or silent

import ArgumentParser
import LoadGenerator

#if canImport(Glibc)
    import Glibc
#endif

/// The load generator.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Load a node, or another server for comparison, and measure it.",
        discussion: """
            Every reply is checked: status, number of items, and that each value is that of the key asked for. For figures \
            that can be compared, pin server and generator to different cores (taskset) and look at the server's \
            processor time a request (--server-pid) rather than at the clock.
            """)

    @Option(help: "The server, HOST:PORT.")
    var node = NodeAddress.standard

    @Option(name: .customLong("protocol"), help: "What the server speaks.")
    var wire = LoadProtocol.jsonrpc

    @Option(name: .shortAndLong, help: "Connections.")
    var connections = 32

    @Option(help: "Threads of the generator.")
    var threads = 1

    @Option(name: .shortAndLong, help: "Requests in flight on each connection.")
    var pipeline = 1

    @Option(help: "Calls in a JSON-RPC batch; 1 for none.")
    var batch = 1

    @Option(help: "Keys a call: more than 1 makes cache.getMany and cache.putMany, MGET and MSET, get k1 k2 ….")
    var many = 1

    @Option(help: "Different keys.")
    var keys = 10_000

    @Option(help: "Which key comes next: uniform, zipf or one-hot.")
    var distribution = Distribution.uniform

    @Option(help: "Exponent of the zipf distribution.")
    var zipfExponent = 0.99

    @Option(help: "Share of requests that read, 0 to 1; the others write.")
    var readRatio = 1.0

    @Option(help: "Bytes of a value.")
    var valueSize = 100

    @Option(help: "What values are: text (zlib saves a quarter) or records (JSON; zlib saves most).")
    var valueKind = ValueKind.text

    @Option(help: ArgumentHelp("Time to live of JSON-RPC writes.", valueName: "ms"))
    var ttlMs: Int?

    @Flag(help: "Say that gzip is welcome.")
    var gzip = false

    @Option(help: "What --protocol http-get asks for.")
    var path = "/"

    @Option(help: "Seconds to measure (default: 5).")
    var duration: Double?

    @Option(help: "Measure this many requests instead of a time.")
    var requests: Int?

    @Option(help: "Seconds of load before measuring.")
    var warmUp = 0.5

    @Option(help: "Requests a second in all; latency then counts from when a request was due.")
    var rate: Int?

    @Flag(inversion: .prefixedNo, help: "Write every key first.")
    var fill = true

    @Option(help: "Seed of keys and values.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("A process of the server, for its processor time; may be repeated.", valueName: "pid"))
    var serverPid: [Int32] = []

    @Flag(help: "Print the result as one JSON object.")
    var json = false

    @Flag(help: "No progress bar.")
    var quiet = false

    /// The names of `KeyChoice`.
    enum Distribution: String, CaseIterable, ExpressibleByArgument {
        case uniform, zipf
        case oneHot = "one-hot"
    }

    func validate() throws {
        func check(_ holds: Bool, _ message: String) throws {
            if !holds { throw ValidationError(message) }
        }
        try check(1...60_000 ~= self.connections, "--connections must be 1 to 60000.")
        try check(1...256 ~= self.threads, "--threads must be 1 to 256.")
        try check(self.threads <= self.connections, "--threads must not exceed --connections.")
        try check(1...10_000 ~= self.pipeline, "--pipeline must be 1 to 10000.")
        try check(1...100_000 ~= self.batch, "--batch must be 1 to 100000.")
        try check(1...100_000 ~= self.many, "--many must be 1 to 100000.")
        try check(1...1_000_000_000 ~= self.keys, "--keys must be 1 to 1000000000.")
        try check(0...1 ~= self.readRatio, "--read-ratio must be 0 to 1.")
        try check(
            LoadPlan.minValueBytes...(1 << 30) ~= self.valueSize,
            "--value-size must be \(LoadPlan.minValueBytes) to \(1 << 30).")
        try check(self.zipfExponent > 0 && self.zipfExponent <= 10, "--zipf-exponent must be above 0, up to 10.")
        try check(self.ttlMs.map { $0 > 0 } ?? true, "--ttl-ms must be at least 1.")
        try check(self.rate.map { 1...1_000_000_000 ~= $0 } ?? true, "--rate must be 1 to 1000000000.")
        try check(self.requests.map { $0 > 0 } ?? true, "--requests must be at least 1.")
        try check(self.duration.map { 0.01...86_400 ~= $0 } ?? true, "--duration must be 0.01 to 86400.")
        try check(0...3600 ~= self.warmUp, "--warm-up must be 0 to 3600.")
        try check(self.requests == nil || self.duration == nil, "--requests and --duration exclude each other.")
        try check(self.path.hasPrefix("/"), "--path must begin with '/'.")
        try check(self.batch == 1 || self.wire == .jsonrpc, "--batch is for --protocol jsonrpc.")
        let writesOne = self.wire == .memcached || self.wire == .webdis
        try check(!writesOne || self.many == 1 || self.readRatio == 1, "--many writes are not known to this protocol.")
        try check(self.wire != .webdis || self.valueKind == .text, "--protocol webdis takes --value-kind text.")
    }

    func run() throws {
        let progress = ProgressBar(isShown: !self.quiet)
        let report: LoadReport
        do throws(LoadError) {
            report = try LoadRun.run(self.plan) { progress.show($0) }
            progress.clear()
        } catch {
            progress.clear()
            printError("spydercache: \(error)")
            throw ExitStatus.unavailable.exitCode
        }
        let output = BenchOutput(self.plan, report)
        print(self.json ? output.json : output.text)
        guard report.failures == 0 else { throw ExitCode(1) }
    }

    /// The options as the generator takes them.
    var plan: LoadPlan {
        var plan = LoadPlan(host: self.node.host, port: self.node.port)
        plan.protocol = self.wire
        plan.connections = self.connections
        plan.threads = self.threads
        plan.pipeline = self.pipeline
        plan.batch = self.batch
        plan.keysPerCall = self.many
        plan.keys = self.keys
        switch self.distribution {
        case .uniform: plan.choice = .uniform
        case .zipf: plan.choice = .zipf(exponent: self.zipfExponent)
        case .oneHot: plan.choice = .oneHot
        }
        plan.readRatio = self.wire == .httpGet ? 1 : self.readRatio
        plan.valueBytes = self.valueSize
        plan.valueKind = self.valueKind
        plan.ttlMilliseconds = self.ttlMs
        plan.acceptsGzip = self.gzip
        plan.path = self.path
        plan.length =
            self.requests.map { .requests($0) } ?? .milliseconds(Int((1000 * (self.duration ?? 5)).rounded()))
        plan.warmUpMilliseconds = Int((1000 * self.warmUp).rounded())
        plan.ratePerSecond = self.rate
        plan.fills = self.fill
        plan.seed = self.seed
        plan.serverProcesses = self.serverPid
        return plan
    }
}

extension LoadProtocol: ExpressibleByArgument {}
extension ValueKind: ExpressibleByArgument {}
