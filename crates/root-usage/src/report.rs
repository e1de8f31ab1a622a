//! What one invocation did: Lambda's answer to who asks, one line of log, and CloudWatch's metrics in that same line.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// The metrics' namespace. Their one dimension is `FunctionName`.
pub(crate) const NAMESPACE: &str = "RootUsageAlert";

/// Counters, each with the name it has in the line of log. One that begins with a capital letter is a metric too: those are
/// few, for each custom metric costs money every month.
macro_rules! report {
    ($($(#[$doc:meta])+ $field:ident: $name:literal,)+) => {
        /// What one invocation did. Every log event is counted in exactly one of the first four.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
        pub struct Report {
            $($(#[$doc])+ pub $field: usize,)+
            /// The name of the alert, if there was one.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub alert_id: Option<String>,
            /// The id under which the last mail was taken.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub message_id: Option<String>,
            /// The calls of this batch that test the way from CloudTrail.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub path_tests: Vec<PathTested>,
            /// How many parts are stored still, where all of them were to be told.
            #[serde(skip)]
            pub left: Option<usize>,
            /// What is open, if that was asked for.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub incidents: Option<Vec<OpenIncident>>,
        }

        /// The names of the counters.
        const NAMES: &[&str] = &[$($name),+];

        impl Report {
            /// Adds the counts of another invocation.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }

            /// The counters, as in [`NAMES`].
            fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
                NAMES.iter().copied().zip([$(self.$field),+])
            }
        }
    };
}

report! {
    /// Log events that match no rule.
    ignored: "ignored",
    /// Log events that match a rule and are in the mail, or are held back.
    matched: "Matched",
    /// Log events that match a rule and were in this batch, or in a mail, already.
    duplicate: "Duplicate",
    /// Log events that are no JSON object, though they hold a text that a rule can't match without.
    unreadable: "Unreadable",
    /// Matched and unreadable log events whose mail was held back. A later mail tells their number.
    held_back: "heldBack",
    /// Matched and unreadable log events that are kept in the ledger, and told when they are due.
    waiting: "waiting",
    /// Calls of the ledger that failed.
    ledger_failures: "LedgerFailures",
    /// Parts of deliveries that are stored and have been due for fifteen minutes or longer.
    overdue: "Overdue",
    /// Matched log events that are in a mail now, or are kept from now on, or were mailed within the last 15 minutes.
    reported: "Reported",
    /// Bytes that the payload inflated to.
    inflated_bytes: "inflatedBytes",
    /// Look-ups in the event history that failed.
    history_failures: "HistoryFailures",
    /// Hourly looks that did not find the record of an earlier one in the log group.
    unheard: "Unheard",
    /// Hourly looks that found no confirmed subscription of the topic.
    without_readers: "WithoutReaders",
    /// Attempts to publish a mail that failed.
    publish_failures: "PublishFailures",
    /// Mails published.
    mails: "Mails",
    /// Of these, those that a pager was told of.
    pages: "pages",
    /// Those that a pager should have been told of, and was not.
    pager_failures: "PagerFailures",
}

/// A call that tests the way from CloudTrail, for whoever follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathTested {
    /// How the call was marked.
    pub marker: String,
    /// The id under which a mail about it was taken; none if another one went out less than 15 minutes before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// An incident that is open, or of which something waits, for whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenIncident {
    /// Its name; none where what waits has no incident yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whose it is.
    pub who: String,
    /// When it was opened, if it is open or that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<Timestamp>,
    /// When something of it came last, if it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// How many mails told of it.
    pub mails: usize,
    /// How many deliveries wait to be told of it.
    pub waiting: usize,
    /// It is over, and its last mail waits.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub closing: bool,
    /// Until when the first of them does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Report {
    /// Whether there is nothing in it that somebody would look for.
    pub(crate) fn says_nothing(&self) -> bool {
        Self { inflated_bytes: 0, incidents: None, ..self.clone() } == Self::default()
    }

    /// All log events.
    #[must_use]
    pub fn log_events(&self) -> usize {
        self.ignored + self.matched + self.duplicate + self.unreadable
    }
}

/// The one line that closes an invocation. With `metrics`, CloudWatch makes metrics of what they name.
///
/// `level` and `timestamp` are what Lambda filters lines by. Sources: CloudWatch User Guide, "Specification: Embedded
/// metric format"; Lambda Developer Guide, "Log-level filtering".
#[derive(Debug, Clone, Copy)]
pub struct Closing<'a> {
    /// What was done.
    pub report: &'a Report,
    /// Why the invocation failed, if it did.
    pub error: Option<&'a str>,
    /// Lambda's id of the request.
    pub request_id: &'a str,
    /// The function's name.
    pub function: &'a str,
    /// Bytes of the event.
    pub event_bytes: usize,
    /// How long the invocation took.
    pub took: Duration,
    /// When it ended.
    pub now: Timestamp,
    /// Whether the figures become metrics.
    pub metrics: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: i64,
    cloud_watch_metrics: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Metric>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

/// Metrics that have a value only where it is not zero: alarms ask for nothing else, and a metric costs money for each
/// hour that has a value.
const SELDOM: [&str; 5] = ["LedgerFailures", "Overdue", "PagerFailures", "Unheard", "WithoutReaders"];

/// What becomes a metric of the line's figures.
fn metrics(report: &Report) -> Vec<Metric> {
    let counted = report.counts().filter(|(name, count)| {
        name.starts_with(|first: char| first.is_ascii_uppercase()) && (*count > 0 || !SELDOM.contains(name))
    });
    let counted = counted.map(|(name, _)| name).chain(["LogEvents"]).map(|name| Metric { name, unit: "Count" });
    counted.chain([Metric { name: "Duration", unit: "Milliseconds" }]).collect()
}

/// The counters, by their names.
struct Counts<'a>(&'a Report);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.counts())
    }
}

/// Metrics are named as metrics are, the rest as Lambda names what it logs itself.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClosingLine<'a> {
    #[serde(rename = "timestamp")]
    now: Timestamp,
    #[serde(rename = "level")]
    level: &'static str,
    #[serde(rename = "message")]
    message: &'static str,
    #[serde(rename = "error", skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(rename = "requestId")]
    request_id: &'a str,
    #[serde(rename = "alertId", skip_serializing_if = "Option::is_none")]
    alert_id: Option<&'a str>,
    #[serde(rename = "messageId", skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(rename = "pathTests", skip_serializing_if = "<[_]>::is_empty")]
    path_tests: &'a [PathTested],
    #[serde(rename = "eventBytes")]
    event_bytes: usize,
    function_name: &'a str,
    log_events: usize,
    #[serde(flatten)]
    counts: Counts<'a>,
    duration: f64,
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

impl Closing<'_> {
    /// The line.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { report, error, .. } = self;
        let directive = Directive { namespace: NAMESPACE, dimensions: [["FunctionName"]], metrics: metrics(report) };
        let metadata = Metadata { timestamp: self.now.as_millisecond(), cloud_watch_metrics: [directive] };
        let (level, message) = if error.is_some() { ("ERROR", "failed") } else { ("INFO", "handled") };
        let line = ClosingLine {
            now: self.now,
            level,
            message,
            error: *error,
            request_id: self.request_id,
            alert_id: report.alert_id.as_deref(),
            message_id: report.message_id.as_deref(),
            path_tests: &report.path_tests,
            event_bytes: self.event_bytes,
            function_name: self.function,
            log_events: report.log_events(),
            counts: Counts(report),
            duration: self.took.as_secs_f64() * 1000.0,
            metadata: self.metrics.then_some(metadata),
        };
        // Texts and numbers can always be written.
        let mut line = serde_json::to_string(&line).unwrap_or_default();
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn line(metrics: bool, error: Option<&str>) -> Value {
        let report = Report { ignored: 5, matched: 2, duplicate: 1, unreadable: 4, mails: 1, ..Report::default() };
        let closing = Closing {
            report: &report,
            error,
            request_id: "r",
            function: "f",
            event_bytes: 9,
            took: Duration::from_micros(1500),
            now: Timestamp::UNIX_EPOCH,
            metrics,
        };
        let line = closing.line();
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn every_metric_has_a_value_in_the_line() {
        let line = line(true, None);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["FunctionName"]]));
        let metrics = directive["Metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), 9);
        assert!(metrics.iter().all(|metric| line[metric["Name"].as_str().unwrap()].is_number()), "{line}");
        assert_eq!(
            (&line["LogEvents"], &line["Duration"], &line["FunctionName"]),
            (&json!(12), &json!(1.5), &json!("f"))
        );
    }

    #[test]
    fn without_metrics_the_line_has_the_same_figures() {
        let mut with = line(true, None);
        assert!(with.as_object_mut().unwrap().remove("_aws").is_some());
        assert_eq!(line(false, None), with);
    }

    #[test]
    fn a_failure_has_its_own_level_and_error() {
        let line = line(true, Some("a\nb"));
        assert_eq!([&line["level"], &line["message"], &line["error"]], ["ERROR", "failed", "a\nb"]);
        assert_eq!(line["timestamp"], "1970-01-01T00:00:00Z");
    }
}
