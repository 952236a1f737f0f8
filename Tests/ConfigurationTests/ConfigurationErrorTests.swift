// Every way a configuration can be wrong, with the exact message the operator sees.

import Configuration
import Testing

@Suite("Problems of a configuration")
struct ConfigurationErrorTests {
    @Test(
        "of the file's form are told with their line",
        arguments: [
            ("node_id = 1", "node.ini:1: node_id: the key stands before the first [section]"),
            ("[local\n", "node.ini:1: a section's name ends with ]"),
            ("[local] x\n", "node.ini:1: text after ] (a comment needs # or ; in front)"),
            ("\n[ ]", "node.ini:2: the section has no name"),
            ("[local]\nnode_id\n", "node.ini:2: [local]: expected key = value, found \"node_id\""),
            ("[local]\n = 1\n", "node.ini:2: [local]: no key before ="),
            ("[lcoal]\nx = 1", "node.ini:1: [lcoal]: unknown section (did you mean local?)"),
            ("[caching]", "node.ini:1: [caching]: unknown section"),
            ("[local]\n[log]\n[local]", "node.ini:3: [local]: the section already starts in line 1"),
            ("[local]\nnode_prot = 1", "node.ini:2: [local] node_prot: unknown key (did you mean node_port?)"),
            ("[local]\nNode_ID = 1", "node.ini:2: [local] Node_ID: unknown key (did you mean node_id?)"),
            ("[local]\nzzzzzz = 1", "node.ini:2: [local] zzzzzz: unknown key"),
            ("[network]\ncache_size = 1", "node.ini:2: [network] cache_size: unknown key; it belongs to [local]"),
            ("[local]\nnode_id = 1\n\nnode_id = 1", "node.ini:4: [local] node_id: already set in line 2"),
            (
                "[network]\npeer = a:1\npeers = b:1",
                "node.ini:3: [network] peers: means the same as peer, which is set in line 2"
            ),
            ("[local]\nnode_id = \"a", "node.ini:2: [local] node_id: the quote is not closed"),
            ("[local]\nnode_id = \"a\" b", "node.ini:2: [local] node_id: text after the closing quote"),
            (
                "[local]\nnode_id = \"\\n\"",
                #"node.ini:2: [local] node_id: only \" and \\ are escapes in a quoted value"#
            ),
            ("[local]\nnode_id = a\u{1B}[0m", "node.ini:2: [local]: control character U+001B"),
            ("[local]\rnode_id = a", "node.ini:1: control character U+000D"),
            ("[local]\nnode_id = a,\nb", "node.ini:3: [local] node_id: only a list goes on over several lines"),
        ])
    func form(text: String, expected: String) {
        #expect(messages(text) == [expected])
    }

    @Test("invalid UTF-8 is told with its line, also in a comment, and a foreign encoding too")
    func encoding() {
        #expect(
            messages(bytes: Array("[log]\n# caf".utf8) + [0xE9]) == ["node.ini:2: [log]: the line is not valid UTF-8"])
        #expect(messages(bytes: [0xFF, 0xFE, 0x5B, 0x00]) == ["node.ini:1: the line is not valid UTF-8"])
    }

    @Test(
        "of a value are told with section, key and reason",
        arguments: [
            ("local", "node_port = 80a", "\"80a\" is not a whole number"),
            (
                "local", "node_port = 8001#port",
                "\"8001#port\" is not a whole number (a comment needs white space before its sign)"
            ),
            ("local", "node_port = +1", "\"+1\" is not a whole number"),
            ("local", "node_port = ٣", "\"٣\" is not a whole number"),
            ("local", "node_port = 65536", "65536 is out of range: 0 to 65535"),
            ("local", "node_port = -1", "-1 is out of range: 0 to 65535"),
            ("local", "cache_size = 99999999999999999999", "99999999999999999999 is out of range: 0 to 2147483647"),
            ("local", "cache_size = 1e3", "\"1e3\" is not a whole number"),
            ("local", "threads = 0", "0 is out of range: 1 to 1024"),
            ("local", "node_id =", "the value is empty; leave the line out for the default"),
            ("local", "reconstruct = maybe", "\"maybe\" is neither True nor False"),
            ("local", "bind = 127.0.0.256", "\"127.0.0.256\": a number of an IPv4 address is at most 255"),
            ("local", "bind = 127.0.0.1:80", "\"127.0.0.1:80\" is not a host without port"),
            ("local", "eviction = lur", "\"lur\" is not one of lru (did you mean lru?)"),
            ("local", "memory_limit = 1GB", "\"GB\" is not a unit: B, KiB, MiB or GiB (did you mean GiB?)"),
            ("local", "memory_limit = 64k", "\"k\" is not a unit: B, KiB, MiB or GiB (did you mean KiB?)"),
            ("local", "memory_limit = 1 parsec", "\"parsec\" is not a unit: B, KiB, MiB or GiB"),
            ("local", "memory_limit = 1.5GiB", "\"1.5GiB\" is not a whole number of bytes, KiB, MiB or GiB"),
            ("local", "memory_limit = GiB", "\"GiB\" is not a whole number of bytes, KiB, MiB or GiB"),
            ("local", "memory_limit = 10", "10 is out of range: 1MiB to 4096GiB"),
            ("local", "memory_limit = 9999999999999GiB", "9999999999999GiB is out of range: 1MiB to 4096GiB"),
            ("local", "memory_limit = 99999999999999999999", "99999999999999999999 is out of range: 1MiB to 4096GiB"),
            ("local", "memory_limit = 1-0MiB", "\"1-0MiB\" is not a whole number of bytes, KiB, MiB or GiB"),
            ("network", "heartbeat_ms = 2s", "\"2s\" is not a whole number of milliseconds (no unit in the value)"),
            ("network", "peer = 127.0.0.1", "\"127.0.0.1\" has no port: expected host:port"),
            ("network", "peer = 127.0.0.1:0", "\"127.0.0.1:0\": the port must be a number from 1 to 65535"),
            ("network", "peer = 127.0.0.1:x", "\"127.0.0.1:x\": the port must be a number from 1 to 65535"),
            ("network", "peer = :8001", "\":8001\" has no host: expected host:port"),
            (
                "network", "peer = ::1:8001",
                "\"::1:8001\": expected host:port, with brackets around an IPv6 address: [::1]:8001"
            ),
            ("network", "peer = a:1,,b:2", "nothing stands before a comma"),
            ("network", "peer = a:1, A:1", "\"A:1\" is listed twice"),
            (
                "network", "peer = a:1,#next",
                "\"#next\" has no port: expected host:port (a comment needs white space before its sign)"
            ),
            ("network", "topology = ectd", "\"ectd\" is not one of static, etcd (did you mean etcd?)"),
            ("network", "etcd_prefix = cache", "\"cache\" must start and end with /"),
            ("network", "etcd_endpoints = https://a:1", "\"https://a:1\": https is not supported here"),
            ("compression", "level = 10", "10 is out of range: 1 to 9"),
            ("journal", "fsync = sometimes", "\"sometimes\" is not one of always, interval, never"),
            (
                "log", "destination = sdtout",
                "\"sdtout\" is neither stdout, stderr nor a path (write ./sdtout for a file here) (did you mean stdout?)"
            ),
            ("limits", "max_key_size = 65536", "65536 is out of range: 1 to 65535"),
        ])
    func values(section: String, line: String, reason: String) {
        let key = line.prefix { $0 != " " }
        #expect(messages("[\(section)]\n# c\n\(line)\n") == ["node.ini:3: [\(section)] \(key): \(reason)"])
    }

    @Test("an over-long value is cut in the message, and a long name refused")
    func longValues() {
        let long = String(repeating: "x", count: 300)
        #expect(
            messages("[local]\nnode_id = \(long)") == [
                "node.ini:2: [local] node_id: the value has 300 bytes, at most 255 are allowed"
            ])
        #expect(
            messages("[local]\nthreads = \(long)") == [
                "node.ini:2: [local] threads: \"\(long.prefix(64))…\" is not a whole number"
            ])
    }

    @Test("in a list name the line of the wrong element")
    func listLines() {
        #expect(
            messages("[network]\npeer = 127.0.0.1:8002, # one\n\n  127.0.0.999:8003 # two\n") == [
                "node.ini:4: [network] peer: \"127.0.0.999\": a number of an IPv4 address is at most 255"
            ])
    }

    @Test(
        "between two settings are told at the one that was given",
        arguments: [
            (
                "[network]\nmin_replicas = 2\nreplicas = 1",
                "node.ini:2: [network] min_replicas: min_replicas (2) must not be greater than replicas (1)"
            ),
            (
                "[network]\nheartbeat_ms = 3000",
                "node.ini:2: [network] heartbeat_ms: failure_ms (2000) must be greater than heartbeat_ms (3000)"
            ),
            (
                "[network]\nheartbeat_ms = 500\nfailure_ms = 500",
                "node.ini:3: [network] failure_ms: failure_ms (500) must be greater than heartbeat_ms (500)"
            ),
            ("[network]\ntopology = etcd", "node.ini:2: [network] topology: topology = etcd needs etcd_endpoints"),
            (
                "[security]\ntls_certificate = c.pem",
                "node.ini:2: [security] tls_certificate: tls_certificate needs tls_key"
            ),
            ("[security]\ntls_key = k.pem", "node.ini:2: [security] tls_key: tls_key needs tls_certificate"),
            (
                "[security]\ntls_verify_client = True",
                "node.ini:2: [security] tls_verify_client: tls_verify_client needs tls_ca"
            ),
            (
                "[local]\nmemory_limit = 2MiB\n[limits]\nmax_value_size = 3MiB",
                "node.ini:4: [limits] max_value_size: max_value_size (3MiB) must not be greater than memory_limit (2MiB)"
            ),
        ])
    func misfits(text: String, expected: String) {
        #expect(messages(text) == [expected])
    }

    @Test("come all at once: the file's by line, then the environment's, then those of --set")
    func allAtOnce() {
        let text = "x = 1\n[local]\nnode_port = x\nrubbish\n[netwrok]\npeer = ?\n[log]\naccess = loud\n"
        #expect(
            messages(
                text, environment: [("SPYDERCACHE_LOCAL_THREADS", "all")],
                overrides: ["local.threads=none", "threads", "lgo.level=info", "log.lvel=info"]) == [
                    "node.ini:1: x: the key stands before the first [section]",
                    "node.ini:3: [local] node_port: \"x\" is not a whole number",
                    "node.ini:4: [local]: expected key = value, found \"rubbish\"",
                    "node.ini:5: [netwrok]: unknown section (did you mean network?)",
                    "node.ini:8: [log] access: \"loud\" is not one of off, errors, slow, all",
                    "SPYDERCACHE_LOCAL_THREADS: [local] threads: \"all\" is not a whole number",
                    "--set local.threads: [local] threads: \"none\" is not a whole number",
                    "--set threads: expected section.key=value",
                    "--set lgo.level: [lgo]: unknown section (did you mean log?)",
                    "--set log.lvel: [log] lvel: unknown key (did you mean level?)",
                ])
    }

    @Test("a refused value does not cause a second message about what depends on it")
    func noFollowUps() {
        #expect(messages("[security]\ntls_certificate = c\ntls_key =\n").count == 1)
        #expect(messages("[network]\ntopology = etcd\netcd_endpoints = ?\n").count == 1)
    }
}
