use serde_json::json;

use super::*;

fn inputs() -> Inputs {
    Inputs::parse(&json!({
        "room": { "max_length": 12 },
        "topic": { "charset": "path", "required": false },
        "note": { "charset": "text", "required": false, "max_length": 200 },
        "level": { "one_of": ["low", "high"], "required": false },
        "count": { "type": "number", "required": false },
        "mute": { "type": "flag", "required": false },
        "channels": { "type": "list", "max_items": 2, "required": false },
    }))
    .unwrap()
}

fn accept(given: Value) -> Result<BTreeMap<String, Datum>, InputRefusal> {
    inputs().accept(given.as_object())
}

#[test]
fn what_was_declared_is_taken_in_its_type() {
    let given = json!({
        "room": "blue-1", "topic": "a/b.c", "note": "Œuvre, \"quoted\"", "level": "high", "count": -3, "mute": false,
        "channels": ["a", "b"],
    });
    let accepted = accept(given).unwrap();
    assert_eq!(accepted["room"], Datum::Text("blue-1".to_owned()));
    assert_eq!(accepted["count"], Datum::Number(-3));
    assert_eq!(accepted["mute"], Datum::Flag(false));
    assert_eq!(accepted["channels"], Datum::List(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(accept(json!({ "room": "r", "topic": null })).unwrap().len(), 1, "null is not given");
}

#[test]
fn everything_else_is_refused_by_name() {
    let missing = Err(InputRefusal::Missing("room".to_owned()));
    assert_eq!(inputs().accept(None), missing);
    assert_eq!(accept(json!({})), missing);
    assert_eq!(accept(json!({ "room": "r", "Room": "s" })), Err(InputRefusal::Unknown("Room".to_owned())));
    for (name, value) in [
        ("room", json!("")),
        ("room", json!("thirteen_long")),
        ("room", json!("a b")),
        ("room", json!("*")),
        ("room", json!(">")),
        ("room", json!("a.b")),
        ("room", json!("a/b")),
        ("room", json!("a\"b")),
        ("room", json!("a\nb")),
        ("room", json!("\u{202e}abc")),
        ("room", json!("rооm")), // Cyrillic о
        ("room", json!(["r"])),
        ("room", json!({ "r": 1 })),
        ("room", json!(5)),
        ("topic", json!("a/*")),
        ("topic", json!("a/../b c")),
        ("note", json!("a\u{0}b")),
        ("note", json!("a\u{200b}b")),
        ("note", json!("line\nbreak")),
        ("level", json!("highest")),
        ("count", json!(1.5)),
        ("count", json!("1")),
        ("count", json!(u64::MAX)),
        ("mute", json!("true")),
        ("channels", json!(["a", "b", "c"])),
        ("channels", json!(["a", 1])),
        ("channels", json!("a")),
    ] {
        let mut given = json!({ "room": "r" });
        given[name] = value.clone();
        assert!(
            matches!(accept(given), Err(InputRefusal::Value { name: refused, .. }) if refused == name),
            "{name}: {value}"
        );
    }
    let long = json!({ "room": "x".repeat(10_000_000) });
    let told = accept(long).unwrap_err().to_string();
    assert_eq!(told, "the input `room` must be 1 to 12 bytes of letters, digits, `-` and `_`");
}

#[test]
fn wrong_declarations_are_found_when_saved() {
    let problem = |declared: Value| Inputs::parse(&declared).unwrap_err().remove(0);
    assert_eq!(problem(json!([])).1, InputProblem::NotATable);
    for (declared, expected) in [
        (json!({ "Room": {} }), InputProblem::Name),
        (json!({ "ro-om": {} }), InputProblem::Name),
        (json!({ "x": { "max_length": 0 } }), InputProblem::Bounds),
        (json!({ "x": { "max_length": 100_000 } }), InputProblem::Bounds),
        (json!({ "x": { "type": "list", "max_items": 1000 } }), InputProblem::Bounds),
        (json!({ "x": { "one_of": ["a b"] } }), InputProblem::OneOf),
        (json!({ "x": { "type": "flag", "one_of": ["a"] } }), InputProblem::NotText),
    ] {
        assert_eq!(problem(declared.clone()).1, expected, "{declared}");
    }
    for declared in [json!({ "x": 1 }), json!({ "x": { "typ": "text" } }), json!({ "x": { "charset": "any" } })] {
        assert!(matches!(problem(declared.clone()).1, InputProblem::Form(_)), "{declared}");
    }
    let many: Map<String, Value> = (0..17).map(|n| (format!("x{n}"), json!({}))).collect();
    assert_eq!(problem(Value::Object(many)).1, InputProblem::TooMany);
}

#[test]
fn a_sample_is_always_a_value_of_its_input() {
    for all in [true, false] {
        let samples = inputs().samples(all);
        let given = samples.iter().map(|(name, datum)| (name.clone(), Value::from(datum.clone()))).collect();
        assert_eq!(inputs().accept(Some(&given)), Ok(samples));
    }
    let short = Inputs::parse(&json!({ "x": { "max_length": 2 } })).unwrap();
    assert_eq!(short.samples(true)["x"], Datum::Text("sa".to_owned()));
}
