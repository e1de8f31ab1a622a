//! The ledger of a world: each call of the one in memory can go wrong, and each bug is in one of them.

use std::collections::HashMap;

use jiff::Timestamp;
use root_usage::incident::{Budget, IncidentId, Topic, Whose};
use root_usage::ledger::{Current, Kept, Ledger, Owner, Part, PartKey, RecordKey, SoFar, Spent, Told};

use super::{Bug, Lost, World};

impl Ledger for World {
    type Error = Lost;

    async fn is_told(&self, part: PartKey) -> Result<bool, Lost> {
        self.call("is_told", || self.0.items.is_told(part)).await
    }

    async fn told_of(&self, records: &[RecordKey]) -> Result<HashMap<RecordKey, Timestamp>, Lost> {
        // Records are looked up by part alone, so that this finds what the order of the writes does.
        let _ = records;
        Ok(HashMap::new())
    }

    async fn event(&self, key: PartKey) -> Result<Option<String>, Lost> {
        let event = self.call("event", || self.0.items.event(key)).await?;
        let poison = *self.0.state.lock().unwrap().poison.get_or_insert(key);
        assert!(poison != key || !self.has(Bug::FirstEventPanics), "poison");
        Ok(event.filter(|_| !self.has(Bug::LosesEvents)))
    }

    async fn keep(&self, part: &Part, event: &str) -> Result<Kept, Lost> {
        let kept = || async {
            let kept = self.0.items.keep(part, event).await?;
            Ok(match kept {
                Kept::New if self.has(Bug::KeepsNothing) => {
                    self.0.items.forget(&[part.key], part.owner).await?;
                    Kept::New
                }
                Kept::Told if self.has(Bug::NoLookAtKeeping) => Kept::New,
                Kept::Before(part) if self.has(Bug::NoLease) => {
                    Kept::Before(Part { lease: Timestamp::UNIX_EPOCH, ..part })
                }
                kept => kept,
            })
        };
        self.call("keep", kept).await
    }

    async fn claim(&self, part: &Part, owner: Owner, lease: Timestamp) -> Result<Option<Part>, Lost> {
        let claim = || async {
            let found = self.0.items.parts().await?.into_iter().find(|found| found.key == part.key);
            match found {
                Some(found) if self.has(Bug::NoLease) => self.0.items.claim(&found, owner, lease).await,
                _ => self.0.items.claim(part, owner, lease).await,
            }
        };
        self.call("claim", claim).await
    }

    async fn wait(&self, key: PartKey, owner: Owner, incident: IncidentId, due: Timestamp) -> Result<bool, Lost> {
        self.call("wait", || self.0.items.wait(key, owner, incident, due)).await
    }

    async fn tell(&self, parts: &[PartKey], told: &Told, now: Timestamp) -> Result<(), Lost> {
        self.call("tell", || self.0.items.tell(parts, told, now)).await
    }

    async fn forget(&self, parts: &[PartKey], owner: Owner) -> Result<(), Lost> {
        self.call("forget", || self.0.items.forget(parts, owner)).await
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

    async fn is_new(&self, incident: IncidentId, topics: &[Topic], part: PartKey) -> Result<Vec<bool>, Lost> {
        self.call("is_new", || self.0.items.is_new(incident, topics, part)).await
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

    async fn so_far(&self, incident: IncidentId) -> Result<SoFar, Lost> {
        self.call("so_far", || self.0.items.so_far(incident)).await
    }

    async fn remember_calls(&self, calls: &[(String, String)]) -> Result<(), Lost> {
        self.call("remember_calls", || self.0.items.remember_calls(calls)).await
    }

    async fn calls(&self, keys: &[String]) -> Result<HashMap<String, String>, Lost> {
        self.call("calls", || self.0.items.calls(keys)).await
    }
}
