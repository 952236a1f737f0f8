// What a run found.

/// The result of a load run. Counts and times are those of the measured stretch, without filling and warm-up.
package struct LoadReport: Sendable {
    package var requests = 0
    package var nanoseconds: UInt64 = 0
    package var latencies = LatencyHistogram()
    /// Operations on keys; a `getMany` of 100 keys makes 100.
    package var reads = 0
    package var writes = 0
    package var hits = 0
    package var misses = 0
    /// Operations refused, answered wrongly, or lost with their connection.
    package var failures = 0
    package var reconnects = 0
    /// Processor time of the server's processes; nil where they were not named.
    package var serverNanoseconds: UInt64?
    /// Processor time of the generator itself. Near 100 % of its threads, it is the generator that was measured.
    package var generatorNanoseconds: UInt64 = 0

    package init() {}

    package var requestsPerSecond: Double {
        self.nanoseconds == 0 ? 0 : Double(self.requests) * 1e9 / Double(self.nanoseconds)
    }

    /// Processor time of the server a request, in microseconds.
    package var serverMicrosecondsPerRequest: Double? {
        guard let time = self.serverNanoseconds, self.requests > 0 else { return nil }
        return Double(time) / 1000 / Double(self.requests)
    }

    package var generatorPercent: Double {
        self.nanoseconds == 0 ? 0 : 100 * Double(self.generatorNanoseconds) / Double(self.nanoseconds)
    }
}

/// How far a run has come, for a progress bar.
package struct LoadProgress: Sendable {
    package enum Stage: Sendable {
        case filling, warmingUp, measuring
    }

    package var stage: Stage
    /// 0…1 of the stage.
    package var share: Double
    package var requests: Int
    /// Since the last report.
    package var requestsPerSecond: Double
}
