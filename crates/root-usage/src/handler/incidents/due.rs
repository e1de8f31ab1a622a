//! What is due, and what is quiet: found, claimed and put together.

use std::collections::{BTreeMap, HashSet};

use futures_util::stream::{self, StreamExt};
use jiff::SignedDuration;

use super::work::{Place, Work};
use crate::incident::{IncidentId, Kind, Whose};
use crate::ledger::{Current, Ledger, Part};

/// When something that is due and was not told is worth an alarm.
const OVERDUE: SignedDuration = SignedDuration::from_mins(15);

/// The most parts of one identity that one tick claims.
const CLAIMED_MAX: usize = 100;

/// How many parts are claimed at a time.
const AT_ONCE: usize = 16;

impl<L: Ledger> Work<'_, L> {
    /// What is due, or quiet, by whose it is: what was tried least comes first, and then what has waited longest. What waits
    /// for an incident of which something is due is told with that. With it, how much is overdue that nobody told.
    pub(super) async fn backlog(&self) -> Result<(Vec<Group>, usize), L::Error> {
        let parts = self.ledger.parts().await?;
        let is_due = |part: &Part| self.all || part.due <= self.now;
        let overdue = parts.iter().filter(|part| self.now.duration_since(part.due) >= OVERDUE).count();
        let parts: Vec<Part> = parts.into_iter().filter(|part| self.is_free(part)).collect();
        let ripe: HashSet<IncidentId> =
            parts.iter().filter(|part| is_due(part)).filter_map(|part| part.incident).collect();
        let mut groups: BTreeMap<Whose, Group> = BTreeMap::new();
        for part in parts {
            if is_due(&part) || part.incident.is_some_and(|id| ripe.contains(&id)) {
                groups.entry(part.whose.clone()).or_default().parts.push(part);
            }
        }
        for current in self.ledger.all_current().await? {
            if self.all || self.now.duration_since(current.last) >= self.pace.quiet {
                let whose = current.whose.clone();
                groups.entry(whose).or_default().quiet = Some(current);
            }
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by_cached_key(|group| {
            let tries = group.parts.iter().map(|part| part.tries).max();
            (tries, group.parts.iter().map(|part| part.due).min())
        });
        Ok((groups, overdue))
    }

    /// Claims what is due of one identity, and ends its incident if that is quiet. What can't be claimed keeps nothing of the
    /// rest back.
    pub(super) async fn claim_group(
        &self,
        Group { mut parts, quiet }: Group,
    ) -> (BTreeMap<IncidentId, Together>, Result<(), L::Error>) {
        let (mut due, mut failed): (BTreeMap<IncidentId, Together>, _) = (BTreeMap::new(), Ok(()));
        parts.sort_by_key(|part| part.due);
        // The rest is the next tick's: whoever causes much is not to keep others waiting.
        parts.truncate(CLAIMED_MAX);
        let claimed = stream::iter(&parts).map(|part| self.claim(part)).buffered(AT_ONCE);
        let claimed: Vec<Result<Option<Part>, L::Error>> = claimed.collect().await;
        for part in claimed {
            let placed = async {
                let Some(part) = part? else { return Ok(None) };
                let (id, kind) = match part.incident {
                    Some(id) => (id, Kind::Update),
                    // Whoever kept it got no further.
                    None => match self.place(&part.whose, part.key, self.ledger.current(&part.whose).await?).await? {
                        Place { incident, is_first: true, .. } => (incident, Kind::First),
                        Place { incident, .. } => (incident, Kind::AtOnce),
                    },
                };
                Ok(Some((id, part, kind)))
            };
            match placed.await {
                Ok(Some((id, part, kind))) => {
                    due.entry(id).or_insert_with(|| Together::new(part.whose.clone())).add(part, kind);
                }
                Ok(None) => {}
                Err(error) => failed = Err(error),
            }
        }
        if let (Some(current), Ok(())) = (quiet, &failed) {
            match self.end(&current).await {
                Ok(Some(closing)) => {
                    due.entry(current.id).or_insert_with(|| Together::new(current.whose)).closing = Some(closing);
                }
                Ok(None) => {}
                Err(error) => failed = Err(error),
            }
        }
        (due, failed)
    }

    /// Ends an incident that is quiet, if nothing of its identity is left that this invocation has not claimed; the part that
    /// closes it, if it did.
    async fn end(&self, current: &Current) -> Result<Option<Part>, L::Error> {
        let theirs = |part: &Part| part.whose == current.whose && part.owner != self.owner;
        if self.ledger.parts().await?.iter().any(theirs) {
            return Ok(None);
        }
        let closing = Part { owner: self.owner, lease: self.lease, ..self.closing(current) };
        Ok(self.ledger.close(current, &closing).await?.then_some(closing))
    }
}

/// What of one identity is due, and the incident of it that is quiet.
#[derive(Default)]
pub(super) struct Group {
    parts: Vec<Part>,
    quiet: Option<Current>,
}

/// What of one incident is told together.
pub(super) struct Together {
    pub whose: Whose,
    pub kind: Kind,
    pub parts: Vec<Part>,
    pub closing: Option<Part>,
}

impl Together {
    fn new(whose: Whose) -> Self {
        Self { whose, kind: Kind::Update, parts: Vec::new(), closing: None }
    }

    /// How often one of them was claimed at most.
    pub(super) fn tries(&self) -> u32 {
        self.parts.iter().chain(&self.closing).map(|part| part.tries).max().unwrap_or_default()
    }

    fn add(&mut self, part: Part, kind: Kind) {
        if part.closes {
            self.closing = Some(part);
            return;
        }
        if self.kind != Kind::First && kind != Kind::Update {
            self.kind = kind;
        }
        self.parts.push(part);
    }
}
