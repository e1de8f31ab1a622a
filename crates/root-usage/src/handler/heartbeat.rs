//! The hourly look: whether the trail's records still arrive, and whether anybody gets the mails.

use futures_util::future::join;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};

use super::{Handler, Run};
use crate::directory::Directory;
use crate::error::chain;
use crate::history::{By, History, LookUpError, Query};
use crate::ledger::Ledger;
use crate::notify::Notify;
use crate::record::Record;
use filter_pattern::json::Json;

/// How long a record has until it must have arrived: CloudTrail delivers after about five minutes, and promises no time.
const ARRIVES: SignedDuration = SignedDuration::from_mins(30);

/// How long ago the call may have been whose record is looked for: two heartbeats may be missing.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(3);

/// The most pages of the function's own calls. It makes few.
const PAGES_MAX: usize = 3;

/// The name that CloudTrail's records have for the heartbeat's call.
const CALL: &str = "LookupEvents";

impl<N: Notify, H: History, D: Directory, L: Ledger> Handler<N, H, D, L> {
    /// Makes a call that CloudTrail records, looks whether the record of an earlier one has arrived in the log group, and
    /// whether the topic has a reader.
    ///
    /// The call is the question what this function called before. The answer names the record by its id, which CloudTrail
    /// gives: a line that anyone can write into a log group shows nothing, unless they copied that record. A call that is
    /// denied is recorded too, so that even a quiet account writes to its log group.
    pub(super) async fn heartbeat(&self, run: &mut Run<'_>, log_group: Option<&str>) {
        let Some(topic) = &self.config.alert_topic else { return };
        let last = run.deadlines.publishing;
        let now = run.now;
        let (arrived, readers) =
            join(self.arrived(topic.region(), log_group, now, last), timeout_at(last, self.notify.readers())).await;
        // What can't be found out is as bad: whoever can keep the function from looking could stop the trail.
        run.report.history_failures += usize::from(arrived.is_none());
        run.report.unheard += usize::from(arrived != Some(true));
        run.report.without_readers += usize::from(match readers {
            Ok(Ok(readers)) => readers == Some(0),
            Ok(Err(error)) => {
                tracing::error!(error = chain(&error), "it isn't known whether anybody gets the alerts");
                true
            }
            Err(_) => false,
        });
    }

    /// Whether the record of an earlier heartbeat has arrived; `None` where the event history failed.
    async fn arrived(&self, region: &str, log_group: Option<&str>, now: Timestamp, last: Instant) -> Option<bool> {
        let own = match timeout_at(last, self.own_call(region, now, last)).await {
            Ok(Ok(own)) => own,
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "no heartbeat");
                return None;
            }
            Err(_) => {
                tracing::warn!("no heartbeat in time");
                return None;
            }
        };
        let Some((id, time)) = own else {
            tracing::warn!("the event history has no earlier heartbeat: normal in the first two hours");
            return Some(false);
        };
        let Some(log_group) = log_group else { return Some(true) };
        match timeout_at(last, self.history.has_arrived(log_group, &id, time, last)).await {
            Ok(Ok(Some(false))) => {
                let event_id = id;
                tracing::error!(event_id, "the record of the function's own call has not arrived in the log group");
                Some(false)
            }
            Ok(Ok(Some(true))) => Some(true),
            Ok(Err(error)) => {
                tracing::error!(error = chain(&error), "it isn't known whether CloudTrail's records arrive");
                Some(false)
            }
            Ok(Ok(None)) | Err(_) => {
                tracing::error!("there was no time to search the log group for the record of the function's own call");
                Some(false)
            }
        }
    }

    /// The newest call of this function whose record must have arrived: the record's id, and when it was.
    async fn own_call(
        &self,
        region: &str,
        now: Timestamp,
        last: Instant,
    ) -> Result<Option<(String, Timestamp)>, LookUpError> {
        let before = |span| now.checked_sub(span).unwrap_or(now);
        let mut query = Query {
            region: region.to_owned(),
            by: By::Session(self.config.style.function.clone()),
            from: before(LOOK_BACK),
            to: before(ARRIVES),
            page: None,
        };
        for _ in 0..PAGES_MAX {
            let page = self.history.look_up(&query, last).await?;
            let records = page.events.iter().filter_map(|text| Some(Record::new(text, Json::parse(text).ok()?)));
            let own = records.filter(|record| record.event_name() == Some(CALL));
            let own = own.filter_map(|record| Some((record.event_id()?.to_owned(), record.event_time()?))).next();
            if own.is_some() || page.next.is_none() {
                return Ok(own);
            }
            query.page = page.next;
        }
        Ok(None)
    }
}
