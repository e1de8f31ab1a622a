//! A day of one person with root, as the mails that tell it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use aws_lambda_events::event::cloudwatch_logs::LogsEvent;
use serde_json::Value;

/// When each mail goes out and what it is.
const MAILS: [(&str, &str); 18] = [
    ("07:36:27", "first"),
    ("08:52:00", "closing"),
    ("09:17:59", "first"),
    ("09:35:16", "at-once"),
    ("09:42:31", "at-once"),
    ("10:49:00", "closing"),
    ("11:27:37", "first"),
    ("13:09:22", "first"),
    ("13:15:55", "at-once"),
    ("13:23:31", "at-once"),
    ("13:33:15", "at-once"),
    ("14:47:00", "closing"),
    ("15:07:14", "first"),
    ("15:15:52", "at-once"),
    ("15:25:05", "at-once"),
    ("16:31:00", "update"),
    ("16:42:00", "closing"),
    ("17:21:43", "first"),
];

fn files() -> Vec<String> {
    (1..=38).map(|number| format!("events/day-{number:02}.json")).collect()
}

/// What `run` prints of the day as JSON: for each file and for what becomes due.
fn answers() -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_root-usage"))
        .args(["run", "--json"])
        .args(files())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn documents(answer: &Value) -> impl Iterator<Item = Value> {
    let messages = answer["messages"].as_array().unwrap().clone();
    messages.into_iter().map(|message| serde_json::from_str(message["document"].as_str().unwrap()).unwrap())
}

#[test]
fn the_day_is_told_in_eighteen_mails() {
    let mut mails = Vec::new();
    for answer in answers() {
        let time = answer["time"].as_str().unwrap()["2026-11-24T".len()..].trim_end_matches('Z').to_owned();
        for document in documents(&answer) {
            mails.push((time.clone(), document["incident"]["kind"].as_str().unwrap().to_owned()));
        }
    }
    let mails: Vec<(&str, &str)> = mails.iter().map(|(time, kind)| (time.as_str(), kind.as_str())).collect();
    assert_eq!(mails, MAILS);
}

#[test]
fn every_record_is_told_once_and_what_is_grave_at_once() {
    let answers = answers();
    let all: Vec<(Value, String)> = answers
        .iter()
        .flat_map(|answer| documents(answer).map(|document| (answer["file"].clone(), document.to_string())))
        .collect();
    let mut records = BTreeSet::new();
    for file in files() {
        let event = fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(&file)).unwrap();
        let event: LogsEvent = serde_json::from_str(&event).unwrap();
        for log_event in event.aws_logs.data.log_events {
            let record: Value = serde_json::from_str(&log_event.message).unwrap();
            if record["userIdentity"].get("invokedBy").is_some() {
                continue;
            }
            let id = record["eventID"].as_str().unwrap().to_owned();
            // An actor's gravest deed stands in the document twice.
            let told: Vec<&Value> = all.iter().filter(|(_, text)| text.contains(&id)).map(|(file, _)| file).collect();
            assert_eq!(told.len(), 1, "{file} {id}");
            let grave = ["CreateRole", "AttachRolePolicy", "PutBucketPolicy", "PutEventSelectors", "UpdateTrail"];
            if grave.contains(&record["eventName"].as_str().unwrap()) && record.get("errorCode").is_none() {
                assert_eq!(told, [&Value::String(file.clone())], "{id}");
            }
            records.insert(id);
        }
    }
    assert_eq!(records.len(), 727);
}
