//! The ledger in a DynamoDB table.

mod call;
mod item;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use root_usage::incident::{Budget, IncidentId, Topic, Whose};
use root_usage::ledger::{Current, Kept, Ledger, Owner, Part, PartKey, RecordKey, STORY_MAX, SoFar, Spent, Told};
use tokio::sync::OnceCell;

use crate::aws::Aws;
pub use call::LedgerError;
use call::{Call, Condition, Lost, WRITE_MAX, as_found, check, conditional, delete, put};
use item::{Item, hex, number, text, time};

/// How long one attempt may take: a mail waits for it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(700);

/// How long all attempts together may take.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(1400);

/// How often a call is tried.
const ATTEMPTS: u32 = 3;

/// How many calls are made at a time.
const AT_ONCE: usize = 8;

/// The most records of one mail that are remembered one by one. The delivery itself is remembered whatever it holds.
const RECORDS_MAX: usize = 1000;

/// The most bytes of what one mail told, for an item may have 400 KB.
const TOLD_MAX: usize = 300_000;

/// The most pages of 1 MB that are read of what was told of an incident: the last mail waits for them.
const STORY_PAGES: usize = 3;

/// A table of this stack.
///
/// The client is made when it is first needed: almost no delivery has anything to keep.
pub struct Table {
    name: String,
    aws: Aws,
    client: OnceCell<Client>,
    /// What parts are called in the table whose names are none that this version gives.
    odd: Mutex<HashMap<PartKey, String>>,
}

impl Table {
    /// The table of this name, in the function's own Region.
    #[must_use]
    pub fn new(name: String, aws: Aws) -> Self {
        Self { name, aws, client: OnceCell::new(), odd: Mutex::default() }
    }

    async fn call(&self) -> Call<'_> {
        let make = || async {
            let timeouts = TimeoutConfig::builder()
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build();
            let retries =
                RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(Duration::from_millis(50));
            let config = Builder::from(self.aws.config().await).timeout_config(timeouts).retry_config(retries).build();
            Client::from_conf(config)
        };
        Call { client: self.client.get_or_init(make).await, table: &self.name }
    }

    /// What a part is called in the table.
    fn name(&self, part: PartKey) -> String {
        let odd = self.odd.lock().unwrap_or_else(PoisonError::into_inner);
        odd.get(&part).cloned().unwrap_or_else(|| hex(&part.0))
    }

    fn part_key(&self, part: PartKey) -> Item {
        item::key("P", self.name(part))
    }

    fn delivery(&self, part: PartKey) -> String {
        format!("R#{}", self.name(part))
    }

    /// Forgets a part of `owner`'s that does not say how many pieces its delivery has: all that are there.
    async fn forget_found(&self, part: PartKey, owner: Owner, found: &Item) -> Result<(), LedgerError> {
        let call = self.call().await;
        let pieces = call.query(&self.delivery(part), "").await?;
        let mut names: Vec<Item> = pieces.into_iter().map(item::name_alone).collect();
        let rest = names.split_off(names.len().min(WRITE_MAX - 1));
        let as_found = as_found(found, &["chunks"]);
        let condition = as_found.and(" AND holder = :holder").with(":holder", item::owner(owner));
        let items = std::iter::once(delete(self.part_key(part), Some(condition)));
        let items = items.chain(names.into_iter().map(|name| delete(name, None))).collect();
        if call.transact(items).await?.is_ok() {
            for some in rest.chunks(WRITE_MAX) {
                // There is no condition that could be lost.
                let _ = call.transact(some.iter().map(|name| delete(name.clone(), None)).collect()).await?;
            }
        }
        Ok(())
    }

    /// Forgets a part with its delivery, if it is still `owner`'s.
    async fn forget_part(&self, part: PartKey, owner: Owner) -> Result<(), LedgerError> {
        let call = self.call().await;
        let mut chunks: u16 = 1;
        loop {
            let condition = conditional("holder = :holder AND chunks = :chunks")
                .with(":holder", item::owner(owner))
                .with(":chunks", number(chunks.into()));
            let deliveries =
                (0..chunks).map(|chunk| delete(item::key(self.delivery(part), item::piece(chunk.into())), None));
            let items = std::iter::once(delete(self.part_key(part), Some(condition))).chain(deliveries).collect();
            match call.transact(items).await? {
                Ok(()) => return Ok(()),
                Err(Lost { items, .. }) => {
                    // Of more than one piece, or somebody else's, or gone.
                    let Some(found) = items.into_iter().flatten().next() else { return Ok(()) };
                    if found.get("holder") != Some(&item::owner(owner)) {
                        return Ok(());
                    }
                    let more = item::get_number(&found, "chunks").and_then(|count| u16::try_from(count).ok());
                    match more.filter(|more| *more != chunks && usize::from(*more) < WRITE_MAX) {
                        Some(more) => chunks = more,
                        None => return self.forget_found(part, owner, &found).await,
                    }
                }
            }
        }
    }
}

impl Ledger for Table {
    type Error = LedgerError;

    async fn is_told(&self, part: PartKey) -> Result<bool, LedgerError> {
        Ok(self.call().await.get(item::told_key(part)).await?.is_some())
    }

    async fn told_of(&self, records: &[RecordKey]) -> Result<HashMap<RecordKey, Timestamp>, LedgerError> {
        let call = self.call().await;
        let found = call.get_many(records.iter().map(item::record_key).collect(), "pk, expires").await?;
        let now = Timestamp::now();
        let found: HashMap<&str, Timestamp> = found
            .iter()
            .filter(|item| item::is_remembered(item, now))
            .filter_map(|item| Some((item.get("pk")?.as_s().ok()?.strip_prefix("K#")?, item::told_at(item))))
            .collect();
        Ok(records.iter().filter_map(|record| Some((*record, *found.get(hex(record).as_str())?))).collect())
    }

    async fn keep(&self, part: &Part, event: &str) -> Result<Kept, LedgerError> {
        let chunks = item::chunks(event);
        let not_told = check(item::told_key(part.key), conditional("attribute_not_exists(pk)"));
        let mine = conditional("attribute_not_exists(pk) OR holder = :holder").with(":holder", item::owner(part.owner));
        let count = u16::try_from(chunks.len()).unwrap_or(u16::MAX);
        let mut items = vec![not_told, put(item::part(part, count), Some(mine))];
        items.extend(chunks.iter().enumerate().map(|(index, chunk)| {
            let mut stored = item::chunk_key(part.key, index);
            stored.insert("event".to_owned(), text(*chunk));
            put(stored, None)
        }));
        let call = self.call().await;
        match call.transact(items).await? {
            Ok(()) => Ok(Kept::New),
            Err(Lost { which, .. }) if which.contains(&0) => Ok(Kept::Told),
            Err(Lost { mut items, .. }) => {
                let found = match items.get_mut(1).and_then(Option::take) {
                    Some(found) => Some(found),
                    None => call.get(item::part_key(part.key)).await?,
                };
                // Between the two it may have been told and forgotten.
                Ok(found.as_ref().and_then(item::read_part).map_or(Kept::Told, Kept::Before))
            }
        }
    }

    async fn event(&self, key: PartKey) -> Result<Option<String>, LedgerError> {
        let pieces = self.call().await.query(&self.delivery(key), "").await?;
        let pieces = pieces.into_iter().filter_map(|mut piece| match piece.remove("event") {
            Some(AttributeValue::S(text)) => Some(text),
            _ => None,
        });
        let event: String = pieces.collect();
        Ok((!event.is_empty()).then_some(event))
    }

    async fn claim(&self, part: &Part, owner: Owner, lease: Timestamp) -> Result<Option<Part>, LedgerError> {
        let as_written = conditional("holder = :was AND lease = :ended AND tries = :tries")
            .with(":was", item::owner(part.owner))
            .with(":ended", time(part.lease))
            .with(":tries", number(part.tries.into()));
        let (call, key) = (self.call().await, self.part_key(part.key));
        let claim = async |condition: Condition| {
            let condition = condition
                .with(":me", item::owner(owner))
                .with(":until", time(lease))
                .with(":more", number(i64::from(part.tries.saturating_add(1))));
            let set = "SET holder = :me, lease = :until, tries = :more";
            call.update(key.clone(), set, Some(condition), ReturnValue::AllNew).await
        };
        let found = match claim(as_written).await? {
            Ok(claimed) => return Ok(item::read_part(&claimed)),
            Err(found) => found,
        };
        let (Some(found), Some(read)) = (&found, found.as_ref().and_then(item::read_part)) else { return Ok(None) };
        if read != *part {
            // A first try that arrived, and whose answer did not.
            let is_mine = read.owner == owner && read.lease.as_millisecond() == lease.as_millisecond();
            return Ok(is_mine.then_some(read));
        }
        // As it was read, and yet not as this version writes it: it is claimed by what is there.
        Ok(claim(as_found(found, &item::CLAIMED_BY)).await?.ok().as_ref().and_then(item::read_part))
    }

    async fn wait(
        &self,
        key: PartKey,
        owner: Owner,
        incident: IncidentId,
        due: Timestamp,
    ) -> Result<bool, LedgerError> {
        let condition = conditional("holder = :holder")
            .with(":holder", item::owner(owner))
            .with(":incident", text(hex(&incident.to_bytes())))
            .with(":due", time(due))
            .with(":none", number(0));
        let set = "SET incident = :incident, due = :due, lease = :none";
        let call = self.call().await;
        Ok(call.update(self.part_key(key), set, Some(condition), ReturnValue::None).await?.is_ok())
    }

    async fn tell(&self, parts: &[PartKey], told: &Told, now: Timestamp) -> Result<(), LedgerError> {
        let call = self.call().await;
        let mut lines = 0;
        let mut items: Vec<_> =
            parts.iter().map(|part| put(item::expires(item::told_key(*part), now, item::TOLD), None)).collect();
        if let (Some(incident), Some(first)) = (told.incident, parts.first()) {
            let sk = format!("S#{:020}#{}", now.as_microsecond(), hex(&first.0));
            let mut line = item::key(item::incident_pk(Some(incident)), sk);
            lines = i64::try_from(told.digest.len()).unwrap_or_default();
            let without_records = Told { records: Vec::new(), ..told.clone() };
            let mut json = serde_json::to_string(&without_records).map_err(LedgerError::json)?;
            // That it was told must never depend on how much it was.
            if json.len() > TOLD_MAX {
                let incident = Told { incident: told.incident, ..Told::default() };
                json = serde_json::to_string(&incident).map_err(LedgerError::json)?;
            }
            line.insert("told".to_owned(), text(json));
            // With the first of them, so that neither stands without the other.
            items.insert(0, put(item::expires(line, now, item::INCIDENT), None));
        }
        for some in items.chunks(WRITE_MAX) {
            // There is no condition that could be lost.
            let _ = call.transact(some.to_vec()).await?;
        }
        let records = told.records.iter().take(RECORDS_MAX);
        let records = records.map(|key| item::expires(item::record_key(key), now, item::TOLD)).collect();
        let count = async {
            let Some(incident) = told.incident else { return Ok(()) };
            let key = item::key(item::incident_pk(Some(incident)), "M");
            let until = now.saturating_add(item::INCIDENT).unwrap_or(Timestamp::MAX);
            let values = conditional("")
                .with(":one", number(1))
                .with(":lines", number(lines))
                .with(":until", number(until.as_second()));
            let set = "SET expires = :until ADD mails_told :one, lines_told :lines";
            call.update(key, set, Some(values), ReturnValue::None).await.map(|_| ())
        };
        try_join(call.put_many(records), count).await.map(|_| ())
    }

    async fn forget(&self, parts: &[PartKey], owner: Owner) -> Result<(), LedgerError> {
        let forgotten = stream::iter(parts.to_vec()).map(|part| self.forget_part(part, owner));
        forgotten.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn parts(&self) -> Result<Vec<Part>, LedgerError> {
        let items = self.call().await.query("P", "").await?;
        let names = items.iter().filter_map(|item| item.get("sk")?.as_s().ok());
        let odd = names.map(|name| (item::named(name), name.clone())).filter(|(key, name)| hex(&key.0) != **name);
        *self.odd.lock().unwrap_or_else(PoisonError::into_inner) = odd.collect();
        Ok(items.iter().filter_map(item::read_part).collect())
    }

    async fn current(&self, whose: &Whose) -> Result<Option<Current>, LedgerError> {
        Ok(self.call().await.get(item::current_key(whose)).await?.as_ref().and_then(item::read_current))
    }

    async fn all_current(&self) -> Result<Vec<Current>, LedgerError> {
        Ok(self.call().await.query("C", "").await?.iter().filter_map(item::read_current).collect())
    }

    async fn open(&self, new: &Current, old: Option<&Current>, closing: Option<&Part>) -> Result<bool, LedgerError> {
        let condition = match old {
            None => conditional("attribute_not_exists(pk) OR opener = :me"),
            Some(old) => conditional("(incident = :was AND latest = :latest) OR opener = :me")
                .with(":was", text(hex(&old.id.to_bytes())))
                .with(":latest", time(old.last)),
        };
        let condition = condition.with(":me", text(hex(&new.first.0)));
        let open = |condition| put(item::current(new), Some(condition));
        let closing = closing.map(|closing| put(item::part(closing, 0), None));
        let call = self.call().await;
        let found = match call.transact(std::iter::once(open(condition)).chain(closing).collect()).await? {
            Ok(()) => return Ok(true),
            Err(Lost { items, .. }) => items.into_iter().next().flatten(),
        };
        match found {
            // One that can't be read is no incident: it is replaced as it is.
            Some(found) if old.is_none() && item::read_current(&found).is_none() => {
                Ok(call.transact(vec![open(as_found(&found, &item::REPLACED_BY))]).await?.is_ok())
            }
            _ => Ok(false),
        }
    }

    async fn touch(&self, whose: &Whose, id: IncidentId, now: Timestamp) -> Result<bool, LedgerError> {
        let id = text(hex(&id.to_bytes()));
        let condition =
            conditional("incident = :id AND latest <= :now").with(":id", id.clone()).with(":now", time(now));
        let call = self.call().await;
        let key = item::current_key(whose);
        match call.update(key, "SET latest = :now", Some(condition), ReturnValue::None).await? {
            Ok(_) => Ok(true),
            // Whoever came later was faster.
            Err(found) => Ok(found.is_some_and(|found| found.get("incident") == Some(&id))),
        }
    }

    async fn close(&self, current: &Current, closing: &Part) -> Result<bool, LedgerError> {
        let as_read = conditional("incident = :id AND latest = :latest")
            .with(":id", text(hex(&current.id.to_bytes())))
            .with(":latest", time(current.last));
        let end = delete(item::current_key(&current.whose), Some(as_read));
        let call = self.call().await;
        if call.transact(vec![end, put(item::part(closing, 0), None)]).await?.is_ok() {
            return Ok(true);
        }
        let found = call.get(item::part_key(closing.key)).await?;
        Ok(found.as_ref().and_then(item::read_part).is_some_and(|found| found.owner == closing.owner))
    }

    async fn is_new(&self, incident: IncidentId, topics: &[Topic], part: PartKey) -> Result<Vec<bool>, LedgerError> {
        let (call, now) = (self.call().await, Timestamp::now());
        let pk = item::incident_pk(Some(incident));
        let name = |topic: &Topic| item::key(pk.clone(), format!("N#{}", hex(topic)));
        let holder = text(hex(&part.0));
        let mut unique: Vec<Topic> = topics.to_vec();
        unique.sort_unstable();
        unique.dedup();
        let known = call.get_many(unique.iter().map(name).collect(), "pk, sk, holder").await?;
        let known: HashMap<&str, bool> = known
            .iter()
            .filter_map(|item| Some((item.get("sk")?.as_s().ok()?.as_str(), item.get("holder") == Some(&holder))))
            .collect();
        let is_known = |topic: &Topic| known.contains_key(format!("N#{}", hex(topic)).as_str());
        let new: Vec<Topic> = unique.iter().filter(|topic| !is_known(topic)).copied().collect();
        let call = &call;
        let put = stream::iter(new).map(|topic| {
            let name = item::key(pk.clone(), format!("N#{}", hex(&topic)));
            let mut item = item::expires(name, now, item::INCIDENT);
            item.insert("holder".to_owned(), holder.clone());
            let condition = conditional("attribute_not_exists(pk) OR holder = :me").with(":me", holder.clone());
            async move { Ok::<_, LedgerError>((topic, call.put(item, condition).await?)) }
        });
        let put: HashMap<Topic, bool> = put.buffer_unordered(AT_ONCE).try_collect().await?;
        let is_new = |topic: &Topic| {
            put.get(topic).or_else(|| known.get(format!("N#{}", hex(topic)).as_str())).is_some_and(|is_new| *is_new)
        };
        Ok(topics.iter().map(is_new).collect())
    }

    async fn spend(
        &self,
        incident: Option<IncidentId>,
        topic: Topic,
        budget: Budget,
        part: PartKey,
        now: Timestamp,
    ) -> Result<Spent, LedgerError> {
        let call = self.call().await;
        let (pk, holder) = (item::incident_pk(incident), text(hex(&part.0)));
        // Each begins elsewhere, so that several at once seldom want the same slot.
        let first = usize::from(part.0[0]) % usize::from(budget.times);
        let mut soonest = None;
        for turn in 0..usize::from(budget.times) {
            let slot = (first + turn) % usize::from(budget.times);
            let mut item = item::key(pk.clone(), format!("B#{}#{slot:03}", hex(&topic)));
            item.insert("holder".to_owned(), holder.clone());
            item.insert("since".to_owned(), time(now));
            let free = budget.pause.map(|pause| now.saturating_sub(pause).unwrap_or(Timestamp::MIN));
            let condition = match free {
                Some(free) => {
                    conditional("attribute_not_exists(pk) OR holder = :me OR since <= :free").with(":free", time(free))
                }
                None => conditional("attribute_not_exists(pk) OR holder = :me"),
            };
            let item = item::expires(item, now, item::INCIDENT);
            match call.put_or_old(item, condition.with(":me", holder.clone())).await? {
                Ok(()) => return Ok(Spent::Taken),
                Err(old) => {
                    let since = old.as_ref().and_then(|old| item::get_number(old, "since"));
                    let since = since.and_then(|since| Timestamp::from_millisecond(since).ok());
                    let free =
                        budget.pause.map(|pause| since.unwrap_or(now).saturating_add(pause).unwrap_or(Timestamp::MAX));
                    soonest = soonest.into_iter().chain(free).min();
                }
            }
        }
        Ok(soonest.map_or(Spent::Never, Spent::From))
    }

    async fn number(&self, incident: IncidentId) -> Result<u32, LedgerError> {
        let key = item::key(item::incident_pk(Some(incident)), "M");
        let until = Timestamp::now().saturating_add(item::INCIDENT).unwrap_or(Timestamp::MAX);
        let values = conditional("").with(":one", number(1)).with(":until", number(until.as_second()));
        let set = "SET expires = :until ADD mails :one";
        let counted = self.call().await.update(key, set, Some(values), ReturnValue::UpdatedNew).await?;
        let mails = counted.ok().as_ref().and_then(|item| item::get_number(item, "mails")).unwrap_or_default();
        Ok(u32::try_from(mails).unwrap_or_default() + 1)
    }

    async fn story(&self, incident: IncidentId) -> Result<Vec<Told>, LedgerError> {
        let pk = item::incident_pk(Some(incident));
        let lines = self.call().await.newest(&pk, "S#", STORY_MAX, STORY_PAGES).await?;
        let read = |line: &Item| serde_json::from_str(line.get("told")?.as_s().ok()?).ok();
        Ok(lines.iter().filter_map(read).collect())
    }

    async fn so_far(&self, incident: IncidentId) -> Result<SoFar, LedgerError> {
        let found = self.call().await.get(item::key(item::incident_pk(Some(incident)), "M")).await?;
        let count = |name| {
            let count = found.as_ref().and_then(|found| item::get_number(found, name));
            count.and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
        };
        Ok(SoFar { mails: count("mails_told"), lines: count("lines_told") })
    }

    async fn remember_calls(&self, calls: &[(String, String)]) -> Result<(), LedgerError> {
        let now = Timestamp::now();
        let item = |(key, call): &(String, String)| {
            let mut item = item::expires(item::key(format!("A#{key}"), "A"), now, item::CALL);
            item.insert("call".to_owned(), text(call));
            item
        };
        self.call().await.put_many(calls.iter().map(item).collect()).await
    }

    async fn calls(&self, keys: &[String]) -> Result<HashMap<String, String>, LedgerError> {
        let call = self.call().await;
        let names = keys.iter().map(|key| item::key(format!("A#{key}"), "A")).collect();
        let (found, now) = (call.get_many(names, "pk, expires, call").await?, Timestamp::now());
        let read = |mut item: Item| {
            let key = item.get("pk")?.as_s().ok()?.strip_prefix("A#")?.to_owned();
            let remembered = item::is_remembered(&item, now);
            match item.remove("call") {
                Some(AttributeValue::S(text)) if remembered => Some((key, text)),
                _ => None,
            }
        };
        Ok(found.into_iter().filter_map(read).collect())
    }
}
