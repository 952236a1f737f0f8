// Binds the members of `params` to a method's parameters by name or by position.

import JSONRPC

/// A call's arguments in the positional order of its method; absent and (for optional parameters) `null` ones are nil.
struct BoundParameters {
    static let capacity = 8

    private var values = InlineArray<8, JSONValue?>(repeating: nil)

    subscript(_ index: Int) -> JSONValue? { values[index] }

    /// Binds the `params` of a call.
    ///
    /// Throws -32602 for an unknown, repeated or missing parameter and for too many positions.
    init(
        _ params: borrowing Params, to specifications: [ParameterSpecification], in body: UnsafeRawBufferPointer
    ) throws(MethodFailure) {
        if let duplicate = params.duplicate {
            throw MethodFailure(.invalidParams, .name(duplicate, "the parameter is given twice"))
        }
        switch params.kind {
        case .none:
            break
        case .byName:
            for index in 0..<params.count {
                try bind(params[index], to: specifications, in: body)
            }
        case .byPosition:
            guard !params.overflow, params.count <= specifications.count else {
                throw MethodFailure(.invalidParams, .reason("too many positional parameters"))
            }
            for index in 0..<params.count {
                values[index] = params[index].value
            }
        }
        if params.overflow {
            throw MethodFailure(.invalidParams, .reason("too many parameters"))
        }
        try finish(specifications)
    }

    /// Binds one object of a many-call (`items[index]`), whose members are those of the single call.
    init(
        object: JSONValue, at path: ParameterPath, to specifications: [ParameterSpecification],
        in body: UnsafeRawBufferPointer
    ) throws(MethodFailure) {
        guard object.kind == .object else { throw .invalid(path, "must be an object") }
        var cursor = JSONObjectCursor(body, object.slice)
        while let member = cursor.next() {
            try bind(member, to: specifications, in: body, rejectingRepeats: true)
        }
        do {
            try finish(specifications)
        } catch {
            guard case .parameter(let inner, let reason) = error.detail else { throw error }
            throw .invalid(ParameterPath(path.name, index: path.index, member: inner.name), reason)
        }
    }

    private mutating func bind(
        _ member: Member, to specifications: [ParameterSpecification], in body: UnsafeRawBufferPointer,
        rejectingRepeats: Bool = false
    ) throws(MethodFailure) {
        for index in 0..<specifications.count
        where stringEquals(
            member.name, hasEscapes: member.nameHasEscapes, specifications[index].name, in: body)
        {
            if rejectingRepeats && values[index] != nil {
                throw MethodFailure(.invalidParams, .name(member.name, "the parameter is given twice"))
            }
            values[index] = member.value
            return
        }
        throw MethodFailure(.invalidParams, .name(member.name, "the method has no such parameter"))
    }

    private mutating func finish(_ specifications: [ParameterSpecification]) throws(MethodFailure) {
        for index in 0..<specifications.count {
            let specification = specifications[index]
            if specification.isRequired {
                if values[index] == nil {
                    throw .invalid(ParameterPath(specification.name), "the parameter is missing")
                }
            } else if values[index]?.kind == .null {
                values[index] = nil
            }
        }
    }
}
