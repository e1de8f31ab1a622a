//! Decoding a payload: the same as `aws_lambda_events` on every well-formed one, and better on the others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;

use aws_lambda_events::event::cloudwatch_logs::LogsEvent;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use flate2::Compression;
use flate2::write::GzEncoder;
use root_usage::batch::{BatchError, DEFAULT_MAX_BYTES, Inflated};

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_ref()).unwrap();
    gzip.finish().unwrap()
}

fn event(compressed: &[u8]) -> String {
    serde_json::json!({ "awslogs": { "data": STANDARD.encode(compressed) } }).to_string()
}

fn decode(event: &str) -> Result<Inflated, BatchError> {
    Inflated::from_event(event, DEFAULT_MAX_BYTES)
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

const DOCUMENT: &str = r#"{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"g","logStream":"s",
    "subscriptionFilters":["f"],"logEvents":[{"id":"1","timestamp":1763600000000,"message":"one"},
    {"id":"2","timestamp":1763600000001,"message":"t\u0077o \"\\\u00e9"}]}"#;

#[test]
fn events_decode_as_the_yardstick_decodes_them() {
    let mut seen = 0;
    let files = fs::read_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("events")).unwrap();
    let files = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    for text in files.map(|path| fs::read_to_string(path).unwrap()).chain([event(&gzip(DOCUMENT))]) {
        let yardstick: LogsEvent = serde_json::from_str(&text).unwrap();
        let inflated = decode(&text).unwrap();
        let batch = inflated.batch(|_| true);
        let mut data = batch.data;
        data.log_events = batch.log_events.iter().map(|event| event.entry().unwrap()).collect();
        assert_eq!(data, yardstick.aws_logs.data);
        seen += data.log_events.len();
    }
    assert!(seen > 800, "{seen}");
}

#[test]
fn every_gzip_member_is_read() {
    let (first, second) = DOCUMENT.split_at(100);
    let members = [gzip(first), gzip(""), gzip(second)].concat();
    assert_eq!(decode(&event(&members)).unwrap().batch(|_| true).log_events.len(), 2);
}

#[test]
fn base64_without_padding_is_read() {
    for length in 0..3 {
        let compressed = gzip(format!("{DOCUMENT}{}", " ".repeat(length)));
        let text = format!(r#"{{"awslogs":{{"data":"{}"}}}}"#, STANDARD_NO_PAD.encode(compressed));
        assert_eq!(decode(&text).unwrap().batch(|_| true).log_events.len(), 2);
    }
}

#[test]
fn one_odd_log_event_does_not_cost_the_others() {
    let odd = [
        "null",
        "1",
        "[]",
        r#""text""#,
        "true",
        "{}",
        r#"{"message":null}"#,
        r#"{"message":{"a":1}}"#,
        r#"{"id":7}"#,
        r#"{"id":"1","message":"a","message":"b"}"#,
    ];
    let good = r#"{"id":7,"timestamp":"x","message":"kept","extractedFields":{"message":"no"}}"#;
    let document = format!(r#"{{"messageType":null,"logEvents":[{},{good}]}}"#, odd.join(","));
    let inflated = decode(&event(&gzip(document))).unwrap();
    let batch = inflated.batch(|_| true);
    assert_eq!(batch.log_events.len(), odd.len() + 1);
    let read: Vec<_> = batch.log_events.iter().filter_map(|event| event.entry().ok()).collect();
    assert_eq!(read.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(), ["kept"]);
}

#[test]
fn a_byte_that_is_no_utf_8_costs_one_character() {
    let mut document = DOCUMENT.as_bytes().to_vec();
    let place = DOCUMENT.find("one").unwrap();
    document[place] = 0xff;
    let inflated = decode(&event(&gzip(document))).unwrap();
    assert_eq!(inflated.batch(|_| true).log_events[0].entry().unwrap().message, "\u{fffd}ne");
}

#[test]
fn what_cannot_be_read_is_told() {
    let rows: [(&str, String, &str); 12] = [
        ("nothing", String::new(), "the event is empty"),
        ("blank", " \n".to_owned(), "the event is empty"),
        ("no JSON", "hello".to_owned(), "not a CloudWatch Logs subscription event"),
        ("another event", r#"{"Records":[]}"#.to_owned(), "missing field `awslogs`"),
        ("no data", r#"{"awslogs":{}}"#.to_owned(), "missing field `data`"),
        ("data is null", r#"{"awslogs":{"data":null}}"#.to_owned(), "invalid type: null"),
        ("no base64", r#"{"awslogs":{"data":"!!"}}"#.to_owned(), "awslogs.data is not base64: Invalid symbol 33"),
        ("another alphabet", format!(r#"{{"awslogs":{{"data":"{}"}}}}"#, URL_SAFE.encode([0xfb; 6])), "not base64"),
        ("no gzip", event(b"hello, world, this is text"), "incorrect header check"),
        ("empty", event(b""), "(0 bytes compressed, 0 read of it): it breaks off"),
        ("a header only", event(&gzip(DOCUMENT)[..12]), "it breaks off"),
        ("not one byte allowed", event(&gzip(DOCUMENT)), "more than 0 bytes"),
    ];
    for (name, text, expected) in rows {
        let limit = if expected.contains("more than 0") { 0 } else { DEFAULT_MAX_BYTES };
        let error = Inflated::from_event(&text, limit).err().unwrap();
        let message = chain(&error);
        assert!(message.contains(expected), "{name}: {message}");
    }
}

/// What can be had of a payload that is not whole: the log events' ids, the log group, and why there is no more.
#[test]
fn what_is_not_whole_is_read_up_to_the_fault() {
    let entries: Vec<String> = (1..=400_u32)
        .map(|id| {
            format!(
                r#"{{"id":"{id}","timestamp":1,"message":"{{\"eventID\":\"{:08x}\"}}"}}"#,
                id.wrapping_mul(0x9e37_79b9)
            )
        })
        .collect();
    let header = r#"{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"g","logStream":"s","#;
    let document = format!(r#"{header}"subscriptionFilters":["f"],"logEvents":[{}]}}"#, entries.join(","));
    let whole = gzip(&document);
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        event(&bytes)
    };
    let cut = |by: usize| event(&whole[..whole.len() - by]);
    let filled = |from_end: usize, count: usize| {
        broken(&|bytes| bytes.iter_mut().rev().skip(from_end).take(count).for_each(|byte| *byte = !*byte))
    };
    let text = |text: String| event(&gzip(text));
    let half = document.find(r#"{"id":"200""#).unwrap();
    let base64 = event(&whole);
    let all = 400..=400;
    // Deflate gives what was before the fault, more or less.
    let some = 1..=399;
    let rows = [
        ("whole", base64.clone(), all.clone(), ""),
        ("cut off", cut(whole.len() / 2), some.clone(), "gzip stream"),
        ("without its trailer", cut(8), all.clone(), "it breaks off"),
        ("without half its trailer", cut(4), all.clone(), "it breaks off"),
        ("wrong CRC", filled(7, 1), all.clone(), "incorrect data check"),
        ("wrong size", filled(3, 1), all.clone(), "incorrect length check"),
        ("damaged", filled(whole.len() / 2, 400), some.clone(), "it is damaged"),
        ("trailing bytes", broken(&|bytes| bytes.extend(b"trailing")), all.clone(), "8 bytes follow that are not gzip"),
        ("a second member cut off", broken(&|bytes| bytes.extend(b"\x1f\x8b\x08\0")), all.clone(), "it breaks off"),
        ("base64 cut off", base64.replace("\"}}", "!\"}}"), all.clone(), "not base64: Invalid symbol 33"),
        ("base64 damaged", base64.replacen(&base64[base64.len() / 2..][..9], "?", 1), some, "not base64"),
        ("document cut off", text(document[..half].to_owned()), 199..=199, "more of the document expected"),
        ("cut off in a log event", text(document[..half + 50].to_owned()), 199..=199, "more of the document expected"),
        ("its last byte lost", text(document[..document.len() - 1].to_owned()), all.clone(), "more of the document"),
        (
            "its last two bytes lost",
            text(document[..document.len() - 2].to_owned()),
            all.clone(),
            "more of the document",
        ),
        ("a comma lost", text(document.replacen("},{\"id\":\"200\"", "}{\"id\":\"200\"", 1)), all.clone(), ""),
        ("a comma too many", text(document.replace("}]}", "},]}")), all.clone(), ""),
        (
            "a word",
            text(document.replacen("},{\"id\":\"200\"", "},word,{\"id\":\"200\"", 1)),
            all.clone(),
            "a log event",
        ),
        ("another bracket", text(document.replace("}]}", "}}")), all.clone(), "another bracket expected"),
        ("another document", text(format!("{document} {{}}")), all.clone(), ""),
        ("more after the end", text(format!("{document} 1")), all.clone(), "a JSON object expected"),
        ("no array", text(format!(r#"{header}"logEvents":null}}"#)), 0..=0, "an array of log events expected"),
    ];
    for (name, text, expected, fault) in rows {
        let inflated = decode(&text).unwrap_or_else(|error| panic!("{name}: {}", chain(&error)));
        let batch = inflated.batch(|_| true);
        let ids: Vec<u32> = batch.log_events.iter().map(|event| event.entry().unwrap().id.parse().unwrap()).collect();
        assert!(expected.contains(&ids.len()), "{name}: {}", ids.len());
        assert!(ids.iter().zip(1..).all(|(id, number)| *id == number), "{name}");
        let data = &batch.data;
        assert_eq!((&*data.owner, &*data.log_group, &*data.log_stream), ("111122223333", "g", "s"), "{name}");
        assert_eq!(data.message_type, "DATA_MESSAGE", "{name}");
        let message = batch.fault.as_ref().map(|fault| chain(fault)).unwrap_or_default();
        assert!(message.contains(fault) && message.is_empty() == fault.is_empty(), "{name}: {message}");
        let inflating = matches!(batch.fault, Some(BatchError::Gzip { .. } | BatchError::Base64(_)));
        assert_eq!(inflated.fault().is_some(), inflating, "{name}");
    }
    let large = Inflated::from_event(&base64, half).unwrap();
    assert_eq!((large.len(), large.batch(|_| true).log_events.len()), (half, 199));
    assert!(matches!(large.batch(|_| true).fault, Some(BatchError::TooLarge { limit }) if limit == half));
}

#[test]
fn what_is_no_document_has_no_log_events() {
    for text in ["[]", "null", "\"text\"", "1", "", " ", "{", r#"{"a""#, r#"{"a":"#, r#"{"a" 1}"#, "{,}"] {
        let inflated = decode(&event(&gzip(text))).unwrap();
        let batch = inflated.batch(|_| true);
        assert!(batch.log_events.is_empty(), "{text}");
        assert!(matches!(batch.fault, Some(BatchError::Document { .. })), "{text}");
    }
    // In an array of documents there are.
    let inflated = decode(&event(&gzip(r#"[{"logEvents":[1]}]"#))).unwrap();
    assert_eq!(inflated.batch(|_| true).log_events.len(), 1);
    for text in ["{}", r#" { "logEvents" : [ ] , "owner" : 7 } "#] {
        let inflated = decode(&event(&gzip(text))).unwrap();
        let batch = inflated.batch(|_| true);
        assert!(batch.log_events.is_empty() && batch.fault.is_none() && batch.data.owner.is_empty(), "{text}");
    }
}

#[test]
fn inflating_is_bounded() {
    let bomb = event(&gzip(vec![b' '; 20 << 20]));
    assert!(bomb.len() < 40_000);
    let read = Inflated::from_event(&bomb, 1 << 20).unwrap();
    assert_eq!(read.len(), 1 << 20);
    assert!(matches!(read.fault(), Some(BatchError::TooLarge { limit: 1_048_576 })));
    // The trailer's size is never trusted: here it says 4 GiB.
    let mut lying = gzip(DOCUMENT);
    let size = lying.len() - 4;
    lying[size..].fill(0xff);
    assert!(matches!(decode(&event(&lying)).unwrap().fault(), Some(BatchError::Gzip { .. })));
    let exact = event(&gzip(DOCUMENT));
    assert!(Inflated::from_event(&exact, DOCUMENT.len()).unwrap().fault().is_none());
    assert!(Inflated::from_event(&exact, DOCUMENT.len() - 1).unwrap().fault().is_some());
}
