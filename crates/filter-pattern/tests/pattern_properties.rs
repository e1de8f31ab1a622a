//! What holds for every pattern and every event.

use filter_pattern::json::Json;
use filter_pattern::{MAX_CHARS, Pattern};
use proptest::prelude::*;

/// A selector over few names, so that events have them too.
fn selector() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => "[abc]",
        1 => Just("['a.b']".to_owned()),
        1 => Just("['é/x\"y']".to_owned()),
        1 => Just("*".to_owned()),
        1 => "[A-Za-z0-9_-]{1,5}",
    ];
    let step = prop_oneof![3 => name.prop_map(|name| format!(".{name}")), 1 => "\\[[012*]\\]"];
    ("[abc]", prop::collection::vec(step, 0..3)).prop_map(|(first, steps)| format!("$.{first}{}", steps.concat()))
}

/// Texts that stand in patterns and in events.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Root".to_owned()),
        Just("true".to_owned()),
        Just(String::new()),
        "[a-c]{1,3}",
        "[-+]?[01]{1,2}(\\.[05])?(e[-+]?[01])?",
        "[ab/\\\\\" é*\u{1}]{1,6}",
        "[A-Za-z0-9_.+-]{1,8}",
    ]
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn condition() -> impl Strategy<Value = String> {
    let operand = prop_oneof![
        4 => value().prop_map(|text| quoted(&text)),
        2 => ("\\*?", "[ab1.e+-]{1,4}", "\\*?").prop_map(|(start, text, end)| format!("{start}{text}{end}")),
        1 => ("\\*?", value(), "\\*?").prop_map(|(start, text, end)| quoted(&format!("{start}{text}{end}"))),
        1 => Just("*".to_owned()),
        1 => "%[ab.]{0,3}[*+?]?%".prop_filter("a quantifier needs something", |regex| !regex.starts_with("%*")),
    ];
    let number = "[-+]?[0-9]{1,3}(\\.[0-9])?(e[-+]?[0-9])?";
    let test = prop_oneof![
        6 => ("!?=", operand).prop_map(|(operator, operand)| format!("{operator} {operand}")),
        1 => ("[<>]=?", number).prop_map(|(operator, number)| format!("{operator}{number}")),
        2 => prop::sample::select(vec!["IS NULL", "IS TRUE", "IS FALSE", "NOT EXISTS"]).prop_map(str::to_owned),
    ];
    (selector(), test).prop_map(|(selector, test)| format!("{selector} {test}"))
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let expression = condition().prop_recursive(4, 8, 3, |inner| {
        (prop::collection::vec(inner, 1..4), prop::sample::select(vec!["&&", " || "]))
            .prop_map(|(members, joint)| format!("({})", members.join(joint)))
    });
    expression.prop_filter_map("within the limits", |text| Pattern::parse(&format!("{{{text}}}")).ok())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-2..20_i32).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        value().prop_map(Value::from),
        value().prop_map(Value::from),
    ];
    let key = prop_oneof![4 => "[abc]", 1 => Just("a.b".to_owned()), 1 => Just("é/x\"y".to_owned()), 1 => "[012]"];
    let any = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    });
    prop_oneof![
        9 => prop::collection::hash_map("[abc]", any.clone(), 0..4).prop_map(|map| map.into_iter().collect()),
        1 => any,
    ]
}

/// Conditions that hold for `event`: random ones seldom do. `choice` takes one of several for each value.
fn true_conditions(event: &serde_json::Value, path: &str, choice: usize, found: &mut Vec<String>) {
    use serde_json::Value;
    let test = match event {
        Value::Null => "IS NULL".to_owned(),
        Value::Bool(value) => format!("IS {}", value.to_string().to_uppercase()),
        Value::Number(number) => match choice % 4 {
            0 => format!("= {number}"),
            1 => format!("= \"{number}\""),
            2 => "> -1e999".to_owned(),
            _ => "= %[0-9]%".to_owned(),
        },
        Value::String(text) => {
            let cut = text.char_indices().map(|(at, _)| at).nth(choice % 3).unwrap_or_default();
            match choice % 6 {
                0 => format!("= {}", quoted(text)),
                1 => format!("= {}", quoted(&format!("*{}", &text[cut..]))),
                2 => format!("= {}", quoted(&format!("{}*", &text[..cut]))),
                3 => format!("= {}", quoted(&format!("*{}*", &text[cut..]))),
                4 => format!("!= {}", quoted(&format!("{text}x"))),
                _ => "= *".to_owned(),
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                let index =
                    if choice.is_multiple_of(2) && !path.contains('*') { "*".to_owned() } else { i.to_string() };
                true_conditions(item, &format!("{path}[{index}]"), choice + i, found);
            }
            return;
        }
        Value::Object(fields) => {
            for (i, (key, value)) in fields.iter().enumerate() {
                let plain = key.chars().all(|c| c.is_ascii_alphanumeric());
                let key = if plain { key.clone() } else { format!("['{key}']") };
                true_conditions(value, &format!("{path}.{key}"), choice + i, found);
            }
            return;
        }
    };
    found.push(format!("{path} {test}"));
}

/// A pattern, and an event that it matches more often than not.
fn likely_match() -> impl Strategy<Value = (Pattern, String)> {
    let others = prop::collection::vec(condition(), 0..2);
    (json(), any::<prop::sample::Index>(), 0..60_usize, others).prop_filter_map("has conditions", |parts| {
        let (event, pick, choice, others) = parts;
        let mut all = Vec::new();
        true_conditions(&event, "$", choice, &mut all);
        let first = if all.is_empty() { return None } else { pick.get(&all) };
        let second = &all[choice % all.len()];
        let text = match &others[..] {
            [] => format!("{{{first}&&{second}}}"),
            [other, ..] if choice % 2 == 0 => format!("{{{first}||{other}}}"),
            [other, ..] => format!("{{($.zzz=y||{second})&&({other}||{first})}}"),
        };
        Some((Pattern::parse(&text).ok()?, event.to_string()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_canonical_text_is_the_same_pattern(pattern in pattern()) {
        let text = pattern.to_string();
        prop_assert!(text.chars().count() <= MAX_CHARS);
        let again = Pattern::parse(&text).expect("the canonical text");
        prop_assert_eq!(&again, &pattern);
        prop_assert_eq!(again.to_string(), text);
        let json = serde_json::to_string(&pattern).unwrap();
        prop_assert_eq!(serde_json::from_str::<Pattern>(&json).unwrap(), pattern);
    }

    #[test]
    fn a_match_contains_a_literal(
        (pattern, message) in prop_oneof![(pattern(), json()).prop_map(|(p, event)| (p, event.to_string())), likely_match()]
    ) {
        if pattern.matches_text(&message) && let Some(literals) = pattern.literals() {
            prop_assert!(literals.iter().any(|literal| message.contains(&literal.text)), "{pattern} {literals:?} {message}");
        }
    }

    #[test]
    fn explanations_agree_with_the_answer(pattern in pattern(), event in json()) {
        let message = event.to_string();
        let event = Json::parse(&message).unwrap();
        let explained = pattern.explain(&event);
        let matches = pattern.matches(&event);
        prop_assert!(!matches || explained.iter().any(|condition| condition.holds), "{pattern} {message}");
        prop_assert!(matches || explained.iter().any(|condition| !condition.holds), "{pattern} {message}");
        for lint in pattern.lints() {
            prop_assert!(!lint.to_string().contains('\n') || pattern.to_string().contains('\n'));
        }
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in prop_oneof![
        any::<String>(),
        "[{}()$.*\\[\\]'\"=!<>&|%a1 é\n-]{0,60}",
        "\\{ ?(\\$\\.[a*]|\\[|[0*]\\]|'|\"|=|!=|%| |NOT|EXISTS|IS|NULL|null|\\(|\\)|&&|\\|\\||x|1|>|“|é){0,20} ?\\}",
    ]) {
        match Pattern::parse(&text) {
            Ok(pattern) => prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern)),
            Err(error) => {
                prop_assert!(text.get(error.span()).is_some());
                prop_assert_eq!(error.pattern(), &text);
                prop_assert!(error.to_string().lines().count() >= 3);
            }
        }
    }
}

#[test]
fn a_pattern_of_full_length_gets_no_longer() {
    for condition in ["$.a=1", "$.a IS NULL", "$.a NOT EXISTS", r#"$.a="\\x\y""#, "($.a=1||$.b!=2)", "$.a>=1"] {
        let mut text = format!("{{{condition}");
        while text.len() + condition.len() + 3 <= MAX_CHARS {
            text.push_str("&&");
            text.push_str(condition);
        }
        text.push('}');
        let pattern = Pattern::parse(&text).unwrap();
        let canonical = pattern.to_string();
        assert!(canonical.len() <= text.len(), "{text}");
        assert_eq!(Pattern::parse(&canonical), Ok(pattern));
    }
}

#[test]
fn literals_of_the_shipped_rule_and_others() {
    for (pattern, expected) in [
        ("", None),
        (r#"{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS }"#, Some(&["Root"][..])),
        (
            r#"{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType != "AwsServiceEvent" }"#,
            Some(&["Root"]),
        ),
        (
            r#"{ ($.errorCode = "*UnauthorizedOperation") || ($.errorCode = "AccessDenied*") }"#,
            Some(&["UnauthorizedOperation", "AccessDenied"]),
        ),
        ("{ $.a = x || $.a = x }", Some(&["x"])),
        ("{ $.a = x || $.b NOT EXISTS }", None),
        ("{ $.a = xy && ($.b = z || $.c NOT EXISTS) }", Some(&["xy"])),
        ("{ ($.a = abc || $.a = d) && ($.b = ef || $.b = gh) }", Some(&["ef", "gh"])),
        ("{ $.a NOT EXISTS }", None),
        ("{ $.userIdentity.count = 1 }", Some(&["userIdentity"])),
        (r#"{ $.a = "1" }"#, Some(&["1"])),
        ("{ $.a = 1* }", Some(&["1"])),
        ("{ $.name < 1 }", Some(&["name"])),
        ("{ $.name[0].* IS NULL }", Some(&["name"])),
        ("{ $.name = * }", Some(&["name"])),
        ("{ $.name != abcdefgh }", Some(&["name"])),
        ("{ $.name = %abcdefgh% }", Some(&["name"])),
        ("{ $.* = %abcdefgh% }", None),
        ("{ $.* = abc }", Some(&["abc"])),
        (r#"{ $.a = "ab/cde\"f\\gh" }"#, Some(&["cde"])),
        ("{ $.a = \"aé日bc\td\" }", Some(&["bc"])),
        (r#"{ $.key = "/" }"#, Some(&["key"])),
        ("{ $.['é'] = \"/\" }", None),
    ] {
        let literals = Pattern::parse(pattern).unwrap().literals();
        assert_eq!(
            literals.as_deref().map(|all| all.iter().map(|literal| literal.text.as_str()).collect()),
            expected.map(<[_]>::to_vec),
            "{pattern}"
        );
    }
}

/// A quadratic step anywhere would make this last for minutes.
#[test]
fn the_longest_patterns_on_a_large_event_are_no_work() {
    let size = 64 * 1024;
    let events = [
        format!(r#"{{"a":"{}"}}"#, "ab".repeat(size / 2)),
        format!(r#"{{"a":"{}"}}"#, "日".repeat(size / 3)),
        format!(r#"{{"a":{}}}"#, "1".repeat(size)),
        format!(r#"{{"a":1e{}}}"#, "9".repeat(size)),
        format!(r#"{{"a":[{}0]}}"#, "\"\",".repeat(size / 3)),
    ];
    let most = |condition: &str| {
        let count = (MAX_CHARS - 2) / (condition.len() + 2);
        format!("{{{}}}", vec![condition; count].join("||"))
    };
    let patterns = [
        most("$.a=*x*"),
        most("$.a=2"),
        most("$.a<-1"),
        most("$.a IS TRUE"),
        format!("{{$.a=*{}b*}}", "ab".repeat(500)),
        "{$.a[*]=2||$.a[*]<-1||$.a[*]=*x*}".to_owned(),
        format!("{{{}$.a IS TRUE{}}}", "(".repeat(128), ")".repeat(128)),
        "{$.a=%.*a.{20}c%}".to_owned(),
    ];
    for event in &events {
        let event = Json::parse(event).unwrap();
        for pattern in &patterns {
            let pattern = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{error}"));
            assert!(!pattern.matches(&event), "{pattern}");
            assert!(!pattern.explain(&event).is_empty());
        }
    }
}
