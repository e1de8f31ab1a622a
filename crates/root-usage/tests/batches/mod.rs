//! Raw Lambda events, and records to put into them.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::fmt::Display;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

pub fn raw(bytes: &[u8]) -> String {
    json!({ "awslogs": { "data": STANDARD.encode(bytes) } }).to_string()
}

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A raw event with these messages.
pub fn batch(messages: &[impl Display]) -> String {
    const TIME: i64 = 1_795_143_129_000;
    let event = |(n, message)| json!({ "id": usize::to_string(&n), "timestamp": TIME, "message": message });
    let events: Vec<_> = messages.iter().map(ToString::to_string).enumerate().map(event).collect();
    let data = json!({
        "messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "trail", "logStream": "stream",
        "subscriptionFilters": ["f"], "logEvents": events
    });
    raw(&gzip(data.to_string().as_bytes()))
}

pub fn failed_sign_in(id: usize) -> String {
    json!({
        "userIdentity": { "type": "Root", "accountId": "111122223333", "accessKeyId": "" },
        "eventTime": "2026-11-20T02:50:00Z", "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin",
        "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.180", "eventID": format!("low-{id}"),
        "errorMessage": "Failed authentication", "responseElements": { "ConsoleLogin": "Failure" },
        "eventType": "AwsConsoleSignIn", "recipientAccountId": "111122223333"
    })
    .to_string()
}

pub fn root_call(id: usize, name: &str) -> String {
    json!({
        "userIdentity": {
            "type": "Root", "accountId": "111122223333", "accessKeyId": "ASIAI44QH8DHBEXAMPLE",
            "sessionContext": { "attributes": { "creationDate": "2026-11-20T02:47:09Z", "mfaAuthenticated": "true" } }
        },
        "eventTime": "2026-11-20T02:50:00Z", "eventSource": "iam.amazonaws.com", "eventName": name,
        "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.77", "eventID": format!("{name}-{id}"),
        "recipientAccountId": "111122223333"
    })
    .to_string()
}

/// A log event that is cut off, and may have been root's.
pub fn broken(id: usize) -> String {
    format!("{{\"n\":{id},\"type\":\"Root\"")
}
