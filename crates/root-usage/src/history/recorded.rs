//! A history from a file, for the `root-usage` command.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{By, History, LookUpError, Page, Query};
use crate::record::Record;
use filter_pattern::json::Json;

/// As many events as LookupEvents gives in one page.
///
/// Source: CloudTrail API Reference, `LookupEvents`, `MaxResults`.
const PAGE: usize = 50;

/// CloudTrail records that are the whole event history.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The newest last, with the text each was read from.
    records: BTreeMap<(Timestamp, usize), (Record, String)>,
}

impl Recorded {
    /// Reads records, one a line.
    ///
    /// # Errors
    ///
    /// A sentence that names the line which is no CloudTrail record with an `eventTime`.
    pub fn from_lines(lines: &str) -> Result<Self, String> {
        let mut records = BTreeMap::new();
        for (index, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()) {
            let record = match Json::parse(line) {
                Ok(json @ Json::Object(_)) => Record::new(line, json),
                Ok(_) => {
                    return Err(format!("line {} is not a JSON object; expected one CloudTrail record", index + 1));
                }
                Err(error) => return Err(format!("line {} is not JSON: {error}", index + 1)),
            };
            let time = record.event_time().ok_or_else(|| format!("line {} has no eventTime", index + 1))?;
            records.insert((time, index), (record, line.to_owned()));
        }
        Ok(Self { records })
    }
}

impl History for Recorded {
    async fn look_up(&self, query: &Query, _deadline: Instant) -> Result<Page, LookUpError> {
        let asked = |record: &Record| match &query.by {
            By::AccessKey(key) => record.access_key_id() == Some(key),
            By::Root => record.is_root(),
            By::AssumeRoot => record.event_name() == Some("AssumeRoot"),
            By::Session(name) => {
                record.arn().is_some_and(|arn| arn.contains(":assumed-role/") && arn.ends_with(&format!("/{name}")))
            }
        };
        let found = self.records.range((query.from, 0)..=(query.to, usize::MAX)).rev();
        let mut found = found.filter(|(_, (record, _))| record.region() == Some(&query.region) && asked(record));
        let skip: usize = query.page.as_deref().and_then(|page| page.parse().ok()).unwrap_or(0);
        let events: Vec<String> = found.by_ref().skip(skip).take(PAGE).map(|(_, (_, text))| text.clone()).collect();
        let next = found.next().map(|_| (skip + PAGE).to_string());
        Ok(Page { events, next })
    }
}
