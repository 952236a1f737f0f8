// swift-tools-version: 6.1
// SpyderCache: a distributed in-memory cache that speaks JSON-RPC 2.0 over HTTP.
//
// The pure targets (JSONRPC, Configuration, HashRing, CacheStore, Journal, Membership) hold the rules and know neither
// sockets, files, clocks nor each other; CacheNode is the only shell around them.

import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
]

let package = Package(
    name: "spydercache",
    products: [
        .executable(name: "spydercache", targets: ["spydercache"]),
        .library(name: "SpyderCacheClient", targets: ["SpyderCacheClient"]),
    ],
    dependencies: [
        // Event loops, sockets and the HTTP/1.1 decoder: the server is a channel pipeline, no web framework
        // (measured: a framework costs twice the CPU a request).
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.100.0"),
        // The logging façade libraries agree on; our handler writes JSON lines.
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        // Subcommands, usage texts and shell completion of the executable.
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.5.0"),
    ],
    targets: [
        .target(name: "JSONRPC", swiftSettings: strict),
        .target(name: "Configuration", swiftSettings: strict),
        .target(name: "HashRing", swiftSettings: strict),
        .target(name: "Membership", swiftSettings: strict),
        // The prefetch instruction: hides the cache misses of look-ups that are known beforehand.
        .systemLibrary(name: "CPrefetch"),
        .target(name: "CacheStore", dependencies: ["CPrefetch"], swiftSettings: strict),
        .target(name: "Journal", dependencies: ["CZlib"], swiftSettings: strict),
        // zlib of the system: the format of stored values and sealed segments is deflate by design.
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "Compression", dependencies: ["CZlib"], swiftSettings: strict),
        .target(
            name: "CacheNode",
            dependencies: [
                "JSONRPC", "Configuration", "CacheStore", "Journal", "Compression", "HashRing", "Membership",
                "EtcdTopology",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        // Membership through etcd's JSON gateway, by hand: it is plain JSON over HTTP, which NIO and our own scanner speak;
        // etcd's gRPC interface would bring protobuf and three packages for the same calls.
        .target(
            name: "EtcdTopology",
            dependencies: [
                "JSONRPC", "Membership",
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "SpyderCacheClient",
            dependencies: [
                "JSONRPC",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        // epoll(7) and mallopt(3), which Swift's Glibc module leaves out.
        .systemLibrary(name: "CEpoll"),
        // The load generator of `spydercache bench`: plain sockets, so that it costs less than what it loads.
        .target(name: "LoadGenerator", dependencies: ["CEpoll", "JSONRPC"], swiftSettings: strict),
        .executableTarget(
            name: "spydercache",
            dependencies: [
                "CEpoll", "CacheNode", "Compression", "LoadGenerator", "Configuration", "Journal", "JSONRPC",
                "SpyderCacheClient",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        // Drives the store, the ring and the membership rules directly, for utils/bench/growth: through a node, the request
        // around an operation costs fifty times the operation. Not a product, so that it is not shipped.
        .executableTarget(
            name: "storebench",
            dependencies: [
                "CacheStore", "CEpoll", "HashRing", "LoadGenerator", "Membership", "SimulatedMembership", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/StoreBench",
            swiftSettings: strict
        ),
        // What tests share: real processes, raw connections, seeded randomness, naive models.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        // Members in one process under virtual time, for tests and for storebench.
        .target(
            name: "SimulatedMembership", dependencies: ["Membership", "TestSupport"],
            path: "Tests/SimulatedMembership", swiftSettings: strict),
        .testTarget(name: "JSONRPCTests", dependencies: ["JSONRPC", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "ConfigurationTests", dependencies: ["Configuration", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "HashRingTests", dependencies: ["HashRing", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "LoadGeneratorTests", dependencies: ["LoadGenerator", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "MembershipTests", dependencies: ["Membership", "SimulatedMembership", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "StoreBenchTests", dependencies: ["storebench", "CacheStore", "Membership", "SimulatedMembership"],
            swiftSettings: strict),
        .testTarget(name: "CacheStoreTests", dependencies: ["CacheStore", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "CompressionTests", dependencies: ["Compression", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "JournalTests", dependencies: ["Journal", "CZlib", "TestSupport"], swiftSettings: strict),
        // Against a real etcd, which the tests start.
        .testTarget(
            name: "EtcdTopologyTests",
            dependencies: [
                "EtcdTopology", "Membership", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "CacheNodeTests",
            dependencies: [
                "CacheNode", "CacheStore", "Configuration", "Journal", "Compression", "HashRing", "JSONRPC",
                "Membership",
                "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SpyderCacheClientTests",
            dependencies: [
                "SpyderCacheClient", "spydercache", "CacheNode", "Journal", "Compression", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        // Real processes only: the program is a dependency so that it is built before these tests start it.
        .testTarget(
            name: "IntegrationTests", dependencies: ["TestSupport", "spydercache"], swiftSettings: strict),
    ]
)
