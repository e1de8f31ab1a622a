//! The `root-usage` command, run as a person runs it.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn root_usage(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_root-usage"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
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
    assert!(out.contains("Action:      CreateAccessKey (iam.amazonaws.com)"), "{out}");
    assert!(out.ends_with("7 log events: 2 matched, 0 duplicate, 0 unreadable, 5 ignored; mails: 1\n"), "{out}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn run_reads_standard_input_and_prints_json() {
    let event = std::fs::read("events/root-sign-in-without-mfa.json").unwrap();
    let output = root_usage(&["run", "--json", "-"], &event);
    assert_eq!(output.status.code(), Some(0));
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["report"]["matched"], 1);
    assert!(line["message"]["subject"].as_str().unwrap().contains("ConsoleLogin"), "{line}");
}

#[test]
fn bad_input_is_told_on_stderr_and_the_other_files_are_read() {
    let event = std::fs::read_to_string("events/root-sign-in-with-mfa.json").unwrap();
    let cut = event.trim_end().trim_end_matches("\"}}");
    let rows: [(&[u8], &str); 4] = [
        (br#"{"awslogs":{"data":"!!"}}"#, "awslogs.data is not base64"),
        (b"", "the event is empty"),
        (cut.as_bytes(), "EOF while parsing a string"),
        (&[0xff, 0xfe], "not text"),
    ];
    for (input, expected) in rows {
        let output = root_usage(&["run", "-", "events/root-sign-in-with-mfa.json"], input);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("mails: 1"), "{}", text(&output.stdout));
    }
    let output = root_usage(&["run", "no-such-file"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no-such-file"), "{}", text(&output.stderr));
    assert_eq!(root_usage(&["run"], b"").status.code(), Some(2));
}

#[test]
fn a_wrong_configuration_is_told_as_the_function_tells_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_root-usage"))
        .args(["run", "events/iam-user.json"])
        .env("RULES", "root")
        .env("MAX_BATCH_BYTES", "7")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = text(&output.stderr);
    assert!(err.contains("RULES=\"root\"") && err.contains("MAX_BATCH_BYTES=\"7\""), "{err}");
}
