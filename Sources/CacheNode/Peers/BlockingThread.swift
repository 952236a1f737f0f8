// A thread for one call that blocks, such as looking a host name up: event loops must not wait, and workers have other things
// to do.

#if canImport(Glibc)
    import Glibc
#endif

enum BlockingThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Runs `body` on a new thread that ends with it; here and now when the system gives no thread.
    static func run(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(Body(body))
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard result == 0 else { return argument.takeRetainedValue().run() }
        pthread_detach(thread)
    }
}
