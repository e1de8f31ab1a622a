//! Whether what has just come goes out at once: what is new in its incident, and what is left of the budgets.

use jiff::Timestamp;

use super::{Ledger, PartKey, Spent};
use crate::incident::{ALL, BEYOND, IN_ALL, IN_ALL_BEYOND, IN_INCIDENT, IncidentId, News};

/// Whether a part goes out at once, or from when on; [`Spent::Never`] if it has nothing that is new.
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
) -> Result<Spent, L::Error> {
    let mut has_news = is_first;
    for news in all {
        let is_new = ledger.is_new(id, news.topic, key).await?;
        if !is_new {
            continue;
        }
        for topic in &news.also {
            ledger.is_new(id, *topic, key).await?;
        }
        has_news |= match news.limit {
            Some((topic, budget)) => ledger.spend(Some(id), topic, budget, key, now).await? == Spent::Taken,
            None => true,
        };
    }
    if !has_news {
        return Ok(Spent::Never);
    }
    match ledger.spend(Some(id), ALL, IN_INCIDENT, key, now).await? {
        Spent::Taken => {}
        later => return Ok(later),
    }
    match ledger.spend(None, ALL, IN_ALL, key, now).await? {
        Spent::Taken => Ok(Spent::Taken),
        _ => ledger.spend(None, BEYOND, IN_ALL_BEYOND, key, now).await,
    }
}
