//! What CloudWatch makes metrics of: one line of embedded metric format for each invocation.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::handler::Report;

/// The metrics' namespace. Their one dimension is `FunctionName`.
pub const NAMESPACE: &str = "RootUsageAlert";

/// The line for one invocation.
///
/// Each custom metric costs money every month, so these are few. Source: CloudWatch User Guide, "Specification:
/// Embedded metric format".
#[must_use]
pub fn line(report: &Report, function: &str, took: Duration, now: Timestamp) -> String {
    let count = |name| json!({ "Name": name, "Unit": "Count" });
    let counts = ["LogEvents", "Matched", "Duplicate", "Unreadable", "Mails", "PublishFailures", "HistoryFailures"];
    let mut metrics: Vec<_> = counts.into_iter().map(count).collect();
    metrics.push(json!({ "Name": "Duration", "Unit": "Milliseconds" }));
    json!({
        "_aws": {
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [
                { "Namespace": NAMESPACE, "Dimensions": [["FunctionName"]], "Metrics": metrics }
            ]
        },
        "FunctionName": function,
        "LogEvents": report.log_events(),
        "Matched": report.matched,
        "Duplicate": report.duplicate,
        "Unreadable": report.unreadable,
        "Mails": report.mails,
        "PublishFailures": report.publish_failures,
        "HistoryFailures": report.history_failures,
        "Duration": took.as_secs_f64() * 1000.0,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
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
