//! Limits hold back what anyone can cause, and nothing of anyone else: one for each kind and each who.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use root_usage_alert::config::Config;
use root_usage_alert::email::Message;
use root_usage_alert::handler::{Handler, Invocation};
use root_usage_alert::history::Recorded;
use root_usage_alert::notify::Outbox;
use root_usage_alert::report::Report;
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

fn handler(language: &str) -> Handler<Outbox, Recorded> {
    // All records of a user are LOW by this rule, and root's are what they are.
    let vars = [("RULES", "root-usage,unauthorized-api-calls"), ("ALERT_LANGUAGE", language)];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config { history: None, metrics: false, ..Config::from_vars(vars).unwrap() };
    Handler::new(config, Outbox::default(), Recorded::default())
}

async fn invoke(handler: &Handler<Outbox, Recorded>, event: &str) -> (Report, Vec<Message>) {
    let report =
        handler.handle(Invocation { event, request_id: "r", time_left: Duration::from_secs(30) }).await.unwrap();
    (report, handler.notify().take())
}

fn batch(records: &[Value]) -> String {
    let events = records.iter().enumerate();
    let events = events.map(|(n, record)| json!({"id": n.to_string(), "timestamp": 1, "message": record.to_string()}));
    let data = json!({
        "messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "trail", "logStream": "stream",
        "subscriptionFilters": ["f"], "logEvents": events.collect::<Vec<_>>()
    });
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data.to_string().as_bytes()).unwrap();
    json!({"awslogs": {"data": STANDARD.encode(encoder.finish().unwrap())}}).to_string()
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
    let handler = handler("en");
    assert_eq!(invoke(&handler, &batch(&[denied("jane", 0)])).await.0.mails, 1);
    assert_eq!(invoke(&handler, &batch(&[denied("jane", 1)])).await.0.held_back, 1);
    let (report, mails) =
        invoke(&handler, &batch(&[sign_in_page("ConsoleLogin", "111122223333", "203.0.113.9", 0)])).await;
    assert_eq!((report.mails, report.held_back), (1, 0));
    assert!(mails[0].text.contains("- 1 record of severity LOW"), "{}", mails[0].text);
    // Nor what another user does, and the other way round.
    assert_eq!(invoke(&handler, &batch(&[denied("john", 0)])).await.0.mails, 1);
    assert_eq!(invoke(&handler, &batch(&[denied("jane", 2)])).await.0.held_back, 1);
    // Of two in one batch, one may be told: so both are.
    assert_eq!(invoke(&handler, &batch(&[denied("jane", 3), denied("jim", 0)])).await.0.mails, 1);
}

#[tokio::test(start_paused = true)]
async fn a_spray_over_batches_is_told_with_accounts_sources_and_counts() {
    for language in ["en", "ja"] {
        let handler = handler(language);
        let accounts = ["111122223333", "444455556666", "777788889999"];
        for n in 0..50 {
            let source = if n % 5 == 0 { "2001:db8:77::9" } else { "198.51.100.77" };
            let (report, _) =
                invoke(&handler, &batch(&[sign_in_page("ConsoleLogin", accounts[n % 3], source, n)])).await;
            assert_eq!((report.mails, report.held_back), if n == 0 { (1, 0) } else { (0, 1) });
        }
        tokio::time::sleep(15 * MINUTE).await;
        let (report, mails) =
            invoke(&handler, &batch(&[sign_in_page("ConsoleLogin", accounts[0], "198.51.100.77", 99)])).await;
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
    let handler = handler("en");
    let request = |n| batch(&[sign_in_page("PasswordRecoveryRequested", "111122223333", "203.0.113.9", n)]);
    for n in 0..6 {
        assert_eq!(invoke(&handler, &request(n)).await.0.mails, usize::from(n == 0));
        tokio::time::sleep(MINUTE).await;
    }
    // What follows from one is never held back, and tells of them.
    let done = batch(&[sign_in_page("PasswordRecoveryCompleted", "111122223333", "203.0.113.9", 9)]);
    let (report, mails) = invoke(&handler, &done).await;
    assert_eq!((report.mails, report.held_back), (1, 0));
    assert!(
        mails[0]
            .text
            .contains("- 5 requests to recover root's password, 2026-11-20 02:01:00 UTC to 2026-11-20 02:05:00 UTC"),
        "{}",
        mails[0].text
    );
    tokio::time::sleep(15 * MINUTE).await;
    assert_eq!(invoke(&handler, &request(20)).await.0.mails, 1);
}

#[tokio::test(start_paused = true)]
async fn many_names_and_addresses_stay_within_bounds() {
    let handler = handler("en");
    let mut mails = 0;
    for n in 0..300 {
        mails += invoke(&handler, &batch(&[denied(&format!("user{n}"), n)])).await.0.mails;
    }
    // 64 have a limit of their own, and all others one.
    assert_eq!(mails, 65);
    let (_, mails) = invoke(&handler, &batch(&[sign_in_page("ConsoleLogin", "111122223333", "203.0.113.9", 0)])).await;
    assert!(mails[0].text.contains("- 235 records of severity LOW"), "{}", mails[0].text);
    let document: Value = serde_json::from_str(&mails[0].document).unwrap();
    let sources = &document["heldBack"]["tallies"][0]["sources"];
    let named = sources["each"].as_array().unwrap();
    let counted: u64 = named.iter().map(|each| each[1].as_u64().unwrap()).sum();
    assert_eq!((named.len(), counted + sources["others"].as_u64().unwrap()), (12, 235));
}

#[tokio::test(start_paused = true)]
async fn a_test_goes_out_once_a_minute() {
    let handler = handler("en");
    for (mails, wait) in [(1, 0), (0, 30), (0, 31), (1, 60)] {
        assert_eq!(invoke(&handler, r#"{"test":{}}"#).await.0.mails, mails);
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
}
