//! What one evaluation of a pattern costs: of the rule for root, and of the longest that ships.
//!
//! The record is an ordinary one that matches neither, as almost all are.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use divan::{Bencher, black_box};
use root_usage_alert::json::Json;
use root_usage_alert::rule::Rule;

const RECORD: &str = r#"{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROAIDPPEZS35WEXAMPLE:pipeline","arn":"arn:aws:sts::111122223333:assumed-role/Deploy/pipeline","accountId":"111122223333","accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAIDPPEZS35WEXAMPLE","arn":"arn:aws:iam::111122223333:role/Deploy","accountId":"111122223333","userName":"Deploy"},"attributes":{"creationDate":"2026-11-20T07:30:00Z","mfaAuthenticated":"false"}}},"eventTime":"2026-11-20T07:45:55Z","eventSource":"organizations.amazonaws.com","eventName":"ListAccounts","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.80","userAgent":"aws-sdk-rust/1.3.9 os/linux lang/rust/1.91.0","requestParameters":null,"responseElements":null,"requestID":"af43d820-0514-4d4d-b3b9-fb501f85d2a3","eventID":"5c0b5b6a-d842-48a6-bc3e-d78ed1a7664a","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"organizations.us-east-1.amazonaws.com"}}"#;

fn main() {
    divan::main();
}

/// The rule for root, and the one with the longest pattern.
fn ids() -> [String; 2] {
    let longest = Rule::shipped().into_iter().max_by_key(|rule| rule.text.len()).unwrap();
    ["root-usage".to_owned(), longest.id]
}

fn rule(id: &str) -> Rule {
    Rule::named(id).unwrap().remove(0)
}

/// The pattern alone, on a record that is parsed already.
#[divan::bench(args = ids())]
fn evaluate(bencher: Bencher, id: &str) {
    let (rule, record) = (rule(id), Json::parse(RECORD).unwrap());
    bencher.bench_local(|| black_box(&rule.pattern).matches(black_box(&record)));
}

/// The record's text is parsed each time, as for a log event that passed the search for literals.
#[divan::bench(args = ids())]
fn parse_and_evaluate(bencher: Bencher, id: &str) {
    let rule = rule(id);
    bencher.bench_local(|| black_box(&rule.pattern).matches_text(black_box(RECORD)));
}
