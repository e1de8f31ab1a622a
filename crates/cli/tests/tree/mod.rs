//! Directories of CloudTrail's files that are there for a test, and the command that reads them.
#![allow(dead_code, reason = "each test uses a part")]

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// A directory that is there as long as its test.
pub struct Tree(pub PathBuf);

impl Tree {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("root-usage-scan-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: impl AsRef<OsStr>, bytes: impl AsRef<[u8]>) -> PathBuf {
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

pub fn scan(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_root-usage"));
    command.arg("scan").args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn fed(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.spawn().unwrap();
    // It may be gone before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// The exit code and the JSON document.
pub fn answer(mut command: Command) -> (Option<i32>, Value) {
    let output = command.args(["--format", "json"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    file.write_all(bytes.as_ref()).unwrap();
    file.finish().unwrap()
}

pub fn root(id: &str, time: &str) -> Value {
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

pub fn other(id: &str) -> Value {
    let mut record = root(id, "2026-11-20T00:00:00Z");
    record["userIdentity"] = json!({ "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice" });
    record["requestParameters"] = json!({ "text": r#"}]},{"userIdentity":{"type":"Root"}},{"Records":["# });
    record
}

pub fn wrapped(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

pub fn ids(answer: &Value) -> Vec<&str> {
    answer["matches"].as_array().unwrap().iter().map(|found| found["eventID"].as_str().unwrap()).collect()
}
