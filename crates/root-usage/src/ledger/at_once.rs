//! Whether what has just come goes out at once: what is new in its incident, and what is left of the budgets.

use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::{Ledger, PartKey, Spent};
use crate::incident::{ALL, BEYOND, Budget, IN_ALL, IN_ALL_BEYOND, IN_INCIDENT, IncidentId, News, Topic};

/// How many budgets are asked at a time.
const SPENT_AT_ONCE: usize = 8;

/// Whether a part goes out at once, or from when on, and why; [`Spent::Never`] if it has nothing that is new.
///
/// The first of an incident always has: what is new in it is [remembered](remember) after it is told, so that it waits for
/// fewer answers.
///
/// # Errors
///
/// The ledger's.
pub async fn at_once<L: Ledger>(
    ledger: &L,
    id: IncidentId,
    is_first: bool,
    key: PartKey,
    all: &[News],
    now: Timestamp,
) -> Result<(Spent, Option<News>), L::Error> {
    let why = if is_first { None } else { remember(ledger, id, key, all, now).await? };
    if !is_first && why.is_none() {
        return Ok((Spent::Never, None));
    }
    Ok((mails_left(ledger, id, key, now).await?, why))
}

/// Whether the minute has a mail left, of this incident and of all of them.
pub(crate) async fn mails_left<L: Ledger>(
    ledger: &L,
    id: IncidentId,
    key: PartKey,
    now: Timestamp,
) -> Result<Spent, L::Error> {
    let of_incident = ledger.spend(Some(id), ALL, IN_INCIDENT, key, now);
    let of_all = ledger.spend(None, ALL, IN_ALL, key, now);
    match try_join(of_incident, of_all).await? {
        (Spent::Taken, Spent::Taken) => Ok(Spent::Taken),
        (Spent::Taken, _) => ledger.spend(None, BEYOND, IN_ALL_BEYOND, key, now).await,
        (later, _) => Ok(later),
    }
}

/// Spends the minute of an incident: a mail of it goes out in any case.
///
/// # Errors
///
/// The ledger's.
pub async fn spend_minute<L: Ledger>(ledger: &L, id: IncidentId, key: PartKey, now: Timestamp) -> Result<(), L::Error> {
    ledger.spend(Some(id), ALL, IN_INCIDENT, key, now).await.map(|_| ())
}

/// Remembers what a part brought to its incident; the gravest of it that was new there and may cause a mail, if any was.
///
/// # Errors
///
/// The ledger's.
pub async fn remember<L: Ledger>(
    ledger: &L,
    id: IncidentId,
    key: PartKey,
    all: &[News],
    now: Timestamp,
) -> Result<Option<News>, L::Error> {
    if all.is_empty() {
        return Ok(None);
    }
    let topics: Vec<Topic> = all.iter().map(|news| news.topic).collect();
    let is_new = ledger.is_new(id, &topics, key).await?;
    let new: Vec<&News> = all.iter().zip(is_new).filter_map(|(news, is_new)| is_new.then_some(news)).collect();
    let announced: Vec<Topic> = new.iter().flat_map(|news| &news.also).copied().collect();
    if !announced.is_empty() {
        ledger.is_new(id, &announced, key).await?;
    }
    // However much of it there is, a part has one slot of each budget.
    let mut limits: Vec<(Topic, Budget)> = Vec::new();
    for limit in new.iter().filter_map(|news| news.limit) {
        if !limits.contains(&limit) {
            limits.push(limit);
        }
    }
    let spent = stream::iter(limits.clone()).map(|(topic, budget)| ledger.spend(Some(id), topic, budget, key, now));
    let spent: Vec<Spent> = spent.buffered(SPENT_AT_ONCE).try_collect().await?;
    let has_left = |limit| limits.iter().zip(&spent).any(|(one, spent)| *one == limit && *spent == Spent::Taken);
    Ok(new.iter().find(|news| news.limit.is_none_or(has_left)).map(|news| (*news).clone()))
}
