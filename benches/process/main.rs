//! What the function costs as a whole process: the release binary behind a Lambda Runtime API, and others beside it.
//!
//! The figures are CPU time, because other work on the machine changes it least, and ratios of processes that were
//! measured in turns, because machines differ. BENCH_SHORT=1 only shows that it works; `-- batches`, `-- mail` and `-- matches`
//! measure that part alone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "no figure has so many digits")]

mod aws;
mod batch;
mod batches;
mod growth;
#[path = "../records/hostile.rs"]
mod hostile;
mod mail;
mod matches;
#[path = "../records/mod.rs"]
mod records;
mod runtime_api;
mod share;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use filter_pattern::json::Json;
use root_usage::rule::Rule;

use aws::Aws;
use batch::{Batch, records};
use batches::Binaries;
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
    fn count(&self) -> usize {
        self.0.len()
    }

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
    let (noop, floor, straightforward) = (baseline("noop"), baseline("floor"), baseline("straightforward"));
    let binaries = Binaries {
        noop: &noop,
        floor: &floor,
        straightforward: &straightforward,
        function: &binary,
        before: before.as_deref(),
    };
    let python = python();

    let aws = Aws::start();
    let aws_vars = aws.vars();
    let with = |rules: &'static str| [&[("RULES", rules), ("HISTORY_MINUTES", "0")], &aws_vars[..]].concat();

    let mut table = Table::default();
    let only = |part: &str| std::env::args().any(|argument| argument == part);
    let batches = || batches::measure(&binaries, &with, rounds);
    let waits = || {
        let candidates = mail::candidates(&aws, &noop, &binary, before.as_deref(), python.as_deref());
        mail::measure(&candidates, &aws, if short { 3 } else { 11 })
    };
    let matches = || matches::measure(&binary, before.as_deref(), &with("root-usage"), short);
    if only("batches") {
        batches().judge(&mut table);
        return table.print();
    }
    if only("matches") {
        let matches = matches();
        matches.judge(&mut table);
        table.print();
        return matches.print();
    }
    if only("mail") {
        let waits = waits();
        waits.judge(&mut table);
        table.print();
        return waits.print(aws.root_count);
    }
    let batch = Batch::new(&records(SEED, 4_000, 0));
    print_data(&batch);
    let batches = batches();
    batches.judge(&mut table);

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
    let waits = waits();
    waits.judge(&mut table);
    let matches = matches();
    matches.judge(&mut table);

    let mut fresh = Function::start(&[&binary], &with("root-usage"));
    let event: Arc<[u8]> = batch.event.clone().into();
    (0..3).for_each(|_| drop(fresh.invoke(&event)));
    let peak = fresh.memory("VmHWM") as f64 / MIB;
    table.add("peak resident memory, batch of 4,000", "at most 16 MiB", format!("{peak:.1} MiB"), Some(peak <= 16.0));

    table.print();

    waits.print(aws.root_count);
    matches.print();
    batches.print();
    batches::print_straightforward(&binaries, python.as_deref(), rounds.div_ceil(5));
    let (record, invocation) = batches.cost();
    print_cost(record, invocation);
    growth::print(&binaries, &with, short);
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
