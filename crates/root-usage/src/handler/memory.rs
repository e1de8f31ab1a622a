//! What a function instance remembers from one invocation to the next.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Form;
use crate::alert::{Actor, Alert, AlertId, Held, HeldKind};

/// How many mailed records, and how many mails that may have arrived, are remembered.
const REMEMBERED_MAX: usize = 4096;

/// How long a mail of a kind that a wrong log group or a bot can cause without end holds the next one back.
const PAUSE: Duration = Duration::from_secs(15 * 60);

/// How long one test holds the next one back.
const TEST_PAUSE: Duration = Duration::from_secs(60);

/// The most of those who have a limit of their own; all others share one.
const WHO_MAX: usize = 64;

/// What names a record, or an event that can't be read: a SHA-256.
pub type Key = [u8; 32];

/// What is remembered. It is asked before something is told, and told afterwards.
#[derive(Default)]
pub(super) struct Memory(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    /// Records that were mailed, or held back, and when.
    mailed: Recent<Key, Timestamp>,
    /// Events about which a mail said that they can't be read.
    damaged: Recent<Key>,
    /// Alerts that were sent without an answer: they may have arrived.
    unanswered: Recent<AlertId>,
    /// When mails of limited kinds went out.
    limits: HashMap<Limited, Instant>,
    /// What was held back so far.
    held: Held,
}

/// Mails that share a limit: of one kind, and about one who causes them, so that nobody holds back what is of others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Limited {
    /// What root, or whoever tries to be, does. In all accounts together: whoever tries one tries sixty.
    Root(HeldKind),
    /// What somebody else does, by ARN: of a role's sessions the role's, for whoever assumes it chooses the session's name.
    /// `None` are those that came after [`WHO_MAX`] others.
    Other(Option<String>),
    /// Alerts about nothing but log events that can't be read.
    Unreadable,
    /// Mails about batches that can't be read.
    Damaged,
    /// Tests.
    Test,
    /// Calls that test the way from CloudTrail.
    PathTest,
}

impl Limited {
    /// The limits that an alert falls under, if all of it does.
    pub(super) fn of(alert: &Alert) -> Option<Vec<Self>> {
        let mut limits: Vec<Self> = Vec::new();
        for actor in &alert.actors {
            let limit = Self::of_actor(actor)?;
            if !limits.contains(&limit) {
                limits.push(limit);
            }
            // More than can have a limit of their own is more than can be held back.
            if limits.len() > WHO_MAX {
                return None;
            }
        }
        limits.extend((!alert.unreadable.is_empty()).then_some(Self::Unreadable));
        Some(limits)
    }

    fn of_actor(actor: &Actor) -> Option<Self> {
        match HeldKind::of(actor)? {
            HeldKind::Others => {
                let record = &actor.gravest().record;
                let role = record.text(&["userIdentity", "sessionContext", "sessionIssuer", "arn"]);
                let who = role.or_else(|| record.arn()).or_else(|| record.text(&["userIdentity", "principalId"]));
                Some(Self::Other(Some(who.unwrap_or_default().to_owned())))
            }
            kind => Some(Self::Root(kind)),
        }
    }

    fn pause(&self) -> Duration {
        if *self == Self::Test { TEST_PAUSE } else { PAUSE }
    }
}

/// The newest of many and what is known of each, the oldest forgotten first.
struct Recent<T, V = ()> {
    order: VecDeque<T>,
    all: HashMap<T, V>,
}

impl<T, V> Default for Recent<T, V> {
    fn default() -> Self {
        Self { order: VecDeque::new(), all: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash, V> Recent<T, V> {
    fn get(&self, item: &T) -> Option<&V> {
        self.all.get(item)
    }

    fn remember(&mut self, items: impl IntoIterator<Item = (T, V)>) {
        for (item, known) in items {
            if let Entry::Vacant(new) = self.all.entry(item) {
                new.insert(known);
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

// Asynchronous, as one that several instances share has to be.
#[allow(clippy::unused_async, reason = "who asks must not know that this one answers at once")]
impl Memory {
    /// Which of these were mailed, and when.
    pub(super) async fn mailed(&self, keys: &[Key]) -> HashMap<Key, Timestamp> {
        let remembered = self.lock();
        keys.iter().filter_map(|key| Some((*key, *remembered.mailed.get(key)?))).collect()
    }

    /// The alert with what was held back before it, if it may go out now; else how many records and log events are held
    /// back with it.
    pub(super) async fn admit(
        &self,
        alert: Alert,
        limits: Option<&[Limited]>,
        (keys, now): (&[Key], Timestamp),
    ) -> Result<Alert, usize> {
        let mut remembered = self.lock();
        if limits.is_some_and(|limits| !remembered.is_open(limits)) {
            remembered.held.add(&alert);
            remembered.mailed.remember(keys.iter().map(|key| (*key, now)));
            return Err(alert.matched() + alert.unreadable.len());
        }
        let may_be_repeated = remembered.unanswered.get(&alert.id).is_some();
        Ok(Alert { held: remembered.held.clone(), may_be_repeated, ..alert })
    }

    /// An alert went out in this form, under these limits.
    pub(super) async fn told(&self, alert: &Alert, form: &Form, limits: &[Limited], (keys, now): (&[Key], Timestamp)) {
        let mut remembered = self.lock();
        remembered.mailed.remember(keys.iter().map(|key| (*key, now)));
        remembered.sent(limits);
        if *form == Form::Whole {
            remembered.held.subtract(&alert.held);
        }
    }

    /// Whether a mail may go out under these limits, without one that could hold it back.
    pub(super) async fn is_open(&self, limits: &[Limited]) -> bool {
        self.lock().is_open(limits)
    }

    /// A mail went out under these limits.
    pub(super) async fn sent(&self, limits: &[Limited]) {
        self.lock().sent(limits);
    }

    /// An alert may have gone out, or not.
    pub(super) async fn lost(&self, alert: AlertId) {
        self.lock().unanswered.remember([(alert, ())]);
    }

    /// Whether a mail may go out about an event that can't be read. If not, it is held back, or was told before.
    pub(super) async fn admit_damaged(&self, event: Key) -> bool {
        let mut remembered = self.lock();
        if remembered.damaged.get(&event).is_some() {
            return false;
        }
        let open = remembered.is_open(&[Limited::Damaged]);
        if !open {
            remembered.held.damaged += 1;
            remembered.damaged.remember([(event, ())]);
        }
        open
    }

    /// A mail went out about an event that can't be read.
    pub(super) async fn told_damaged(&self, event: Key) {
        let mut remembered = self.lock();
        remembered.damaged.remember([(event, ())]);
        remembered.sent(&[Limited::Damaged]);
    }

    /// Whether a mail may go out now that falls under this limit; from now on none may.
    pub(super) async fn admit_limited(&self, limit: Limited) -> bool {
        let mut remembered = self.lock();
        let open = remembered.is_open(std::slice::from_ref(&limit));
        if open {
            remembered.sent(&[limit]);
        }
        open
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    /// Whether a mail may go out now that falls under these limits: under one of them there was none for a while.
    fn is_open(&mut self, limits: &[Limited]) -> bool {
        self.limits.retain(|limit, last| last.elapsed() < limit.pause());
        limits.iter().any(|limit| !self.limits.contains_key(&self.shared(limit)))
    }

    /// A mail went out under these limits.
    fn sent(&mut self, limits: &[Limited]) {
        for limit in limits {
            let limit = self.shared(limit);
            self.limits.insert(limit, Instant::now());
        }
    }

    /// The limit itself, or the one that is shared where there are too many already.
    fn shared(&self, limit: &Limited) -> Limited {
        match limit {
            Limited::Other(Some(_)) if self.limits.len() >= WHO_MAX && !self.limits.contains_key(limit) => {
                Limited::Other(None)
            }
            limit => limit.clone(),
        }
    }
}
