use proptest::prelude::*;
use root_usage::rule::Rule;
use serde_json::{Value, json};

use super::*;

#[derive(Default)]
struct Seen {
    count: usize,
    records: Vec<Value>,
    faults: Vec<String>,
    bytes: usize,
}

fn is_root(record: &Value) -> bool {
    record["userIdentity"]["type"] == "Root"
}

impl Records for Seen {
    fn count(&mut self, count: usize) {
        self.count += count;
    }

    fn record(&mut self, text: &str) -> Result<bool, String> {
        let record: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let matches = is_root(&record);
        self.records.push(record);
        Ok(matches)
    }

    fn batch(&mut self, _: &str, _: &mut dyn FnMut(&mut dyn Records, &str)) -> Result<(), String> {
        Ok(())
    }

    fn skipped(&mut self, _: &'static str) {}

    fn fault(&mut self, _: Option<u64>, reason: &str) {
        self.faults.push(reason.to_owned());
    }

    fn time(&mut self, _: &[u8]) {}

    fn read(&mut self, bytes: usize) {
        self.bytes += bytes;
    }
}

/// What others can write: quotation marks, brackets, escapes and what looks like a record.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = include_str!("../../../../filter-pattern/tests/data/hostile-json.jsonl").lines();
    let pieces: Vec<String> = pieces.map(|line| serde_json::from_str(line).unwrap()).collect();
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

/// A record's text.
fn record() -> impl Strategy<Value = String> {
    let spelled = [r"Root", r"\u0052oot", r"Ro\u006Ft", r"IAMUser", r"R\\oot", r"root"];
    (prop::sample::select(spelled.to_vec()), hostile(), hostile(), any::<bool>()).prop_map(
        |(kind, one, other, first)| {
            let identity = format!(r#""userIdentity":{{"type":"{kind}"}}"#);
            let rest = json!({ "a": one, "b": [{ &other: one }, { "Records": [{ "c": other }] }, []] }).to_string();
            let rest = &rest[1..rest.len() - 1];
            if first { format!("{{{identity},{rest}}}") } else { format!("{{{rest},{identity}}}") }
        },
    )
}

fn laid_out(records: &[String], layout: usize) -> String {
    let values = || records.iter().map(|record| serde_json::from_str(record).unwrap()).collect::<Vec<Value>>();
    let each = |one: &dyn Fn(&str) -> Value, all: &dyn Fn(Value) -> Value| {
        all(records.iter().map(|record| one(record)).collect()).to_string()
    };
    match layout {
        0 => format!("{{\"Records\":[{}]}}", records.join(",")),
        1 => records.join("\n"),
        2 => format!("[{}]", records.join(" ,\n")),
        3 => records.concat(),
        4 => serde_json::to_string_pretty(&json!({ "x": {}, "Records": values() })).unwrap(),
        5 => serde_json::to_string_pretty(&values()).unwrap(),
        6 => each(&|record| json!({ "CloudTrailEvent": record }), &|all| json!({ "NextToken": "x", "Events": all })),
        7 => each(&|record| json!({ "message": record, "timestamp": 1 }), &|all| json!({ "events": all, "a": [] })),
        8 => each(&|record| json!([{ "field": "@message", "value": record }]), &|all| json!({ "results": all })),
        9 => each(&|record| json!(record), &|all| all),
        10 => each(
            &|record| json!({ "body": json!({ "Message": json!({ "detail": record }).to_string() }).to_string() }),
            &|all| json!({ "Records": all }),
        ),
        11 => records.iter().map(|record| json!(record).to_string() + "\n").collect(),
        12 => records.iter().map(|record| format!("2026-11-20T02:51:00.000Z {record}\r\n")).collect(),
        13 => values().into_iter().map(|record| json!({ "detail": record, "id": "1" }).to_string()).collect(),
        _ => records.iter().map(|record| format!("{{\"Records\" : [{record}]}}\n")).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_match_is_passed_over(
        records in prop::collection::vec(record(), 1..8),
        layout in 0_usize..15,
        portion in 1_usize..500,
    ) {
        let rules = RuleSet::new(Rule::named("root-usage").unwrap());
        let mut reader = Reader { portion, ..Reader::new(&rules) };
        let text = laid_out(&records, layout);
        let mut seen = Seen::default();
        reader.read(text.as_bytes(), &mut seen);
        prop_assert_eq!(&seen.faults, &Vec::<String>::new());
        prop_assert_eq!(seen.count, records.len());
        prop_assert_eq!(seen.bytes, text.len());
        let all = records.iter().map(|record| serde_json::from_str::<Value>(record).unwrap());
        let expected: Vec<Value> = all.filter(is_root).collect();
        seen.records.retain(is_root);
        prop_assert_eq!(seen.records, expected);
    }

    #[test]
    fn whatever_the_bytes_reading_ends(bytes in prop::collection::vec(any::<u8>(), 0..600), portion in 1_usize..500) {
        let rules = RuleSet::new(Rule::named("root-usage").unwrap());
        let mut seen = Seen::default();
        Reader { portion, ..Reader::new(&rules) }.read(&bytes[..], &mut seen);
        // Its first bytes may say that it is compressed, or refuse it.
        let start = &bytes[..portion.min(bytes.len())];
        let refused = foreign::refused(start, start.len() == bytes.len()).is_some();
        prop_assert!(seen.bytes == bytes.len() || bytes.starts_with(foreign::GZIP) || refused);
    }

    #[test]
    fn where_brackets_are_wrong_no_record_is_lost_in_silence(
        records in prop::collection::vec(record(), 1..5),
        broken in "[\\[\\]{}\",: a\n]{0,12}",
        at in 0_usize..5,
        layout in 0_usize..4,
    ) {
        let mut pieces = records.clone();
        pieces.insert(at.min(records.len()), broken);
        let rules = RuleSet::new(Rule::named("root-usage").unwrap());
        let mut seen = Seen::default();
        Reader::new(&rules).read(laid_out(&pieces, layout).as_bytes(), &mut seen);
        let all = records.iter().map(|record| serde_json::from_str::<Value>(record).unwrap());
        let expected = all.filter(is_root).count();
        seen.records.retain(is_root);
        prop_assert!(seen.records.len() >= expected || !seen.faults.is_empty(), "{:?}", seen.records);
    }
}
