// Suggestions for misspelt names: Damerau-Levenshtein distance in its "optimal string alignment" form, which counts an
// inserted, dropped, changed or swapped letter as one.

/// The number of single-letter edits and swaps of neighbours that lead from `a` to `b`. O(|a|·|b|).
func editDistance(_ a: String, _ b: String) -> Int {
    let left = Array(a.unicodeScalars)
    let right = Array(b.unicodeScalars)
    guard !left.isEmpty else { return right.count }
    guard !right.isEmpty else { return left.count }
    var beforeLast = [Int](repeating: 0, count: right.count + 1)
    var last = Array(0...right.count)
    for i in 1...left.count {
        var row = [Int](repeating: i, count: right.count + 1)
        for j in 1...right.count {
            let change = left[i - 1] == right[j - 1] ? 0 : 1
            row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + change)
            if i > 1, j > 1, left[i - 1] == right[j - 2], left[i - 2] == right[j - 1] {
                row[j] = min(row[j], beforeLast[j - 2] + 1)
            }
        }
        (beforeLast, last) = (last, row)
    }
    return last[right.count]
}

/// The candidate nearest to `name` if it is near enough (one edit for short names, a third of the letters for long
/// ones).
func nearest(to name: String, among candidates: [String]) -> String? {
    // No setting has such a long name; the bound keeps a file of rubbish cheap.
    guard name.utf8.count <= 64 else { return nil }
    let wanted = name.lowercased()
    var best: (name: String, distance: Int)?
    for candidate in candidates {
        let distance = editDistance(wanted, candidate)
        guard distance <= max(1, candidate.count / 3), distance < best?.distance ?? .max else { continue }
        best = (candidate, distance)
    }
    return best?.name
}

/// ` (did you mean X?)`, or nothing when no candidate is near.
func didYouMean(_ name: String, _ candidates: [String]) -> String {
    nearest(to: name, among: candidates).map { " (did you mean \($0)?)" } ?? ""
}
