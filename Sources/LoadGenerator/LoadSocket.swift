// Sockets of the generator: resolved once, connected while blocking, then non-blocking.

#if canImport(Glibc)
    import Glibc
#endif

/// Where to connect to, resolved.
struct LoadTarget: Sendable {
    private var address = sockaddr_storage()
    private var length: socklen_t = 0
    private let host: String
    private let port: Int

    init(host: String, port: Int) throws(LoadError) {
        self.host = host
        self.port = port
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard status == 0, let found = list?.pointee, let source = found.ai_addr else {
            throw .cannotResolve(host: host, reason: String(cString: gai_strerror(status)))
        }
        self.length = found.ai_addrlen
        withUnsafeMutableBytes(of: &self.address) { target in
            target.copyMemory(from: UnsafeRawBufferPointer(start: source, count: Int(found.ai_addrlen)))
        }
    }

    /// A connected, non-blocking socket without Nagle's delay.
    func connect() throws(LoadError) -> Int32 {
        let descriptor = socket(
            Int32(self.address.ss_family), Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(call: "socket", reason: currentErrorText()) }
        var address = self.address
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, self.length) }
        }
        guard status == 0 else {
            let reason = currentErrorText()
            close(descriptor)
            throw .cannotConnect(host: self.host, port: self.port, reason: reason)
        }
        var on: Int32 = 1
        setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        return descriptor
    }
}

/// What `errno` says.
func currentErrorText() -> String {
    String(cString: strerror(errno))
}
