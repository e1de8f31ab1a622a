//! What matches cost, how that grows, and what the worst event of 1 MB comes to.

use std::path::Path;
use std::sync::Arc;

use crate::batch::{Batch, records};
use crate::hostile::{SHAPES, Shape};
use crate::runtime_api::Function;
use crate::table::Table;
use crate::{MB, MIB, Vars};

/// The most bytes that CloudWatch Logs hands over at once, and a function takes them to inflate to.
const EVENT_MAX: usize = 1_000_000;
const INFLATED_MAX: usize = 32 << 20;

/// The most CPU, in microseconds, that a match may cost above reading its record, and, in seconds, any event.
const MATCH_MOST: f64 = 25.0;
const EVENT_MOST: f64 = 1.0;

/// No record is this one, and each has to be parsed to know that.
const READ_ONLY: [(&str, &str); 2] =
    [("RULES", ","), ("RULE_PATTERN", r#"{ $.userIdentity.type = "Root" && $.eventID = "none" }"#)];

/// CPU of a new process that handles one event, in seconds, and the most memory that it had, in MiB.
struct Cost {
    cpu: f64,
    memory: f64,
    answer: String,
}

/// The median of so many; `None` if the function is not done in a minute.
fn cost(binary: &Path, vars: &Vars<'_>, event: &Arc<[u8]>, times: usize) -> Option<Cost> {
    let mut costs = Vec::new();
    for _ in 0..times {
        let mut function = Function::start(&[binary], vars);
        // What only the first mail needs, a client and a connection, is not what a match costs.
        function.invoke(&Batch::new(&records(1, 1, 1)).event.into());
        let (cpu, answer) = function.try_invoke(event)?;
        costs.push(Cost { cpu: cpu.as_secs_f64(), memory: function.memory("VmHWM") as f64 / MIB, answer });
    }
    costs.sort_by(|one, other| one.cpu.total_cmp(&other.cpu));
    Some(costs.swap_remove(times / 2))
}

/// The exponent of growth: the slope of a straight line through the logarithms.
fn exponent(points: &[(usize, f64)]) -> f64 {
    let logs = || points.iter().map(|(size, value)| ((*size as f64).ln(), value.max(1e-9).ln()));
    let count = points.len() as f64;
    let (x, y) = logs().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / count, sum.1 + point.1 / count));
    let (above, below) = logs()
        .fold((0.0, 0.0), |sum, point| (sum.0 + (point.0 - x) * (point.1 - y), sum.1 + (point.0 - x) * (point.0 - x)));
    above / below
}

/// What is above reading, by how many matches there are, of one kind of record.
struct Growth {
    name: &'static str,
    /// Matches, seconds of the function, and of one that reads and matches nothing.
    points: Vec<(usize, f64, f64)>,
}

impl Growth {
    /// Seconds above reading that all matches but the first take: with that one comes what a mail costs whatever it says.
    fn beyond_the_first(&self) -> Vec<(usize, f64)> {
        let mut above = self.points.iter().map(|(count, all, read)| (*count, all - read));
        let Some((_, first)) = above.next() else { return Vec::new() };
        above.map(|(count, seconds)| (count - 1, seconds - first)).collect()
    }
}

/// What was found out about matches.
pub struct Matches {
    growths: Vec<Growth>,
    hostile: Vec<Hostile>,
}

/// Measures what a match costs, and every hostile event.
pub fn measure(binary: &Path, before: Option<&Path>, vars: &Vars<'_>, short: bool) -> Matches {
    let sizes: &[usize] = if short { &[1, 100] } else { &[1, 10, 100, 1_000, 4_000, 10_000, 27_000] };
    let times = if short { 1 } else { 5 };
    let read_only: Vec<_> = vars.iter().copied().filter(|(name, _)| *name != "RULES").chain(READ_ONLY).collect();
    let growth = |name, messages: &dyn Fn(usize) -> Vec<String>| {
        let point = |count: &usize| {
            let event: Arc<[u8]> = Batch::new(&messages(*count)).event.into();
            let seconds = |vars| cost(binary, vars, &event, times).expect("an answer").cpu;
            (*count, seconds(vars), seconds(&read_only))
        };
        Growth { name, points: sizes.iter().map(point).collect() }
    };
    let real = growth("like real ones", &|count| records(8, count, count));
    let distinct = growth("all distinct", &|count| (0..count).map(|number| SHAPES[1].message(number)).collect());
    let shapes = SHAPES.iter().take(if short { 3 } else { usize::MAX });
    let hostile = shapes.map(|shape| Hostile::measure(shape, binary, before, vars, short)).collect();
    Matches { growths: vec![real, distinct], hostile }
}

impl Matches {
    /// The rows that have a goal.
    pub fn judge(&self, table: &mut Table) {
        for growth in &self.growths {
            // Among fewer, what one mail's writing varies by is more than the goal.
            let many = growth.beyond_the_first().into_iter().filter(|(count, _)| *count >= 99);
            let each = many.map(|(count, seconds)| seconds / count as f64 * 1e6);
            let most = each.fold(0.0, f64::max);
            let work = format!("each match beyond the first, of 100 and more, above reading it, {}", growth.name);
            table.add(&work, &format!("at most {MATCH_MOST} µs"), format!("{most:.1} µs"), Some(most <= MATCH_MOST));
        }
        if let Some(worst) = self.hostile.iter().max_by(|one, other| one.now.cpu.total_cmp(&other.now.cpu)) {
            let cpu = worst.now.cpu;
            let result = format!("{cpu:.2} s ({})", worst.name);
            table.add(
                "the worst event of 1 MB, CPU",
                &format!("at most {EVENT_MOST} s"),
                result,
                Some(cpu <= EVENT_MOST),
            );
        }
    }

    /// The tables of all of it.
    pub fn print(&self) {
        self.growths.iter().for_each(print_growth);
        print_hostile(&self.hostile);
    }
}

fn print_growth(growth: &Growth) {
    println!("What a match costs, records {}, with the mail:\n", growth.name);
    println!("| matches | CPU | reading alone | above reading, each | each beyond the first |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    let beyond = growth.beyond_the_first();
    let others = beyond.iter().map(|(count, seconds)| format!("{:.1} µs", seconds / *count as f64 * 1e6));
    let others = std::iter::once(String::new()).chain(others);
    for ((count, all, read), other) in growth.points.iter().zip(others) {
        let each = (all - read) / *count as f64 * 1e6;
        println!("| {count} | {:.2} ms | {:.2} ms | {each:.1} µs | {other} |", all * 1e3, read * 1e3);
    }
    if beyond.len() > 1 {
        println!("\nBeyond the first it grows with the power {:.2} of their number.", exponent(&beyond));
    }
    println!();
}

/// One hostile event, handled by this version and perhaps by an earlier one.
struct Hostile {
    name: &'static str,
    messages: usize,
    event: usize,
    inflated: usize,
    now: Cost,
    /// What the earlier one took, if there is one and it was done in a minute.
    before: Option<Option<f64>>,
}

impl Hostile {
    /// As many messages as an event holds.
    fn measure(shape: &Shape, binary: &Path, before: Option<&Path>, vars: &Vars<'_>, short: bool) -> Self {
        let batch = |count: usize| Batch::new(&(0..count).map(|number| shape.message(number)).collect::<Vec<_>>());
        let mut count = 64;
        let mut largest = batch(count);
        // What a few compress to says how many there may be; many compress better, and so once more.
        for _ in 0..if short { 0 } else { 4 } {
            let room = [(EVENT_MAX, largest.event.len()), (INFLATED_MAX, largest.inflated)];
            let fits = room.iter().map(|(most, size)| count * most / size * 99 / 100).min();
            count = fits.unwrap_or_default().max(1);
            largest = batch(count);
        }
        let vars = [vars, shape.vars].concat();
        let event: Arc<[u8]> = largest.event.into();
        Self {
            name: shape.name,
            messages: count,
            event: event.len(),
            inflated: largest.inflated,
            now: cost(binary, &vars, &event, 1).expect("an answer"),
            before: before.map(|before| cost(before, &vars, &event, 1).map(|cost| cost.cpu)),
        }
    }
}

fn print_hostile(hostile: &[Hostile]) {
    println!("Hostile events, as large as CloudWatch Logs hands over, 1 MB, or as inflate to 32 MiB:\n");
    let before = hostile.iter().any(|one| one.before.is_some());
    let (head, line) = if before { (" CPU before |", " ---: |") } else { ("", "") };
    println!("| log events | number | event | inflated |{head} CPU | peak memory | mails |");
    println!("| --- | ---: | ---: | ---: |{line} ---: | ---: | ---: |");
    for one in hostile {
        let before = one.before.map(|cpu| cpu.map_or(" > 60 s |".to_owned(), |cpu| format!(" {cpu:.2} s |")));
        let answer: serde_json::Value = serde_json::from_str(&one.now.answer).unwrap_or_default();
        println!(
            "| {} | {} | {:.2} MB | {:.1} MB |{} {:.2} s | {:.0} MiB | {} |",
            one.name,
            one.messages,
            one.event as f64 / MB,
            one.inflated as f64 / MB,
            before.unwrap_or_default(),
            one.now.cpu,
            one.now.memory,
            answer["mails"]
        );
    }
    println!();
}
