//! CloudTrail's own event history.

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::config::{Builder, Config};
use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsError;
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use jiff::Timestamp;
use root_usage::history::{By, History, LookUpError, Page, Query, Why};
use root_usage::watch::WatchError;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::aws::Aws;
use crate::logs::Logs;
use crate::pace::Pace;

/// How often one page is asked for.
const ATTEMPTS: usize = 3;

/// CloudTrail's LookupEvents.
///
/// The client is made when something is first looked up: almost no invocation does.
pub struct CloudTrail {
    aws: Aws,
    client: OnceCell<Client>,
    pace: Pace,
    logs: Logs,
}

impl CloudTrail {
    /// The event history of the account that the function runs in, and its log groups.
    #[must_use]
    pub fn new(aws: Aws) -> Self {
        Self { logs: Logs::new(aws.clone()), aws, client: OnceCell::new(), pace: Pace::default() }
    }

    async fn client(&self) -> &Client {
        let make = || async {
            let config = Builder::from(self.aws.config().await)
                // Each attempt takes a token, so the attempts are made here.
                .retry_config(RetryConfig::disabled())
                .build();
            Client::from_conf(config)
        };
        self.client.get_or_init(make).await
    }

    async fn ask(&self, query: &Query) -> Result<Page, SdkError<LookupEventsError>> {
        let (key, value) = match &query.by {
            By::AccessKey(key) => (LookupAttributeKey::AccessKeyId, key.as_str()),
            By::Root => (LookupAttributeKey::Username, "root"),
            By::AssumeRoot => (LookupAttributeKey::EventName, "AssumeRoot"),
            By::Session(name) => (LookupAttributeKey::Username, name.as_str()),
        };
        let attribute = LookupAttribute::builder().attribute_key(key).attribute_value(value).build();
        let request = self
            .client()
            .await
            .lookup_events()
            .lookup_attributes(attribute.map_err(SdkError::construction_failure)?)
            .start_time(DateTime::from_secs(query.from.as_second()))
            .end_time(DateTime::from_secs(query.to.as_second()))
            .set_next_token(query.page.clone())
            .customize()
            .config_override(Config::builder().region(Region::new(query.region.clone())));
        let answer = request.send().await?;
        // An event without its record counts as one that can't be read.
        let events = answer.events.unwrap_or_default().into_iter();
        Ok(Page {
            events: events.map(|event| event.cloud_trail_event.unwrap_or_default()).collect(),
            next: answer.next_token.filter(|token| !token.is_empty()),
        })
    }
}

/// What a failure means for the mail.
///
/// Throttling is not in the operation's model, so errors are told apart by their code.
fn why(error: &SdkError<LookupEventsError>) -> Why {
    match (error, error.code()) {
        (SdkError::TimeoutError(_), _) => Why::Time,
        (SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_), _) => Why::Unreachable,
        (_, Some(code)) if is_throttling(code) => Why::Throttled,
        (_, Some(code)) if code.contains("AccessDenied") || code.contains("Unauthorized") => Why::Denied,
        (SdkError::ServiceError(_), Some(code)) => Why::Refused { code: code.to_owned() },
        (SdkError::ServiceError(answer), None) if answer.raw().status().is_server_error() => {
            Why::Refused { code: answer.raw().status().as_u16().to_string() }
        }
        _ => Why::Malformed,
    }
}

fn is_throttling(code: &str) -> bool {
    ["Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown"].iter().any(|part| code.contains(part))
}

/// Whether another attempt may help.
fn may_pass(error: &SdkError<LookupEventsError>, why: &Why) -> bool {
    let server_error = matches!(error, SdkError::ServiceError(answer) if answer.raw().status().is_server_error());
    let broke_off = matches!(error, SdkError::ResponseError(_));
    server_error || broke_off || matches!(why, Why::Throttled | Why::Unreachable)
}

impl History for CloudTrail {
    async fn look_up(&self, query: &Query, deadline: Instant) -> Result<Page, LookUpError> {
        let mut failed = None;
        for _ in 0..ATTEMPTS {
            if !self.pace.take(&query.region, deadline).await {
                break;
            }
            match self.ask(query).await {
                Ok(page) => return Ok(page),
                Err(error) => {
                    let why = why(&error);
                    let again = may_pass(&error, &why);
                    failed = Some(LookUpError { why, source: Some(Box::new(error)) });
                    if !again {
                        break;
                    }
                }
            }
        }
        Err(failed.unwrap_or(LookUpError { why: Why::Time, source: None }))
    }

    async fn has_arrived(
        &self,
        log_group: &str,
        event_id: &str,
        since: Timestamp,
        deadline: Instant,
    ) -> Result<Option<bool>, WatchError> {
        self.logs.has(log_group, event_id, since, deadline).await
    }
}
