// The bounded queue between those who log and the thread that writes: pure bookkeeping, no lock, no descriptor.
//
//     offer → [ waiting ] → take → [ in flight ] → settle
//                 │ full                  │ could not be written
//                 └──────► dropped ◄──────┘    reported by a notice line as soon as one gets through
//
// Every line offered is written, or counted by exactly one notice that is written, or still counted in `dropped`.

/// Lines in order, with what each stands for.
struct LogBatch {
    /// The lines, one after the other.
    var bytes: [UInt8] = []
    /// For each line where it ends in `bytes`, and how many dropped lines it reports: more than 0 makes it a notice.
    var marks: [(end: Int, reports: Int)] = []

    mutating func append(_ line: [UInt8], reports: Int) {
        bytes.append(contentsOf: line)
        marks.append((bytes.count, reports))
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        marks.removeAll(keepingCapacity: true)
    }

    /// What is lost when only the first `written` bytes, and the rest of a line begun within them, get out.
    func loss(afterWriting written: Int) -> LogLoss {
        var loss = LogLoss()
        var start = 0
        for mark in marks {
            if start >= written {
                if mark.reports > 0 { loss.unreported += mark.reports } else { loss.lines += 1 }
            }
            start = mark.end
        }
        return loss
    }

    /// Where the line ends that byte `offset` belongs to; `offset` itself when a line begins there.
    func endOfLine(at offset: Int) -> Int {
        var start = 0
        for mark in marks where start < offset {
            if mark.end >= offset { return mark.end }
            start = mark.end
        }
        return offset
    }
}

/// Part of a batch that could not be written.
struct LogLoss: Equatable {
    /// Lines of callers.
    var lines = 0
    /// Dropped lines whose notice was lost and which must be reported again.
    var unreported = 0
}

/// Bounds what is kept and counts what is not.
struct LogQueue {
    /// How much may wait and be in flight together.
    struct Limits: Sendable {
        var bytes: Int
        var lines: Int
    }

    private let limits: Limits
    private var waiting = LogBatch()
    private var inFlight = (bytes: 0, lines: 0)
    /// Lines dropped and not yet reported.
    private(set) var dropped = 0
    /// Lines dropped since the start, reported or not.
    private(set) var droppedInAll = 0

    init(limits: Limits) { self.limits = limits }

    /// Nothing waits and nothing is being written.
    var isIdle: Bool { waiting.marks.isEmpty && inFlight.lines == 0 }

    /// Keeps `line`, preceded by a notice if lines were dropped before it, or drops it when there is no room for both.
    mutating func offer(_ line: [UInt8], notice: (Int) -> [UInt8]) {
        let report = dropped > 0 ? notice(dropped) : []
        let bytes = waiting.bytes.count + inFlight.bytes + line.count + report.count
        let lines = waiting.marks.count + inFlight.lines + (dropped > 0 ? 2 : 1)
        guard bytes <= limits.bytes, lines <= limits.lines else {
            dropped += 1
            droppedInAll += 1
            return
        }
        if dropped > 0 {
            waiting.append(report, reports: dropped)
            dropped = 0
        }
        waiting.append(line, reports: 0)
    }

    /// Moves all that waits into `batch`, which must be empty and whose memory is reused; false when nothing waits.
    mutating func take(into batch: inout LogBatch) -> Bool {
        precondition(inFlight.lines == 0 && batch.marks.isEmpty, "one batch is settled before the next is taken")
        guard !waiting.marks.isEmpty else { return false }
        swap(&waiting, &batch)
        inFlight = (batch.bytes.count, batch.marks.count)
        return true
    }

    /// The batch in flight is done with. When all of it went out and lines were dropped meanwhile, a notice is queued at
    /// once, so that they are reported even if no other line ever follows.
    mutating func settle(_ loss: LogLoss, notice: (Int) -> [UInt8]) {
        inFlight = (0, 0)
        dropped += loss.lines + loss.unreported
        droppedInAll += loss.lines
        // After a failure no notice is tried by itself: it would fail again, over and over.
        guard loss == LogLoss(), dropped > 0, waiting.marks.isEmpty else { return }
        waiting.append(notice(dropped), reports: dropped)
        dropped = 0
    }
}
