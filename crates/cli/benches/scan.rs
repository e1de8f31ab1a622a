//! `root-usage scan` against what nobody can avoid, inflating, and against `zcat | jq` doing the same selection.
//!
//! All on the same generated files, in CloudTrail's S3 layout, in the same run. Needs bash, find, xargs and zcat; jq is
//! left out where it is not installed. Time and processor time are the least of several rounds.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "../../../benches/records/mod.rs"]
mod records;

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use records::{ACCOUNT, REGION, Records};

const RECORDS_A_FILE: usize = 400;

/// How much is done: all, or only what shows that the benchmark works.
struct Extent {
    files: usize,
    rounds: usize,
    /// What the one big file inflates to, at least.
    big_bytes: usize,
}

const ALL: Extent = Extent { files: 1_200, rounds: 5, big_bytes: 2_000_000_000 };
const SHORT: Extent = Extent { files: 60, rounds: 1, big_bytes: 50_000_000 };

/// One in so many records is root's.
const ROOT: usize = 10_000;
/// One in so many holds the text `Root` without being root's.
const MENTION: usize = 2_000;
/// One in so many holds an escape.
const ESCAPE: usize = 500;

const JQ: &str = r#".Records[] | select(.userIdentity.type == "Root" and (.userIdentity | has("invokedBy") | not)) | [.eventTime, .recipientAccountId, .awsRegion, .eventName, .sourceIPAddress, .errorCode]"#;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, what, directory, threads] = &arguments[..]
        && what == "inflate"
    {
        inflate(Path::new(directory), threads.parse().unwrap());
        return;
    }
    let Extent { files: count, rounds, big_bytes } =
        if env::var_os("BENCH_SHORT").is_some_and(|value| value != "0" && !value.is_empty()) { SHORT } else { ALL };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scan-bench");
    let _ = fs::remove_dir_all(&directory);
    let logs = directory.join("AWSLogs");
    let (records, bytes, roots) = generate(&logs, count);
    let compressed: u64 = files(&logs).iter().map(|file| file.metadata().unwrap().len()).sum();
    println!(
        "{records} records in {count} files: {:.2} GB of JSON, {:.0} MB compressed; {roots} records are root's",
        giga(bytes),
        compressed as f64 / 1e6
    );
    println!("{:28} {:>8} {:>10} {:>12} {:>8}", "", "seconds", "CPU s", "records/s", "GB/s");
    let row = |name: &str, spent: Spent| {
        let rate = records as f64 / spent.wall;
        println!("{name:28} {:8.2} {:10.2} {rate:12.0} {:8.2}", spent.wall, spent.cpu, giga(bytes) / spent.wall);
    };
    let logs = logs.to_str().unwrap();
    let this = env::current_exe().unwrap();
    let mut scans = Vec::new();
    for threads in ["1", "2"] {
        let (mut least, mut floor) = (Spent::MOST, Spent::MOST);
        for _ in 0..rounds {
            floor = floor.min(spent(&format!("'{}' inflate '{logs}' {threads}", this.display())).0);
            let (time, out) = spent(&format!("'{}' scan -j {threads} '{logs}'", env!("CARGO_BIN_EXE_root-usage")));
            assert!(out.contains(&format!("\n{roots} matches, ")), "{out}");
            least = least.min(time);
        }
        row(&format!("inflating alone, -j {threads}"), floor);
        row(&format!("root-usage scan, -j {threads}"), least);
        println!("{:28} {:.2} times the CPU of inflating alone", "", least.cpu / floor.cpu);
        scans.push(least);
    }
    let cis =
        (0..rounds).map(|_| spent(&format!("'{}' scan --rule cis -j 2 '{logs}'", env!("CARGO_BIN_EXE_root-usage"))).0);
    row("the same with --rule cis", cis.fold(Spent::MOST, Spent::min));
    if Command::new("jq").arg("--version").stdout(Stdio::null()).status().is_ok() {
        let (jq, out) = spent(&format!("find '{logs}' -type f -print0 | xargs -0 zcat | jq -c '{JQ}' | wc -l"));
        assert_eq!(out.trim(), roots.to_string());
        row("zcat | jq", jq);
        println!("root-usage scan, -j 2, is {:.1} times as fast as zcat | jq", jq.wall / scans[1].wall);
    } else {
        println!("jq is not installed: no comparison with zcat | jq");
    }
    let big = directory.join("big.json.gz");
    let bytes = generate_big(&big, big_bytes);
    println!("one file of {:.2} GB of JSON: peak memory {} kB", giga(bytes), peak_memory(&big));
    fs::remove_dir_all(&directory).unwrap();
}

fn giga(bytes: usize) -> f64 {
    bytes as f64 / 1e9
}

#[derive(Clone, Copy)]
struct Spent {
    wall: f64,
    cpu: f64,
}

impl Spent {
    const MOST: Self = Self { wall: f64::MAX, cpu: f64::MAX };

    fn min(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), cpu: self.cpu.min(other.cpu) }
    }
}

/// What a shell command takes, and what it prints.
fn spent(command: &str) -> (Spent, String) {
    let script = format!("set -e; TIMEFORMAT='%R %U %S'; time {{ {command}; }}");
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{command}: {err}");
    let times: Vec<f64> = err.lines().last().unwrap().split(' ').map(|time| time.parse().unwrap()).collect();
    (Spent { wall: times[0], cpu: times[1] + times[2] }, String::from_utf8(output.stdout).unwrap())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let (mut files, mut left) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files
}

/// Reads and inflates every file, and does nothing with it.
fn inflate(directory: &Path, threads: usize) {
    let (files, next) = (files(directory), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut buffer = vec![0; 256 << 10];
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let source = BufReader::with_capacity(64 << 10, File::open(file).unwrap());
                    let mut source = MultiGzDecoder::new(source);
                    while source.read(&mut buffer).unwrap() > 0 {}
                }
            });
        }
    });
}

/// The most memory that a scan of this file has used, in kB.
fn peak_memory(file: &Path) -> u64 {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_root-usage")).arg("scan").arg(file).stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok()).unwrap_or(peak);
        thread::sleep(Duration::from_millis(10));
    }
    peak
}

/// Appends the next record of a sequence that is the same in every run; whether it is root's.
fn record_into(text: &mut String, records: &mut Records, index: usize) -> bool {
    let root = index % ROOT == 1;
    text.push_str(&if root { records.root() } else { records.ordinary() });
    let mut detail = |more: &str| {
        text.truncate(text.len() - 1);
        let _ = write!(text, r#","serviceEventDetails":{{{more}}}}}"#);
    };
    if index % MENTION == 2 {
        detail(r#""deviceName":"RootVolume""#);
    } else if index % ESCAPE == 3 {
        detail(r#""filter":"a \u003c b","policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\"}]}""#);
    }
    root
}

/// Writes files as CloudTrail does. Returns how many records, how many bytes of JSON, and how many root records.
fn generate(directory: &Path, files: usize) -> (usize, usize, usize) {
    let records = &mut Records::new(1);
    let (mut bytes, mut roots) = (0, 0);
    for index in 0..files {
        let day = index % 28 + 1;
        let directory = directory.join(format!("{ACCOUNT}/CloudTrail/{REGION}/2026/11/{day:02}"));
        fs::create_dir_all(&directory).unwrap();
        let mut text = String::from("{\"Records\":[");
        for record in 0..RECORDS_A_FILE {
            text.push_str(if record == 0 { "" } else { "," });
            roots += usize::from(record_into(&mut text, records, index * RECORDS_A_FILE + record));
        }
        text.push_str("]}");
        bytes += text.len();
        let name = format!("{ACCOUNT}_CloudTrail_{REGION}_202611{day:02}T0000Z_{index:016x}.json.gz");
        fs::write(directory.join(name), gzip(&text)).unwrap();
    }
    (files * RECORDS_A_FILE, bytes, roots)
}

/// One file with an array of records that is too long for any memory. No record is root's: what matches is kept.
fn generate_big(path: &Path, bytes: usize) -> usize {
    let records = &mut Records::new(2);
    let mut part = String::new();
    while part.len() < 8 << 20 {
        part.push_str(&records.ordinary());
        part.push(',');
    }
    let compressed = gzip(&part);
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&gzip("{\"Records\":[")).unwrap();
    let parts = bytes.div_ceil(part.len());
    (0..parts).for_each(|_| file.write_all(&compressed).unwrap());
    file.write_all(&gzip("{}]}")).unwrap();
    file.flush().unwrap();
    parts * part.len()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut member = GzEncoder::new(Vec::new(), Compression::default());
    member.write_all(text.as_bytes()).unwrap();
    member.finish().unwrap()
}
