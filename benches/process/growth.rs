//! How cost grows: with the batch, with the rules, with the matches.

use std::path::Path;
use std::sync::Arc;

use root_usage::rule::Rule;

use crate::batch::{Batch, records};
use crate::batches::Binaries;
use crate::runtime_api::Function;
use crate::{SEED, in_turns};

/// Measures and prints it.
pub fn print<'v>(binaries: &Binaries<'_>, with: &impl Fn(&'static str) -> Vec<(&'v str, &'v str)>, short: bool) {
    let rounds = if short { 1 } else { 9 };
    let start = |binary: &Path| Function::start(&[binary], &[]);
    let (mut floor, mut plain) = (start(binaries.floor), start(binaries.straightforward));
    let mut root = Function::start(&[binaries.function], &with("root-usage"));

    heading("records in the batch, none matches", &["floor", "root-usage-alert", "straightforward Rust"]);
    let sizes: &[usize] = if short { &[1, 100] } else { &[1, 250, 500, 1_000, 2_000, 3_000, 4_000] };
    for size in sizes {
        line(*size, &mut [&mut floor, &mut root, &mut plain], &Batch::new(&records(SEED, *size, 0)), rounds);
    }

    heading("rules, 4,000 records, none matches", &["floor", "root-usage-alert"]);
    let batch = Batch::new(&records(SEED, if short { 100 } else { 4_000 }, 0));
    let ids: Vec<String> = Rule::shipped().into_iter().map(|rule| rule.id).collect();
    for count in [1, 2, 3, 5, 8, 12, 16, ids.len()] {
        let rules = ids[..count].join(",");
        let mut function =
            Function::start(&[binaries.function], &[&with("root-usage")[..], &[("RULES", &rules)]].concat());
        line(count, &mut [&mut floor, &mut function], &batch, rounds);
    }

    heading("matches in 1,000 records, mail not counted", &["floor", "root-usage-alert"]);
    for count in [0, 10, 50, 100, 200] {
        let batch = Batch::new(&records(SEED, 1_000, count));
        let event: Arc<[u8]> = batch.event.clone().into();
        root.invoke(&event);
        line(count, &mut [&mut floor, &mut root], &batch, rounds);
    }
    println!();
}

fn heading(by: &str, functions: &[&str]) {
    println!("\nCPU in ms by {by}\n\n|  | {} |\n| ---{} |", functions.join(" | "), " | ---".repeat(functions.len()));
}

fn line(what: usize, functions: &mut [&mut Function], batch: &Batch, rounds: usize) {
    let times = in_turns(functions, batch, rounds, 3);
    let times: Vec<_> = (0..times.count()).map(|index| format!("{:.2}", times.seconds(index) * 1e3)).collect();
    println!("| {what} | {} |", times.join(" | "));
}
