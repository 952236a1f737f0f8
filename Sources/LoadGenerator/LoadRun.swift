// A run from beginning to end: fill, warm up, measure, stop. Blocks the calling thread; the load is on others.

#if canImport(Glibc)
    import Glibc
#endif

/// Makes load runs.
package enum LoadRun {
    /// How often progress is reported.
    private static let tickMicroseconds: useconds_t = 50_000

    /// Runs `plan`; `progress` is called on this thread about 20 times a second.
    package static func run(
        _ plan: LoadPlan, progress: (LoadProgress) -> Void = { _ in }
    ) throws(LoadError) -> LoadReport {
        let target = try LoadTarget(host: plan.host, port: plan.port)
        for process in plan.serverProcesses where ProcessorTime.nanoseconds(ofProcess: process) == nil {
            throw .noMetrics(process: process)
        }
        if plan.fills, plan.protocol != .httpGet { try self.fill(plan, target, progress) }
        return try self.measure(plan, target, progress)
    }

    // MARK: Filling

    private static func fill(
        _ plan: LoadPlan, _ target: LoadTarget, _ progress: (LoadProgress) -> Void
    ) throws(LoadError) {
        var filling = plan
        filling.threads = 1
        filling.connections = min(plan.connections, 8)
        filling.ratePerSecond = nil
        filling.batch = 1
        // Several values a request where the protocol has it, but no requests of many megabytes.
        let fits = max(1, min(50, (1 << 20) / plan.valueBytes))
        filling.keysPerCall = plan.protocol == .jsonrpc || plan.protocol == .redis ? min(fits, plan.keys) : 1
        filling.pipeline = plan.protocol == .memcached ? min(fits, 16) : 1
        let requests = (plan.keys + filling.keysPerCall - 1) / filling.keysPerCall
        filling.length = .requests(requests)
        let control = LoadControl()
        control.isMeasuring.store(true, ordering: .relaxed)
        let worker = try LoadWorker(
            filling, target: target, control: control, index: 0, keySource: .sequential(next: 0, count: plan.keys))
        try worker.start()
        var meter = Meter()
        while !worker.isFinished.load(ordering: .acquiring) {
            usleep(self.tickMicroseconds)
            let done = worker.replies.load(ordering: .relaxed)
            progress(meter.progress(.filling, share: Double(done) / Double(requests), requests: done))
        }
        worker.join()
        if let failure = worker.failure { throw failure }
        guard worker.tally.failures == 0 else {
            throw .fillFailed(reason: "\(worker.tally.failures) of \(plan.keys) writes failed")
        }
    }

    // MARK: Measuring

    /// What is read at the beginning and at the end of the measured stretch.
    private struct Reading {
        var time: UInt64
        var requests: Int
        var serverTime: UInt64
        var generatorTime: UInt64
    }

    private static func measure(
        _ plan: LoadPlan, _ target: LoadTarget, _ progress: (LoadProgress) -> Void
    ) throws(LoadError) -> LoadReport {
        let control = LoadControl()
        var workers: [LoadWorker] = []
        for index in 0..<plan.threads {
            let seed = plan.seed &+ UInt64(index) &* 0x9E37_79B9
            let keys = KeySequence(keys: plan.keys, choice: plan.choice, seed: seed)
            workers.append(
                try LoadWorker(plan, target: target, control: control, index: index, keySource: .random(keys)))
        }
        defer { control.isStopping.store(true, ordering: .relaxed) }
        var meter = Meter()
        var begin = try self.reading(plan, workers)
        switch plan.length {
        case .requests(let count):
            control.isMeasuring.store(true, ordering: .relaxed)
            for worker in workers { try worker.start() }
            while !workers.allSatisfy({ $0.isFinished.load(ordering: .acquiring) }) {
                usleep(count < 100_000 ? 1000 : self.tickMicroseconds)
                let done = self.replies(workers)
                progress(meter.progress(.measuring, share: Double(done) / Double(count), requests: done))
            }
        case .milliseconds(let milliseconds):
            for worker in workers { try worker.start() }
            self.wait(milliseconds: plan.warmUpMilliseconds, .warmingUp, workers, &meter, progress)
            control.isMeasuring.store(true, ordering: .relaxed)
            begin = try self.reading(plan, workers)
            self.wait(milliseconds: milliseconds, .measuring, workers, &meter, progress)
        }
        control.isMeasuring.store(false, ordering: .relaxed)
        let end = try self.reading(plan, workers)
        control.isStopping.store(true, ordering: .relaxed)
        for worker in workers { worker.join() }
        for worker in workers {
            if let failure = worker.failure { throw failure }
        }
        return self.report(plan, workers, begin, end)
    }

    private static func wait(
        milliseconds: Int, _ stage: LoadProgress.Stage, _ workers: [LoadWorker], _ meter: inout Meter,
        _ progress: (LoadProgress) -> Void
    ) {
        let begin = monotonicNanoseconds()
        let length = UInt64(milliseconds) * 1_000_000
        while true {
            let elapsed = monotonicNanoseconds() - begin
            // A worker that has ended has failed.
            guard elapsed < length, !workers.contains(where: { $0.isFinished.load(ordering: .acquiring) })
            else { return }
            let share = Double(elapsed) / Double(length)
            progress(meter.progress(stage, share: share, requests: self.replies(workers)))
            usleep(min(self.tickMicroseconds, useconds_t((length - elapsed) / 1000 + 1)))
        }
    }

    private static func replies(_ workers: [LoadWorker]) -> Int {
        workers.reduce(0) { $0 + $1.replies.load(ordering: .relaxed) }
    }

    private static func reading(_ plan: LoadPlan, _ workers: [LoadWorker]) throws(LoadError) -> Reading {
        var serverTime: UInt64 = 0
        for process in plan.serverProcesses {
            guard let time = ProcessorTime.nanoseconds(ofProcess: process) else {
                throw .noMetrics(process: process)
            }
            serverTime += time
        }
        return Reading(
            time: monotonicNanoseconds(), requests: self.replies(workers), serverTime: serverTime,
            generatorTime: ProcessorTime.nanosecondsOfThisProcess())
    }

    private static func report(
        _ plan: LoadPlan, _ workers: [LoadWorker], _ begin: Reading, _ end: Reading
    ) -> LoadReport {
        var tally = LoadTally()
        for worker in workers { tally.merge(worker.tally) }
        var report = LoadReport()
        report.requests = end.requests - begin.requests
        report.nanoseconds = end.time - begin.time
        report.latencies = tally.latencies
        report.reads = tally.reads
        report.writes = tally.writes
        report.hits = tally.hits
        report.misses = tally.misses
        report.failures = tally.failures
        report.reconnects = tally.reconnects
        if !plan.serverProcesses.isEmpty { report.serverNanoseconds = end.serverTime - begin.serverTime }
        report.generatorNanoseconds = end.generatorTime - begin.generatorTime
        return report
    }
}

/// Speed between two reports.
private struct Meter {
    private var lastTime = monotonicNanoseconds()
    private var lastRequests = 0

    mutating func progress(_ stage: LoadProgress.Stage, share: Double, requests: Int) -> LoadProgress {
        let now = monotonicNanoseconds()
        let seconds = Double(max(now - self.lastTime, 1)) / 1e9
        let speed = Double(max(requests - self.lastRequests, 0)) / seconds
        self.lastTime = now
        self.lastRequests = requests
        return LoadProgress(stage: stage, share: min(max(share, 0), 1), requests: requests, requestsPerSecond: speed)
    }
}
