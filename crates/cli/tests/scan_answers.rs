//! What `root-usage scan` answers: matches, how root was used, mails, exit codes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tree;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tree::{Tree, answer, fed, gzip, ids, other, root, scan, text, wrapped};

#[test]
fn raw_lambda_events_are_counted_as_the_function_counts_them() {
    for entry in fs::read_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("events/source")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // Many more deliveries of ordinary records show nothing new, at three processes each.
        if name.starts_with("day-") || name.starts_with("incident-") {
            continue;
        }
        let path = format!("events/{name}");
        let run = Command::new(env!("CARGO_BIN_EXE_root-usage"))
            .args(["run", "--json", &path])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .env_clear()
            .output()
            .unwrap();
        let lines: Vec<Value> = text(&run.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let count = |field: &str| lines[0]["report"][field].as_u64().unwrap();
        let mut mails = Vec::new();
        for line in &lines {
            for message in line["messages"].as_array().unwrap() {
                let mut mail = message.clone();
                mail["time"] = line["time"].clone();
                mails.push(mail);
            }
        }
        let (code, counted) = answer(scan(&[&path]));
        let summary = &counted["summary"];
        assert_eq!(summary["matches"], count("matched"), "{path}");
        assert_eq!(summary["duplicates"], count("duplicate"), "{path}");
        let all = count("ignored") + count("matched") + count("duplicate") + count("unreadable");
        assert_eq!(summary["records"], all, "{path}");
        assert_eq!(summary["mails"]["total"], mails.len(), "{path}");
        // And told as the function tells them.
        let told = answer(scan(&[&path, "--mail"])).1;
        assert_eq!(told["mails"], Value::Array(mails), "{path}");
        assert_eq!(code, Some(if count("unreadable") > 0 { 2 } else { 0 }), "{path}");
    }
}

/// A record of a root session that began at this time, or of none; fields of `more` replace its own.
fn session(id: &str, key: &str, began: &str, more: &Value) -> Value {
    let mut record = root(id, "2026-11-20T02:51:00Z");
    record["userIdentity"]["accessKeyId"] = key.into();
    if !began.is_empty() {
        record["userIdentity"]["sessionContext"]["attributes"]["creationDate"] = began.into();
    }
    for (name, value) in more.as_object().unwrap() {
        record[name] = value.clone();
    }
    record
}

/// What one record does not say, another does, in whatever file and order; what none says, nobody concludes.
#[test]
fn how_root_was_used_is_decided_over_all_files() {
    const KEY: &str = "ASIAIOSFODNN7EXAMPLE";
    const OTHER: &str = "ASIAI44QH8DHBEXAMPLE";
    const BEGAN: &str = "2026-11-20T02:47:10Z";
    // HIGH, with whatever key but a long-lived one.
    let plain = session("m1", KEY, BEGAN, &json!({ "eventName": "TagUser" }));
    let flag = json!({ "sessionCredentialFromConsole": "true", "eventTime": "2026-11-20T02:48:00Z" });
    let flagged = session("f", OTHER, BEGAN, &flag);
    let with = |record: &Value, name: &str, value: Value| {
        let mut record = record.clone();
        record[name] = value;
        record
    };
    let mut elsewhere = with(&flagged, "recipientAccountId", json!("444455556666"));
    elsewhere["userIdentity"]["accountId"] = "444455556666".into();
    let sign_in = |answer: &str| {
        session(
            "f",
            "",
            "",
            &json!({
                "eventTime": "2026-11-20T02:47:09Z", "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin",
                "eventType": "AwsConsoleSignIn", "responseElements": { "ConsoleLogin": answer }
            }),
        )
    };
    let returns = |name: &str, key: &str, path: &str| {
        let more = json!({
            "eventSource": "sts.amazonaws.com", "eventName": name, "eventTime": "2026-11-20T02:47:00Z",
            "responseElements": { path: { "accessKeyId": KEY } }
        });
        session("f", key, "", &more)
    };
    let assume_root = with(
        &returns("AssumeRoot", OTHER, "credentials"),
        "userIdentity",
        json!({ "type": "AssumedRole", "arn": "arn:aws:sts::999999999999:assumed-role/SecurityAdmin/session-1" }),
    );
    let denied = with(&assume_root, "errorCode", json!("AccessDenied"));
    let before = json!({ "eventTime": "2026-11-20T02:48:00Z" });
    let long_lived = session("f", "AKIAIOSFODNN7EXAMPLE", BEGAN, &before);
    let rows = [
        ("nothing else", json!([]), "temporary-key", "root, temporary key"),
        ("a flagged record", json!([flagged]), "console-session", "root, console session"),
        (
            "one of another session",
            json!([session("f", OTHER, "2026-11-20T02:47:11Z", &flag)]),
            "temporary-key",
            "root, temporary key",
        ),
        ("one of another account", json!([elsewhere]), "temporary-key", "root, temporary key"),
        ("a sign-in that began it", json!([sign_in("Success")]), "console-session", "root, console session"),
        ("one that failed", json!([sign_in("Failure")]), "temporary-key", "root, temporary key"),
        ("the call that returned its key", json!([assume_root]), "central-root-session", "root, central root session"),
        ("such a call, denied", json!([denied]), "temporary-key", "root, temporary key"),
        (
            "GetSessionToken",
            json!([returns("GetSessionToken", "AKIAIOSFODNN7EXAMPLE", "credentials")]),
            "session-token",
            "root, GetSessionToken",
        ),
        (
            "aws login",
            json!([returns("CreateOAuth2Token", "", "accessToken")]),
            "command-line-session",
            "root, aws login",
        ),
        ("a long-lived key in that session", json!([long_lived]), "long-lived-key", "root, long-lived access key"),
    ];
    for (name, others, credential, by) in rows {
        let others = others.as_array().unwrap();
        let tree = Tree::new();
        let directory = tree.0.to_str().unwrap();
        for (first, second) in [("a.json", "b.json.gz"), ("b.json", "a.json.gz")] {
            let first = tree.write(first, wrapped(std::slice::from_ref(&plain)));
            let second = tree.write(second, gzip(wrapped(others)));
            // What is not asked for says it too.
            for arguments in [&[directory][..], &[directory, "--since", "2026-11-20T02:50:00Z"]] {
                let (code, told) = answer(scan(&[arguments, &["--mail"]].concat()));
                assert_eq!(code, Some(0), "{name}");
                let matches = told["matches"].as_array().unwrap();
                let last = matches.last().unwrap();
                assert_eq!((&last["eventID"], &last["credential"]), (&json!("m1"), &json!(credential)), "{name}");
                assert_eq!(last["severity"] == "CRITICAL", credential == "long-lived-key", "{name}: {last}");
                let mails = told["mails"].as_array().unwrap();
                let documents = mails.iter().map(|mail| mail["document"].as_str().unwrap());
                let mut about = documents.filter(|text| text.contains("\"actors\"") && text.contains("\"m1\""));
                let document: Value = serde_json::from_str(about.next_back().unwrap()).unwrap();
                let actor = &document["actors"][0];
                assert_eq!(actor["credential"], credential, "{name}: {actor}");
                assert_eq!(actor["rootCall"].is_null(), credential != "central-root-session", "{name}: {actor}");
                let output = scan(&[arguments, &["--records"]].concat()).output().unwrap();
                let out = text(&output.stdout);
                assert!(out.lines().any(|line| line.ends_with(by)), "{name}: {out}");
            }
            [first, second].iter().for_each(|file| fs::remove_file(file).unwrap());
        }
    }
}

#[test]
fn exit_codes_and_what_is_asked_for() {
    let tree = Tree::new();
    let records = [root("m1", "2026-11-20T23:59:59Z"), root("m2", "2026-11-21T00:00:00Z"), other("o1")];
    let good = tree.write("good.json", wrapped(&records));
    let bad = tree.write("bad.json", "{");
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let alice = "{ $.userIdentity.arn = \"*user/alice\" }";
    let rows: [(&[&str], i32, &[&str]); 14] = [
        (&[good], 0, &["m1", "m2"]),
        (&[good, "--fail-on-match"], 1, &["m1", "m2"]),
        (&[good, bad, "--fail-on-match"], 2, &["m1", "m2"]),
        (&["no-such-file", good], 2, &["m1", "m2"]),
        (&[good, good], 0, &["m1", "m2"]),
        (&[good, "--since", "2026-11-21"], 0, &["m2"]),
        (&[good, "--until", "2026-11-20"], 0, &["m1"]),
        (&[good, "--until", "2026-11-20T23:59:59Z", "--fail-on-match"], 0, &[]),
        (&[good, "--since", "2026-11-20T23:59:59+00:00", "--until", "2026-11-21T09:00:00+09:00"], 0, &["m1"]),
        (&[good, "--rule", "unauthorized-api-calls"], 0, &[]),
        (&[good, "--rule", "iam-policy-changes,root-usage"], 0, &["m1", "m2"]),
        (&[good, "--pattern", alice], 0, &["o1"]),
        (&[good, "--pattern", alice, "--rule", "root-usage"], 0, &["o1", "m1", "m2"]),
        (&[good, "--pattern", ""], 0, &["o1", "m1", "m2"]),
    ];
    for (arguments, code, expected) in rows {
        let (exit, answer) = answer(scan(arguments));
        assert_eq!((exit, ids(&answer)), (Some(code), expected.to_vec()), "{arguments:?}");
    }
    let usage: [(&[&str], &str); 5] = [
        (&[], "<PATH>"),
        (&[good, "--since", "yesterday"], "expected 2026-11-20 or 2026-11-20T02:47:00Z"),
        (&[good, "--rule", "nope"], "there is no rule or set \"nope\""),
        (&[good, "--pattern", "{ $.a == b }"], "write instead"),
        (&[good, "-j", "0"], "'0'"),
    ];
    for (arguments, expected) in usage {
        let output = scan(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn the_table_is_for_a_person() {
    let output = scan(&["events/create-access-key.json", "--records"]).output().unwrap();
    let expected = "\
TIME (UTC)           ACCOUNT       REGION     ACTION               FROM           OUTCOME    SEVERITY  BY
2026-11-20 02:47:09  111122223333  us-east-1  signin ConsoleLogin  198.51.100.77  succeeded  CRITICAL  root, sign-in page
2026-11-20 02:51:26  111122223333  us-east-1  iam CreateAccessKey  198.51.100.77  succeeded  CRITICAL  root, console session

2 records in 1 file (4.01 kB of JSON), 2026-11-20 to 2026-11-20
2 matches, 0 duplicates
mails: 1, 1.00 a day in 1 day
  2026-11-20: 1
noisiest: root of 111122223333, 2 of the matches
";
    assert_eq!(text(&output.stdout), expected);
    for (variables, coloured) in
        [(&[("CLICOLOR_FORCE", "1")][..], true), (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false), (&[], false)]
    {
        let output =
            scan(&["events/create-access-key.json", "--records"]).envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.stdout.contains(&0x1b), coloured, "{variables:?}");
    }
}

#[test]
fn nobody_forges_a_line_of_the_table() {
    let mut record = root("m1", "2026-11-20T01:00:00Z");
    record["eventName"] = json!("CreateUser\n2 matches\u{1b}[2J\u{202e}");
    record["sourceIPAddress"] = json!("x".repeat(10_000));
    for (arguments, name, lines) in [
        (&["-", "--records"][..], r"CreateUser\n2 matches\u{1b}[2J\u{202e}", 8),
        (&["-"], "\"CreateUser{U+000A}2 matches{U+001B}[2J{U+202E}\"", 9),
    ] {
        let output = fed(scan(arguments), record.to_string().as_bytes());
        let out = text(&output.stdout);
        assert!(out.lines().all(|line| line.len() < 300), "{out}");
        assert!(out.contains(name), "{out}");
        assert_eq!(out.lines().count(), lines, "{out}");
    }
}

#[test]
fn mails_are_reckoned_from_deliveries_of_a_region_and_five_minutes() {
    let mut elsewhere = root("m4", "2026-11-20T01:01:00Z");
    elsewhere["awsRegion"] = json!("eu-west-1");
    let records = [
        root("m1", "2026-11-20T01:00:00Z"),
        root("m2", "2026-11-20T01:04:59Z"),
        root("m2", "2026-11-20T01:04:59Z"),
        root("m3", "2026-11-20T01:05:00Z"),
        elsewhere,
        root("m5", "2026-11-29T01:05:00Z"),
    ];
    let tree = Tree::new();
    let path = tree.write("a.json", wrapped(&records));
    let path = path.to_str().unwrap();
    let (_, answer) = answer(scan(&[path]));
    let mails = &answer["summary"]["mails"];
    assert_eq!((&mails["total"], &mails["estimated"], &mails["days"]), (&json!(5), &json!(true), &json!(10)));
    assert_eq!(mails["perDay"], 0.5);
    assert_eq!(mails["byDay"], json!({ "2026-11-20": 4, "2026-11-29": 1 }));
    let output = scan(&[path, "--mail"]).env("ACCOUNT_NAMES", "111122223333=payments-prod").output().unwrap();
    let out = text(&output.stdout);
    // The first in Ireland; both of the window; the third, a minute after those; the quiet hour; the first nine days later.
    let times: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("Date: 2026-11-")).collect();
    let expected = ["20 01:01:00 UTC", "20 01:04:59 UTC", "20 01:06:00 UTC", "20 02:05:00 UTC", "29 01:05:00 UTC"];
    assert_eq!(times, expected, "{out}");
    assert!(out.matches("] payments-prod: ").count() >= 4, "{out}");
    assert!(out.contains("\nmails: about 5, 0.50 a day in 10 days\n"), "{out}");
}

#[test]
fn completions_know_the_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = Command::new(env!("CARGO_BIN_EXE_root-usage")).args(["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(text(&output.stdout).contains("fail-on-match"), "{shell}");
    }
}
