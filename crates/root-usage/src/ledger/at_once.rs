//! Whether what has just come goes out at once: what is new in its incident, and what is left of the budgets.

use futures_util::future::{try_join, try_join_all};
use jiff::Timestamp;

use super::{Ledger, PartKey, Spent};
use crate::incident::{ALL, BEYOND, IN_ALL, IN_ALL_BEYOND, IN_INCIDENT, IncidentId, News, Reason, Topic};

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
) -> Result<(Spent, Option<Reason>), L::Error> {
    let reason = if is_first { None } else { remember(ledger, id, key, all, now).await? };
    if !is_first && reason.is_none() {
        return Ok((Spent::Never, None));
    }
    Ok((mails_left(ledger, id, key, now).await?, reason))
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
) -> Result<Option<Reason>, L::Error> {
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
    let spent = try_join_all(new.iter().map(|news| async move {
        match news.limit {
            Some((topic, budget)) => ledger.spend(Some(id), topic, budget, key, now).await,
            None => Ok(Spent::Taken),
        }
    }));
    let spent = spent.await?;
    Ok(new.iter().zip(spent).find_map(|(news, spent)| (spent == Spent::Taken).then_some(news.reason)))
}
