//! `root-usage scan` against what nobody can avoid, inflating, and against `zcat | jq` doing the same selection.
//!
//! All on the same generated files, in CloudTrail's S3 layout, in the same run. Needs bash, find, xargs and zcat; jq is
//! left out where it is not installed. Time and processor time are the least of several rounds.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

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

const FILES: usize = 1_200;
const RECORDS_A_FILE: usize = 400;
const ROUNDS: usize = 5;
/// What the one big file inflates to, at least.
const BIG_BYTES: usize = 2_000_000_000;

/// One in so many records is root's.
const ROOT: u64 = 10_000;
/// One in so many holds the text `Root` without being root's.
const MENTION: u64 = 2_000;
/// One in so many holds an escape.
const ESCAPE: u64 = 500;

const JQ: &str = r#".Records[] | select(.userIdentity.type == "Root" and (.userIdentity | has("invokedBy") | not)) | [.eventTime, .recipientAccountId, .awsRegion, .eventName, .sourceIPAddress, .errorCode]"#;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, what, directory, threads] = &arguments[..]
        && what == "inflate"
    {
        inflate(Path::new(directory), threads.parse().unwrap());
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scan-bench");
    let _ = fs::remove_dir_all(&directory);
    let logs = directory.join("AWSLogs");
    let (records, bytes, roots) = generate(&logs);
    let compressed: u64 = files(&logs).iter().map(|file| file.metadata().unwrap().len()).sum();
    println!(
        "{records} records in {FILES} files: {:.2} GB of JSON, {:.0} MB compressed; {roots} records are root's",
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
        for _ in 0..ROUNDS {
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
    if Command::new("jq").arg("--version").stdout(Stdio::null()).status().is_ok() {
        let (jq, out) = spent(&format!("find '{logs}' -type f -print0 | xargs -0 zcat | jq -c '{JQ}' | wc -l"));
        assert_eq!(out.trim(), roots.to_string());
        row("zcat | jq", jq);
        println!("root-usage scan, -j 2, is {:.1} times as fast as zcat | jq", jq.wall / scans[1].wall);
    } else {
        println!("jq is not installed: no comparison with zcat | jq");
    }
    let big = directory.join("big.json.gz");
    let bytes = generate_big(&big);
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

/// A sequence of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.next().is_multiple_of(many)
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[usize::try_from(self.next() % texts.len() as u64).unwrap()]
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        let (first, second, third) = (a >> 32, (a >> 16) & 0xffff, a & 0xfff);
        format!("{first:08x}-{second:04x}-4{third:03x}-a{:03x}-{:012x}", b >> 52, b & 0xffff_ffff_ffff)
    }
}

/// Writes files as CloudTrail does. Returns how many records, how many bytes of JSON, and how many root records.
fn generate(directory: &Path) -> (usize, usize, usize) {
    let numbers = &mut Numbers(1);
    let (mut bytes, mut roots) = (0, 0);
    for index in 0..FILES {
        let region = numbers.of(&["us-east-1", "eu-west-1", "ap-northeast-1"]);
        let day = index % 28 + 1;
        let directory = directory.join(format!("111122223333/CloudTrail/{region}/2026/11/{day:02}"));
        fs::create_dir_all(&directory).unwrap();
        let mut text = String::from("{\"Records\":[");
        for record in 0..RECORDS_A_FILE {
            text.push_str(if record == 0 { "" } else { "," });
            roots += usize::from(record_into(&mut text, numbers, region, day));
        }
        text.push_str("]}");
        bytes += text.len();
        let name = format!("111122223333_CloudTrail_{region}_202611{day:02}T0000Z_{:016x}.json.gz", numbers.next());
        let mut file = GzEncoder::new(File::create(directory.join(name)).unwrap(), Compression::default());
        file.write_all(text.as_bytes()).unwrap();
        file.finish().unwrap();
    }
    (FILES * RECORDS_A_FILE, bytes, roots)
}

/// One file with an array of records that is too long for any memory. No record is root's: what matches is kept.
fn generate_big(path: &Path) -> usize {
    let member = |text: &str| {
        let mut member = GzEncoder::new(Vec::new(), Compression::default());
        member.write_all(text.as_bytes()).unwrap();
        member.finish().unwrap()
    };
    let numbers = &mut Numbers(2);
    let mut part = String::new();
    while part.len() < 8 << 20 {
        let before = part.len();
        if record_into(&mut part, numbers, "us-east-1", 1) {
            part.truncate(before);
        } else {
            part.push(',');
        }
    }
    let compressed = member(&part);
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&member("{\"Records\":[")).unwrap();
    let parts = BIG_BYTES.div_ceil(part.len());
    (0..parts).for_each(|_| file.write_all(&compressed).unwrap());
    file.write_all(&member("{}]}")).unwrap();
    file.flush().unwrap();
    parts * part.len()
}

const AGENTS: [&str; 8] = [
    "AWS Internal",
    "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.4.247 OpenJDK_64-Bit_Server_VM/25.372-b08 vendor/Oracle_Corporation]",
    "aws-cli/2.31.3 md/awscrt#0.27.6 ua/2.1 os/linux#6.1.141 md/arch#x86_64 lang/python#3.13.7 cfg/retry-mode#standard",
    "Boto3/1.40.21 md/Botocore#1.40.21 ua/2.1 os/linux#5.10.240 md/arch#aarch64 lang/python#3.12.11 Botocore/1.40.21",
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.1 terraform-provider-aws/6.11.0 aws-sdk-go-v2/1.38.3 os/linux lang/go#1.24.6",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "aws-sdk-rust/1.3.9 os/linux lang/rust/1.91.0",
    "lambda.amazonaws.com",
];

/// What was called, with its parameters. `#` stands for a number.
const CALLS: [(&str, &str, &str); 10] = [
    (
        "s3",
        "GetObject",
        r##"{"bucketName":"amzn-s3-demo-bucket-#","Host":"amzn-s3-demo-bucket-#.s3.amazonaws.com","key":"data/#/part-#.parquet"}"##,
    ),
    (
        "s3",
        "ListObjects",
        r##"{"list-type":"2","bucketName":"amzn-s3-demo-bucket-#","prefix":"in/#/","encoding-type":"url"}"##,
    ),
    (
        "ec2",
        "DescribeInstances",
        r##"{"instancesSet":{"items":[{"instanceId":"i-#"},{"instanceId":"i-#"}]},"filterSet":{}}"##,
    ),
    (
        "ec2",
        "DescribeNetworkInterfaces",
        r##"{"networkInterfaceIdSet":{},"filterSet":{"items":[{"name":"subnet-id","valueSet":{"items":[{"value":"subnet-#"}]}}]}}"##,
    ),
    (
        "sts",
        "AssumeRole",
        r##"{"roleArn":"arn:aws:iam::111122223333:role/service-#","roleSessionName":"#","durationSeconds":3600}"##,
    ),
    (
        "kms",
        "Decrypt",
        r##"{"encryptionContext":{"aws:lambda:FunctionArn":"arn:aws:lambda:us-east-1:111122223333:function:job-#"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"##,
    ),
    ("dynamodb", "DescribeTable", r##"{"tableName":"orders-#"}"##),
    ("logs", "CreateLogStream", r##"{"logGroupName":"/aws/lambda/job-#","logStreamName":"2026/11/20/[$LATEST]#"}"##),
    ("iam", "GetRolePolicy", r##"{"roleName":"service-#","policyName":"inline-#"}"##),
    (
        "ssm",
        "UpdateInstanceInformation",
        r##"{"instanceId":"i-#","agentVersion":"3.3.#.0","platformType":"Linux","iPAddress":"10.0.0.7","computerName":"ip-10-0-#"}"##,
    ),
];

/// Appends a record, about as long and as varied as real ones are; whether it is root's.
fn record_into(text: &mut String, numbers: &mut Numbers, region: &str, day: usize) -> bool {
    let root = numbers.one_in(ROOT);
    let who = numbers.of(&["Deploy", "Backup", "Reporting", "Ingest", "Audit", "Nightly", "Console", "Pipeline"]);
    let (session, key) = (numbers.next() % 100_000, numbers.next() & 0xffff_ffff_ffff);
    let account = "111122223333";
    let time = |numbers: &mut Numbers| {
        let (hour, minute, second) = (numbers.next() % 24, numbers.next() % 60, numbers.next() % 60);
        format!("2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    };
    let created = time(numbers);
    text.push_str("{\"eventVersion\":\"1.11\",\"userIdentity\":");
    let _ = if root {
        write!(
            text,
            r#"{{"type":"Root","principalId":"{account}","arn":"arn:aws:iam::{account}:root","accountId":"{account}","accessKeyId":"ASIA{key:016X}","sessionContext":{{"attributes":{{"creationDate":"{created}","mfaAuthenticated":"true"}}}}}}"#
        )
    } else if numbers.one_in(3) {
        write!(
            text,
            r#"{{"type":"IAMUser","principalId":"AIDA{session:016X}","arn":"arn:aws:iam::{account}:user/{who}","accountId":"{account}","accessKeyId":"AKIA{key:016X}","userName":"{who}"}}"#
        )
    } else {
        write!(
            text,
            r#"{{"type":"AssumedRole","principalId":"AROA{session:016X}:{who}-{session}","arn":"arn:aws:sts::{account}:assumed-role/{who}/{who}-{session}","accountId":"{account}","accessKeyId":"ASIA{key:016X}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA{session:016X}","arn":"arn:aws:iam::{account}:role/{who}","accountId":"{account}","userName":"{who}"}},"attributes":{{"creationDate":"{created}","mfaAuthenticated":"false"}}}}}}"#
        )
    };
    let (service, action, parameters) = CALLS[usize::try_from(numbers.next() % CALLS.len() as u64).unwrap()];
    let (time, agent, host) = (time(numbers), numbers.of(&AGENTS), numbers.next() % 65_536);
    let _ = write!(
        text,
        r#","eventTime":"{time}","eventSource":"{service}.amazonaws.com","eventName":"{action}","awsRegion":"{region}","sourceIPAddress":"10.1.{}.{}","userAgent":"{agent}""#,
        host >> 8,
        host & 0xff
    );
    if numbers.one_in(20) {
        let _ = write!(
            text,
            r#","errorCode":"AccessDenied","errorMessage":"User: arn:aws:iam::{account}:user/{who} is not authorized to perform: {service}:{action}""#
        );
    }
    text.push_str(r#","requestParameters":"#);
    for (index, part) in parameters.split('#').enumerate() {
        if index > 0 {
            let _ = write!(text, "{:x}", numbers.next() & 0xffff_ffff);
        }
        text.push_str(part);
    }
    text.push_str(r#","responseElements":null"#);
    if service == "s3" {
        let _ = write!(
            text,
            r#","additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{:016x}{:016x}{:016x}","bytesTransferredOut":{}}}"#,
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.next() % 1_000_000
        );
    }
    if numbers.one_in(MENTION) {
        text.push_str(r#","serviceEventDetails":{"deviceName":"RootVolume"}"#);
    }
    if numbers.one_in(ESCAPE) {
        text.push_str(r#","serviceEventDetails":{"filter":"a \u003c b","policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\"}]}"}"#);
    }
    let read_only = !numbers.one_in(4);
    let _ = write!(text, r#","requestID":"{}","eventID":"{}","readOnly":{read_only},"#, numbers.uuid(), numbers.uuid());
    if service == "s3" {
        let _ = write!(
            text,
            r#""resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::amzn-s3-demo-bucket-{host}/data"}},{{"accountId":"{account}","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::amzn-s3-demo-bucket-{host}"}}],"#
        );
    }
    let _ = write!(
        text,
        r#""eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{account}","eventCategory":"Management""#
    );
    if numbers.one_in(2) {
        let _ = write!(
            text,
            r#","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{service}.{region}.amazonaws.com"}}"#
        );
    }
    text.push('}');
    root
}
