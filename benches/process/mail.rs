//! What a person waits for: the time to a mail that SNS has accepted, over TLS.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::aws::Aws;
use crate::batch::{Batch, records};
use crate::median;
use crate::runtime_api::Function;
use crate::share::{Share, WHOLE_CPU};
use crate::table::Table;

/// The memory, in MB, whose share of a processor is measured: the least there is, the template's, a whole vCPU's.
const MEMORY: [f64; 3] = [128.0, 512.0, 1_769.0];

const PYTHON: &str = "Python with boto3, no history";

/// A function to measure.
pub struct Candidate<'a> {
    name: &'static str,
    command: Vec<PathBuf>,
    vars: Vec<(&'a str, &'a str)>,
    /// Whether it mails; if it doesn't, its answer is what is waited for.
    mails: bool,
}

/// Milliseconds, medians: the first event of a new process from its start on, and the second one.
#[derive(Clone, Copy)]
struct Figures {
    cold: f64,
    warm: f64,
}

/// What was found out about one candidate.
struct Measured {
    name: &'static str,
    cpu: Figures,
    /// Time to the mail at the share of a processor of each memory.
    wall: [Figures; MEMORY.len()],
}

/// What was found out about all of them.
pub struct Waits {
    /// The no-op, the function without and with the event history, with that and the ledger, and what else there is.
    measured: Vec<Measured>,
    /// Whether the shares were real; otherwise what they would bring is worked out from the CPU time.
    real: bool,
}

/// One start: milliseconds of CPU and of time.
struct Start {
    cpu: Figures,
    wall: Figures,
}

/// What is measured: the no-op, the function without and with the event history, with that and the ledger, the first two of
/// an earlier version, and a Python that has boto3.
pub fn candidates<'a>(
    aws: &'a Aws,
    noop: &Path,
    binary: &Path,
    before: Option<&Path>,
    python: Option<&Path>,
) -> Vec<Candidate<'a>> {
    let candidate = |name, command: &[&Path], vars: &[(&'static str, &'static str)], mails| Candidate {
        name,
        command: command.iter().map(|part| part.to_path_buf()).collect(),
        vars: [vars, &aws.vars()[..]].concat(),
        mails,
    };
    let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline/straightforward_mail.py"));
    let mut all = vec![
        candidate("no-op, no mail", &[noop], &[], false),
        candidate("root-usage-alert without history", &[binary], &[("HISTORY_MINUTES", "0")], true),
        candidate("root-usage-alert", &[binary], &[], true),
        candidate("root-usage-alert with the ledger", &[binary], &[("LEDGER_TABLE", "incidents")], true),
    ];
    if let Some(before) = before {
        all.push(candidate("before, without history", &[before], &[("HISTORY_MINUTES", "0")], true));
        all.push(candidate("before", &[before], &[], true));
    }
    match python.filter(|python| has_boto3(python)) {
        Some(python) => all.push(candidate(PYTHON, &[python, script], &[], true)),
        None => println!("There is no Python with boto3 here; `make bench` installs one.\n"),
    }
    all
}

fn has_boto3(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", "import boto3"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Starts each candidate so many times, in turns, at full speed and at each share of a processor.
pub fn measure(candidates: &[Candidate<'_>], aws: &Aws, starts: usize) -> Waits {
    let shares = MEMORY.map(Share::new);
    let real = shares.iter().all(Option::is_some);
    let mut free: Vec<Vec<Start>> = candidates.iter().map(|_| Vec::new()).collect();
    let mut shared: Vec<[Vec<Start>; MEMORY.len()]> = candidates.iter().map(|_| Default::default()).collect();
    // One more, so that the files are in memory.
    for round in 0..=starts {
        for (index, candidate) in candidates.iter().enumerate() {
            let start = start(candidate, None, aws);
            if round > 0 {
                free[index].push(start);
            }
            for (share, starts) in shares.iter().zip(&mut shared[index]).filter(|_| real && round > 0) {
                starts.push(self::start(candidate, share.as_ref(), aws));
            }
        }
    }
    let figures = |starts: &[Start], of: fn(&Start) -> Figures| Figures {
        cold: median(starts.iter().map(|start| of(start).cold).collect()),
        warm: median(starts.iter().map(|start| of(start).warm).collect()),
    };
    let measured = candidates.iter().zip(free.iter().zip(&shared)).map(|(candidate, (free, shared))| {
        let (cpu, wall) = (figures(free, |start| start.cpu), figures(free, |start| start.wall));
        let worked_out = MEMORY.map(|megabytes| {
            let at = |cpu: f64, wall: f64| cpu * WHOLE_CPU / megabytes + (wall - cpu).max(0.0);
            Figures { cold: at(cpu.cold, wall.cold), warm: at(cpu.warm, wall.warm) }
        });
        let shared = shared.each_ref().map(|starts| if real { figures(starts, |start| start.wall) } else { wall });
        Measured { name: candidate.name, cpu, wall: if real { shared } else { worked_out } }
    });
    Waits { measured: measured.collect(), real }
}

/// Starts a process and gives it two events with one match each.
fn start(candidate: &Candidate<'_>, share: Option<&Share>, aws: &Aws) -> Start {
    while aws.published.try_recv().is_ok() {}
    let command: Vec<&Path> = candidate.command.iter().map(PathBuf::as_path).collect();
    let mut function = Function::start_in(share, &command, &candidate.vars);
    // Seeds differ, and so do the records: what was mailed is not mailed again.
    let [first, second] = [1, 2].map(|seed| -> Arc<[u8]> { Batch::new(&records(seed, 1, 1)).event.into() });
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let wait = |function: &mut Function, event, from: Instant| {
        let (cpu, _) = function.invoke(event);
        let until = if candidate.mails {
            aws.published.recv_timeout(Duration::from_secs(10)).expect("a mail")
        } else {
            function.answered()
        };
        (milliseconds(cpu), milliseconds(until - from))
    };
    let started = function.started();
    let (_, cold) = wait(&mut function, &first, started);
    let cold_cpu = milliseconds(function.cpu());
    let (warm_cpu, warm) = wait(&mut function, &second, Instant::now());
    Start { cpu: Figures { cold: cold_cpu, warm: warm_cpu }, wall: Figures { cold, warm } }
}

impl Waits {
    /// The rows that have a goal.
    pub fn judge(&self, table: &mut Table) {
        let [noop, plain, history, ledger] = [0, 1, 2, 3].map(|index| &self.measured[index]);
        let named = |name: &str| self.measured.iter().find(|one| one.name == name);
        let mut row = |work: &str, most: f64, of: &Measured, value: fn(&Measured) -> f64| {
            let earlier = if of.name == plain.name { "before, without history" } else { "before" };
            let beside = [("before", named(earlier)), ("no-op", Some(noop)), ("Python with boto3", named(PYTHON))];
            let beside = beside.iter().filter_map(|(name, one)| Some(format!("{name} {:.1} ms", value((*one)?))));
            let beside = beside.collect::<Vec<_>>().join(", ");
            let result = format!("{:.1} ms ({beside})", value(of));
            table.add(work, &format!("at most {most} ms"), result, Some(value(of) <= most));
        };
        row("start to accepted mail over TLS, CPU", 10.0, plain, |one| one.cpu.cold);
        row("the same with the event history, CPU", 15.0, history, |one| one.cpu.cold);
        row("the same with the ledger too, CPU", 20.0, ledger, |one| one.cpu.cold);
        row("start to accepted mail over TLS, time at 512 MB", 100.0, plain, |one| one.wall[1].cold);
        row("warm: event to accepted mail over TLS, CPU", 2.0, plain, |one| one.cpu.warm);
    }

    /// The table of all of it.
    pub fn print(&self, roots: usize) {
        let how = if self.real {
            "a cgroup's quota gives the process that share"
        } else {
            "worked out from CPU time, with the waiting beside it, as no cgroup could be made here, which takes root"
        };
        println!(
            "To a mail that SNS has accepted, over TLS, with {roots} trusted roots, in milliseconds. Time at Lambda's share \
             of a processor: {how}.\n"
        );
        print!("| |");
        self.measured.iter().for_each(|one| print!(" {} |", one.name));
        println!("\n| --- |{}", " ---: |".repeat(self.measured.len()));
        let row = |what: &str, of: &dyn Fn(&Measured) -> f64| {
            print!("| {what} |");
            self.measured.iter().for_each(|one| print!(" {:.1} |", of(one)));
            println!();
        };
        row("cold: CPU", &|one| one.cpu.cold);
        for (index, megabytes) in MEMORY.iter().enumerate() {
            row(&format!("cold: time at {megabytes} MB"), &|one| one.wall[index].cold);
        }
        row("warm: CPU", &|one| one.cpu.warm);
        for (index, megabytes) in MEMORY.iter().enumerate() {
            row(&format!("warm: time at {megabytes} MB"), &|one| one.wall[index].warm);
        }
        println!();
    }
}
