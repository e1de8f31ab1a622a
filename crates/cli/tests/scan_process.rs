//! `root-usage scan` as a process: its memory, its end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tree;

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tree::{gzip, other, scan, text};

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
