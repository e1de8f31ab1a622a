//! What CloudWatch makes metrics of: one line of embedded metric format for each invocation.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::handler::Report;

/// The metrics' namespace. Their one dimension is `FunctionName`.
pub const NAMESPACE: &str = "RootUsageAlert";

/// Each custom metric costs money every month, so these are few.
const METRICS: [Metric; 8] = [
    Metric::count("LogEvents"),
    Metric::count("Matched"),
    Metric::count("Duplicate"),
    Metric::count("Unreadable"),
    Metric::count("Mails"),
    Metric::count("PublishFailures"),
    Metric::count("HistoryFailures"),
    Metric { name: "Duration", unit: "Milliseconds" },
];

/// The line. Source: CloudWatch User Guide, "Specification: Embedded metric format".
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line<'a> {
    #[serde(rename = "_aws")]
    metadata: Metadata,
    function_name: &'a str,
    log_events: usize,
    matched: usize,
    duplicate: usize,
    unreadable: usize,
    mails: usize,
    publish_failures: usize,
    history_failures: usize,
    duration: f64,
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
    metrics: [Metric; 8],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl Metric {
    const fn count(name: &'static str) -> Self {
        Self { name, unit: "Count" }
    }
}

/// The line for one invocation.
#[must_use]
pub fn line(report: &Report, function: &str, took: Duration, now: Timestamp) -> String {
    let directive = Directive { namespace: NAMESPACE, dimensions: [["FunctionName"]], metrics: METRICS };
    let line = Line {
        metadata: Metadata { timestamp: now.as_millisecond(), cloud_watch_metrics: [directive] },
        function_name: function,
        log_events: report.log_events(),
        matched: report.matched,
        duplicate: report.duplicate,
        unreadable: report.unreadable,
        mails: report.mails,
        publish_failures: report.publish_failures,
        history_failures: report.history_failures,
        duration: took.as_secs_f64() * 1000.0,
    };
    // Texts and numbers can always be written.
    serde_json::to_string(&line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_metric_has_a_value_in_the_line() {
        let report = Report { ignored: 5, matched: 2, duplicate: 1, unreadable: 4, mails: 1, ..Report::default() };
        let line = line(&report, "f", Duration::from_micros(1500), Timestamp::UNIX_EPOCH);
        assert!(!line.contains('\n'));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["FunctionName"]]));
        let metrics = directive["Metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), 8);
        assert!(metrics.iter().all(|metric| line[metric["Name"].as_str().unwrap()].is_number()), "{line}");
        assert_eq!(
            (&line["LogEvents"], &line["Duration"], &line["FunctionName"]),
            (&json!(12), &json!(1.5), &json!("f"))
        );
    }
}
