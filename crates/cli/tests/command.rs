//! The `root-usage` command, run as a person runs it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};

use base64::Engine;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

fn started(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_root-usage"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn root_usage(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = started(arguments);
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn run_prints_each_mail_and_the_counts() {
    let output = root_usage(&["run", "events/create-access-key.json", "events/iam-user.json"], b"");
    assert_eq!(output.status.code(), Some(0));
    let out = text(&output.stdout);
    assert_eq!(out.matches("Subject: ").count(), 1, "{out}");
    assert!(out.contains("  Action    CreateAccessKey (iam.amazonaws.com)"), "{out}");
    assert!(out.ends_with("7 log events: 2 matched, 0 duplicate, 0 unreadable, 5 ignored; mails: 1\n"), "{out}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn run_reads_standard_input_and_prints_json() {
    let event = std::fs::read("../../events/root-sign-in-without-mfa.json").unwrap();
    let output = root_usage(&["run", "--json", "-"], &event);
    assert_eq!(output.status.code(), Some(0));
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["report"]["matched"], 1);
    assert!(line["message"]["subject"].as_str().unwrap().contains(": root signed in, "), "{line}");
}

#[test]
fn bad_input_is_told_on_stderr_and_the_other_files_are_read() {
    let event = std::fs::read_to_string("../../events/root-sign-in-with-mfa.json").unwrap();
    let cut = event.trim_end().trim_end_matches("\"}}");
    // What can't be read for ever is mailed too.
    let rows: [(&[u8], &str, usize); 4] = [
        (br#"{"awslogs":{"data":"!!"}}"#, "awslogs.data is not base64", 2),
        (b"", "the event is empty", 1),
        (cut.as_bytes(), "EOF while parsing a string", 1),
        (&[0xff, 0xfe], "not text", 1),
    ];
    for (input, expected, mails) in rows {
        let output = root_usage(&["run", "-", "events/root-sign-in-with-mfa.json"], input);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
        let out = text(&output.stdout);
        assert_eq!(out.matches("\nSubject: ").count(), mails, "{out}");
        let last = format!("; mails: {mails}; 1 file failed, and its log events are not counted\n");
        assert!(out.ends_with(&last), "{out}");
    }
    let output = root_usage(&["run", "no-such-file"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no-such-file"), "{}", text(&output.stderr));
    assert_eq!(root_usage(&["run"], b"").status.code(), Some(2));
}

/// A raw Lambda event whose payload breaks off after its first log event.
fn cut_off(event: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(event["awslogs"]["data"].as_str().unwrap()).unwrap();
    let mut batch = String::new();
    GzDecoder::new(&payload[..]).read_to_string(&mut batch).unwrap();
    let second = batch.match_indices("{\"id\":").nth(1).unwrap().0;
    // Stored, not compressed, so that it breaks off where it is cut.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(batch.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let data = base64::engine::general_purpose::STANDARD.encode(&gzip[..second + 100]);
    serde_json::json!({ "awslogs": { "data": data } }).to_string()
}

#[test]
fn run_prints_every_message_under_the_file_that_caused_it() {
    let cut = cut_off(&std::fs::read_to_string("../../events/create-access-key.json").unwrap());
    let good = "events/root-sign-in-with-mfa.json";
    // Both streams in one, as on a terminal.
    let script = format!("exec \"$0\" run --at-once - {good} no-such-file 2>&1");
    let mut child = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_root-usage")])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(cut.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let out = text(&output.stdout);
    let told: Vec<&str> = out
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix("Subject: ").or_else(|| line.strip_prefix("root-usage: "))?;
            ["root signed in", "A batch could not be read", "-: ", "no-such-file: "]
                .into_iter()
                .find(|known| line.contains(known))
                .or(Some(line))
        })
        .collect();
    assert_eq!(
        told,
        ["root signed in", "A batch could not be read", "-: ", "root signed in", "no-such-file: "],
        "{out}"
    );
    assert!(out.ends_with("; mails: 3; 2 files failed, and their log events are not counted\n"), "{out}");

    let output = root_usage(&["run", "--at-once", "--json", "-", good, "no-such-file"], cut.as_bytes());
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((output.status.code(), lines.len()), (Some(2), 3));
    let failed = ["breaks off", "", "could not be read"];
    for (line, (mails, error)) in lines.iter().zip([2, 1, 0].into_iter().zip(failed)) {
        let messages = line["messages"].as_array().unwrap();
        assert_eq!(messages.len(), mails, "{line}");
        assert_eq!(line["message"], messages.first().cloned().unwrap_or_default(), "{line}");
        assert_eq!(line["report"].is_null(), !error.is_empty(), "{line}");
        assert!(line["error"].as_str().unwrap_or_default().contains(error), "{line}");
    }
}

#[test]
fn a_wrong_configuration_is_told_as_the_function_tells_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_root-usage"))
        .args(["run", "events/iam-user.json"])
        .env("RULES", "nope")
        .env("MAX_BATCH_BYTES", "7")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = text(&output.stderr);
    assert!(err.contains("RULES=\"nope\"") && err.contains("MAX_BATCH_BYTES=\"7\""), "{err}");
}

const ROOT: &str = r#"{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS }"#;

#[test]
fn match_answers_for_each_line() {
    let rows: [(&[&str], &str, &str); 7] = [
        (
            &[ROOT, "-"],
            "{\"userIdentity\":{\"type\":\"Root\"}}\n{\"userIdentity\":{\"type\":\"IAMUser\"}}\n",
            "true\nfalse\n",
        ),
        (&[ROOT], "{\"userIdentity\":{\"type\":\"Root\"}}", "true\n"),
        (&[ROOT], "", ""),
        (&[ROOT], "not JSON\r\n\n[1]\n", "false\nfalse\nfalse\n"),
        (&[""], "not JSON\n", "true\n"),
        (
            &["--explain", ROOT],
            "{\"userIdentity\":{\"type\":\"Root\",\"invokedBy\":\"\u{202e}x\"}}\n",
            "false\n  yes  $.userIdentity.type = \"Root\": \"Root\"\n  no   $.userIdentity.invokedBy NOT EXISTS: \
             \"\\u{202e}x\"\n",
        ),
        (
            &["--explain", "{ $.a = 1 }"],
            "{\"b\":1}\n[]\n{\n",
            "false\n  no   $.a = 1: missing\nfalse\n  JSON, but not an object\nfalse\n  not valid JSON: EOF while parsing \
             an object at line 1 column 1\n",
        ),
    ];
    for (arguments, input, expected) in rows {
        let output = root_usage(&[&["match"], arguments].concat(), input.as_bytes());
        assert_eq!(text(&output.stdout), expected, "{arguments:?}");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn match_tells_what_is_wrong_with_a_pattern_or_a_file() {
    let rows: [(&[&str], i32, &[&str]); 4] = [
        (&["{ $.a == b }"], 2, &["  { $.a == b }\n", "^", "write instead"]),
        (&["{ $.a = 'b' }"], 2, &["  { $.a = 'b' }\n", "^^^", "write instead: \"b\""]),
        (&[ROOT, "no-such-file"], 2, &["no-such-file could not be read: No such file"]),
        (&["{ $.a != b }"], 0, &["root-usage: warning: `$.a != b` is false when $.a is missing"]),
    ];
    for (arguments, code, expected) in rows {
        let output = root_usage(&[&["match"], arguments].concat(), b"");
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {err}");
        assert!(expected.iter().all(|part| err.contains(part)), "{arguments:?}: {err}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}

#[test]
fn rules_lists_what_ships() {
    let output = root_usage(&["rules"], b"");
    let out = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert_eq!(out.lines().count(), 60, "{out}");
    let first: Vec<&str> = out.lines().take(2).collect();
    assert_eq!(
        first,
        ["root-usage                   CRITICAL  Root user activity [root]".to_owned(), format!("    {ROOT}")]
    );
    assert!(
        out.contains("\nvpc-changes                  MEDIUM    VPC changes [cis]\n    {($.eventName=CreateVpc)"),
        "{out}"
    );
    assert!(out.contains("\n    Security Hub User Guide, CloudWatch.14, 2025-06\n"), "{out}");
}

#[test]
fn every_help_has_an_example() {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["match", "--help"],
        &["rules", "--help"],
        &["scan", "--help"],
        &["completions", "--help"],
    ] {
        let output = root_usage(arguments, b"");
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("\n  root-usage "), "{}", text(&output.stdout));
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let rows: [(&[&str], Vec<u8>); 3] = [
        (&["match", ""], b"{}\n".repeat(100_000)),
        (&["rules"], Vec::new()),
        (&["run", "events/burst-40.json"], Vec::new()),
    ];
    for (arguments, input) in rows {
        let mut child = started(arguments);
        drop(child.stdout.take());
        // It may be gone before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(&input);
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn run_warns_of_a_pattern_that_may_not_say_what_was_meant() {
    let output = Command::new(env!("CARGO_BIN_EXE_root-usage"))
        .args(["run", "events/iam-user.json"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .env("RULE_PATTERN", "{ $.errorCode != x }")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let err = text(&output.stderr);
    assert!(err.starts_with("root-usage: warning: RULE_PATTERN: `$.errorCode != x` is false when"), "{err}");
}
