//! CloudWatch Logs: whether a trail's record has arrived.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsError;
use jiff::{SignedDuration, Timestamp};
use root_usage::watch::WatchError;
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::aws::Aws;

/// How long to wait between two pages.
///
/// Source: CloudWatch Logs quotas: FilterLogEvents is asked five to ten times a second, depending on the Region, by all of
/// the account.
const BETWEEN: Duration = Duration::from_millis(250);

/// By how much a log event may be older than its record says: clocks differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The log groups of the function's Region.
pub struct Logs {
    aws: Aws,
    client: OnceCell<Client>,
}

/// How long after its call a record is looked for: one that comes later is late enough to be told. What came since then
/// need not be searched.
const ARRIVES: SignedDuration = SignedDuration::from_mins(30);

impl Logs {
    /// CloudWatch Logs in the function's Region.
    #[must_use]
    pub fn new(aws: Aws) -> Self {
        Self { aws, client: OnceCell::new() }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| async { Client::new(self.aws.config().await) }).await
    }

    /// Whether a log group has a record that was made after a time, by its event id; `None` if there is no time to read on.
    ///
    /// # Errors
    ///
    /// [`WatchError`] if CloudWatch Logs refuses.
    pub async fn has(
        &self,
        log_group: &str,
        event_id: &str,
        since: Timestamp,
        deadline: Instant,
    ) -> Result<Option<bool>, WatchError> {
        // An id that isn't one must not become another pattern.
        let id: String = event_id.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '-').collect();
        let from = since.saturating_sub(SKEW).unwrap_or(Timestamp::UNIX_EPOCH);
        let to = since.saturating_add(ARRIVES).unwrap_or(Timestamp::MAX);
        let mut page = None;
        loop {
            let request = self.client().await.filter_log_events().log_group_name(log_group);
            let request = request.filter_pattern(format!("{{ $.eventID = \"{id}\" }}"));
            let request = request.start_time(from.as_millisecond()).end_time(to.as_millisecond()).set_next_token(page);
            let answer = request.send().await.map_err(failed)?;
            let mut lines = answer.events.unwrap_or_default().into_iter().filter_map(|event| event.message);
            if lines.any(|line| is_of(&line, event_id)) {
                return Ok(Some(true));
            }
            // A page may be empty before the last one: it is as much as was searched.
            page = answer.next_token.filter(|token| !token.is_empty());
            if page.is_none() {
                return Ok(Some(false));
            }
            if Instant::now() + BETWEEN >= deadline {
                return Ok(None);
            }
            sleep(BETWEEN).await;
        }
    }
}

/// Whether a line is the record with this id, and no other that speaks of it.
fn is_of(line: &str, event_id: &str) -> bool {
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "eventID")]
        event_id: String,
    }
    serde_json::from_str::<Record>(line).is_ok_and(|record| record.event_id == event_id)
}

fn failed(error: SdkError<FilterLogEventsError>) -> WatchError {
    let advice = match error.code().unwrap_or_default() {
        "ResourceNotFoundException" => "there is no such log group: create it, or deploy the stack again",
        "AccessDeniedException" => "the function's role needs logs:FilterLogEvents on the trail's log group",
        _ => "it is asked again in an hour",
    };
    WatchError { what: "the trail's log group", advice, source: Box::new(error) }
}
