//! How much work a schema makes when it is checked. A schema is short, and the schemas to which its references lead may be many:
//! forty definitions that each refer twice to the next one are a million million.

use serde_json::Value;

/// The most schemas in a schema, references followed. A larger value would let the check of one call hold up all calls; a smaller one
/// would refuse schemas of many parts.
const MOST: usize = 2_000;
/// The most references that lead back to a schema around them, or to a place that is not known here. A tree needs one. Two in the
/// same place would double the work at each level of the arguments.
const MOST_RETURNS: usize = 1;
/// The keywords of references (JSON Schema core, section 8.2.3, and those of earlier versions).
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Whether a schema can be checked in little time.
pub(super) fn is_light(schema: &Value) -> bool {
    let mut walk = Walk { root: schema, seen: 0, returns: 0, within: Vec::new() };
    walk.enter(schema);
    walk.seen <= MOST && walk.returns <= MOST_RETURNS
}

struct Walk<'a> {
    root: &'a Value,
    /// The values so far, references followed.
    seen: usize,
    returns: usize,
    /// The places to which the references around this value lead.
    within: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn enter(&mut self, value: &'a Value) {
        if self.seen > MOST || self.returns > MOST_RETURNS {
            return;
        }
        match value {
            Value::Array(items) => {
                self.seen += 1;
                for item in items {
                    self.enter(item);
                }
            }
            Value::Object(members) => {
                self.seen += 1;
                for (name, value) in members {
                    match value {
                        Value::String(place) if REFERENCES.contains(&name.as_str()) => self.follow(place),
                        // Definitions cost nothing until something refers to them.
                        _ if name == "$defs" || name == "definitions" => {}
                        value => self.enter(value),
                    }
                }
            }
            _ => {}
        }
    }

    fn follow(&mut self, place: &'a str) {
        let target = place.strip_prefix('#').and_then(|pointer| self.root.pointer(&decoded(pointer)));
        match target {
            Some(target) if !self.within.contains(&place) => {
                self.within.push(place);
                self.enter(target);
                self.within.pop();
            }
            _ => self.returns += 1,
        }
    }
}

/// The pointer without percent-encoding, which it has in a reference (RFC 6901 section 6).
fn decoded(pointer: &str) -> String {
    percent_encoding::percent_decode_str(pointer).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Definitions that each refer twice to the next one.
    fn doubling(depth: usize, combined_by: &str) -> Value {
        let mut definitions = serde_json::Map::new();
        for n in 0..depth {
            let next = json!({"$ref": format!("#/$defs/p{}", n + 1)});
            definitions.insert(format!("p{n}"), json!({ combined_by: [next, next] }));
        }
        definitions.insert(format!("p{depth}"), json!({"type": "integer"}));
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/p0"}}, "$defs": definitions})
    }

    #[test]
    fn references_that_double_at_each_step_are_too_many() {
        for combined_by in ["anyOf", "oneOf", "allOf"] {
            assert!(is_light(&doubling(5, combined_by)));
            assert!(!is_light(&doubling(24, combined_by)) && !is_light(&doubling(40, combined_by)));
        }
    }

    #[test]
    fn a_tree_is_light_and_what_returns_twice_is_not() {
        let tree =
            json!({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}});
        assert!(is_light(&tree));
        let twice = json!({"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
        assert!(!is_light(&twice));
        let by_name =
            json!({"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#x"}, {"$ref": "#x"}]}}});
        assert!(!is_light(&by_name), "a place that is not known here may be anything");
    }

    #[test]
    fn ordinary_schemas_are_light() {
        let address = json!({"$ref": "#/$defs/address"});
        let schema = json!({
            "type": "object",
            "properties": {"from": address, "to": address, "by": {"enum": ["a", "b"]}},
            "$defs": {"address": {"type": "object", "properties": {"city": {"type": "string"}}}},
        });
        assert!(is_light(&schema));
    }
}
