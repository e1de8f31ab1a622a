//! What one evaluation of a pattern costs: of the rule for root, and of the longest that AWS has published.
//!
//! The record is an ordinary one that matches neither, as almost all are.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use divan::{Bencher, black_box};
use filter_pattern::Pattern;
use filter_pattern::json::Json;

const RECORD: &str = r#"{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROAIDPPEZS35WEXAMPLE:pipeline","arn":"arn:aws:sts::111122223333:assumed-role/Deploy/pipeline","accountId":"111122223333","accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAIDPPEZS35WEXAMPLE","arn":"arn:aws:iam::111122223333:role/Deploy","accountId":"111122223333","userName":"Deploy"},"attributes":{"creationDate":"2026-11-20T07:30:00Z","mfaAuthenticated":"false"}}},"eventTime":"2026-11-20T07:45:55Z","eventSource":"organizations.amazonaws.com","eventName":"ListAccounts","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.80","userAgent":"aws-sdk-rust/1.3.9 os/linux lang/rust/1.91.0","requestParameters":null,"responseElements":null,"requestID":"af43d820-0514-4d4d-b3b9-fb501f85d2a3","eventID":"5c0b5b6a-d842-48a6-bc3e-d78ed1a7664a","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"organizations.us-east-1.amazonaws.com"}}"#;

fn main() {
    divan::main();
}

const ROOT: &str = r#"{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS }"#;

/// The rule for root, and the longest pattern that AWS has published.
fn patterns() -> [Pattern; 2] {
    let rows = include_str!("../tests/data/published.jsonl").lines();
    let rows = rows.map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap());
    let longest = rows.map(|row| row["pattern"].as_str().unwrap().to_owned()).max_by_key(String::len).unwrap();
    [ROOT, &longest].map(|text| text.parse().unwrap())
}

/// The pattern alone, on a record that is parsed already.
#[divan::bench(args = [0, 1])]
fn evaluate(bencher: Bencher, which: usize) {
    let (pattern, record) = (&patterns()[which], Json::parse(RECORD).unwrap());
    bencher.bench_local(|| black_box(pattern).matches(black_box(&record)));
}

/// The record's text is parsed each time, as for a log event that passed the search for literals.
#[divan::bench(args = [0, 1])]
fn parse_and_evaluate(bencher: Bencher, which: usize) {
    let pattern = &patterns()[which];
    bencher.bench_local(|| black_box(pattern).matches_text(black_box(RECORD)));
}
