// What a method is: its name, its parameters in positional order, its schema texts and the function that answers.
// The table of all of them is MethodTable.swift.

import JSONRPC

/// One parameter of a method, as `rpc.discover` describes it and the binder checks it.
struct ParameterSpecification: Sendable {
    let name: StaticString
    let isRequired: Bool
    /// JSON Schema of the parameter, as JSON text.
    let schema: StaticString
    let summary: StaticString

    static func required(
        _ name: StaticString, _ schema: StaticString, _ summary: StaticString
    ) -> ParameterSpecification {
        ParameterSpecification(name: name, isRequired: true, schema: schema, summary: summary)
    }

    static func optional(
        _ name: StaticString, _ schema: StaticString, _ summary: StaticString
    ) -> ParameterSpecification {
        ParameterSpecification(name: name, isRequired: false, schema: schema, summary: summary)
    }
}

/// Which nodes of a cluster a method concerns.
enum MethodPlacement: Sendable {
    /// Whoever is asked answers.
    case anyNode
    /// The owner of the key, the first parameter.
    case owner
    /// The owners of the keys that the first parameter lists.
    case ownersOfKeys
    /// The owners of the keys of the items that the first parameter lists.
    case ownersOfItems
    /// All nodes; the integer member of their results that is named is added up.
    case everyNode(sum: StaticString)
}

/// A JSON-RPC method: one file and one line in `MethodTable` each.
///
/// A class, so that looking one up costs a reference, not a copy of its tables.
final class RPCMethod: Sendable {
    /// Answers one call: writes the result's JSON text to `context.reply`, or throws and leaves the reply to be rolled
    /// back by the caller.
    typealias Body = @Sendable (inout CallContext, borrowing BoundParameters) throws(MethodFailure) -> Void

    let name: StaticString
    let summary: StaticString
    let parameters: [ParameterSpecification]
    /// JSON Schema of the result, as JSON text.
    let resultSchema: StaticString
    /// True for a method that changes the cache: refused while the storage is read-only.
    let isWrite: Bool
    /// True for a method that may take longer than an event loop can wait (milliseconds): it runs on a worker thread.
    let runsOffLoop: Bool
    /// True for one that may take seconds.
    let isLong: Bool
    /// True for a method that answers by a slot of the pending message instead of writing its result.
    let answersLater: Bool
    let placement: MethodPlacement
    /// True for cache.get: a copy of another node's entry answers it as well.
    let isAnsweredByCopies: Bool
    let body: Body

    init(
        name: StaticString, summary: StaticString, parameters: [ParameterSpecification] = [],
        resultSchema: StaticString, isWrite: Bool = false, runsOffLoop: Bool = false, isLong: Bool = false,
        answersLater: Bool = false, placement: MethodPlacement = .anyNode, isAnsweredByCopies: Bool = false,
        body: @escaping Body
    ) {
        precondition(parameters.count <= BoundParameters.capacity, "a method has at most eight parameters")
        self.name = name
        self.summary = summary
        self.parameters = parameters
        self.resultSchema = resultSchema
        self.isWrite = isWrite
        self.runsOffLoop = runsOffLoop
        self.isLong = isLong
        self.answersLater = answersLater
        self.placement = placement
        self.isAnsweredByCopies = isAnsweredByCopies
        self.body = body
    }
}
