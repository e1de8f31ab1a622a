//! What the function costs as a whole process: the release binary behind a Lambda Runtime API, and others beside it.
//!
//! The figures are CPU time, because other work on the machine changes it least, and ratios of processes that were
//! measured in turns, because machines differ. BENCH_SHORT=1 only shows that it works; `-- mail` and `-- matches` measure
//! that part alone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "no figure has so many digits")]

mod aws;
mod batch;
mod chart;
#[path = "../records/hostile.rs"]
mod hostile;
mod mail;
mod matches;
#[path = "../records/mod.rs"]
mod records;
mod runtime_api;
mod share;
mod table;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use filter_pattern::json::Json;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use root_usage::rule::Rule;

use aws::Aws;
use batch::{Batch, records};
use chart::{Line, Panel};
use runtime_api::Function;
use share::WHOLE_CPU;
use table::Table;

const SEED: u64 = 8;
const ALL_RULES: &str = "root-usage,cis";
const MB: f64 = 1e6;
/// What Lambda calls MB where it counts memory.
const MIB: f64 = 1_048_576.0;

/// A function's environment.
type Vars<'v> = [(&'v str, &'v str)];

/// Seconds of CPU an invocation of each function takes, a median over all rounds, and what one costs for another.
struct Times(Vec<Vec<f64>>);

impl Times {
    fn seconds(&self, function: usize) -> f64 {
        median(self.0[function].clone())
    }

    /// The median of the ratios of the rounds: what slows a whole round down does not change it.
    fn ratio(&self, function: usize, to: usize) -> f64 {
        median(self.0[function].iter().zip(&self.0[to]).map(|(one, other)| one / other).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Lets the functions handle the same event in turns; of each turn the fastest counts.
fn in_turns(functions: &mut [&mut Function], batch: &Batch, rounds: usize, turn: usize) -> Times {
    let event: Arc<[u8]> = batch.event.clone().into();
    let mut times = vec![Vec::new(); functions.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for (function, times) in functions.iter_mut().zip(&mut times) {
            let fastest = (0..turn).map(|_| function.invoke(&event).0).min().unwrap_or_default();
            if round > 0 {
                times.push(fastest.as_secs_f64());
            }
        }
    }
    Times(times)
}

fn main() {
    let short = std::env::var_os("BENCH_SHORT").is_some_and(|value| value != "0" && !value.is_empty());
    let (rounds, starts) = if short { (5, 9) } else { (25, 40) };
    let release = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let binary = std::env::var_os("BENCH_BINARY").map_or_else(|| release.join("root-usage-alert"), PathBuf::from);
    // An earlier version to measure beside this one.
    let before = std::env::var_os("BENCH_BEFORE").map(PathBuf::from);
    let baseline = |name: &str| release.join("examples").join(name);
    let (noop, floor, plain) = (baseline("noop"), baseline("floor"), baseline("straightforward"));
    let python = python();

    let aws = Aws::start();
    let aws_vars = aws.vars();
    let with = |rules: &'static str| [&[("RULES", rules), ("HISTORY_MINUTES", "0")], &aws_vars[..]].concat();

    let mut table = Table::default();
    let only = |part: &str| std::env::args().any(|argument| argument == part);
    if only("matches") {
        let matches = matches::measure(&binary, before.as_deref(), &with("root-usage"), short);
        matches.judge(&mut table);
        table.print();
        matches.print();
        return;
    }
    if only("mail") {
        let candidates = mail::candidates(&aws, &noop, &binary, before.as_deref(), python.as_deref());
        let waits = mail::measure(&candidates, &aws, if short { 3 } else { 11 });
        waits.judge(&mut table);
        table.print();
        waits.print(aws.root_count);
        return;
    }
    let batch = Batch::new(&records(SEED, 4_000, 0));
    print_data(&batch);

    let mut functions = [
        Function::start(&[&noop], &[]),
        Function::start(&[&floor], &[]),
        Function::start(&[&binary], &with("root-usage")),
        Function::start(&[&binary], &with(ALL_RULES)),
        Function::start(&[&plain], &[]),
    ];
    let [f_noop, f_floor, f_root, f_all, f_plain] = &mut functions;

    let times = in_turns(&mut [f_floor, f_root, f_all], &batch, rounds, 3);
    let few = in_turns(&mut [f_floor, f_plain], &batch, rounds.div_ceil(5), 2);
    table.ratio("4,000 records, none matches, rule `root-usage`", 1.25, "floor", &times, 0, 1);
    table.ratio("the same, all shipped rules", 1.5, "floor", &times, 0, 2);
    let cost = (times.seconds(1), 4_000.0);

    let matching = Batch::new(&records(SEED, 1_000, 10));
    // The first time it is mailed; then all ten are found, and known: neither rendered nor published.
    f_root.invoke(&matching.event.clone().into());
    let times = in_turns(&mut [f_floor, f_root], &matching, rounds, 5);
    table.ratio("1,000 records, 10 match, without rendering and publishing", 1.5, "floor", &times, 0, 1);

    let single = Batch::new(&records(SEED, 1, 0));
    let mut f_plain_log = Function::start(&[&binary], &[&with("root-usage")[..], &[("METRICS", "off")]].concat());
    let silent = [("METRICS", "off"), ("AWS_LAMBDA_LOG_LEVEL", "ERROR")];
    let mut f_silent = Function::start(&[&binary], &[&with("root-usage")[..], &silent].concat());
    let single_times = in_turns(&mut [f_noop, f_root, &mut f_plain_log, &mut f_silent, f_floor], &single, rounds, 60);
    table.ratio("1 record, warm, no match", 1.25, "no-op", &single_times, 0, 1);
    let single_cost = single_times.seconds(1);

    let Starts { ratio, time, cpu, memory } = starting(&binary, &noop, &with("root-usage"), starts);
    table.add(
        "start: exec to first poll, time",
        "at most 2 × no-op",
        format!("{ratio:.2} × ({:.2} ms to {:.2} ms; CPU {:.2} ms to {:.2} ms)", time[0], time[1], cpu[0], cpu[1]),
        Some(ratio <= 2.0),
    );
    let more = (memory[0] - memory[1]) / MB;
    table.add(
        "start: resident memory at first poll",
        "at most no-op + 3 MB",
        format!("+{more:.1} MB ({:.1} MB to {:.1} MB)", memory[0] / MB, memory[1] / MB),
        Some(more <= 3.0),
    );
    let candidates = mail::candidates(&aws, &noop, &binary, before.as_deref(), python.as_deref());
    let waits = mail::measure(&candidates, &aws, if short { 3 } else { 11 });
    waits.judge(&mut table);

    let matches = matches::measure(&binary, before.as_deref(), &with("root-usage"), short);
    matches.judge(&mut table);

    let mut fresh = Function::start(&[&binary], &with("root-usage"));
    let event: Arc<[u8]> = batch.event.clone().into();
    (0..3).for_each(|_| drop(fresh.invoke(&event)));
    let peak = fresh.memory("VmHWM") as f64 / MIB;
    table.add("peak resident memory, batch of 4,000", "at most 16 MiB", format!("{peak:.1} MiB"), Some(peak <= 16.0));

    let zip = zipped(&binary) as f64 / MB;
    table.add("packaged zip", "at most 5 MB", format!("{zip:.2} MB"), Some(zip <= 5.0));
    table.print();

    waits.print(aws.root_count);
    matches.print();
    println!("What one record costs:\n\n| invocation | CPU | to the no-op |\n| --- | --- | --- |");
    for (what, function) in [
        ("no-op", 0),
        ("floor: base64 and inflate", 4),
        ("root-usage-alert without any line of log", 3),
        ("with the line of log", 2),
        ("with metrics in it, the default", 1),
    ] {
        let (cpu, ratio) = (single_times.seconds(function) * 1e3, single_times.ratio(function, 0));
        println!("| {what} | {cpu:.4} ms | {ratio:.2} × |");
    }
    println!("\nAgainst straightforward handlers, the batch of 4,000:\n");
    println!("| handler | CPU | to the floor |\n| --- | --- | --- |");
    let floor_ms = few.seconds(0) * 1e3;
    println!("| floor | {floor_ms:.1} ms | 1 |");
    println!(
        "| Rust, `LogsEvent` and a JSON value a message | {:.1} ms | {:.1} × |",
        few.seconds(1) * 1e3,
        few.ratio(1, 0)
    );
    let mut f_python = python.map(|python| {
        Function::start(
            &[&python, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline/straightforward.py"))],
            &[],
        )
    });
    if let Some(f_python) = &mut f_python {
        let times = in_turns(&mut [f_floor, f_python], &batch, rounds.div_ceil(5), 2);
        println!("| Python, the same | {:.1} ms | {:.1} × |", times.seconds(1) * 1e3, times.ratio(1, 0));
    } else {
        println!("| Python | there is none here | |");
    }
    println!();
    print_cost(cost.0 / cost.1, single_cost);

    let growth = growth(&mut functions, &binary, &with, if short { 1 } else { 9 }, short);
    if short {
        println!("BENCH_SHORT: the plot is not written.");
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.svg");
    fs::write(&file, chart::svg(&growth)).unwrap();
    println!("Drawn: docs/performance.svg");
}

/// Where the Python is, if there is one.
fn python() -> Option<PathBuf> {
    let found =
        Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).stderr(Stdio::null()).output();
    let output = found.ok().filter(|output| output.status.success())?;
    Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()))
}

fn print_data(batch: &Batch) {
    let records = records(SEED, 4_000, 0);
    let rules = Rule::shipped();
    let keys: usize = records.iter().map(|record| keys(&Json::parse(record).unwrap())).sum();
    let matching = |record: &&String| rules.iter().any(|rule| rule.pattern.matches_text(record));
    assert_eq!(records.iter().filter(matching).count(), 0, "no generated record matches");
    let bytes: usize = records.iter().map(String::len).sum();
    println!(
        "Generated batch of 4,000: {:.2} MB inflated, {:.2} MB as an event, compressed {:.1} times; a record has {} bytes \
         and {:.1} keys.\n",
        batch.inflated as f64 / MB,
        batch.event.len() as f64 / MB,
        batch.inflated as f64 / batch.compressed as f64,
        bytes / records.len(),
        keys as f64 / records.len() as f64
    );
}

fn keys(json: &Json<'_>) -> usize {
    match json {
        Json::Object(fields) => fields.values().map(|value| 1 + keys(value)).sum(),
        Json::Array(items) => items.iter().map(keys).sum(),
        _ => 0,
    }
}

/// Of the function and of the no-op, medians of processes started in turns.
struct Starts {
    ratio: f64,
    /// Milliseconds to the first poll.
    time: [f64; 2],
    /// Milliseconds of CPU.
    cpu: [f64; 2],
    /// Resident bytes.
    memory: [f64; 2],
}

fn starting(binary: &Path, noop: &Path, vars: &[(&str, &str)], starts: usize) -> Starts {
    let measure = |command: &Path, vars: &[(&str, &str)]| {
        let function = Function::start(&[command], vars);
        [function.start.as_secs_f64() * 1e3, function.cpu().as_secs_f64() * 1e3, function.memory("VmRSS") as f64]
    };
    // One more, so that the files are in memory.
    let pairs: Vec<_> = (0..=starts).map(|_| [measure(binary, vars), measure(noop, &[])]).skip(1).collect();
    let of = |which: usize, what: usize| median(pairs.iter().map(|pair| pair[which][what]).collect());
    Starts {
        ratio: median(pairs.iter().map(|[function, noop]| function[0] / noop[0]).collect()),
        time: [of(0, 0), of(1, 0)],
        cpu: [of(0, 1), of(1, 1)],
        memory: [of(0, 2), of(1, 2)],
    }
}

/// The size of a zip that holds the binary.
fn zipped(binary: &Path) -> usize {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(&fs::read(binary).unwrap()).unwrap();
    // The headers around one file, in round figures.
    deflate.finish().unwrap().len() + 200
}

/// What a month costs, from the CPU time a record takes.
fn print_cost(large: f64, single: f64) {
    // Source: AWS Lambda pricing, x86, US East (N. Virginia): per GB-second and per request. AWS Lambda Developer Guide,
    // "Configure Lambda function memory": at 1,769 MB a function has one whole vCPU, below in proportion.
    const GB_SECOND: f64 = 0.000_016_666_7;
    const REQUEST: f64 = 0.000_000_2;
    const MEMORY: f64 = 512.0;
    const MONTH: f64 = 30.0 * 86_400.0;
    println!(
        "A month, unfiltered: invocations × (${REQUEST:.7} + billed seconds × {MEMORY}/1024 GB × ${GB_SECOND:.10});\n\
         billed seconds = CPU seconds × {WHOLE_CPU}/{MEMORY}, rounded up to a millisecond.\n\
         CPU of an invocation = {:.3} ms + {:.5} ms a record, as measured above.\n",
        single * 1e3,
        large * 1e3
    );
    println!(
        "| log events a second | in a batch | invocations | billed each | a month |\n| --- | --- | --- | --- | --- |"
    );
    for (rate, batch) in [(1.0, 1.0), (100.0, 1.0), (100.0, 100.0), (10_000.0, 100.0), (10_000.0, 4_000.0)] {
        let invocations = rate / batch * MONTH;
        let cpu = single + large * (batch - 1.0);
        let billed = (cpu * WHOLE_CPU / MEMORY * 1e3).ceil() / 1e3;
        let dollars = invocations * (REQUEST + billed * MEMORY / 1024.0 * GB_SECOND);
        println!("| {rate} | {batch} | {:.2} million | {:.0} ms | ${dollars:.2} |", invocations / 1e6, billed * 1e3);
    }
    println!();
}

/// How cost grows: with the batch, with the rules, with the matches.
fn growth<'v>(
    functions: &mut [Function; 5],
    binary: &Path,
    with: &impl Fn(&'static str) -> Vec<(&'v str, &'v str)>,
    rounds: usize,
    short: bool,
) -> [Panel; 3] {
    let [_, floor, root, _, plain] = functions;
    let sizes: &[usize] = if short { &[1, 100] } else { &[1, 250, 500, 1_000, 2_000, 3_000, 4_000] };
    let mut lines = ["floor", "root-usage-alert", "straightforward Rust"].map(Line::new);
    for size in sizes {
        let batch = Batch::new(&records(SEED, *size, 0));
        let times = in_turns(&mut [floor, root, plain], &batch, rounds, 3);
        lines.iter_mut().enumerate().for_each(|(index, line)| line.add(*size, times.seconds(index) * 1e3));
    }
    let by_size = Panel { title: "records in the batch, none matches", lines: lines.into() };

    let batch = Batch::new(&records(SEED, if short { 100 } else { 4_000 }, 0));
    let ids: Vec<String> = Rule::shipped().into_iter().map(|rule| rule.id).collect();
    let mut lines = ["floor", "root-usage-alert"].map(Line::new);
    for count in [1, 2, 3, 5, 8, 12, 16, ids.len()] {
        let mut vars = with("root-usage");
        let rules = ids[..count].join(",");
        vars.push(("RULES", &rules));
        let mut function = Function::start(&[binary], &vars);
        let times = in_turns(&mut [floor, &mut function], &batch, rounds, 3);
        lines.iter_mut().enumerate().for_each(|(index, line)| line.add(count, times.seconds(index) * 1e3));
    }
    let by_rules = Panel { title: "rules, 4,000 records, none matches", lines: lines.into() };

    let mut lines = ["floor", "root-usage-alert"].map(Line::new);
    for count in [0, 10, 50, 100, 200] {
        let batch = Batch::new(&records(SEED, 1_000, count));
        root.invoke(&batch.event.clone().into());
        let times = in_turns(&mut [floor, root], &batch, rounds, 3);
        lines.iter_mut().enumerate().for_each(|(index, line)| line.add(count, times.seconds(index) * 1e3));
    }
    let by_matches = Panel { title: "matches in 1,000 records, mail not counted", lines: lines.into() };

    let panels = [by_size, by_rules, by_matches];
    for panel in &panels {
        let mut text = format!("CPU in ms by {}\n\n| ", panel.title);
        for line in &panel.lines {
            let _ = write!(text, " | {}", line.name);
        }
        let _ = writeln!(text, " |\n| ---{}|", " | ---".repeat(panel.lines.len()));
        for (index, (x, _)) in panel.lines[0].points.iter().enumerate() {
            let _ = write!(text, "| {x}");
            for line in &panel.lines {
                let _ = write!(text, " | {:.2}", line.points[index].1);
            }
            text.push_str(" |\n");
        }
        println!("{text}");
    }
    panels
}
