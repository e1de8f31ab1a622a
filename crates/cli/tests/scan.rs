//! `root-usage scan`, run as a person runs it, on trees of files made for the purpose.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// A directory that is there as long as its test.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("root-usage-scan-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: impl AsRef<OsStr>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(Path::new(name.as_ref()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn scan(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_root-usage"));
    command.arg("scan").args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn fed(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.spawn().unwrap();
    // It may be gone before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// The exit code and the JSON document.
fn answer(mut command: Command) -> (Option<i32>, Value) {
    let output = command.args(["--format", "json"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    file.write_all(bytes.as_ref()).unwrap();
    file.finish().unwrap()
}

fn root(id: &str, time: &str) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "Root", "accountId": "111122223333", "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "arn": "arn:aws:iam::111122223333:root"
        },
        "eventTime": time, "eventSource": "iam.amazonaws.com", "eventName": "CreateUser", "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.77", "requestParameters": null, "eventID": id,
        "recipientAccountId": "111122223333"
    })
}

fn other(id: &str) -> Value {
    let mut record = root(id, "2026-11-20T00:00:00Z");
    record["userIdentity"] = json!({ "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice" });
    record["requestParameters"] = json!({ "text": r#"}]},{"userIdentity":{"type":"Root"}},{"Records":["# });
    record
}

fn wrapped(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["matches"].as_array().unwrap().iter().map(|found| found["eventID"].as_str().unwrap()).collect()
}

#[test]
fn ten_thousand_files_with_everything_that_can_be_wrong() {
    let tree = Tree::new();
    let ordinary = gzip(wrapped(&[other("o1"), other("o2"), other("o3")]));
    let days = (0..9_980).map(|index| format!("AWSLogs/2026/{:03}/{index}.json.gz", index % 365));
    for name in days {
        tree.write(name, &ordinary);
    }
    let twice = gzip(wrapped(&[root("m1", "2026-11-20T02:00:00Z"), other("o4")]));
    tree.write("a.json.gz", &twice);
    tree.write("b/copy", &twice);
    tree.write("b/same-record.jsonl", format!("{}\n{}\n", other("o5"), root("m1", "2026-11-20T02:00:00Z")));
    tree.write(OsStr::from_bytes(b"c/na\xffme\x1b[2J.json"), wrapped(&[root("m2", "2026-11-20T01:00:00Z")]));
    let whole = gzip(wrapped(&[root("m3", "2026-11-20T03:00:00Z"), other("o6")]));
    // gzip's last eight bytes are a checksum and a length.
    tree.write("d/damaged.json.gz", [&whole[..whole.len() - 8], &[0; 8]].concat());
    tree.write("d/cut.json.gz", &ordinary[..ordinary.len() / 2]);
    tree.write("d/empty.json.gz", "");
    tree.write("d/README", "Logs of \"Root\" are here.\nAsk before you delete any.\n");
    let plain = wrapped(&[root("m4", "2026-11-20T04:00:00Z"), other("o7")]);
    tree.write("d/cut.json", &plain[..plain.len() - 20]);
    tree.write("d/picture", [0x89, b'P', b'N', b'G', 0, 0xff, 0x1f, 0x8b]);
    tree.write("e/digest.json.gz", gzip(json!({ "awsAccountId": "111122223333", "digestS3Bucket": "b" }).to_string()));
    (0..9).for_each(|index| drop(tree.write(format!("e/{index}"), &ordinary)));

    let root = tree.0.to_str().unwrap();
    let (code, one) = answer(scan(&["-j", "1", root]));
    let (code_of_many, many) = answer(scan(&["-j", "7", root]));
    assert_eq!((code, code_of_many), (Some(2), Some(2)));
    assert_eq!(one, many);
    assert_eq!(ids(&one), ["m2", "m1", "m3", "m4"]);
    let summary = &one["summary"];
    assert_eq!(summary["files"], 10_000);
    assert_eq!(summary["digestFiles"], 1);
    assert_eq!(summary["duplicates"], 2);
    assert_eq!(summary["records"], (9_980 + 9) * 3 + 2 + 2 + 2 + 1 + 2 + 1);
    let unreadable: Vec<(String, String)> = summary["unreadable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unread| {
            let file = unread["file"].as_str().unwrap().strip_prefix(root).unwrap();
            (file.to_owned(), unread["reason"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [
        ("/d/README", "a line is not a JSON object"),
        ("/d/cut.json", "it breaks off inside a record or array"),
        ("/d/cut.json.gz", "the gzip stream breaks off"),
        ("/d/damaged.json.gz", "the gzip stream is damaged"),
        ("/d/empty.json.gz", "it is empty"),
        ("/d/picture", "a line is not a JSON object"),
    ];
    assert_eq!(unreadable.len(), expected.len(), "{unreadable:?}");
    for ((file, reason), (name, start)) in unreadable.iter().zip(expected) {
        assert!(file == name && reason.starts_with(start), "{file}: {reason}");
    }

    let output = scan(&[root]).output().unwrap();
    let out = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), ""));
    assert!(out.contains("\n4 matches, 2 duplicates\n"), "{out}");
    assert!(out.contains("\ncould not be read, or only in part: 6 paths, "), "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");
}

#[test]
fn every_layout_holds_the_same_records() {
    let records = [root("m1", "2026-11-20T01:00:00Z"), other("o1"), root("m2", "2026-11-20T02:00:00Z"), other("o2")];
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    let file = wrapped(&records);
    let (front, back) = file.split_at(file.len() / 2);
    let nested = json!([{ "Records": records[..2] }, { "Records": records[2..], "more": [1] }]);
    let escaped = lines.replace("\"Root\"", "\"Ro\\u006ft\"");
    let layouts: [(&str, Vec<u8>); 13] = [
        ("S3", file.clone().into_bytes()),
        ("S3, compressed", gzip(&file)),
        ("two members", [gzip(front), gzip(back)].concat()),
        ("two files in one", format!("{}{}", wrapped(&records[..2]), wrapped(&records[2..])).into_bytes()),
        ("S3, indented", pretty(&json!({ "Records": records })).into_bytes()),
        ("lines", lines.clone().into_bytes()),
        ("lines, escaped", escaped.into_bytes()),
        ("lines without the last end", lines.trim_end().replace('\n', "\r\n").into_bytes()),
        ("array", json!(records).to_string().into_bytes()),
        ("array, indented", pretty(&json!(records)).into_bytes()),
        ("one after the other, indented", records.iter().map(pretty).collect::<String>().into_bytes()),
        ("byte order mark", format!("\u{feff}{lines}").into_bytes()),
        ("array of files", nested.to_string().into_bytes()),
    ];
    for (layout, bytes) in layouts {
        let output = fed(scan(&["-", "--format", "json"]), &bytes);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{layout}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(ids(&answer), ["m1", "m2"], "{layout}");
        assert_eq!(answer["summary"]["records"], 4, "{layout}");
    }
}

/// A file of `data/scan`, as people have it, and what is to be read in it.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    file: String,
    /// What made it.
    source: String,
    records: u64,
    matches: u64,
    code: i32,
    /// What the answer for a person says of it.
    says: Option<String>,
}

#[test]
fn every_file_that_people_have_is_read_or_refused_by_name() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/scan");
    let cases = fs::read_to_string(directory.join("cases.jsonl")).unwrap();
    let cases: Vec<Case> = cases.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut files: BTreeSet<String> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(files.remove("cases.jsonl"));
    assert_eq!(files, cases.iter().map(|case| case.file.clone()).collect());
    for Case { file, source, records, matches, code, says } in cases {
        let path = format!("crates/cli/tests/data/scan/{file}");
        let (exit, answer) = answer(scan(&[&path]));
        let summary = &answer["summary"];
        let found = (exit, summary["records"].as_u64().unwrap(), summary["matches"].as_u64().unwrap());
        assert_eq!(found, (Some(code), records, matches), "{file}, {source}: {summary}");
        let output = scan(&[&path]).output().unwrap();
        let out = text(&output.stdout);
        assert!(out.contains(&says.unwrap_or_default()), "{file}, {source}: {out}");
        // Nobody takes it for an all-clear.
        assert_eq!(out.contains("\n0 matches"), records > 0 && matches == 0, "{file}, {source}: {out}");
        assert_eq!(out.contains("\n0 records read: "), records == 0, "{file}, {source}: {out}");
    }
}

#[test]
fn what_is_not_understood_is_named_with_its_place() {
    let lines = format!("{}\n{{\"a\":1}}\n{{}}\n", other("o1"));
    let at = lines.find("{\"a\"").unwrap();
    let nested = json!({ "Events": [{ "CloudTrailEvent": json!({ "detail": { "b": [] } }).to_string() }] }).to_string();
    let rows: [(&str, Value, &str); 2] = [
        (&lines, json!({ "at": at, "more": 1, "file": "standard input" }), "known wrapper of records; its keys: a"),
        (
            &nested,
            json!({ "at": 11, "more": 0, "file": "standard input" }),
            "CloudTrailEvent: detail: neither a CloudTrail",
        ),
    ];
    for (input, expected, reason) in rows {
        let output = fed(scan(&["-", "--format", "json"]), input.as_bytes());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut unread = answer["summary"]["unreadable"][0].clone();
        let said = unread.as_object_mut().unwrap().remove("reason").unwrap();
        assert_eq!((output.status.code(), unread), (Some(2), expected), "{input}");
        assert!(said.as_str().unwrap().contains(reason), "{said}");
    }
    let output = fed(scan(&["-"]), lines.as_bytes());
    let out = text(&output.stdout);
    assert!(out.contains("or only in part: 1 path, 2 faults in all\n"), "{out}");
    assert!(out.contains(&format!("\n  standard input: at byte {at}: neither ")), "{out}");
}

#[test]
fn an_object_that_is_too_long_is_refused_and_the_rest_is_read() {
    let long = vec![json!({ "a": "x".repeat(100_000) }); 200];
    let line = root("m1", "2026-11-20T01:00:00Z").to_string();
    let record = |kind: &str| json!({ "userIdentity": { "type": kind }, "requestParameters": long, "eventID": "m2" });
    for input in [
        serde_json::to_string_pretty(&json!({ "ResultSet": { "Rows": long } })).unwrap(),
        json!({ "detail": long }).to_string() + "\n" + &line,
        json!({ "Events": [{ "CloudTrailEvent": record("Root").to_string() }, { "CloudTrailEvent": line }] })
            .to_string(),
        json!([record("Root"), { "CloudTrailEvent": line }]).to_string(),
    ] {
        let output = fed(scan(&["-", "--format", "json"]), input.as_bytes());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let start = &input[..40];
        let reason = &answer["summary"]["unreadable"][0]["reason"];
        assert_eq!(reason, "a record is too long to be kept in memory (16 MiB)", "{start}");
        let expected = if input.contains("m1") { vec!["m1"] } else { vec![] };
        assert_eq!((output.status.code(), ids(&answer)), (Some(2), expected), "{start}");
    }
}

#[test]
fn an_object_that_a_rule_matches_is_a_match_whatever_it_looks_like() {
    let own = ["--pattern", "{ $.a = 1 }"];
    for (input, matches) in [
        (r#"{"a":1}"#, 1),
        (r#"{"a":1,"message":"text"}"#, 1),
        (r#"{"a":1,"eventCategory":"Insight"}"#, 1),
        (r#"{"a":1,"eventVersion":"2.1","eventSource":"aws:s3","userIdentity":{}}"#, 1),
        (r#"[{"a":1},{"userIdentity":{},"a":1}]"#, 2),
        (r#"{"events":[{"message":"{\"a\":1}"}]}"#, 1),
    ] {
        let output = fed(scan(&[&["-", "--format", "json"], &own[..]].concat()), input.as_bytes());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &answer["summary"]["matches"]), (Some(0), &json!(matches)), "{input}");
    }
}

#[test]
fn raw_lambda_events_are_counted_as_the_function_counts_them() {
    for entry in fs::read_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("events/source")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("events/{name}");
        let run = Command::new(env!("CARGO_BIN_EXE_root-usage"))
            .args(["run", "--json", &path])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .env_clear()
            .output()
            .unwrap();
        let line: Value = serde_json::from_slice(&run.stdout).unwrap();
        let count = |field: &str| line["report"][field].as_u64().unwrap();
        let (code, counted) = answer(scan(&[&path]));
        let summary = &counted["summary"];
        assert_eq!(summary["matches"], count("matched"), "{path}");
        assert_eq!(summary["duplicates"], count("duplicate"), "{path}");
        let all = count("ignored") + count("matched") + count("duplicate") + count("unreadable");
        assert_eq!(summary["records"], all, "{path}");
        assert_eq!(summary["mails"]["total"], count("mails"), "{path}");
        // And told as the function tells them.
        let told = answer(scan(&[&path, "--mail"])).1;
        assert_eq!(told["mails"], line["messages"], "{path}");
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
                let document: Value =
                    serde_json::from_str(mails.last().unwrap()["document"].as_str().unwrap()).unwrap();
                let actor = &document["actors"][0];
                assert_eq!(actor["credential"], credential, "{name}: {actor}");
                assert_eq!(actor["rootCall"].is_null(), credential != "central-root-session", "{name}: {actor}");
                let output = scan(arguments).output().unwrap();
                let out = text(&output.stdout);
                assert!(out.lines().any(|line| line.ends_with(by)), "{name}: {out}");
            }
            [first, second].iter().for_each(|file| fs::remove_file(file).unwrap());
        }
    }
}

#[test]
fn a_broken_line_does_not_cost_the_others() {
    let (a, b) = (root("m1", "2026-11-20T01:00:00Z").to_string(), root("m2", "2026-11-20T02:00:00Z").to_string());
    for broken in [&a[..a.len() / 2], &a[..a.len() - 1], "{\"a\":\"", "no \" JSON", "}", "[", "{\"a\":tru}]", "\\\""] {
        for lines in [format!("{a}\n{broken}\n{b}\n"), format!("{broken}\n{a}\n{b}"), format!("{a}\n{b}\n{broken}")] {
            let output = fed(scan(&["-", "--format", "json"]), lines.as_bytes());
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(ids(&answer), ["m1", "m2"], "{lines}");
            assert_eq!(output.status.code(), Some(2), "{lines}");
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
    let output = scan(&["events/create-access-key.json"]).output().unwrap();
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
        let output = scan(&["events/create-access-key.json"]).envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.stdout.contains(&0x1b), coloured, "{variables:?}");
    }
}

#[test]
fn nobody_forges_a_line_of_the_table() {
    let mut record = root("m1", "2026-11-20T01:00:00Z");
    record["eventName"] = json!("CreateUser\n2 matches\u{1b}[2J\u{202e}");
    record["sourceIPAddress"] = json!("x".repeat(10_000));
    let output = fed(scan(&["-"]), record.to_string().as_bytes());
    let out = text(&output.stdout);
    assert!(out.lines().all(|line| line.len() < 300), "{out}");
    assert!(out.contains(r"CreateUser\n2 matches\u{1b}[2J\u{202e}"), "{out}");
    assert_eq!(out.lines().count(), 8, "{out}");
}

#[test]
fn mails_are_reckoned_by_account_region_and_five_minutes() {
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
    assert_eq!((&mails["total"], &mails["estimated"], &mails["days"]), (&json!(4), &json!(true), &json!(10)));
    assert_eq!(mails["perDay"], 0.4);
    assert_eq!(mails["byDay"], json!({ "2026-11-20": 3, "2026-11-29": 1 }));
    let output = scan(&[path, "--mail"]).output().unwrap();
    let out = text(&output.stdout);
    assert_eq!(out.matches("\nSubject: ").count(), 4, "{out}");
    assert!(out.contains("\nmails: about 4, 0.40 a day in 10 days\n"), "{out}");
}

#[test]
fn an_unreadable_directory_and_a_circle_of_links_are_named_and_the_rest_is_read() {
    let tree = Tree::new();
    let file = tree.write("good/a.json", wrapped(&[root("m1", "2026-11-20T01:00:00Z")]));
    tree.write("closed/b.json", wrapped(&[root("m2", "2026-11-20T01:00:00Z")]));
    symlink("..", tree.0.join("good/circle")).unwrap();
    symlink("nowhere", tree.0.join("good/dangling")).unwrap();
    let closed = tree.0.join("closed");
    // Permissions don't bind the superuser, so as such the command is run as nobody.
    let program = tree.0.join("root-usage");
    fs::copy(env!("CARGO_BIN_EXE_root-usage"), &program).unwrap();
    let mut command = Command::new(&program);
    if fs::metadata(&file).unwrap().uid() == 0 {
        command.uid(65_534).gid(65_534);
    }
    fs::set_permissions(&tree.0, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    command.args(["scan", "good", "closed"]).current_dir(&tree.0).env_clear();
    let (code, answer) = answer(command);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!((code, ids(&answer)), (Some(2), vec!["m1"]));
    let unreadable: BTreeSet<(&str, &str)> = answer["summary"]["unreadable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unread| (unread["file"].as_str().unwrap(), unread["reason"].as_str().unwrap()))
        .collect();
    let reason = |name: &str| unreadable.iter().find(|(file, _)| *file == name).map(|(_, reason)| *reason);
    assert!(reason("closed").is_some_and(|reason| reason.contains("Permission denied")), "{unreadable:?}");
    assert!(reason("good/dangling").is_some_and(|reason| reason.contains("No such file")), "{unreadable:?}");
    assert!(unreadable.iter().any(|(file, _)| file.contains("circle")), "{unreadable:?}");
}

/// Waits until it is so.
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(target_os = "linux")]
fn status(child: &Child, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    value.trim_start_matches(':').trim().to_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_stream() {
    let record = |index: usize| {
        let mut record = other(&index.to_string());
        record["requestParameters"]["text"] = json!("x".repeat(8_000));
        record
    };
    let event = |index: usize| json!({ "EventName": "a", "CloudTrailEvent": record(index).to_string() });
    let field = |index: usize| json!([{ "field": "@message", "value": record(index).to_string() }]);
    let text = |index: usize| json!(record(index).to_string());
    type Row<'a> = (&'a str, &'a dyn Fn(usize) -> Value, &'a str);
    let rows: [Row<'_>; 5] = [
        ("{\"Records\":[", &record, "]}"),
        ("{\"Events\":[", &event, "],\"NextToken\":\"x\"}"),
        ("{\"results\":[", &field, "],\"status\":\"Complete\"}"),
        ("[", &text, "]"),
        ("", &event, ""),
    ];
    for (first, one, last) in rows {
        let part = (0..100).map(|index| one(index).to_string() + ",").collect::<String>();
        let lines = (0..100).map(|index| format!("2026-11-20T02:51:00Z {}\n", record(index))).collect::<String>();
        memory(&gzip(first), if first.is_empty() { &lines } else { &part }, &gzip(one(0).to_string() + last));
    }
}

/// Feeds a stream that is many times as long as what the command may keep of it.
#[cfg(target_os = "linux")]
fn memory(first: &[u8], part: &str, last: &[u8]) {
    const PARTS: usize = 20;
    let member = gzip(part);
    let mut child = scan(&["-"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(first).unwrap();
    let mut peaks = Vec::new();
    for _ in 0..2 {
        // When a pipe has taken this, all but its last 64 KiB has been read.
        (0..PARTS).for_each(|_| stdin.write_all(&member).unwrap());
        peaks.push(status(&child, "VmHWM").trim_end_matches(" kB").parse::<usize>().unwrap());
    }
    stdin.write_all(last).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let out = text(&output.stdout);
    assert!(out.starts_with("4,001 records in 1 file"), "{out}");
    assert_eq!(output.status.code(), Some(0), "{out}");
    let inflated = 2 * PARTS * part.len() / 1024;
    assert!(peaks[1] < 40_000 && inflated > 2 * peaks[1], "{peaks:?} kB for {inflated} kB");
    assert!(peaks[1] < peaks[0] + 2_000, "{peaks:?} kB");
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_it_at_once() {
    let mut child = scan(&["-"]).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    // Signal 2 is caught.
    wait_until("a handler", || u64::from_str_radix(&status(&child, "SigCgt"), 16).unwrap() & 2 != 0);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    wait_until("its end", || child.try_wait().unwrap().is_some());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("", "root-usage: interrupted\n"));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = scan(&["--format", "json", "events/burst-538.json"]).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[test]
fn completions_know_the_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = Command::new(env!("CARGO_BIN_EXE_root-usage")).args(["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(text(&output.stdout).contains("fail-on-match"), "{shell}");
    }
}
