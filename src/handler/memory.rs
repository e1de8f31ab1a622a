//! What a function instance remembers from one invocation to the next.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::alert::{AlertId, Held};

/// How many mailed records, and how many mails that may have arrived, are remembered.
const REMEMBERED_MAX: usize = 4096;

/// How long a mail of a kind that a wrong log group or a bot can cause without end holds the next one back.
const PAUSE: Duration = Duration::from_secs(15 * 60);

/// What names a record, or an event that can't be read: a SHA-256.
pub(super) type Key = [u8; 32];

/// What is remembered.
#[derive(Default)]
pub(super) struct Memory {
    /// Records that were mailed, and events about which a mail said that they can't be read.
    pub mailed: Recent<Key>,
    /// Alerts that were sent without an answer: they may have arrived.
    pub unanswered: Recent<AlertId>,
    /// Alerts that are LOW in all they tell.
    pub low: Limit,
    /// Alerts about nothing but log events that can't be read.
    pub unreadable: Limit,
    /// Mails about batches that can't be read.
    pub damaged: Limit,
}

/// The newest of many, the oldest forgotten first.
pub(super) struct Recent<T> {
    order: VecDeque<T>,
    all: HashSet<T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { order: VecDeque::new(), all: HashSet::new() }
    }
}

impl<T: Copy + Eq + Hash> Recent<T> {
    pub(super) fn has(&self, item: &T) -> bool {
        self.all.contains(item)
    }

    pub(super) fn remember(&mut self, items: impl IntoIterator<Item = T>) {
        for item in items {
            if self.all.insert(item) {
                self.order.push_back(item);
            }
            if self.order.len() > REMEMBERED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.all.remove(&oldest);
            }
        }
    }
}

/// One mail in [`PAUSE`]; what is held back meanwhile is counted.
#[derive(Default)]
pub(super) struct Limit {
    last: Option<Instant>,
    held: usize,
}

impl Limit {
    /// Whether a mail may go out now.
    pub(super) fn is_open(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= PAUSE)
    }

    /// A mail went out.
    pub(super) fn sent(&mut self) {
        self.last = Some(Instant::now());
    }

    /// A mail about so many things did not go out.
    pub(super) fn hold(&mut self, count: usize) {
        self.held += count;
    }
}

impl Memory {
    /// What was held back so far.
    pub(super) fn held(&self) -> Held {
        Held { low: self.low.held, unreadable: self.unreadable.held, damaged: self.damaged.held }
    }

    /// A mail told this much of what was held back.
    pub(super) fn told(&mut self, held: Held) {
        self.low.held -= held.low;
        self.unreadable.held -= held.unreadable;
        self.damaged.held -= held.damaged;
    }
}
