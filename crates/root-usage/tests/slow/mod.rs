//! A ledger in memory whose calls take as long as a test says, and a topic that knows when each mail came.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use root_usage::email::Message;
use root_usage::incident::{Budget, IncidentId, Topic, Whose};
use root_usage::ledger::{Current, InMemory, Kept, Ledger, Owner, Part, PartKey, RecordKey, SoFar, Spent, Told};
use root_usage::notify::{Notify, Receipt, topic};
use tokio::time::{Instant, sleep};

/// How long a call takes, by its name and its number among all calls.
type Takes = Box<dyn Fn(&str, usize) -> Duration + Send>;

/// A ledger that several instances share.
#[derive(Clone)]
pub struct Slow(Arc<Shared>);

struct Shared {
    items: InMemory,
    takes: Mutex<Takes>,
    calls: Mutex<Vec<String>>,
    /// Of each mail so many records are found again.
    records: usize,
}

impl Default for Slow {
    fn default() -> Self {
        Self::remembering(usize::MAX)
    }
}

impl Slow {
    /// One that finds so many records of each mail again, as the table does.
    pub fn remembering(records: usize) -> Self {
        let takes: Takes = Box::new(|_, _| Duration::ZERO);
        Self(Arc::new(Shared {
            items: InMemory::default(),
            takes: Mutex::new(takes),
            calls: Mutex::default(),
            records,
        }))
    }

    /// Has calls take that long from now on, counted from 0.
    pub fn takes(&self, takes: impl Fn(&str, usize) -> Duration + Send + 'static) {
        *self.0.takes.lock().unwrap() = Box::new(takes);
        self.0.calls.lock().unwrap().clear();
    }

    /// What was called since then.
    pub fn calls(&self) -> Vec<String> {
        self.0.calls.lock().unwrap().clone()
    }

    pub fn items(&self) -> &InMemory {
        &self.0.items
    }

    async fn call<T>(&self, name: &str, call: impl Future<Output = T>) -> T {
        let takes = {
            let mut calls = self.0.calls.lock().unwrap();
            calls.push(name.to_owned());
            self.0.takes.lock().unwrap()(name, calls.len() - 1)
        };
        if !takes.is_zero() {
            sleep(takes).await;
        }
        call.await
    }
}

type Answer<T> = Result<T, Infallible>;

impl Ledger for Slow {
    type Error = Infallible;

    async fn is_told(&self, part: PartKey) -> Answer<bool> {
        self.call("is_told", self.0.items.is_told(part)).await
    }

    async fn told_of(&self, records: &[RecordKey]) -> Answer<HashMap<RecordKey, Timestamp>> {
        self.call("told_of", self.0.items.told_of(records)).await
    }

    async fn keep(&self, part: &Part, event: &str) -> Answer<Kept> {
        self.call("keep", self.0.items.keep(part, event)).await
    }

    async fn event(&self, key: PartKey) -> Answer<Option<String>> {
        self.call("event", self.0.items.event(key)).await
    }

    async fn claim(&self, part: &Part, owner: Owner, lease: Timestamp) -> Answer<Option<Part>> {
        self.call("claim", self.0.items.claim(part, owner, lease)).await
    }

    async fn wait(&self, key: PartKey, owner: Owner, incident: IncidentId, due: Timestamp) -> Answer<bool> {
        self.call("wait", self.0.items.wait(key, owner, incident, due)).await
    }

    async fn tell(&self, parts: &[PartKey], told: &Told, now: Timestamp) -> Answer<()> {
        let mut told = told.clone();
        told.records.truncate(self.0.records);
        self.call("tell", self.0.items.tell(parts, &told, now)).await
    }

    async fn forget(&self, parts: &[PartKey], owner: Owner) -> Answer<()> {
        self.call("forget", self.0.items.forget(parts, owner)).await
    }

    async fn parts(&self) -> Answer<Vec<Part>> {
        self.call("parts", self.0.items.parts()).await
    }

    async fn current(&self, whose: &Whose) -> Answer<Option<Current>> {
        self.call("current", self.0.items.current(whose)).await
    }

    async fn all_current(&self) -> Answer<Vec<Current>> {
        self.call("all_current", self.0.items.all_current()).await
    }

    async fn open(&self, new: &Current, old: Option<&Current>, closing: Option<&Part>) -> Answer<bool> {
        self.call("open", self.0.items.open(new, old, closing)).await
    }

    async fn touch(&self, whose: &Whose, id: IncidentId, now: Timestamp) -> Answer<bool> {
        self.call("touch", self.0.items.touch(whose, id, now)).await
    }

    async fn close(&self, current: &Current, closing: &Part) -> Answer<bool> {
        self.call("close", self.0.items.close(current, closing)).await
    }

    async fn is_new(&self, incident: IncidentId, topics: &[Topic], part: PartKey) -> Answer<Vec<bool>> {
        self.call("is_new", self.0.items.is_new(incident, topics, part)).await
    }

    async fn spend(
        &self,
        incident: Option<IncidentId>,
        topic: Topic,
        budget: Budget,
        part: PartKey,
        now: Timestamp,
    ) -> Answer<Spent> {
        self.call("spend", self.0.items.spend(incident, topic, budget, part, now)).await
    }

    async fn number(&self, incident: IncidentId) -> Answer<u32> {
        self.call("number", self.0.items.number(incident)).await
    }

    async fn story(&self, incident: IncidentId) -> Answer<Vec<Told>> {
        self.call("story", self.0.items.story(incident)).await
    }

    async fn so_far(&self, incident: IncidentId) -> Answer<SoFar> {
        self.call("so_far", self.0.items.so_far(incident)).await
    }

    async fn remember_calls(&self, calls: &[(String, String)]) -> Answer<()> {
        self.call("remember_calls", self.0.items.remember_calls(calls)).await
    }

    async fn calls(&self, keys: &[String]) -> Answer<HashMap<String, String>> {
        self.call("calls", self.0.items.calls(keys)).await
    }
}

/// A topic that takes everything, and notes when.
#[derive(Default)]
pub struct Timed(Mutex<Vec<(Instant, Message)>>);

impl Timed {
    pub fn take(&self) -> Vec<(Instant, Message)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Notify for Timed {
    type Error = Infallible;

    fn fits(&self, message: &Message) -> bool {
        topic::fits(message)
    }

    async fn publish(&self, message: &Message) -> Answer<Receipt> {
        self.0.lock().unwrap().push((Instant::now(), message.clone()));
        Ok(Receipt { message_id: "m".to_owned() })
    }
}
