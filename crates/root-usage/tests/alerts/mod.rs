//! Alerts of records that a test has at hand.
#![allow(dead_code, reason = "no test file uses all of it")]

use filter_pattern::json::Json;
use root_usage::alert::{Alert, Match, Origin};
use root_usage::email::{Language, Message, Style};
use root_usage::notify::topic;
use root_usage::record::Record;
use serde_json::Value;

pub fn record(value: &Value) -> Record {
    let text = value.to_string();
    Record::new(&text, Json::parse(&text).unwrap())
}

pub fn alert(records: &[Value], beside: &[Value]) -> Alert {
    let found = |value| Match { record: record(value), rules: Vec::new(), received: None };
    let beside: Vec<Record> = beside.iter().map(record).collect();
    Alert::new(Origin::default(), records.iter().map(found).collect(), Vec::new(), &beside).unwrap()
}

/// The mails in every language, and their documents.
pub fn mails(alert: &Alert) -> String {
    let styles = Language::ALL.into_iter().map(|language| Style { language, ..Style::default() });
    styles
        .map(|style| Message::new(alert, &style, topic::fits).unwrap())
        .map(|mail| mail.text + &mail.document)
        .collect()
}
