//! The incidents that `root-usage scan` tells, and when their mails would have gone out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tree::{Tree, answer, root, scan, text, wrapped};

fn day() -> Vec<String> {
    (1..=38).map(|number| format!("events/day-{number:02}.json")).collect()
}

fn arguments(files: &[String]) -> Vec<&str> {
    files.iter().map(String::as_str).collect()
}

#[test]
fn a_day_is_told_as_six_incidents() {
    let output = scan(&arguments(&day())).output().unwrap();
    let expected = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/day.txt");
    assert_eq!(text(&output.stdout), fs::read_to_string(expected).unwrap());
}

/// When each mail goes out, why, and of which incident.
fn mails(answer: &Value, field: &str) -> Vec<(Value, Value, Value)> {
    let mails = answer[field].as_array().unwrap().iter();
    mails
        .map(|mail| {
            let document: Value = serde_json::from_str(mail["document"].as_str().unwrap()).unwrap();
            let incident = &document["incident"];
            let time = if mail["time"].is_null() { &answer["time"] } else { &mail["time"] };
            (time.clone(), incident["kind"].clone(), incident["id"].clone())
        })
        .collect()
}

#[test]
fn a_day_has_the_mails_that_run_plays() {
    let files = day();
    let run = Command::new(env!("CARGO_BIN_EXE_root-usage"))
        .args(["run", "--json"])
        .args(&files)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .env_clear()
        .output()
        .unwrap();
    let lines = text(&run.stdout).lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let played: Vec<_> = lines.flat_map(|line| mails(&line, "messages")).collect();
    let (_, answer) = answer(scan(&[&arguments(&files)[..], &["--mail"]].concat()));
    assert_eq!(mails(&answer, "mails"), played);
    assert_eq!(answer["summary"]["mails"]["total"], 18);
    // Each incident has the name that its mails have, and so has each record.
    let names: BTreeSet<String> = played.iter().map(|(_, _, id)| id.to_string()).collect();
    let of = |what: &str, field: &str| -> BTreeSet<String> {
        answer[what].as_array().unwrap().iter().map(|each| each[field].to_string()).collect()
    };
    assert_eq!((of("incidents", "id"), of("matches", "incident")), (names.clone(), names));
}

#[test]
fn an_incident_is_what_one_identity_does_without_a_long_pause() {
    let at = |id: &str, time: &str, more: &Value| {
        let mut record = root(id, &format!("2026-11-{time}Z"));
        record["userIdentity"]["accessKeyId"] = json!("ASIAIOSFODNN7EXAMPLE");
        for (name, value) in more.as_object().unwrap() {
            record[name] = value.clone();
        }
        record
    };
    let plain = json!({});
    let account = json!({ "recipientAccountId": "444455556666" });
    let untimed = json!({ "eventTime": null });
    let sign_in = json!({
        "userIdentity": { "type": "Root", "accountId": "111122223333" }, "eventSource": "signin.amazonaws.com",
        "eventName": "ConsoleLogin", "eventType": "AwsConsoleSignIn", "responseElements": { "ConsoleLogin": "Failure" },
        "sourceIPAddress": "203.0.113.180"
    });
    let elsewhere = {
        let mut elsewhere = sign_in.clone();
        elsewhere["recipientAccountId"] = json!("444455556666");
        elsewhere
    };
    let user = json!({ "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice" } });
    let hours: Vec<Value> = (0..49)
        .map(|half| at("m", &format!("2{}T{:02}:{}", half / 48, half / 2 % 24, ["00:00", "30:00"][half % 2]), &plain))
        .enumerate()
        .map(|(index, mut record)| {
            record["eventID"] = json!(format!("m{index}"));
            record
        })
        .collect();
    let rows = [
        ("59 minutes", vec![at("m1", "20T01:00:00", &plain), at("m2", "20T01:59:59", &plain)], &[2][..]),
        ("an hour", vec![at("m1", "20T01:00:00", &plain), at("m2", "20T02:00:00", &plain)], &[1, 1]),
        ("a day", hours, &[48, 1]),
        ("two accounts", vec![at("m1", "20T01:00:00", &plain), at("m2", "20T01:00:01", &account)], &[1, 1]),
        (
            "no time",
            vec![at("m1", "20T01:00:00", &plain), at("m2", "20T01:00:00", &untimed), at("m3", "20T01:00:00", &untimed)],
            &[2, 1],
        ),
        ("failed sign-ins", vec![at("m1", "20T01:00:00", &sign_in), at("m2", "20T01:30:00", &elsewhere)], &[2]),
        ("somebody else", vec![at("m1", "20T01:00:00", &plain), at("m2", "20T01:01:00", &user)], &[1, 1]),
    ];
    for (name, records, expected) in rows {
        let tree = Tree::new();
        let path = tree.write("a.json", wrapped(&records));
        let (_, answer) = answer(scan(&[path.to_str().unwrap(), "--pattern", ""]));
        let incidents = answer["incidents"].as_array().unwrap();
        let counts: Vec<&Value> = incidents.iter().map(|incident| &incident["counts"]["records"]).collect();
        assert_eq!(counts, expected, "{name}: {incidents:?}");
        let names: BTreeSet<String> = incidents.iter().map(|incident| incident["id"].to_string()).collect();
        assert_eq!(names.len(), incidents.len(), "{name}");
    }
}

/// Whoever acts chooses names and counts.
#[test]
fn an_incident_is_bounded_and_counts_what_it_leaves_out() {
    let records: Vec<Value> = (0..1000)
        .map(|index| {
            let mut record = root(&format!("m{index}"), "2026-11-20T01:00:00Z");
            record["eventName"] = json!(format!("Create{}", "x".repeat(index)));
            record["requestParameters"] = json!({ "userName": "y".repeat(1000) });
            record["sourceIPAddress"] = json!(format!("198.51.100.{}", index % 250));
            record["awsRegion"] = json!(format!("us-east-{index}"));
            record
        })
        .collect();
    let tree = Tree::new();
    let path = tree.write("a.json", wrapped(&records));
    let output = scan(&[path.to_str().unwrap()]).output().unwrap();
    let block = text(&output.stdout).split("\n\n").next().unwrap();
    assert_eq!(block.lines().count(), 2 + 40 + 1, "{block}");
    assert!(block.contains("\n  960 not shown one by one, ") && block.contains(" in all"), "{block}");
    assert!(block.len() < 20_000, "{}", block.len());
    assert!(block.contains(", +244,") && block.contains(", +994\n"), "{block}");
}
