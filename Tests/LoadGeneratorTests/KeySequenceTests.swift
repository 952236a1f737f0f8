import Testing

@testable import LoadGenerator

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Key sequences")
struct KeySequenceTests {
    private func counts(_ choice: KeyChoice, keys: Int, draws: Int) -> [Int] {
        var sequence = KeySequence(keys: keys, choice: choice, seed: 7)
        var counts = [Int](repeating: 0, count: keys)
        for _ in 0..<draws { counts[sequence.next()] += 1 }
        return counts
    }

    @Test("Uniform keys come equally often")
    func uniform() {
        // 1,000 draws a key: a deviation of 20 % would be more than six standard deviations.
        for count in self.counts(.uniform, keys: 100, draws: 100_000) { #expect((800...1200).contains(count)) }
    }

    @Test("Zipf keys come as often as the formula says", arguments: [0.5, 0.99, 1.0, 1.3])
    func zipf(exponent: Double) {
        let keys = 1000
        let draws = 400_000
        let counts = self.counts(.zipf(exponent: exponent), keys: keys, draws: draws)
        let weights = (1...keys).map { pow(Double($0), -exponent) }
        let sum = weights.reduce(0, +)
        for rank in [0, 1, 2, 9, 49] {
            let expected = Double(draws) * weights[rank] / sum
            let slack = 6 * expected.squareRoot()
            #expect(abs(Double(counts[rank]) - expected) < slack, "rank \(rank + 1): \(counts[rank]), \(expected)")
        }
        let tail = Double(counts[500...].reduce(0, +))
        let expectedTail = Double(draws) * weights[500...].reduce(0, +) / sum
        #expect(abs(tail - expectedTail) < 6 * expectedTail.squareRoot())
    }

    @Test("One-hot always names the first key, and a single key is enough for every choice")
    func oneHot() {
        #expect(self.counts(.oneHot, keys: 10, draws: 100)[0] == 100)
        for choice in [KeyChoice.uniform, .zipf(exponent: 0.99), .oneHot] {
            #expect(self.counts(choice, keys: 1, draws: 100) == [100])
        }
    }

    @Test("The same seed gives the same keys, another one others")
    func isRepeatable() {
        func draw(_ seed: UInt64) -> [Int] {
            var sequence = KeySequence(keys: 1_000_000, choice: .zipf(exponent: 0.99), seed: seed)
            return (0..<50).map { _ in sequence.next() }
        }
        #expect(draw(1) == draw(1))
        #expect(draw(1) != draw(2))
    }
}
