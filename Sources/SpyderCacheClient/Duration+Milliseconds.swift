// Durations in the unit of the wire.

extension Duration {
    /// Whole milliseconds, rounded up so that a positive duration never becomes zero; saturates at `Int64.max`.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = self.components
        let attosecondsInMillisecond: Int64 = 1_000_000_000_000_000
        let rest = attoseconds / attosecondsInMillisecond + (attoseconds % attosecondsInMillisecond > 0 ? 1 : 0)
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        guard !overflow else { return seconds > 0 ? .max : .min }
        let (sum, sumOverflow) = scaled.addingReportingOverflow(rest)
        return sumOverflow ? .max : sum
    }
}
