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
use root_usage_alert::batch::{BatchError, DEFAULT_MAX_BYTES, Inflated};

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
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("events")).unwrap();
    let files = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    for text in files.map(|path| fs::read_to_string(path).unwrap()).chain([event(&gzip(DOCUMENT))]) {
        let yardstick: LogsEvent = serde_json::from_str(&text).unwrap();
        let inflated = decode(&text).unwrap();
        let batch = inflated.batch().unwrap();
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
    assert_eq!(decode(&event(&members)).unwrap().batch().unwrap().log_events.len(), 2);
}

#[test]
fn base64_without_padding_is_read() {
    for length in 0..3 {
        let compressed = gzip(format!("{DOCUMENT}{}", " ".repeat(length)));
        let text = format!(r#"{{"awslogs":{{"data":"{}"}}}}"#, STANDARD_NO_PAD.encode(compressed));
        assert_eq!(decode(&text).unwrap().batch().unwrap().log_events.len(), 2);
    }
}

#[test]
fn one_odd_log_event_does_not_cost_the_others() {
    let odd = [
        "null",
        "1",
        "[]",
        r#""text""#,
        "{}",
        r#"{"message":null}"#,
        r#"{"message":{"a":1}}"#,
        r#"{"id":7}"#,
        r#"{"id":"1","message":"a","message":"b"}"#,
    ];
    let good = r#"{"id":7,"timestamp":"x","message":"kept","extractedFields":{"message":"no"}}"#;
    let document = format!(r#"{{"messageType":null,"logEvents":[{},{good}]}}"#, odd.join(","));
    let inflated = decode(&event(&gzip(document))).unwrap();
    let batch = inflated.batch().unwrap();
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
    assert_eq!(inflated.batch().unwrap().log_events[0].entry().unwrap().message, "\u{fffd}ne");
}

#[test]
fn what_cannot_be_read_is_told() {
    let whole = gzip(DOCUMENT);
    let mut wrong_crc = whole.clone();
    let crc = wrong_crc.len() - 8;
    wrong_crc[crc] ^= 1;
    let rows: [(&str, String, &str); 14] = [
        ("nothing", String::new(), "the event is empty"),
        ("blank", " \n".to_owned(), "the event is empty"),
        ("no JSON", "hello".to_owned(), "not a CloudWatch Logs subscription event"),
        ("another event", r#"{"Records":[]}"#.to_owned(), "missing field `awslogs`"),
        ("no data", r#"{"awslogs":{}}"#.to_owned(), "missing field `data`"),
        ("data is null", r#"{"awslogs":{"data":null}}"#.to_owned(), "invalid type: null"),
        ("no base64", r#"{"awslogs":{"data":"!!"}}"#.to_owned(), "awslogs.data is not base64: Invalid symbol 33"),
        ("another alphabet", format!(r#"{{"awslogs":{{"data":"{}"}}}}"#, URL_SAFE.encode([0xfb; 6])), "not base64"),
        ("no gzip", event(b"hello, world, this is text"), "invalid gzip header"),
        ("empty", event(b""), "(0 bytes compressed"),
        ("cut off", event(&whole[..whole.len() / 2]), "does not hold a whole gzip stream"),
        ("wrong CRC", event(&wrong_crc), "corrupt gzip stream does not have a matching checksum"),
        ("trailing bytes", event(&[&whole[..], b"trailing"].concat()), "whole gzip stream"),
        ("no document", event(&gzip("[]")), "does not hold a CloudWatch Logs batch (2 bytes inflated)"),
    ];
    for (name, text, expected) in rows {
        let error = decode(&text).and_then(|inflated| inflated.batch().map(|_| ())).unwrap_err();
        let message = chain(&error);
        assert!(message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn inflating_is_bounded() {
    let bomb = event(&gzip(vec![b' '; 20 << 20]));
    assert!(bomb.len() < 40_000);
    let refused = Inflated::from_event(&bomb, 1 << 20).err().unwrap();
    assert!(matches!(refused, BatchError::TooLarge { limit: 1_048_576 }), "{refused}");
    // The trailer's size is never trusted: here it says 4 GiB.
    let mut lying = gzip(DOCUMENT);
    let size = lying.len() - 4;
    lying[size..].fill(0xff);
    assert!(matches!(decode(&event(&lying)), Err(BatchError::Gzip { .. })));
    let exact = event(&gzip(DOCUMENT));
    assert!(Inflated::from_event(&exact, DOCUMENT.len()).is_ok());
    assert!(Inflated::from_event(&exact, DOCUMENT.len() - 1).is_err());
}
