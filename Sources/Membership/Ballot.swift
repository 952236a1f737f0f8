// The state of one agreement, on both of its sides.

/// What this node has promised and accepted on top of its current view.
struct Acceptor: Sendable {
    /// No part is taken in epochs below this one.
    var promised = Epoch.none
    /// Accepted for the place after the current view; perhaps agreed without this node knowing.
    var accepted: View?
}

/// A view this node tries to bring about.
struct Ballot: Sendable {
    enum Step: Sendable, Equatable {
        /// Collecting promises; `adopted` is the highest view that a voter has accepted before.
        case preparing(adopted: View?)
        /// Collecting acceptances of a view.
        case proposing(View)
    }

    let epoch: Epoch
    let base: View
    let deadline: Int64
    var step = Step.preparing(adopted: nil)
    /// Who answered in this step.
    var votes: Set<MemberID> = []
}
