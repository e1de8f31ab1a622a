//! Limits hold back what anyone can cause, and nothing of anyone else: one for each kind and each who.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod topic;

use std::time::Duration;

use root_usage::config::Config;
use root_usage::email::Message;
use root_usage::handler::Handler;
use root_usage::history::Recorded;
use root_usage::report::Report;
use serde_json::{Value, json};

use batches::{batch, broken, failed_sign_in, root_call};
use topic::{Answer, Topic, handler, invoke, valid};

const MINUTE: Duration = Duration::from_secs(60);

/// All records of a user are LOW by this rule, and root's are what they are.
fn of_everybody(language: &str) -> Handler<Topic, Recorded> {
    let config = topic::config(&[("RULES", "root-usage,unauthorized-api-calls"), ("ALERT_LANGUAGE", language)]);
    Handler::new(Config { history: None, ..config }, Topic::default(), Recorded::default())
}

async fn told(handler: &Handler<Topic, Recorded>, event: &str) -> (Report, Vec<Message>) {
    (invoke(handler, event).await.unwrap(), handler.notify().take())
}

fn sign_in_page(name: &str, account: &str, source: &str, id: usize) -> Value {
    let outcome = if name == "ConsoleLogin" { "Failure" } else { "Success" };
    json!({
        "userIdentity": {"type": "Root", "accountId": account}, "eventTime": format!("2026-11-20T02:{:02}:00Z", id % 60),
        "eventSource": "signin.amazonaws.com", "eventName": name, "awsRegion": "us-east-1", "sourceIPAddress": source,
        "eventID": format!("{name}-{id}"), "eventType": "AwsConsoleSignIn", "recipientAccountId": account,
        "responseElements": {name: outcome}, "additionalEventData": {"MFAUsed": "No"}
    })
}

fn denied(user: &str, id: usize) -> Value {
    json!({
        "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/{user}"), "accountId": "111122223333"},
        "eventTime": "2026-11-20T02:50:00Z", "eventSource": "iam.amazonaws.com", "eventName": "ListUsers", "errorCode": "AccessDenied",
        "awsRegion": "us-east-1", "sourceIPAddress": format!("2001:db8:0:{id:x}::1"), "eventID": format!("{user}-{id}"),
        "recipientAccountId": "111122223333"
    })
}

#[tokio::test(start_paused = true)]
async fn one_users_denied_calls_hold_back_nothing_of_roots() {
    let handler = of_everybody("en");
    assert_eq!(told(&handler, &batch(&[denied("jane", 0)])).await.0.mails, 1);
    assert_eq!(told(&handler, &batch(&[denied("jane", 1)])).await.0.held_back, 1);
    let (report, mails) =
        told(&handler, &batch(&[sign_in_page("ConsoleLogin", "111122223333", "203.0.113.9", 0)])).await;
    assert_eq!((report.mails, report.held_back), (1, 0));
    assert!(mails[0].text.contains("- 1 record of severity LOW"), "{}", mails[0].text);
    // Nor what another user does, and the other way round.
    assert_eq!(told(&handler, &batch(&[denied("john", 0)])).await.0.mails, 1);
    assert_eq!(told(&handler, &batch(&[denied("jane", 2)])).await.0.held_back, 1);
    // Of two in one batch, one may be told: so both are.
    assert_eq!(told(&handler, &batch(&[denied("jane", 3), denied("jim", 0)])).await.0.mails, 1);
}

#[tokio::test(start_paused = true)]
async fn a_spray_over_batches_is_told_with_accounts_sources_and_counts() {
    for language in ["en", "ja"] {
        let handler = of_everybody(language);
        let accounts = ["111122223333", "444455556666", "777788889999"];
        for n in 0..50 {
            let source = if n % 5 == 0 { "2001:db8:77::9" } else { "198.51.100.77" };
            let (report, _) = told(&handler, &batch(&[sign_in_page("ConsoleLogin", accounts[n % 3], source, n)])).await;
            assert_eq!((report.mails, report.held_back), if n == 0 { (1, 0) } else { (0, 1) });
        }
        tokio::time::sleep(15 * MINUTE).await;
        let (report, mails) =
            told(&handler, &batch(&[sign_in_page("ConsoleLogin", accounts[0], "198.51.100.77", 99)])).await;
        assert_eq!(report.mails, 1);
        let text = &mails[0].text;
        let held = text
            .split_once(if language == "en" { "Held back" } else { "保留した" })
            .unwrap()
            .1
            .split_once("\n\n")
            .unwrap()
            .0;
        insta::assert_snapshot!(format!("spray-{language}"), held);
        let document: Value = serde_json::from_str(&mails[0].document).unwrap();
        assert_eq!(document["heldBack"]["low"], 49);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_to_recover_the_password_are_one_mail_in_a_quarter_of_an_hour() {
    let handler = of_everybody("en");
    let request = |n| batch(&[sign_in_page("PasswordRecoveryRequested", "111122223333", "203.0.113.9", n)]);
    for n in 0..6 {
        assert_eq!(told(&handler, &request(n)).await.0.mails, usize::from(n == 0));
        tokio::time::sleep(MINUTE).await;
    }
    // What follows from one is never held back, and tells of them.
    let done = batch(&[sign_in_page("PasswordRecoveryCompleted", "111122223333", "203.0.113.9", 9)]);
    let (report, mails) = told(&handler, &done).await;
    assert_eq!((report.mails, report.held_back), (1, 0));
    assert!(
        mails[0].text.contains("- 5 requests to recover root's password, 2026-11-20 02:01:00 to 02:05:00 UTC"),
        "{}",
        mails[0].text
    );
    tokio::time::sleep(15 * MINUTE).await;
    assert_eq!(told(&handler, &request(20)).await.0.mails, 1);
}

#[tokio::test(start_paused = true)]
async fn many_names_and_addresses_stay_within_bounds() {
    let handler = of_everybody("en");
    let mut mails = 0;
    for n in 0..300 {
        mails += told(&handler, &batch(&[denied(&format!("user{n}"), n)])).await.0.mails;
    }
    // 64 have a limit of their own, and all others one.
    assert_eq!(mails, 65);
    let (_, mails) = told(&handler, &batch(&[sign_in_page("ConsoleLogin", "111122223333", "203.0.113.9", 0)])).await;
    assert!(mails[0].text.contains("- 235 records of severity LOW"), "{}", mails[0].text);
    let document: Value = serde_json::from_str(&mails[0].document).unwrap();
    let sources = &document["heldBack"]["tallies"][0]["sources"];
    let named = sources["each"].as_array().unwrap();
    let counted: u64 = named.iter().map(|each| each[1].as_u64().unwrap()).sum();
    assert_eq!((named.len(), counted + sources["others"].as_u64().unwrap()), (12, 235));
}

#[tokio::test(start_paused = true)]
async fn a_test_goes_out_once_a_minute() {
    let handler = of_everybody("en");
    for (mails, wait) in [(1, 0), (0, 30), (0, 31), (1, 60)] {
        assert_eq!(told(&handler, r#"{"test":{}}"#).await.0.mails, mails);
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_anyone_can_cause_is_one_mail_in_a_quarter_of_an_hour_and_counted() {
    for (unreadable, told) in [(false, "- 9 failed root sign-ins"), (true, "- 9 log events that could not be read")] {
        let message = |n| if unreadable { broken(n) } else { failed_sign_in(n) };
        let handler = handler(Topic::default());
        for n in 0..10 {
            let report = invoke(&handler, &batch(&[message(n)])).await.unwrap();
            assert_eq!((report.mails, report.held_back), if n == 0 { (1, 0) } else { (0, 1) });
            assert_eq!(report.matched + report.unreadable, 1);
            tokio::time::sleep(MINUTE).await;
        }
        assert!(!handler.notify().take()[0].text.contains("Held back"));
        // The next one carries the count, and the one after it begins anew.
        tokio::time::sleep(15 * MINUTE).await;
        for expected in [true, false] {
            assert_eq!(
                invoke(&handler, &batch(&[message(100)])).await.unwrap().duplicate,
                usize::from(!expected && told.contains("sign-ins"))
            );
            if let Some(mail) = handler.notify().take().first() {
                valid(mail);
                assert_eq!(mail.text.contains(told), expected, "{}", mail.text);
            }
            tokio::time::sleep(15 * MINUTE).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_grave_alert_is_never_held_back_and_tells_what_was() {
    let handler = handler(Topic::default());
    invoke(&handler, &batch(&[failed_sign_in(0)])).await.unwrap();
    invoke(&handler, &batch(&[failed_sign_in(1), failed_sign_in(2)])).await.unwrap();
    handler.notify().take();
    for (n, held) in [(0, true), (1, false)] {
        let report = invoke(&handler, &batch(&[failed_sign_in(10 + n), root_call(n, "CreateUser")])).await.unwrap();
        assert_eq!((report.mails, report.held_back), (1, 0));
        let mails = handler.notify().take();
        assert_eq!(mails[0].text.contains("Held back") && mails[0].text.contains("- 2 failed root sign-ins"), held);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limited_mail_that_failed_is_tried_again() {
    let handler = handler(Topic::answering(&[Answer::Throttled]));
    let event = batch(&[failed_sign_in(0)]);
    invoke(&handler, &event).await.unwrap_err();
    assert_eq!(invoke(&handler, &event).await.unwrap().mails, 1);
}

#[tokio::test(start_paused = true)]
async fn denied_calls_push_nobody_out_who_got_a_central_root_session() {
    let call = |id: String, key: Option<&str>| {
        json!({
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::444455556666:user/mateo", "accountId": "444455556666"},
            "eventTime": "2026-11-20T02:50:00Z", "eventSource": "sts.amazonaws.com", "eventName": "AssumeRoot",
            "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.9", "eventID": id, "recipientAccountId": "444455556666",
            "errorCode": if key.is_none() { "AccessDenied" } else { "" },
            "responseElements": {"credentials": {"accessKeyId": key}}
        })
    };
    let deed = json!({
        "userIdentity": {"type": "Root", "accountId": "111122223333", "accessKeyId": "ASIAIOSFODNN7EXAMPLE"},
        "eventTime": "2026-11-20T02:51:00Z", "eventSource": "iam.amazonaws.com", "eventName": "DeleteLoginProfile",
        "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.9", "eventID": "deed", "recipientAccountId": "111122223333"
    });
    let mut records: Vec<Value> = (0..2000).map(|n| call(format!("denied-{n}"), None)).collect();
    records.extend([call("call".to_owned(), Some("ASIAIOSFODNN7EXAMPLE")), deed]);
    let handler = handler(Topic::default());
    let report = invoke(&handler, &batch(&records)).await.unwrap();
    assert_eq!((report.mails, report.matched, report.ignored), (1, 1, 2001));
    let mails = handler.notify().take();
    assert!(mails[0].text.contains("user/mateo"), "{}", mails[0].text);
}
