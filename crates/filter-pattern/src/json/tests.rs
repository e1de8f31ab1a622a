use serde_json::value::RawValue;

use super::*;

#[test]
fn numbers_keep_their_text_and_the_last_key_wins() {
    let json = Json::parse(r#" {"a":1.0,"b":[1e0,-0],"\u0061":"x\u0052"} "#).unwrap();
    assert_eq!(json.get("a"), Some(&Json::String("xR".into())));
    assert_eq!(json.get("b"), Some(&Json::Array(vec![Json::Number("1e0".into()), Json::Number("-0".into())])));
}

#[test]
fn of_many_equal_keys_the_last_wins_wherever_it_stands() {
    let json = Json::parse(r#"{"b":1,"a":1,"b":2,"c":0,"a":2,"b":3,"\u0061":4}"#).unwrap();
    let fields: Vec<_> = json.as_object().unwrap().iter().collect();
    let number = |text: &'static str| Json::Number(text.into());
    assert_eq!(fields, [("a", &number("4")), ("b", &number("3")), ("c", &number("0"))]);
    assert_eq!((json.get("b"), json.get("d")), (Some(&number("3")), None));
}

#[test]
fn keys_that_serde_json_uses_for_itself_are_ordinary_keys() {
    for key in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
        let text = format!(r#"{{"{key}":"x"}}"#);
        assert_eq!(Json::parse(&text).unwrap().get(key), Some(&Json::String("x".into())));
    }
}

#[test]
fn what_is_pruned_has_names_of_so_many_parts_and_no_arrays() {
    let json = Json::parse(r#"{"a":1,"b":[2],"c":{"d":3,"e":{"f":4},"g":[]}}"#).unwrap();
    for (levels, kept) in
        [(0, "{}"), (1, r#"{"a":1}"#), (2, r#"{"a":1,"c":{"d":3}}"#), (3, r#"{"a":1,"c":{"d":3,"e":{"f":4}}}"#)]
    {
        assert_eq!(json.clone().pruned(levels), Json::parse(kept).unwrap(), "{levels}");
    }
    assert_eq!(Json::parse("[1]").unwrap().pruned(1), Json::parse("[1]").unwrap());
}

#[test]
fn only_what_is_at_a_path_is_kept() {
    let json = Json::parse(r#"{"a":1,"b":{"c":2,"d":{"e":3}},"f":{"g":4}}"#).unwrap();
    let rows: [(&[&[&str]], &str); 5] = [
        (&[], "{}"),
        (&[&["a"], &["x"]], r#"{"a":1}"#),
        (&[&["b", "d"], &["b", "x"]], r#"{"b":{"d":{"e":3}}}"#),
        (&[&["b", "c"], &["b"]], r#"{"b":{"c":2,"d":{"e":3}}}"#),
        (&[&["b", "c"], &["f", "g"], &["a", "z"]], r#"{"a":1,"b":{"c":2},"f":{"g":4}}"#),
    ];
    for (paths, kept) in rows {
        assert_eq!(json.only(paths), Json::parse(kept).unwrap(), "{paths:?}");
    }
}

#[test]
fn unescaped_text_is_borrowed() {
    let Json::Object(fields) = Json::parse(r#"{"a":"b"}"#).unwrap() else { panic!("an object") };
    assert!(matches!(&*fields.0, [(Cow::Borrowed("a"), Json::String(Cow::Borrowed("b")))]));
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Json::parse(&nested(MAX_DEPTH)).is_ok());
    assert!(matches!(Json::parse(&nested(MAX_DEPTH + 1)), Err(JsonError::TooDeep)));
    assert!(matches!(Json::parse(&nested(100_000)), Err(JsonError::TooDeep)));
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "",
        "{",
        "nul",
        "{} x",
        "01",
        "[1,]",
        "\"\u{1}\"",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "{\"a\":1 \"b\":2}",
        "[1,,2]",
        "{\"a\":1,}",
        "[1}",
        "{\"a\":1]",
        "\"",
        "\"\\",
        "\"\\\"",
        "\"é",
        "1e",
        "-",
        ".5",
        "+1",
        "truex",
        "[true false]",
        "\"\\x\"",
        "\"\\ud800\"",
        "\u{a0}1",
        "é",
        "[",
        "[1",
        "{\"a",
        "{\"a\":",
        "1 2",
        "}",
        "]",
        ",",
    ] {
        assert!(matches!(Json::parse(text), Err(JsonError::Syntax(_))), "{text:?}");
    }
}

#[test]
fn it_reads_what_serde_json_reads() {
    use proptest::prelude::*;
    fn same(json: &Json<'_>, value: &serde_json::Value) -> bool {
        use serde_json::Value;
        match (json, value) {
            (Json::Null, Value::Null) => true,
            (Json::Bool(one), Value::Bool(other)) => one == other,
            (Json::Number(one), Value::Number(other)) => one.parse::<f64>().ok() == other.as_f64(),
            (Json::String(one), Value::String(other)) => one == other,
            (Json::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
            }
            (Json::Object(one), Value::Object(other)) => {
                one.0.len() == other.len()
                    && other.iter().all(|(key, value)| one.get(key).is_some_and(|one| same(one, value)))
            }
            _ => false,
        }
    }
    let pieces = include_str!("../../tests/data/hostile-json.jsonl").lines();
    let pieces: Vec<String> = pieces.map(|line| serde_json::from_str(line).unwrap()).collect();
    let pieces = prop::sample::select(pieces);
    proptest!(ProptestConfig::with_cases(40_000), |(pieces in prop::collection::vec(pieces, 0..12))| {
        let text = pieces.concat();
        match (Json::parse(&text), serde_json::from_str::<serde_json::Value>(&text)) {
            (Ok(json), Ok(value)) => prop_assert!(same(&json, &value), "{text}"),
            (Err(JsonError::Syntax(_)), Err(_)) => {}
            // A number that no `f64` can hold is still JSON.
            (Ok(_), Err(_)) => prop_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "{text}"),
            (one, other) => prop_assert!(false, "{text}: {one:?} {other:?}"),
        }
    });
}
