//! What `root-usage scan` reads, and what it refuses and says so: files as people have them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tree;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tree::{Tree, answer, fed, gzip, ids, other, root, scan, text, wrapped};

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
