// Renders the table of events as a JSON Schema (draft 2020-12): one schema, with one definition an event, chosen by the
// line's `event`.

import CacheNode

/// Just enough JSON to write a schema with members in a fixed order.
indirect enum SchemaText {
    case object([(String, SchemaText)])
    case array([SchemaText])
    case string(String)
    case bool(Bool)

    func rendered(indentation: String = "") -> String {
        let inner = indentation + "  "
        switch self {
        case .object(let members):
            if members.isEmpty { return "{}" }
            let lines = members.map { "\(inner)\(Self.quoted($0)): \($1.rendered(indentation: inner))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indentation)}"
        case .array(let elements):
            return "[" + elements.map { $0.rendered(indentation: indentation) }.joined(separator: ", ") + "]"
        case .string(let text): return Self.quoted(text)
        case .bool(let truth): return truth ? "true" : "false"
        }
    }

    /// The table is ours: no control characters in it.
    private static func quoted(_ text: String) -> String {
        "\""
            + text.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
            .split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
    }
}

/// The text of schemas/log.schema.json.
func logSchemaText() -> String {
    let levels = SchemaText.array(LogLevel.allCases.map { .string($0.name) })
    let names = SchemaText.array(NodeEvent.allCases.map { .string($0.rawValue) })
    let common: [(String, SchemaText)] = [
        (
            "ts",
            .object([
                ("type", .string("string")),
                ("pattern", .string(#"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$"#)),
                ("description", .string("RFC 3339, milliseconds, UTC")),
            ])
        ),
        ("level", .object([("enum", levels)])),
        ("node", .object([("type", .string("string")), ("description", .string("[local] node_id"))])),
        ("event", .object([("enum", names)])),
        ("msg", .object([("type", .string("string"))])),
    ]
    let choices = NodeEvent.allCases.map { event in
        SchemaText.object([
            ("if", .object([("properties", .object([("event", .object([("const", .string(event.rawValue))]))]))])),
            ("then", .object([("$ref", .string("#/$defs/\(event.rawValue)"))])),
        ])
    }
    return SchemaText.object([
        ("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
        ("title", .string("SpyderCache log line")),
        ("description", .string("Generated from the table of events; the tests compare the two.")),
        ("type", .string("object")),
        ("properties", .object(common)),
        ("required", .array(common.map { .string($0.0) })),
        ("allOf", .array(choices)),
        ("unevaluatedProperties", .bool(false)),
        ("$defs", .object(NodeEvent.allCases.map { ($0.rawValue, eventSchema($0.definition)) })),
    ]).rendered() + "\n"
}

private func eventSchema(_ definition: LogEventDefinition) -> SchemaText {
    var properties: [(String, SchemaText)] = []
    if let level = definition.level { properties.append(("level", .object([("const", .string(level.name))]))) }
    properties.append(("msg", .object([("const", .string(definition.message))])))
    for field in definition.fields {
        properties.append(
            (field.name, .object(kindSchema(field.kind) + [("description", .string(field.documentation))])))
    }
    var members: [(String, SchemaText)] = [
        ("description", .string(definition.documentation)), ("properties", .object(properties)),
    ]
    let required = definition.fields.filter(\.isRequired).map { SchemaText.string($0.name) }
    if !required.isEmpty { members.append(("required", .array(required))) }
    return .object(members)
}

private func kindSchema(_ kind: LogField.Kind) -> [(String, SchemaText)] {
    switch kind {
    case .text: [("type", .string("string"))]
    case .choice(let words): [("enum", .array(words.map { .string($0) }))]
    case .int: [("type", .string("integer"))]
    case .double: [("type", .array([.string("number"), .string("null")]))]
    case .bool: [("type", .string("boolean"))]
    case .texts:
        [("type", .string("object")), ("additionalProperties", .object([("type", .string("string"))]))]
    }
}
