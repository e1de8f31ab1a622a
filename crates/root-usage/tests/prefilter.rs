//! What is never parsed could not have mattered: over generated batches, reading only what may match gives the same as
//! reading all, however keys are ordered and texts are escaped, in the batch and in the records inside it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::redundant_closure_for_method_calls, reason = "the method's lifetimes are not general enough")]

mod writing;

use std::io::Write as _;
use std::sync::LazyLock;

use aws_lambda_events::event::cloudwatch_logs::LogsEvent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use filter_pattern::json::Json;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use root_usage::batch::{DEFAULT_MAX_BYTES, Inflated, LogEvent};
use root_usage::rule::{Rule, RuleSet};
use serde_json::Value;
use writing::Style;

const NAMES: [&str; 9] =
    ["userIdentity", "type", "eventName", "errorCode", "a", "message", "invokedBy", "eventNam", "é/<"];
const TEXTS: [&str; 16] = [
    "Root",
    "root",
    "Rootlet",
    "DeleteTrail",
    "DescribeTrails",
    "StopLogging",
    "AccessDenied",
    "AccessDeniedException",
    "eventName",
    "1",
    "1.0",
    "x/y",
    "é<\"=",
    "\\u0052oot",
    "C:\\users\\",
    "Failed authentication",
];
/// What could be taken for something else by who looks at bytes.
static PIECES: LazyLock<Vec<String>> = LazyLock::new(|| {
    include_str!("../../filter-pattern/tests/data/hostile-json.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
});

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        8 => prop::sample::select(&TEXTS[..]).prop_map(Value::from),
        1 => prop::collection::vec(prop::sample::select(&PIECES[..]), 0..4).prop_map(|all| Value::from(all.concat())),
        1 => prop_oneof![Just("1"), Just("1.0"), Just("1e0"), Just("true"), Just("null")]
            .prop_map(|text| serde_json::from_str(text).unwrap()),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            3 => prop::collection::hash_map(prop::sample::select(&NAMES[..]), inner.clone(), 0..3)
                .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            1 => prop::collection::vec(inner, 0..3).prop_map(Value::from),
        ]
    })
}

fn record() -> impl Strategy<Value = Value> {
    (
        prop::collection::hash_map(prop::sample::select(&NAMES[..]), value(), 0..4),
        0..6_u8,
        prop::sample::select(&TEXTS[..]),
    )
        .prop_map(|(fields, kind, text)| {
            let mut record: serde_json::Map<_, _> =
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            match kind {
                0 => drop(record.insert("userIdentity".to_owned(), serde_json::json!({ "type": text }))),
                1 | 2 => drop(record.insert("eventName".to_owned(), text.into())),
                3 => drop(record.insert("errorCode".to_owned(), text.into())),
                _ => {}
            }
            Value::Object(record)
        })
}

fn style() -> impl Strategy<Value = Style> {
    let choices = prop_oneof![
        2 => Just(vec![0]),
        // Mostly usual, as one odd character in a record.
        2 => (prop::collection::vec(Just(0), 20..60), any::<u8>()).prop_map(|(mut all, odd)| { all.push(odd); all }),
        1 => prop::collection::vec(any::<u8>(), 1..40),
    ];
    choices.prop_map(|choices| Style { choices, at: 0 })
}

/// A message: a record, or what is left of one, or no record at all.
fn message() -> impl Strategy<Value = String> {
    let written = (record(), style()).prop_map(|(record, mut style)| {
        let mut text = String::new();
        style.json(&record, &mut text);
        text
    });
    let damaged =
        (record(), style(), any::<prop::sample::Index>(), 0..3_u8).prop_map(|(record, mut style, at, how)| {
            let mut text = String::new();
            style.json(&record, &mut text);
            let (at, _) = text.char_indices().nth(at.index(text.chars().count())).unwrap();
            match how {
                0 => text.truncate(at),
                1 => drop(text.remove(at)),
                _ => text.insert(at, '"'),
            }
            text
        });
    prop_oneof![
        6 => written,
        2 => damaged,
        1 => prop::collection::vec(prop::sample::select(&PIECES[..]), 0..6).prop_map(|all| all.concat()),
    ]
}

/// A log event: how it is written, and its message if it has one.
fn log_event() -> impl Strategy<Value = (String, Option<String>)> {
    let whole =
        (message(), style(), any::<u32>(), 0..12_u8, value()).prop_map(|(message, mut style, id, kind, extra)| {
            let id = Value::from(format!("{id:056}"));
            let mut fields = vec![
                ("id", id),
                ("timestamp", Value::from(1_763_600_000_000_u64)),
                ("message", message.clone().into()),
            ];
            match kind {
                0 => fields.push(("extractedFields", serde_json::json!({ "message": extra }))),
                1 => fields.push(("more", extra)),
                2 => drop(fields.remove(0)),
                _ => {}
            }
            let mut raw = String::new();
            style.fields(&fields, &mut raw, |style, value, out| style.json(value, out));
            (raw, Some(message))
        });
    let odd = (value(), style(), any::<bool>()).prop_map(|(value, mut style, inside)| {
        // A text would be a message.
        let value = if value.is_string() { Value::Null } else { value };
        let value = if inside { serde_json::json!({ "id": "1", "timestamp": 1, "message": value }) } else { value };
        let mut raw = String::new();
        style.json(&value, &mut raw);
        let message = value.get("message").and_then(Value::as_str).map(str::to_owned);
        (raw, message)
    });
    prop_oneof![8 => whole, 1 => odd]
}

fn document(log_events: &[(String, Option<String>)], style: &mut Style) -> String {
    let header = |text: &str| format!("\"{text}\"");
    let mut all = String::from("[");
    for (index, (raw, _)) in log_events.iter().enumerate() {
        all.push_str(if index == 0 { "" } else { "," });
        style.space(&mut all);
        all.push_str(raw);
        style.space(&mut all);
    }
    all.push(']');
    let fields = [
        ("messageType", header("DATA_MESSAGE")),
        ("owner", header("111122223333")),
        ("logGroup", header("cloudtrail/management-events")),
        ("logStream", header("111122223333_CloudTrail_us-east-1")),
        ("subscriptionFilters", "[\"root-usage\"]".to_owned()),
        ("logEvents", all),
    ];
    let mut text = String::new();
    style.fields(&fields, &mut text, |_, raw, out| out.push_str(raw));
    text
}

fn event(document: &str) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(document.as_bytes()).unwrap();
    format!(r#"{{"awslogs":{{"data":"{}"}}}}"#, STANDARD.encode(gzip.finish().unwrap()))
}

/// Sets of rules as they ship, and patterns that an operator could write.
fn rules() -> impl Strategy<Value = RuleSet> {
    static SHIPPED: LazyLock<[RuleSet; 3]> = LazyLock::new(|| {
        let named = |name| Rule::named(name).unwrap();
        [RuleSet::new(named("root-usage")), RuleSet::new(named("cis")), RuleSet::new(Rule::shipped())]
    });
    let path = prop::sample::select(vec!["eventName", "userIdentity.type", "a", "a[0]", "a.*", "*", "['é/<']"]);
    let test = prop_oneof![
        6 => prop::sample::select(&TEXTS[..]).prop_map(|text| format!("= \"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
        1 => prop::sample::select(&TEXTS[..1]).prop_map(|text| format!("= *{text}*")),
        2 => prop::sample::select(vec!["= 1", "= \"1\"", "= 1*", "= *", "!= Root", "= %Ro+t%", "NOT EXISTS", "IS NULL", "> 0"])
            .prop_map(str::to_owned),
    ];
    let condition = (path, test).prop_map(|(path, test)| format!("$.{path} {test}"));
    let own =
        prop::collection::vec(prop::collection::vec(condition, 1..3), 1..8).prop_filter_map("one wildcard", |all| {
            let any: Vec<_> = all.iter().map(|members| format!("({})", members.join(" && "))).collect();
            Rule::own(&format!("{{ {} }}", any.join(" || "))).ok()
        });
    prop_oneof![
        3 => (0..3_usize).prop_map(|index| SHIPPED[index].clone()),
        2 => own.prop_map(|rule| RuleSet::new(vec![rule])),
    ]
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Ignored,
    /// The ids of the rules.
    Matched(Vec<String>),
    Unreadable(Vec<String>),
}

/// What a log event is, by reading it.
fn verdict(event: &LogEvent<'_>, rules: &RuleSet) -> Verdict {
    let ids = |rules: Vec<&Rule>| rules.into_iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
    let unreadable = |text: &str| {
        let mentioned = rules.mentioned(text);
        if mentioned.is_empty() {
            Verdict::Ignored
        } else {
            Verdict::Unreadable(ids(mentioned.iter().map(AsRef::as_ref).collect()))
        }
    };
    let Ok(entry) = event.entry() else { return unreadable(&event.text()) };
    let Ok(json @ Json::Object(_)) = Json::parse(&entry.message) else { return unreadable(&entry.message) };
    let matching: Vec<_> =
        rules.rules().iter().map(AsRef::as_ref).filter(|rule: &&Rule| rule.pattern.matches(&json)).collect();
    if matching.is_empty() { Verdict::Ignored } else { Verdict::Matched(ids(matching)) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_what_may_match_is_reading_all(
        log_events in prop::collection::vec(log_event(), 0..5), mut style in style(), rules in rules(),
    ) {
        let document = document(&log_events, &mut style);
        let inflated = Inflated::from_event(&event(&document), DEFAULT_MAX_BYTES).unwrap();

        let all = inflated.batch(|_| true);
        prop_assert!(all.fault.is_none(), "{:?} {document}", all.fault);
        prop_assert_eq!(all.data.log_group.as_str(), "cloudtrail/management-events");
        let raws: Vec<_> = all.log_events.iter().map(|event| event.text().into_owned()).collect();
        let written: Vec<_> = log_events.iter().map(|(raw, _)| raw.as_str()).collect();
        prop_assert_eq!(raws, written);
        for (event, (_, message)) in all.log_events.iter().zip(&log_events) {
            prop_assert_eq!(event.entry().ok().map(|entry| entry.message), message.clone());
        }

        let some = inflated.batch(|event| rules.may_match(event));
        prop_assert_eq!(some.others + some.log_events.len(), log_events.len());
        let of = |events: &[LogEvent<'_>]| -> Vec<Verdict> {
            events.iter().map(|event| verdict(event, &rules)).filter(|verdict| *verdict != Verdict::Ignored).collect()
        };
        prop_assert_eq!(of(&some.log_events), of(&all.log_events), "{}", document);
    }

    #[test]
    fn a_well_formed_batch_decodes_as_the_yardstick_decodes_it(
        messages in prop::collection::vec((message(), style(), any::<bool>()), 0..5), mut style in style(),
    ) {
        let written = messages.into_iter().enumerate().map(|(index, (message, mut style, more))| {
            let mut fields = vec![("id", Value::from(index.to_string())), ("timestamp", Value::from(index)), ("message", message.into())];
            if more {
                fields.push(("extractedFields", serde_json::json!({ "message": "Root" })));
            }
            let mut raw = String::new();
            style.fields(&fields, &mut raw, |style, value, out| style.json(value, out));
            (raw, None)
        });
        let event = event(&document(&written.collect::<Vec<_>>(), &mut style));
        let yardstick: LogsEvent = serde_json::from_str(&event).unwrap();
        let inflated = Inflated::from_event(&event, DEFAULT_MAX_BYTES).unwrap();
        let batch = inflated.batch(|_| true);
        let mut data = batch.data;
        data.log_events = batch.log_events.iter().map(|event| event.entry().unwrap()).collect();
        prop_assert_eq!(data, yardstick.aws_logs.data);
    }
}

/// The properties above would hold too if everything were read.
#[test]
fn what_cannot_match_is_left_out() {
    let plain = r#"{"userIdentity":{"type":"IAMUser"},"eventName":"DescribeTrails"}"#;
    let root = r#"{"userIdentity":{"type":"Root"},"eventName":"DescribeTrails"}"#;
    let trail = r#"{"userIdentity":{"type":"IAMUser"},"eventName":"DeleteTrail"}"#;
    let told = r#"{"eventName":"DescribeTrails","requestParameters":{"policy":"{\"Action\":\"DeleteTrail\"}"}}"#;
    let html = r#"{"eventName":"DescribeTrails","a":"\u003chidden\u003e\u0026 \u00e9"}"#;
    let hidden = r#"{"userIdentity":{"type":"\u0052oot"},"eventName":"DescribeTrails"}"#;
    let spaced = r#"{"userIdentity":{"type":"IAMUser"},"eventName": "DescribeTrails"}"#;
    let [few, all] = [RuleSet::new(Rule::named("root-usage").unwrap()), RuleSet::new(Rule::shipped())];
    for (message, by_few, by_all) in [
        (plain, false, false),
        (root, true, true),
        (trail, false, true),
        (told, false, false),
        (html, false, false),
        (hidden, true, true),
        // Only the usual form is looked into.
        (spaced, false, true),
    ] {
        let mut written = String::new();
        let fields = [("id", Value::from("1")), ("timestamp", Value::from(1)), ("message", Value::from(message))];
        Style::usual().fields(&fields, &mut written, |style, value, out| style.json(value, out));
        let three = vec![(written, None); 3];
        let inflated = Inflated::from_event(&event(&document(&three, &mut Style::usual())), DEFAULT_MAX_BYTES).unwrap();
        for (rules, expected) in [(&few, by_few), (&all, by_all)] {
            let batch = inflated.batch(|event| rules.may_match(event));
            assert_eq!((batch.log_events.len(), batch.others), if expected { (3, 0) } else { (0, 3) }, "{message}");
        }
    }
}

/// Any one character of the batch may be escaped, in the record's text too.
#[test]
fn no_single_escape_hides_a_match() {
    let rules = RuleSet::new(Rule::shipped());
    for record in [
        r#"{"userIdentity":{"type":"Root"}}"#,
        r#"{"userIdentity":{"type":"\u0052oot"}}"#,
        r#"{"eventName":"DeleteTrail"}"#,
        r#"{"eventNam\u0065":"DeleteTrail"}"#,
        r#"{"errorCode":"Client.UnauthorizedOperation"}"#,
    ] {
        for at in 0..record.len() {
            let mut message = String::new();
            for (index, c) in record.char_indices() {
                match c {
                    _ if index == at => message.push_str(&format!("\\u{:04x}", u32::from(c))),
                    '"' | '\\' => message.extend(['\\', c]),
                    _ => message.push(c),
                }
            }
            let log_event = format!(r#"{{"id":"1","timestamp":1,"message":"{message}"}}"#);
            let document = format!(r#"{{"logEvents":[{log_event},{log_event}]}}"#);
            let inflated = Inflated::from_event(&event(&document), DEFAULT_MAX_BYTES).unwrap();
            let batch = inflated.batch(|event| rules.may_match(event));
            assert_eq!(batch.log_events.len(), 2, "{document}");
            assert!(matches!(verdict(&batch.log_events[0], &rules), Verdict::Matched(_)), "{document}");
        }
    }
}

/// What looks like the place between two log events, and is none.
#[test]
fn log_events_are_told_apart_whatever_they_hold() {
    let next = r#"{"id":"2","timestamp":1,"message":"m"}"#;
    for first in [
        r#"{"id":"1","timestamp":1,"message":"\\","},{":1}"#,
        r#"{"id":"1","timestamp":1,"message":"\\","},{\"id\":\"":1}"#,
        r#"{"id":"1","timestamp":1,"message":"\\","}":1}"#,
        r#"{"id":"1","timestamp":1,"message":"\\","}]}":1}"#,
        r#"{"id":"1","timestamp":1,"message":"\"},{"}"#,
        r#"{"id":"1","timestamp":1,"message":"\"},{\"id\":\""}"#,
        r#"{"id":"1","timestamp":1,"message":"a","x":[{"a":"b"},{"id":"2"}]}"#,
        r#"{"id":"1","timestamp":1,"x":[{"a":"b"},{"id":"2","timestamp":1,"message":"n"}],"message":"a"}"#,
        r#"{"id":"1","timestamp":1,"message":""}"#,
        r#"{"id":"","timestamp":1,"message":""}"#,
        r#"{"id":"\"","timestamp":1,"message":""}"#,
        r#"{"id":"1","timestamp":1e3,"message":""}"#,
        r#"{"id":"1","timestamp":1,"message":"\\\\"}"#,
        r#"{"id":"1","timestamp":1,"message":"\\\\\""}"#,
        r#"[{"id":"1","timestamp":1,"message":"a"},{"id":"2","timestamp":1,"message":"b"}]"#,
    ] {
        for count in 1..4 {
            let document = format!(r#"{{"logEvents":[{}]}}"#, [vec![first; count], vec![next]].concat().join(","));
            serde_json::from_str::<Value>(&document).unwrap();
            let inflated = Inflated::from_event(&event(&document), DEFAULT_MAX_BYTES).unwrap();
            let batch = inflated.batch(|_| true);
            let raws: Vec<_> = batch.log_events.iter().map(LogEvent::text).collect();
            assert_eq!(raws, [vec![first; count], vec![next]].concat(), "{document}");
        }
    }
}
