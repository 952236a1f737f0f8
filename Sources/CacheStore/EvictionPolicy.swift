// Which entry goes when room is needed. A policy is a value that keeps its order in the records themselves: two links
// and two bits of each belong to it. To add one: write its file next to LeastRecentlyUsed.swift and add its type to
// `evictionPolicies` below.

/// The order in which a store gives up its entries.
///
/// The store calls `inserted` once for a new entry, `used` for every get, put or touch that finds it, `moved` whenever its
/// bytes now lie elsewhere (links and bits already copied), `removed` once before it dies. All O(1).
protocol EvictionPolicy: Sendable {
    /// The name in configuration files.
    static var name: StaticString { get }

    init()
    mutating func inserted(_ entry: EntryAddress, in arena: borrowing Arena)
    mutating func used(_ entry: EntryAddress, in arena: borrowing Arena)
    mutating func moved(from old: EntryAddress, to new: EntryAddress, in arena: borrowing Arena)
    mutating func removed(_ entry: EntryAddress, in arena: borrowing Arena)
    /// The next entry to evict, nil when there is none; the store removes it and reports `removed`.
    mutating func victim(in arena: borrowing Arena) -> EntryAddress?
}

/// Every policy a node can be configured with; the first is the default.
private let evictionPolicies: [any EvictionPolicy.Type] = [
    LeastRecentlyUsed.self
]

/// The name of a policy that exists.
package struct EvictionPolicyName: Equatable, Sendable, CustomStringConvertible {
    package let description: String

    /// Exact least-recently-used.
    package static let lru = EvictionPolicyName(existing: LeastRecentlyUsed.self)

    /// All names, in the order of the table.
    package static var all: [EvictionPolicyName] { evictionPolicies.map { EvictionPolicyName(existing: $0) } }

    /// The policy called `name`, nil when there is none.
    package init?(_ name: String) {
        guard let policy = Self.all.first(where: { $0.description == name }) else { return nil }
        self = policy
    }

    private init(existing policy: any EvictionPolicy.Type) {
        description = "\(policy.name)"
    }

    func makePolicy() -> any EvictionPolicy {
        guard let policy = evictionPolicies.first(where: { "\($0.name)" == description }) else {
            preconditionFailure("a policy name is only made from the table")
        }
        return policy.init()
    }
}
