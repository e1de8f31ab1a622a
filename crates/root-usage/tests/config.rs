//! The configuration: what is taken, what is refused, and that every problem is told at once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::SignedDuration;
use root_usage::config::{AccountNames, Config, SETTINGS};
use root_usage::directory::Listed;
use root_usage::email::{HttpsFormat, Language};
use root_usage::incident::Pace;

fn vars<'a>(rows: &'a [(&str, &str)]) -> impl Iterator<Item = (String, String)> + 'a {
    rows.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

const TOPIC: (&str, &str) = ("ALERT_TOPIC_ARN", "arn:aws:sns:eu-west-1:111122223333:alerts");

#[test]
fn the_defaults_are_the_documented_ones() {
    let (config, topic) =
        Config::for_function(vars(&[TOPIC, ("RULES", " "), ("RULE_PATTERN", ""), ("OTHER", "x")])).unwrap();
    assert_eq!((topic.as_str(), topic.region()), (TOPIC.1, "eu-west-1"));
    assert_eq!(config.rules.rules().iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["root-usage"]);
    assert_eq!(config.max_batch_bytes, 33_554_432);
    assert!(config.style.mask_access_keys);
    assert_eq!(config.names, AccountNames::Listed(Listed::default()));
    assert_eq!(config.style.lockdown_policy, None);
    assert_eq!(config.pace, Pace::default());
    assert_eq!(config.ledger_table, None);
}

#[test]
fn the_pace_of_incidents_is_in_minutes() {
    let minutes = SignedDuration::from_mins;
    let rows = [
        ("", "", 60, 15),
        // Without incidents: each batch has a mail of its own.
        ("0", "", 0, 15),
        ("10", "1", 10, 1),
        ("240", "60", 240, 60),
    ];
    for (quiet, update, quiet_is, update_is) in rows {
        let pace = Config::from_vars(vars(&[("QUIET_MINUTES", quiet), ("UPDATE_MINUTES", update)])).unwrap().pace;
        assert_eq!((pace.quiet, pace.update), (minutes(quiet_is), minutes(update_is)));
        // What is harmless never goes before a change.
        assert!(pace.reads == minutes(60) && pace.reads >= pace.update);
    }
}

#[test]
fn the_ledger_s_table_is_taken_by_its_name() {
    for name in ["abc", "root-usage-alert-LedgerTable-1A2B3C4D5E6F", "a_b.c-9", &"t".repeat(255)] {
        let config = Config::from_vars(vars(&[("LEDGER_TABLE", name)])).unwrap();
        assert_eq!(config.ledger_table.as_deref(), Some(name));
    }
    assert!(Config::from_vars(vars(&[("LEDGER_TABLE", &"t".repeat(256))])).is_err());
    assert_eq!(Config::from_vars(vars(&[("LEDGER_TABLE", " ")])).unwrap().ledger_table, None);
}

#[test]
fn names_come_from_nowhere_a_list_or_the_organization() {
    let names = |vars: &[(&str, &str)]| Config::from_vars(self::vars(vars)).unwrap().names;
    let listed = |list| AccountNames::Listed(Listed::parse(list).unwrap());
    assert_eq!(names(&[("ACCOUNT_NAMES", "none")]), AccountNames::Listed(Listed::default()));
    assert_eq!(names(&[("ACCOUNT_NAMES", "111122223333=none")]), listed("111122223333=none"));
    // They wait as long as the history, also where that is off.
    for (minutes, settings, milliseconds) in [("60", "", 3000), ("0", "HISTORY_TIMEOUT_MS=500", 500)] {
        let vars = [("ACCOUNT_NAMES", "organization"), ("HISTORY_MINUTES", minutes), ("SETTINGS", settings)];
        assert_eq!(names(&vars).timeout().as_millis(), milliseconds);
    }
}

#[test]
fn each_wrong_value_is_refused_with_what_would_be_right() {
    let rows = [
        ("ALERT_TOPIC_ARN", "alerts", "expected the ARN of a standard SNS topic"),
        ("ALERT_TOPIC_ARN", "arn:aws:sqs:eu-west-1:111122223333:alerts", "expected the ARN"),
        ("ALERT_TOPIC_ARN", "arn:aws:sns:eu-west-1:1111:alerts", "expected the ARN"),
        ("ALERT_TOPIC_ARN", "arn:aws:sns:eu-west-1:111122223333:alerts.fifo", "FIFO"),
        (
            "RULES",
            "root-usage,nope",
            "there is no rule or set \"nope\"; the sets are cis, root; the shipped rules are root-usage",
        ),
        ("RULES", ",", "at least one rule or set"),
        ("RULE_PATTERN", "{ $.a == b }", "=="),
        ("MASK_ACCESS_KEYS", "yes", "expected true or false"),
        ("ALERT_LANGUAGE", "english", "expected en or ja"),
        ("ALERT_TIME_ZONE", "Tokyo", "IANA name"),
        ("TRUSTED_CIDRS", "203.0.113.0/24,office", "expected 203.0.113.0/24 or office=203.0.113.0/24"),
        ("MAX_BATCH_BYTES", "1000", "from 1048576 to 1073741824"),
        ("MAX_BATCH_BYTES", "-1", "expected a number of bytes"),
        ("RUNBOOK_URL", "http://wiki.example.com/root", "expected an https address of at most 400 characters"),
        ("RUNBOOK_URL", "wiki.example.com/root", "expected an https address"),
        ("RUNBOOK_URL", "https://", "expected an https address"),
        ("RUNBOOK_URL", "https://someone@wiki.example.com/", "expected an https address"),
        ("RUNBOOK_URL", "https://wiki.example.com:https/root", "expected an https address"),
        ("RUNBOOK_URL", "https://wiki.example.com/a b", "percent-encoded"),
        ("RUNBOOK_URL", "https://wiki.example.com/手順", "percent-encoded"),
        ("RUNBOOK_URL", "https://wiki.example.com/<b>", "percent-encoded"),
        ("RUNBOOK_URL", "https://wiki.example.com/root.", "without punctuation at its end"),
        (
            "ACCOUNT_NAMES",
            "payments-prod",
            "expected none, organization, or accounts with their names, such as 111122223333=",
        ),
        ("ACCOUNT_NAMES", "111122223333=a;444455556666=b,x", "expected none, organization"),
        ("LOCKDOWN_POLICY_ID", "FullAWSAccess", "expected the id of a service control policy, p-"),
        ("LOCKDOWN_POLICY_ID", "p-1234567; aws", "expected the id of a service control policy"),
        ("HTTPS_FORMAT", "slack", "expected json or amazon-q"),
        ("PAGER_TOPIC_ARN", "pager", "expected the ARN of a standard SNS topic"),
        ("PAGER_TOPIC_ARN", "arn:aws:sns:us-west-2:444455556666:*", "expected the ARN of a standard SNS topic"),
        (
            "PAGER_TOPIC_ARN",
            "arn:aws:sns:us-west-2:444455556666:pager.fifo",
            "expected the ARN of a standard SNS topic",
        ),
        ("QUIET_MINUTES", "9", "expected 0, or a number of minutes from 10 to 240"),
        ("QUIET_MINUTES", "241", "expected 0, or a number of minutes"),
        ("QUIET_MINUTES", "-10", "expected 0, or a number of minutes"),
        ("QUIET_MINUTES", "off", "expected 0, or a number of minutes"),
        ("UPDATE_MINUTES", "0", "expected a number of minutes from 1 to 60"),
        ("UPDATE_MINUTES", "61", "expected a number of minutes from 1 to 60"),
        ("UPDATE_MINUTES", "1.5", "expected a number of minutes from 1 to 60"),
        ("LEDGER_TABLE", "ab", "expected the name of a DynamoDB table: 3 to 255 letters"),
        ("LEDGER_TABLE", "arn:aws:dynamodb:eu-west-1:111122223333:table/x", "expected the name of a DynamoDB table"),
        ("LEDGER_TABLE", "a table", "expected the name of a DynamoDB table"),
        ("SETTINGS", "NOPE=1", "there is no setting \"NOPE\"; expected NAME=value with one of ALERT_TIME_ZONE, "),
        ("SETTINGS", "RULES=root", "there is no setting \"RULES\""),
        ("SETTINGS", "ALERT_TOPIC_ARN=x", "there is no setting"),
        ("SETTINGS", "SETTINGS=x", "there is no setting"),
        ("SETTINGS", "metrics=off", "there is no setting \"metrics\""),
        ("SETTINGS", "off", "expected NAME=value"),
        ("SETTINGS", "METRICS=", "METRICS has no value; expected METRICS=value, or nothing"),
    ];
    for (name, value, expected) in rows {
        let error = Config::from_vars(vars(&[(name, value)])).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(&format!("{value:?}")) && error.contains(expected), "{error}");
    }
}

#[test]
fn the_template_allows_the_languages_that_there_are() {
    let allowed = format!("AllowedValues: [{}]", Language::ALL.map(Language::code).join(", "));
    let template = include_str!("../../../template.yaml");
    assert!(template.split("  AlertLanguage:\n").any(|text| text.lines().take(4).any(|line| line.trim() == allowed)));
}

#[test]
fn settings_are_variables_in_one() {
    let settings = "ALERT_TIME_ZONE=Asia/Tokyo;MASK_ACCESS_KEYS=false; HISTORY_MINUTES=15; HISTORY_TIMEOUT_MS=500;\
                    MAX_BATCH_BYTES=2097152;METRICS=off;LOCKDOWN_POLICY_ID=p-examplepolicyid1;HTTPS_FORMAT=amazon-q;\
                    PAGER_TOPIC_ARN=arn:aws:sns:us-west-2:444455556666:pager";
    let config = Config::from_vars(vars(&[("SETTINGS", settings)])).unwrap();
    assert!(!config.style.mask_access_keys && !config.metrics);
    let history = config.history.unwrap();
    assert_eq!((history.minutes, history.timeout.as_millis()), (15, 500));
    assert_eq!(config.style.time_zone.unwrap().iana_name(), Some("Asia/Tokyo"));
    assert_eq!(config.max_batch_bytes, 2_097_152);
    assert_eq!(config.style.lockdown_policy.as_deref(), Some("p-examplepolicyid1"));
    assert_eq!(config.style.https, HttpsFormat::AmazonQ);
    assert_eq!(config.pager_topic.unwrap().region(), "us-west-2");
    // Each of the names is one that the function reads, and refuses a value that is wrong for it by its own name.
    for name in SETTINGS {
        let error = Config::from_vars(vars(&[("SETTINGS", &format!("{name}=wrong"))])).unwrap_err();
        assert_eq!(error.problems.iter().map(|problem| problem.variable).collect::<Vec<_>>(), [name]);
        assert!(error.to_string().contains(&format!("{name}=\"wrong\": expected ")), "{error}");
    }
    assert!(Config::from_vars(vars(&[("SETTINGS", " ; ")])).unwrap().metrics);
}

#[test]
fn a_pager_is_another_topic() {
    let topic = "arn:aws:sns:us-west-2:444455556666:alerts";
    let error = Config::from_vars(vars(&[("ALERT_TOPIC_ARN", topic), ("PAGER_TOPIC_ARN", topic)])).unwrap_err();
    assert!(error.to_string().contains("expected another topic than ALERT_TOPIC_ARN"), "{error}");
    let other = "arn:aws:sns:us-west-2:444455556666:pager";
    assert!(Config::from_vars(vars(&[("ALERT_TOPIC_ARN", topic), ("PAGER_TOPIC_ARN", other)])).is_ok());
}

#[test]
fn a_setting_that_is_set_twice_is_refused() {
    let rows: [&[(&str, &str)]; 3] = [
        &[("SETTINGS", "METRICS=on;METRICS=off")],
        &[("SETTINGS", "METRICS=off;METRICS=off")],
        &[("METRICS", "on"), ("SETTINGS", "METRICS=off")],
    ];
    for row in rows {
        let error = Config::from_vars(vars(row)).unwrap_err().to_string();
        assert!(error.contains("SETTINGS=\"METRICS=off\": METRICS is set twice; expected it once"), "{error}");
    }
    // A blank variable is unset, here too.
    assert!(!Config::from_vars(vars(&[("METRICS", " "), ("SETTINGS", "METRICS=off")])).unwrap().metrics);
}

#[test]
fn a_runbook_is_taken_as_it_stands() {
    let longest = format!("https://wiki.example.com/{}", "x".repeat(375));
    let rows = [
        "https://wiki.example.com",
        "https://wiki.example.com/",
        "https://wiki.example.com:8443/root?page=1&lang=ja#step-1",
        "https://example.atlassian.net/wiki/spaces/SEC/pages/1/Root+user",
        "https://wiki.example.com/%E6%89%8B%E9%A0%86",
        &longest,
    ];
    for row in rows {
        assert_eq!(Config::from_vars(vars(&[("RUNBOOK_URL", row)])).unwrap().style.runbook.as_deref(), Some(row));
    }
    assert!(Config::from_vars(vars(&[("RUNBOOK_URL", &format!("{longest}x"))])).is_err());
    assert_eq!(Config::from_vars(vars(&[("RUNBOOK_URL", "")])).unwrap().style.runbook, None);
}

#[test]
fn every_problem_is_told_at_once() {
    let error = Config::for_function(vars(&[("RULES", "x"), ("MASK_ACCESS_KEYS", "1"), ("MAX_BATCH_BYTES", "z")]));
    let error = error.unwrap_err();
    let names: Vec<_> = error.problems.iter().map(|problem| problem.variable).collect();
    assert_eq!(names, ["ALERT_TOPIC_ARN", "RULES", "MASK_ACCESS_KEYS", "MAX_BATCH_BYTES"]);
    assert!(error.to_string().contains("ALERT_TOPIC_ARN is not set"), "{error}");
    assert!(Config::for_function(vars(&[("ALERT_TOPIC_ARN", " ")])).is_err());
}

#[test]
fn a_set_stands_for_its_rules_and_each_counts_once() {
    let config = Config::from_vars(vars(&[("RULES", "root-usage, cis,vpc-changes")])).unwrap();
    let ids: Vec<_> = config.rules.rules().iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids.len(), 18);
    assert_eq!(ids[..3], ["root-usage", "root-usage-cis", "unauthorized-api-calls"]);
}

#[test]
fn an_own_pattern_that_may_not_say_what_was_meant_is_warned_of() {
    let config = Config::from_vars(vars(&[("RULES", "cis"), ("RULE_PATTERN", "{ $.a != x && $.b = true }")])).unwrap();
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].starts_with("RULE_PATTERN: `$.a != x` is false when $.a is missing"), "{warnings:?}");
    // The shipped patterns are AWS's own: nobody here can change them.
    assert!(Config::from_vars(vars(&[("RULES", "cis")])).unwrap().warnings().is_empty());
}
