//! What the function does grows as what it is given does: twice as much takes twice the instructions, whatever it is.
//!
//! valgrind counts the instructions of the command, which has the function's pipeline: they are the same on every machine
//! and whatever else it does, which no time is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_precision_loss, reason = "no figure has so many digits")]

#[path = "../../../benches/process/batch.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod batch;
#[path = "../../../benches/records/hostile.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod hostile;
#[path = "../../../benches/records/mod.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod records;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use batch::Batch;
use hostile::{Message, SHAPES, Shape};

/// How many records there are in the first of three batches: so many that a comparison of each with each, of one short
/// text with another, shows beside all else that is done with them.
const LEAST: usize = 400;

/// How many instructions the second doubling may add for each that the first one did. Exactly linear is 2, a loop in a
/// loop alone is 4. What grows in steps, as allocations do, adds or takes away a few hundredths.
const MOST: f64 = 2.12;

/// The instructions that one run of the command takes.
fn instructions(file: &Path, shape: &Shape) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([env!("CARGO_BIN_EXE_root-usage"), "run"])
        .arg(file)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(shape.vars.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("valgrind counts instructions here; the system's packages have it: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse().ok());
    count.unwrap_or_else(|| panic!("{}: {said}", shape.name))
}

/// How many times as much the second doubling adds as the first one: of the number of records, or of their length.
fn growth(index: usize, shape: &Shape) -> f64 {
    let counts = [1, 2, 4].map(|factor| {
        let messages: Vec<String> = match shape.message {
            Message::Short(message) => (0..LEAST * factor).map(message).collect(),
            Message::Long(longest, message) => (0..2).map(|number| message(number, longest * factor / 8)).collect(),
        };
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("work-{index}.json"));
        fs::write(&file, Batch::new(&messages).event).unwrap();
        instructions(&file, shape) as f64
    });
    let [one, two, four] = counts;
    let ratio = (four - two) / (two - one);
    println!("{ratio:5.2} {:8.1} million  {}", four / 1e6, shape.name);
    ratio
}

#[test]
fn twice_as_much_takes_twice_the_instructions() {
    let next = Mutex::new(SHAPES.iter().enumerate());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((index, shape)) = { next.lock().unwrap().next() } {
                    let ratio = growth(index, shape);
                    if !(0.0..=MOST).contains(&ratio) {
                        failed.lock().unwrap().push((shape.name, ratio));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "more than {MOST} times as much: {failed:?}");
}
