// What calls take and return. Expected outcomes are values here; failures are CacheClientError.

/// Version of a stored value ("cas"): grows with every write of the key.
public struct CacheVersion: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public static func < (left: CacheVersion, right: CacheVersion) -> Bool { left.rawValue < right.rawValue }

    public var description: String { String(self.rawValue) }
}

/// A value that was found.
public struct CacheItem: Equatable, Sendable {
    /// Exactly the text that was stored.
    public var value: JSONText
    public var version: CacheVersion

    public init(value: JSONText, version: CacheVersion) {
        self.value = value
        self.version = version
    }
}

/// How a value is to be stored.
public struct PutOptions: Equatable, Sendable {
    public enum Mode: String, Sendable, CaseIterable {
        /// Whether or not the key exists.
        case set
        /// Only when the key does not exist.
        case add
        /// Only when the key exists.
        case replace
    }

    public enum Compression: String, Sendable, CaseIterable {
        /// From the node's threshold on, when it pays.
        case auto
        case never
        case always
    }

    /// Until the value expires; nil is never.
    public var timeToLive: Duration?
    public var mode: Mode?
    /// Only when the stored value has this version.
    public var ifMatch: CacheVersion?
    public var compression: Compression?

    /// What is left nil is not sent, so the node's own defaults hold.
    public init(
        timeToLive: Duration? = nil,
        mode: Mode? = nil,
        ifMatch: CacheVersion? = nil,
        compression: Compression? = nil
    ) {
        self.timeToLive = timeToLive
        self.mode = mode
        self.ifMatch = ifMatch
        self.compression = compression
    }
}

/// What became of a put.
public enum PutOutcome: Equatable, Sendable {
    case stored(CacheVersion)
    /// `version` is that of the value in the way, where the node told it.
    case notStored(Reason, version: CacheVersion?)

    public enum Reason: String, Sendable {
        case exists
        case notFound
        case casMismatch
        /// Only among the items of a many-key put; a single one fails with an `RPCError`.
        case memoryFull
    }
}

/// What became of a delete.
public enum DeleteOutcome: Equatable, Sendable {
    case deleted
    case notFound
    /// Another version than the one asked for is stored: this one, where the node told it.
    case casMismatch(CacheVersion?)
}

/// The number after an increment.
public struct CounterValue: Equatable, Sendable {
    public var value: Int64
    public var version: CacheVersion

    public init(value: Int64, version: CacheVersion) {
        self.value = value
        self.version = version
    }
}

/// One entry of a many-key put.
public struct PutItem: Equatable, Sendable {
    public var key: String
    public var value: JSONText
    public var options: PutOptions

    public init(key: String, value: JSONText, options: PutOptions = PutOptions()) {
        self.key = key
        self.value = value
        self.options = options
    }
}
