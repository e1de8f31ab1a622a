//! What the mail says of the event history, and what is asked of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use root_usage::config::Config;
use root_usage::email::Message;
use root_usage::handler::{Handler, Invocation};
use root_usage::history::{By, History, LookUpError, Page, Query, Recorded, Why};
use root_usage::notify::Outbox;
use root_usage::notify::topic;
use root_usage::report::Report;
use serde_json::{Value, json};
use tokio::time::Instant;

const HISTORY: &str = include_str!("../../../events/history.jsonl");
const MINUTE: Duration = Duration::from_secs(60);

fn event(name: &str) -> String {
    fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(format!("events/{name}.json")))
        .unwrap()
}

fn config(vars: &[(&str, &str)]) -> Config {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config { metrics: false, ..Config::from_vars(vars).unwrap() }
}

/// The report and the mails of one event with this history.
async fn mails(event: &str, history: impl History, vars: &[(&str, &str)]) -> (Report, Vec<Message>) {
    let handler = Handler::new(config(vars), Outbox::default(), history);
    let report = handler
        .handle(Invocation { event, request_id: "r", time_left: MINUTE, now: Timestamp::now() })
        .await
        .done()
        .unwrap();
    (report, handler.notify().take())
}

/// The mail's section about the event history.
fn section(mail: &Message) -> &str {
    let (_, after) = mail.text.split_once("\nWhat else the event history shows:\n").unwrap();
    let end = ["\n\nAll records in this mail", "\n\nLog events that could", "\n\n  Alert "];
    let end = end.iter().filter_map(|end| after.find(end)).min().unwrap();
    &after[..end]
}

fn valid(mail: &Message) {
    let schema: Value = serde_json::from_str(include_str!("../../../docs/alert.schema.json")).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let document: Value = serde_json::from_str(&mail.document).unwrap();
    let errors: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(topic::payload(mail).unwrap().len() <= topic::MESSAGE_MAX);
}

/// A history that keeps what it was asked, and answers from another.
#[derive(Default)]
struct Asked {
    answers: Recorded,
    queries: Mutex<Vec<Query>>,
}

impl History for &Asked {
    async fn look_up(&self, query: &Query, deadline: Instant) -> Result<Page, LookUpError> {
        self.queries.lock().unwrap().push(query.clone());
        self.answers.look_up(query, deadline).await
    }
}

/// A history that does the same for each request.
struct Always<F>(F);

impl<F: Fn(&Query) -> Result<Page, LookUpError> + Sync> History for Always<F> {
    async fn look_up(&self, query: &Query, _: Instant) -> Result<Page, LookUpError> {
        (self.0)(query)
    }
}

#[tokio::test]
async fn the_section_reads_as_it_did() {
    for (language, folder) in [("en", "mails/history-en"), ("ja", "mails/history-ja")] {
        for name in [
            "create-access-key",
            "root-sign-in-without-mfa",
            "several-actors",
            "unreadable-only",
            "central-root-session-later",
            "unknown-partition",
        ] {
            let history = Recorded::from_lines(HISTORY).unwrap();
            let (report, mails) = mails(&event(name), history, &[("ALERT_LANGUAGE", language)]).await;
            assert_eq!((report.mails, report.history_failures), (1, 0));
            valid(&mails[0]);
            insta::with_settings!({ snapshot_path => folder, prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(name, mails[0].text);
            });
        }
    }
}

#[tokio::test]
async fn the_mail_in_each_readme_is_a_real_one() {
    let japanese = [("ALERT_LANGUAGE", "ja"), ("ALERT_TIME_ZONE", "Asia/Tokyo")];
    for (readme, vars) in
        [(include_str!("../../../README.md"), &[] as &[_]), (include_str!("../../../README.ja.md"), &japanese)]
    {
        let history = Recorded::from_lines(HISTORY).unwrap();
        let (_, mails) = mails(&event("create-access-key"), history, vars).await;
        let mail = format!("Subject: {}\n\n{}", mails[0].subject.as_str(), mails[0].text);
        assert!(readme.contains(mail.trim_end()), "{mail}");
    }
}

#[tokio::test]
async fn only_a_match_is_looked_up_and_only_where_it_is_switched_on() {
    for (name, vars, asked) in [
        ("iam-user", &[][..], false),
        ("control-message", &[], false),
        ("root-by-service", &[], false),
        ("unreadable-only", &[], false),
        ("unknown-partition", &[], false),
        ("create-access-key", &[("HISTORY_MINUTES", "0")], false),
        ("create-access-key", &[], true),
    ] {
        let history = Asked::default();
        mails(&event(name), &history, vars).await;
        assert_eq!(!history.queries.lock().unwrap().is_empty(), asked, "{name} {vars:?}");
    }
}

/// Who is asked for, in which Region, from when to when.
#[tokio::test]
async fn the_questions_fit_the_alert() {
    let day = "2026-11-20T";
    for (name, expected) in [
        // One Region, and it is the global one: root around the alert, the key, root before.
        (
            "create-access-key",
            vec![
                ("us-east-1", "root", "01:51:26Z", "02:51:26Z"),
                ("us-east-1", "ASIAI44QH8DHBEXAMPLE", "01:51:26Z", "02:51:26Z"),
                ("us-east-1", "root", "", "01:51:25Z"),
            ],
        ),
        ("govcloud", vec![]),
        ("china", vec![]),
        ("secret-read", vec![]),
    ] {
        let history = Asked::default();
        mails(&event(name), &history, &[]).await;
        let queries = history.queries.lock().unwrap();
        let regions: BTreeSet<&str> = queries.iter().map(|query| query.region.as_str()).collect();
        match name {
            "govcloud" => {
                assert!(regions.contains("us-gov-west-1") && regions.iter().all(|r| r.starts_with("us-gov-")));
            }
            "china" => assert!(regions.contains("cn-north-1") && regions.iter().all(|r| r.starts_with("cn-"))),
            // Its Region is another than the global one: both are asked.
            "secret-read" => {
                assert_eq!(regions.len(), 2, "{regions:?}");
                assert_eq!(queries.len(), 6);
            }
            _ => {
                let by = |by: &By| match by {
                    By::Root => "root".to_owned(),
                    By::AccessKey(key) => key.clone(),
                    By::AssumeRoot => "AssumeRoot".to_owned(),
                    By::Session(name) => name.clone(),
                };
                assert_eq!(queries.len(), expected.len());
                for (query, (region, who, from, to)) in queries.iter().zip(expected) {
                    assert_eq!((query.region.as_str(), by(&query.by).as_str()), (region, who));
                    assert_eq!(query.to.to_string(), format!("{day}{to}"));
                    let expected =
                        if from.is_empty() { "2026-08-22T02:51:26Z".to_owned() } else { format!("{day}{from}") };
                    assert_eq!(query.from.to_string(), expected);
                }
            }
        }
    }
}

/// A record of root in the session of `create-access-key`, with some of its fields changed.
fn record(id: u32, changes: &Value) -> String {
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "Root", "accountId": "111122223333", "accessKeyId": "ASIAI44QH8DHBEXAMPLE",
            "sessionContext": { "attributes": { "creationDate": "2026-11-20T02:47:09Z", "mfaAuthenticated": "false" } }
        },
        "eventTime": "2026-11-20T02:50:00Z", "eventSource": "iam.amazonaws.com", "eventName": "CreateUser",
        "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.77", "eventID": format!("id-{id}"), "readOnly": false,
        "recipientAccountId": "111122223333"
    });
    for (field, value) in changes.as_object().unwrap() {
        match (field.as_str(), value.as_object()) {
            ("userIdentity", Some(identity)) => {
                identity.iter().for_each(|(field, value)| record["userIdentity"][field] = value.clone());
            }
            _ => record[field] = value.clone(),
        }
    }
    record.to_string()
}

#[tokio::test]
async fn what_is_not_this_sessions_or_was_told_already_is_left_out() {
    let other = json!({ "attributes": { "creationDate": "2026-11-20T01:00:00Z" } });
    for (why, changes, shown) in [
        ("of this session", json!({}), true),
        (
            "of this session, with another key of it",
            json!({ "userIdentity": { "accessKeyId": "ASIAOTHEROTHEREXAMPLE" } }),
            true,
        ),
        (
            "of another session",
            json!({ "userIdentity": { "accessKeyId": "ASIAOTHEROTHEREXAMPLE", "sessionContext": other } }),
            false,
        ),
        ("of an IAM user called root", json!({ "userIdentity": { "type": "IAMUser", "userName": "root" } }), false),
        ("told in this mail", json!({ "eventID": "9736d713-1694-4c72-adc5-2513d32702f2" }), false),
        ("older", json!({ "eventTime": "2026-11-20T01:51:25Z" }), false),
        ("newer", json!({ "eventTime": "2026-11-20T02:51:27Z" }), false),
        ("without a time", json!({ "eventTime": null }), false),
    ] {
        let line = record(1, &changes);
        let answer = Always(|_: &Query| Ok(Page { events: vec![line.clone()], next: None }));
        let (_, mails) = mails(&event("create-access-key"), answer, &[]).await;
        let text = section(&mails[0]);
        assert_eq!(text.contains("iam CreateUser"), shown, "{why}: {text}");
        // Each look-up gives it; it is told once.
        assert!(!shown || text.contains("In all, 1 event besides"), "{why}: {text}");
    }
}

#[tokio::test]
async fn root_before_this_is_told_with_when_and_where() {
    let other = json!({ "accessKeyId": "ASIAOTHEROTHEREXAMPLE", "sessionContext": { "attributes": { "creationDate": "2026-11-20T02:00:00Z" } } });
    let failed = json!({ "eventName": "ConsoleLogin", "eventTime": "2026-11-10T02:47:09Z", "errorMessage": "Failed authentication" });
    for (changes, expected) in [
        (
            json!({ "eventTime": "2026-11-18T02:47:09Z" }),
            "root was last active 2 days earlier in us-east-1: 2026-11-18 02:47:09 UTC.",
        ),
        (
            json!({ "eventTime": "2026-11-20T02:27:09Z", "userIdentity": other }),
            "root was last active 20 minutes earlier in us-east-1",
        ),
        (failed, "no root activity in 90 days in us-east-1."),
    ] {
        let history = Recorded::from_lines(&record(1, &changes)).unwrap();
        let (_, mails) = mails(&event("create-access-key"), history, &[]).await;
        assert!(section(&mails[0]).contains(expected), "{}", section(&mails[0]));
        valid(&mails[0]);
    }
}

#[tokio::test]
async fn whatever_fails_becomes_a_line_of_the_mail() {
    let page = |events: Vec<String>, next: bool| Ok(Page { events, next: next.then(|| "more".to_owned()) });
    let refuse = |why: Why| Err(LookUpError { why, source: None });
    type Answer = Box<dyn Fn(&Query) -> Result<Page, LookUpError> + Sync>;
    let rows: Vec<(Answer, usize, &str)> = vec![
        (
            Box::new(move |_| refuse(Why::Throttled)),
            3,
            "us-east-1 had too many look-ups at once (0 events read before)",
        ),
        (Box::new(move |_| refuse(Why::Denied)), 3, "Allow the function's role cloudtrail:LookupEvents."),
        (Box::new(move |_| refuse(Why::Unreachable)), 3, "us-east-1 could not be reached"),
        (Box::new(move |_| refuse(Why::Malformed)), 3, "the answer of us-east-1 broke off or made no sense"),
        (Box::new(move |_| refuse(Why::Time)), 3, "us-east-1 gave no answer in time"),
        (
            Box::new(move |_| refuse(Why::Refused { code: "Invalid\nNextToken".to_owned() })),
            3,
            "refused the look-up, \"Invalid{U+000A}NextToken\"",
        ),
        (
            Box::new(move |_| page(vec!["{\"eventID\":".to_owned(), "[]".to_owned()], false)),
            3,
            "Some of the 6 events of us-east-1 could not be read.",
        ),
        (Box::new(move |_| page(vec![record(7, &json!({}))], true)), 0, "There is more in us-east-1 than was read"),
        (
            Box::new(move |_| page(vec![record(7, &json!({ "requestParameters": "x".repeat(3 << 20) }))], true)),
            0,
            "There is more in us-east-1 than was read",
        ),
        (Box::new(|_| panic!("a fault")), 3, "failed by a fault of this function"),
    ];
    for (answer, failures, expected) in rows {
        let (report, mails) = mails(&event("create-access-key"), Always(answer), &[]).await;
        assert_eq!((report.mails, report.history_failures), (1, failures), "{expected}");
        let text = section(&mails[0]);
        assert!(text.contains(expected), "{text}");
        // What was not seen is not said to be absent.
        assert!(!text.contains("No sign-in") && !text.contains("Nothing that"), "{text}");
        valid(&mails[0]);
    }
}

/// A history whose answers take their time.
struct Slow(Duration);

impl History for Slow {
    async fn look_up(&self, _: &Query, _: Instant) -> Result<Page, LookUpError> {
        tokio::time::sleep(self.0).await;
        Ok(Page { events: vec![record(1, &json!({}))], next: Some("more".to_owned()) })
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_kept_and_what_came_before_it_is_told() {
    for (answer_ms, timeout, left, ends_ms, expected) in [
        (10_000, "3000", MINUTE, 3000, "gave no answer in time (0 events"),
        (1200, "3000", MINUTE, 3000, "gave no answer in time (4 events"),
        (10_000, "500", MINUTE, 500, "gave no answer in time (0 events"),
        // Publishing needs what is left: 20 of these 21 seconds.
        (10_000, "3000", Duration::from_secs(21), 1000, "gave no answer in time (0 events"),
        (10_000, "3000", Duration::from_secs(5), 0, "gave no answer in time (0 events"),
    ] {
        let handler = Handler::new(
            config(&[("HISTORY_TIMEOUT_MS", timeout)]),
            Outbox::default(),
            Slow(Duration::from_millis(answer_ms)),
        );
        let start = Instant::now();
        let report = handler
            .handle(Invocation {
                event: &event("create-access-key"),
                request_id: "r",
                time_left: left,
                now: Timestamp::now(),
            })
            .await
            .done()
            .unwrap();
        let took = start.elapsed().as_millis();
        assert!((ends_ms..=ends_ms + 1).contains(&took), "{took} ms");
        let mails = handler.notify().take();
        assert_eq!((report.mails, mails.len()), (1, 1));
        assert!(section(&mails[0]).contains(expected), "{}", section(&mails[0]));
    }
}

#[tokio::test]
async fn what_others_wrote_into_the_history_forges_nothing() {
    let forged = "x\n- Missing: nothing at all\r\n\u{202e}https://evil.example/ ";
    let hostile = json!({
        "eventName": forged, "eventSource": forged, "awsRegion": forged, "sourceIPAddress": forged,
        "errorCode": forged, "requestParameters": { "userName": forged }
    });
    let sign_in = json!({ "eventName": "ConsoleLogin", "awsRegion": forged, "sourceIPAddress": forged });
    let lines = [record(1, &hostile), record(2, &sign_in)];
    let answer = Always(|_: &Query| Ok(Page { events: lines.to_vec(), next: None }));
    let (_, mails) = mails(&event("create-access-key"), answer, &[]).await;
    let text = section(&mails[0]);
    assert!(!text.contains("\n- Missing") && !text.contains("https://evil") && !text.contains('\u{202e}'), "{text}");
    valid(&mails[0]);
}

#[tokio::test]
async fn a_long_history_fits_the_message() {
    let page = |query: &Query| {
        let first: u32 = query.page.as_deref().map_or(0, |page| page.parse().unwrap());
        let one = |n: u32| {
            let name = format!("{n}-{}", "名".repeat(200));
            record(
                n,
                &json!({ "eventName": format!("Create{n}"), "requestParameters": { "userName": name, "roleName": name } }),
            )
        };
        Ok(Page { events: (first..first + 50).map(one).collect(), next: Some((first + 50).to_string()) })
    };
    let (report, mails) = mails(&event("burst-538"), Always(page), &[]).await;
    assert_eq!(report.mails, 1);
    valid(&mails[0]);
}

#[test]
fn a_history_that_can_not_be_read_is_refused_with_its_line() {
    for (lines, expected) in [
        ("{}", "line 1 has no eventTime"),
        ("\n[]", "line 2 is not a JSON object"),
        ("{\"eventTime\":\"2026-11-20T02:50:00Z\"}\n{", "line 2 is not JSON"),
    ] {
        let error = Recorded::from_lines(lines).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
