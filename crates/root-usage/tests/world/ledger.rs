//! The ledger of a world: each call of the one in memory can go wrong, and each bug is in one of them.

use std::collections::HashSet;

use jiff::Timestamp;
use root_usage::incident::{Budget, IncidentId, Topic, Whose};
use root_usage::ledger::{Current, Kept, Ledger, Owner, Part, PartKey, RecordKey, Spent, Told};

use super::{Bug, Lost, World};

impl Ledger for World {
    type Error = Lost;

    async fn is_told(&self, part: PartKey) -> Result<bool, Lost> {
        let invocation = self.0.state.lock().unwrap().invocation;
        let again = !self.0.state.lock().unwrap().looked.insert((part, invocation));
        let told = self.call("is_told", || self.0.items.is_told(part)).await?;
        Ok(told && !(again && self.has(Bug::NoSecondLook)))
    }

    async fn told_of(&self, records: &[RecordKey]) -> Result<HashSet<RecordKey>, Lost> {
        // Records are looked up by part alone, so that this finds what the order of the writes does.
        let _ = records;
        Ok(HashSet::new())
    }

    async fn part(&self, key: PartKey) -> Result<Option<Part>, Lost> {
        let part = self.call("part", || self.0.items.part(key)).await?;
        let lapsed = |part: Part| Part { lease: Timestamp::UNIX_EPOCH, ..part };
        Ok(if self.has(Bug::NoLease) { part.map(lapsed) } else { part })
    }

    async fn keep_event(&self, key: PartKey, event: &str) -> Result<(), Lost> {
        self.call("keep_event", || self.0.items.keep_event(key, event)).await
    }

    async fn event(&self, key: PartKey) -> Result<Option<String>, Lost> {
        let event = self.call("event", || self.0.items.event(key)).await?;
        Ok(event.filter(|_| !self.has(Bug::LosesEvents)))
    }

    async fn keep(&self, part: &Part) -> Result<Kept, Lost> {
        let kept = || async {
            match self.0.items.part(part.key).await? {
                None if self.has(Bug::KeepsNothing) => Ok(Kept::New),
                _ => self.0.items.keep(part).await,
            }
        };
        self.call("keep", kept).await
    }

    async fn claim(&self, part: &Part, owner: Owner, lease: Timestamp) -> Result<Option<Part>, Lost> {
        let claim = || async {
            match self.0.items.part(part.key).await? {
                Some(found) if self.has(Bug::NoLease) => self.0.items.claim(&found, owner, lease).await,
                _ => self.0.items.claim(part, owner, lease).await,
            }
        };
        self.call("claim", claim).await
    }

    async fn wait(&self, key: PartKey, owner: Owner, incident: IncidentId, due: Timestamp) -> Result<bool, Lost> {
        self.call("wait", || self.0.items.wait(key, owner, incident, due)).await
    }

    async fn tell(&self, key: PartKey, told: &Told) -> Result<(), Lost> {
        self.call("tell", || self.0.items.tell(key, told)).await
    }

    async fn forget(&self, key: PartKey, owner: Owner) -> Result<(), Lost> {
        self.call("forget", || self.0.items.forget(key, owner)).await
    }

    async fn parts(&self) -> Result<Vec<Part>, Lost> {
        // After it has asked for the open incidents, an invocation asks for the parts once more, at once.
        let parts = self.call("parts", || self.0.items.parts()).await?;
        let lapsed = |part: Part| Part { lease: Timestamp::UNIX_EPOCH, ..part };
        let closing = {
            let state = self.0.state.lock().unwrap();
            state.closing == Some(state.invocation)
        };
        Ok(match self.0.bug {
            Some(Bug::NobodyTicks) => Vec::new(),
            Some(Bug::ClosesBeforeParts) if closing => Vec::new(),
            Some(Bug::NoLease) => parts.into_iter().map(lapsed).collect(),
            _ => parts,
        })
    }

    async fn current(&self, whose: &Whose) -> Result<Option<Current>, Lost> {
        let current = self.call("current", || self.0.items.current(whose)).await?;
        let forgotten = |current: Current| Current { first: PartKey([0; 32]), ..current };
        Ok(if self.has(Bug::FirstIsForgotten) { current.map(forgotten) } else { current })
    }

    async fn all_current(&self) -> Result<Vec<Current>, Lost> {
        let all = self.call("all_current", || self.0.items.all_current()).await;
        let mut state = self.0.state.lock().unwrap();
        state.closing = Some(state.invocation);
        all
    }

    async fn open(&self, new: &Current, old: Option<&Current>, closing: Option<&Part>) -> Result<bool, Lost> {
        self.call("open", || self.0.items.open(new, old, closing)).await
    }

    async fn touch(&self, whose: &Whose, id: IncidentId, now: Timestamp) -> Result<bool, Lost> {
        self.call("touch", || self.0.items.touch(whose, id, now)).await
    }

    async fn close(&self, current: &Current, closing: &Part) -> Result<bool, Lost> {
        self.call("close", || self.0.items.close(current, closing)).await
    }

    async fn is_new(&self, incident: IncidentId, topic: Topic, part: PartKey) -> Result<bool, Lost> {
        self.call("is_new", || self.0.items.is_new(incident, topic, part)).await
    }

    async fn spend(
        &self,
        incident: Option<IncidentId>,
        topic: Topic,
        budget: Budget,
        part: PartKey,
        now: Timestamp,
    ) -> Result<Spent, Lost> {
        self.call("spend", || self.0.items.spend(incident, topic, budget, part, now)).await
    }

    async fn number(&self, incident: IncidentId) -> Result<u32, Lost> {
        self.call("number", || self.0.items.number(incident)).await
    }

    async fn story(&self, incident: IncidentId) -> Result<Vec<Told>, Lost> {
        self.call("story", || self.0.items.story(incident)).await
    }
}
