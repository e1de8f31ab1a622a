//! All the files, in parallel.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ignore::{DirEntry, Error, WalkBuilder, WalkState};
use indicatif::{ProgressBar, ProgressStyle};

use super::found::{File, Question};
use super::read::{Reader, Records};

/// The exit code after Ctrl-C, as shells have it: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// Reads every file under the paths with this many threads, each file in one of them, and gives what it holds to `each`
/// in the thread that read it.
pub fn read_all(paths: &[PathBuf], threads: usize, question: &Question, each: &(impl Fn(File<'_>) + Sync)) {
    let Some((first, others)) = paths.split_first() else { return };
    let mut walk = WalkBuilder::new(first);
    for path in others {
        walk.add(path);
    }
    // Nothing in a directory is left out. A link that leads round in a circle is an error.
    walk.standard_filters(false).follow_links(true);
    let bar = &progress_bar();
    end_at_interrupt(bar.clone());
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        if !bar.is_hidden() {
            let walk = walk.clone();
            scope.spawn(move || count(&walk, bar, done));
        }
        walk.threads(threads).build_parallel().run(|| {
            let mut reader = Reader::new(&question.rules);
            Box::new(move |entry| {
                if let Some(file) = entry
                    .map_or_else(|error| Some(unread(question, &error)), |entry| read(&mut reader, question, &entry))
                {
                    bar.inc(1);
                    each(file);
                }
                WalkState::Continue
            })
        });
        done.store(true, Ordering::Relaxed);
    });
    bar.finish_and_clear();
}

fn read<'q>(reader: &mut Reader<'_>, question: &'q Question, entry: &DirEntry) -> Option<File<'q>> {
    if entry.file_type().is_some_and(|kind| kind.is_dir()) {
        return None;
    }
    let mut file = File::new(question, if entry.is_stdin() { Path::new("-") } else { entry.path() });
    if entry.is_stdin() {
        reader.read(io::stdin().lock(), &mut file);
    } else if entry.depth() > 0 && !entry.file_type().is_some_and(|kind| kind.is_file()) {
        // A pipe that nobody writes to would never end.
        file.fault(None, "it is not a file");
    } else {
        match fs::File::open(entry.path()) {
            Ok(opened) => reader.read(opened, &mut file),
            Err(error) => file.fault(None, &error.to_string()),
        }
    }
    Some(file)
}

/// A path that could not be looked at.
fn unread<'q>(question: &'q Question, error: &Error) -> File<'q> {
    fn place(error: &Error) -> (Option<&Path>, String) {
        match error {
            Error::WithPath { path, err } => (Some(path), place(err).1),
            Error::WithDepth { err, .. } => place(err),
            Error::Loop { ancestor, child } => (Some(child), format!("the link leads back to {}", ancestor.display())),
            Error::Io(error) => (None, error.to_string()),
            other => (None, other.to_string()),
        }
    }
    let (path, reason) = place(error);
    let mut file = File::new(question, path.unwrap_or(Path::new("a path")));
    file.fault(None, &reason);
    file
}

/// Counts the files, so that the bar knows how many there are.
fn count(walk: &WalkBuilder, bar: &ProgressBar, done: &AtomicBool) {
    let is_file = |entry: &DirEntry| !entry.file_type().is_some_and(|kind| kind.is_dir());
    for _ in walk.build().take_while(|_| !done.load(Ordering::Relaxed)).flatten().filter(is_file) {
        bar.inc_length(1);
    }
}

/// At Ctrl-C the command ends, and leaves nothing behind on the terminal.
fn end_at_interrupt(bar: ProgressBar) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if runtime.and_then(|runtime| runtime.block_on(tokio::signal::ctrl_c())).is_ok() {
            bar.finish_and_clear();
            eprintln!("root-usage: interrupted");
            exit(INTERRUPTED);
        }
    });
}

/// On a terminal only.
fn progress_bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} files, {elapsed}") {
        bar.set_style(style);
    }
    bar
}
