//! `make test-path`: a marked call is told as a test and as nothing else, and hides nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod topic;

use std::time::Duration;

use filter_pattern::Pattern;
use filter_pattern::json::Json;
use jiff::{SignedDuration, Timestamp};
use root_usage::config::Config;
use root_usage::email::Message;
use root_usage::handler::{Handler, Invocation};
use root_usage::history::Recorded;
use root_usage::incident::Pace;
use root_usage::ledger::InMemory;
use root_usage::report::Report;
use root_usage::rule::Rule;
use serde_json::{Value, json};

use batches::{batch, root_call};
use topic::{Answer, Topic, config, valid};

const MARKER: &str = "RootUsageAlert-test-path-qwertzuiopas";
/// What the batches' log events have as their time.
const RECEIVED: &str = "2026-11-20T02:52:09Z";
const CALLED: &str = "2026-11-20T02:50:00Z";

fn after(seconds: i64) -> Timestamp {
    CALLED.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// A marked call, as it differs from the one that the command makes.
fn call(changed: &Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/operators/alice",
            "accountId": "111122223333", "accessKeyId": "ASIAI44QH8DHBEXAMPLE"
        },
        "eventTime": CALLED, "eventSource": "sts.amazonaws.com", "eventName": "GetCallerIdentity",
        "awsRegion": "eu-central-1", "sourceIPAddress": "198.51.100.7", "userAgent": format!("{MARKER} md/Botocore"),
        "requestParameters": null, "responseElements": null, "eventID": "5f1f4a0e-2b9f-4d0e-8b55-0c2d1d1a7b3c",
        "readOnly": true, "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333"
    });
    let fields = record.as_object_mut().unwrap();
    fields.extend(changed.as_object().unwrap().clone());
    record
}

fn by_root() -> Value {
    call(
        &json!({"userIdentity": {"type": "Root", "accountId": "111122223333", "arn": "arn:aws:iam::111122223333:root"}}),
    )
}

fn handler(vars: &[(&str, &str)], topic: Topic) -> Handler<Topic, Recorded> {
    let config = Config { history: None, ..config(vars) };
    Handler::new(config, topic, Recorded::default())
}

async fn told(
    handler: &Handler<Topic, Recorded, impl root_usage::directory::Directory, impl root_usage::ledger::Ledger>,
    event: &str,
) -> (Report, Vec<Message>) {
    let invocation = Invocation { event, request_id: "r", time_left: Duration::from_secs(30), now: after(150) };
    (handler.handle(invocation).await.done().unwrap(), handler.notify().take())
}

#[tokio::test]
async fn a_marked_call_is_mailed_as_a_test_with_how_long_each_leg_took() {
    for (language, first, expected) in [
        (
            "en",
            "TEST: the way from CloudTrail to this mail works. This mail reports no root activity: ",
            [
                "\n  Marker    RootUsageAlert-test-path-qwertzuiopas\n",
                "\n  Called by arn:aws:sts::111122223333:assumed-role/operators/alice\n",
                "\n  From      198.51.100.7\n  Region    eu-central-1\n",
                "\n  Called    2026-11-20 02:50:00 UTC\n            129 s later in the log group\n            150 s later at the function\n  Event     5f1f4a0e-2b9f-4d0e-8b55-0c2d1d1a7b3c\n",
            ],
        ),
        (
            "ja",
            "TEST（テスト）: CloudTrail からこのメールまでの経路は正常に機能しています。ルートユーザーの操作を知らせるものではありません。",
            [
                "\n  目印        RootUsageAlert-test-path-qwertzuiopas\n",
                "\n  呼び出し元  arn:aws:sts::111122223333:assumed-role/operators/alice\n",
                "\n  送信元      198.51.100.7\n  リージョン  eu-central-1\n",
                "\n  日時        2026-11-20 02:50:00 UTC\n              129 秒後にロググループへ到着\n              150 秒後に関数へ到着\n  イベント    5f1f4a0e-2b9f-4d0e-8b55-0c2d1d1a7b3c\n",
            ],
        ),
    ] {
        let handler = handler(&[("ALERT_LANGUAGE", language)], Topic::default());
        let (report, mails) = told(&handler, &batch(&[call(&json!({}))])).await;
        let [mail] = &mails[..] else { panic!("{mails:?}") };
        valid(mail);
        assert_eq!(mail.subject.as_str(), format!("[TEST] From CloudTrail to this mail: {MARKER}"));
        assert!(mail.text.starts_with(first), "{}", mail.text);
        for part in expected {
            assert!(mail.text.contains(part), "{part}\n{}", mail.text);
        }
        let document: Value = serde_json::from_str(&mail.document).unwrap();
        assert_eq!((&document["kind"], &document["marker"]), (&json!("path-test"), &json!(MARKER)));
        assert_eq!((report.ignored, report.log_events(), report.reported, report.mails), (1, 1, 0, 1));
        let answer = serde_json::to_value(&report).unwrap();
        assert_eq!(answer["path_tests"], json!([{"marker": MARKER, "messageId": "m"}]));
        assert!(RECEIVED.parse::<Timestamp>().unwrap() == after(129));
    }
}

#[tokio::test]
async fn what_only_resembles_the_call_is_ignored() {
    for changed in [
        json!({"userAgent": "aws-cli/2.31.0"}),
        json!({"userAgent": format!("Mozilla/5.0 {MARKER}")}),
        json!({"userAgent": MARKER.to_lowercase()}),
        json!({"userAgent": null}),
        json!({"eventName": "GetSessionToken"}),
        json!({"eventSource": "iam.amazonaws.com"}),
        json!({"userAgent": "aws-cli/2.31.0", "requestParameters": {"userAgent": MARKER}}),
        // What a replay brings.
        json!({"eventTime": "2026-11-19T20:00:00Z"}),
        json!({"eventTime": null}),
    ] {
        let (report, mails) = told(&handler(&[], Topic::default()), &batch(&[call(&changed)])).await;
        assert_eq!((report.ignored, mails.len(), report.path_tests.len()), (1, 0, 0), "{changed}");
    }
}

#[tokio::test]
async fn a_mark_hides_nothing_of_roots_and_nothing_that_a_rule_matches() {
    let deed = |name: &str| {
        let mut record: Value = serde_json::from_str(&root_call(1, name)).unwrap();
        record["userAgent"] = json!(MARKER);
        record
    };
    let own = &[("RULE_PATTERN", r#"{ $.eventName = "GetCallerIdentity" }"#)][..];
    for (vars, record, matched) in [
        (&[][..], by_root(), 1),
        (&[("RULES", "root")], by_root(), 1),
        (&[("RULES", "cis")], by_root(), 1),
        (&[], deed("CreateAccessKey"), 1),
        (own, call(&json!({})), 1),
        // Not told by a rule, and all the same no test.
        (&[("RULES", "iam-policy-changes")], by_root(), 0),
    ] {
        let (report, mails) = told(&handler(vars, Topic::default()), &batch(&[&record])).await;
        assert_eq!((report.matched, mails.len(), report.path_tests.len()), (matched, matched, 0), "{vars:?} {record}");
        assert!(mails.iter().all(|mail| !mail.text.contains("TEST") && !mail.subject.as_str().contains("TEST")));
    }
}

#[tokio::test]
async fn the_call_is_told_whatever_rules_are_in_force_and_beside_what_they_match() {
    for rules in ["root-usage", "root", "cis", "iam-policy-changes", "root-usage,cis"] {
        let handler = handler(&[("RULES", rules)], Topic::default());
        let (report, mails) = told(&handler, &batch(&[call(&json!({})), by_root()])).await;
        let root = usize::from(rules != "iam-policy-changes");
        assert_eq!((report.matched, report.reported, mails.len()), (root, root, 1 + root), "{rules}");
        assert_eq!(report.path_tests.len(), 1, "{rules}");
        // What matters goes first.
        assert!(mails[root].subject.as_str().starts_with("[TEST] "), "{rules}");
    }
}

#[tokio::test]
async fn the_call_is_no_part_of_an_incident() {
    let handler = handler(&[], Topic::default()).with_incidents(InMemory::default(), Pace::default());
    let (report, mails) = told(&handler, &batch(&[call(&json!({}))])).await;
    assert_eq!((report.mails, mails.len(), report.waiting), (1, 1, 0));
    assert_eq!(told(&handler, r#"{"incidents":{}}"#).await.0.incidents, Some(Vec::new()));
    // Beside root it is one all the same.
    let (report, mails) = told(&handler, &batch(&[by_root()])).await;
    assert_eq!((report.matched, mails.len(), report.path_tests.len()), (1, 1, 0));
    assert_eq!(told(&handler, r#"{"incidents":{}}"#).await.0.incidents.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn marked_calls_make_one_mail_in_a_quarter_of_an_hour_and_keep_back_no_test() {
    let handler = handler(&[], Topic::default());
    let many: Vec<_> = (0..30).map(|n| call(&json!({"eventID": n.to_string()}))).collect();
    for (mails, wait) in [(1, 0), (0, 450), (0, 451), (1, 0)] {
        let (report, sent) = told(&handler, &batch(&many)).await;
        assert_eq!((sent.len(), report.ignored, report.path_tests.len()), (mails, 30, 20));
        let taken = report.path_tests.iter().filter(|test| test.message_id.is_some()).count();
        assert_eq!(taken, mails);
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
    assert_eq!(told(&handler, r#"{"test":{}}"#).await.0.mails, 1);
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_fails_is_tried_again_at_once() {
    let handler = handler(&[], Topic::answering(&[Answer::NoTopic]));
    let event = &batch(&[call(&json!({}))])[..];
    let invocation = Invocation { event, request_id: "r", time_left: Duration::from_secs(30), now: after(150) };
    assert_eq!(handler.handle(invocation).await.done().unwrap_err().kind(), "NotifyError");
    assert_eq!(told(&handler, event).await.1.len(), 1);
}

#[test]
fn the_subscription_passes_the_call_and_awss_recipe_does_not_count_it() {
    let mut patterns =
        include_str!("../../../template.yaml").split('\'').filter(|text| text.contains("\"GetCallerIdentity\""));
    // YAML makes one line of several.
    let text = patterns.next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(patterns.next(), None);
    let subscription = Pattern::parse(&text).unwrap();
    let recipes: Vec<_> = ["root-usage", "root-usage-cis"].map(|id| Rule::named(id).unwrap().remove(0).pattern).into();
    for (record, passed, counted) in [
        (call(&json!({})), true, false),
        (call(&json!({"userAgent": "aws-cli/2.31.0"})), false, false),
        (by_root(), true, true),
        (call(&json!({"eventName": "AssumeRoot"})), true, false),
        (call(&json!({"eventName": "CreateAccessKey"})), false, false),
    ] {
        let text = record.to_string();
        let json = Json::parse(&text).unwrap();
        assert_eq!(subscription.matches(&json), passed, "{record}");
        assert!(recipes.iter().all(|recipe| recipe.matches(&json) == counted), "{record}");
    }
}
