//! What batches cost in which nothing is to be mailed, beside the floor, the no-op and straightforward handlers.

use std::path::Path;
use std::sync::Arc;

use crate::batch::{Batch, records};
use crate::runtime_api::Function;
use crate::table::Table;
use crate::{ALL_RULES, SEED, Times, Vars, in_turns};

/// The release binaries that are measured.
pub struct Binaries<'b> {
    pub noop: &'b Path,
    pub floor: &'b Path,
    /// A handler that parses every message.
    pub straightforward: &'b Path,
    pub function: &'b Path,
    /// The function in an earlier version.
    pub before: Option<&'b Path>,
}

/// What was measured.
pub struct Batches {
    /// Whether the function in an earlier version was.
    before: bool,
    /// The floor, the function, and the one before: the batch of 4,000.
    root: Times,
    /// The same with all rules.
    all: Times,
    matching: Times,
    /// The no-op, the function and the one before; then without metrics, without any line of log, and the floor.
    single: Times,
}

/// Measures them in turns.
pub fn measure<'v>(
    binaries: &Binaries<'_>,
    with: &impl Fn(&'static str) -> Vec<(&'v str, &'v str)>,
    rounds: usize,
) -> Batches {
    let (root, all) = (with("root-usage"), with(ALL_RULES));
    let versions = |vars: &Vars<'_>| -> Vec<Function> {
        [Some(binaries.function), binaries.before]
            .into_iter()
            .flatten()
            .map(|binary| Function::start(&[binary], vars))
            .collect()
    };
    let (mut floor, mut noop) = (Function::start(&[binaries.floor], &[]), Function::start(&[binaries.noop], &[]));
    let (mut root_functions, mut all_functions) = (versions(&root), versions(&all));

    let batch = Batch::new(&records(SEED, 4_000, 0));
    let root_times = in_turns(&mut beside(&mut floor, &mut root_functions), &batch, rounds, 3);
    let all_times = in_turns(&mut beside(&mut floor, &mut all_functions), &batch, rounds, 3);

    let matching = Batch::new(&records(SEED, 1_000, 10));
    // The first time it is mailed; then all ten are found, and known: neither rendered nor published.
    let event: Arc<[u8]> = matching.event.clone().into();
    root_functions.iter_mut().for_each(|function| drop(function.invoke(&event)));
    let matching_times = in_turns(&mut beside(&mut floor, &mut root_functions), &matching, rounds, 5);

    let quiet = [("METRICS", "off"), ("AWS_LAMBDA_LOG_LEVEL", "ERROR")];
    let mut plain_log = Function::start(&[binaries.function], &[&root[..], &quiet[..1]].concat());
    let mut silent = Function::start(&[binaries.function], &[&root[..], &quiet].concat());
    let mut functions = beside(&mut noop, &mut root_functions);
    functions.extend([&mut plain_log, &mut silent, &mut floor]);
    let single = in_turns(&mut functions, &Batch::new(&records(SEED, 1, 0)), rounds, 60);
    let before = binaries.before.is_some();
    Batches { before, root: root_times, all: all_times, matching: matching_times, single }
}

fn beside<'f>(first: &'f mut Function, others: &'f mut [Function]) -> Vec<&'f mut Function> {
    std::iter::once(first).chain(others).collect()
}

impl Batches {
    /// Adds the rows with goals.
    pub fn judge(&self, table: &mut Table) {
        table.ratio("4,000 records, none matches, rule `root-usage`", 1.25, "floor", &self.root, self.before);
        table.ratio("the same, all shipped rules", 1.5, "floor", &self.all, self.before);
        table.ratio(
            "1,000 records, 10 match, without rendering and publishing",
            1.5,
            "floor",
            &self.matching,
            self.before,
        );
        table.ratio("1 record, warm, no match", 1.25, "no-op", &self.single, self.before);
    }

    /// Seconds of CPU that a record of a large batch takes, and an invocation with one.
    pub fn cost(&self) -> (f64, f64) {
        (self.root.seconds(1) / 4_000.0, self.single.seconds(1))
    }

    /// Prints where the time for one record goes.
    pub fn print(&self) {
        println!("What one record costs:\n\n| invocation | CPU | to the no-op |\n| --- | --- | --- |");
        let last = self.single.count() - 1;
        for (what, function) in [
            ("no-op", 0),
            ("floor: base64 and inflate", last),
            ("root-usage-alert without any line of log", last - 1),
            ("with the line of log", last - 2),
            ("with metrics in it, the default", 1),
        ] {
            let (cpu, ratio) = (self.single.seconds(function) * 1e3, self.single.ratio(function, 0));
            println!("| {what} | {cpu:.4} ms | {ratio:.2} × |");
        }
        println!();
    }
}

/// Prints what the batch of 4,000 costs handlers that parse every message.
pub fn print_straightforward(binaries: &Binaries<'_>, python: Option<&Path>, rounds: usize) {
    let mut floor = Function::start(&[binaries.floor], &[]);
    let mut rust = Function::start(&[binaries.straightforward], &[]);
    let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline/straightforward.py"));
    let mut python = python.map(|python| Function::start(&[python, script], &[]));
    let mut functions = vec![&mut floor, &mut rust];
    functions.extend(&mut python);
    let times = in_turns(&mut functions, &Batch::new(&records(SEED, 4_000, 0)), rounds, 2);
    println!(
        "Against straightforward handlers, the batch of 4,000:\n\n| handler | CPU | to the floor |\n| --- | --- | --- |"
    );
    let handlers = ["floor", "Rust, `LogsEvent` and a JSON value a message", "Python, the same"];
    for (index, handler) in handlers.iter().enumerate().take(times.count()) {
        println!("| {handler} | {:.1} ms | {:.1} × |", times.seconds(index) * 1e3, times.ratio(index, 0));
    }
    println!();
}
