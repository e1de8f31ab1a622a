//! Nothing is lost: a batch that can't be read is told, a mail that may not have arrived is sent again, and whatever can't
//! be sent fails the invocation.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod topic;

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use root_usage::email::Message;
use root_usage::handler::Handler;
use root_usage::history::Recorded;
use serde_json::{Value, json};
use tokio::time::Instant;

use batches::{batch, gzip, raw, root_call};
use topic::{Answer, Topic, config, handler, invoke, valid};

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(format!("events/{name}.json")))
        .unwrap()
}

#[tokio::test]
async fn a_test_mails_what_can_not_be_taken_for_an_alert() {
    for (language, first) in [("en", "TEST: this mail reports no root activity."), ("ja", "TEST（テスト）: ")] {
        let vars = [("ALERT_LANGUAGE", language), ("AWS_LAMBDA_FUNCTION_NAME", "root-usage-alert")];
        let handler = Handler::new(config(&vars), Topic::default(), Recorded::default());
        let report = invoke(&handler, r#"{"test":{"Root":"$.userIdentity.type"}}"#).await.unwrap();
        assert_eq!((report.mails, report.log_events()), (1, 0));
        let mails = handler.notify().take();
        valid(&mails[0]);
        assert_eq!(mails[0].subject.as_str(), "[TEST] Alerts of root-usage-alert reach you");
        assert!(mails[0].text.starts_with(first), "{}", mails[0].text);
        // Nothing of the invocation is in it.
        assert!(!mails[0].text.contains("userIdentity"), "{}", mails[0].text);
    }
}

#[tokio::test]
async fn a_record_never_passes_for_a_test() {
    let handler = handler(Topic::default());
    let event = shipped("root-sign-in-with-mfa");
    let disguised = event.replacen('{', r#"{"test":{},"heartbeat":{},"#, 1);
    assert_eq!(invoke(&handler, &disguised).await.unwrap().matched, 1);
    assert!(!handler.notify().take()[0].text.contains("TEST"));
}

#[tokio::test]
async fn a_test_that_can_not_be_mailed_fails() {
    let handler = handler(Topic::answering(&[Answer::NoTopic]));
    let error = invoke(&handler, r#"{"test":{}}"#).await.unwrap_err();
    assert_eq!(error.kind(), "NotifyError");
}

/// The mail about a batch that can't be read: (what is wrong with it, log events read, log group known).
#[tokio::test]
async fn a_batch_that_can_not_be_read_is_mailed_once_and_fails() {
    let whole = STANDARD
        .decode(serde_json::from_str::<Value>(&shipped("burst-40")).unwrap()["awslogs"]["data"].as_str().unwrap())
        .unwrap();
    let cut = &whole[..whole.len() - 8];
    let half = &whole[..whole.len() / 2];
    let mut wrong_crc = whole.clone();
    let at = wrong_crc.len() - 8;
    wrong_crc[at] ^= 1;
    let no_json = gzip(b"{\"logGroup\":\"trail\",\"logEvents\":[{\"id\":\"1\",\"timest");
    for (what, event, matched, reason, place) in [
        ("cut off at its end", raw(cut), 40, "it breaks off", "cloudtrail/"),
        ("cut in half", raw(half), 1, "it breaks off", "cloudtrail/"),
        ("with another checksum", raw(&wrong_crc), 40, "gzip", "cloudtrail/"),
        ("no JSON", raw(&no_json), 0, "batch", "trail"),
        ("no gzip", raw(b"this is no gzip"), 0, "gzip", "not known"),
        ("no base64", json!({ "awslogs": { "data": "!!" } }).to_string(), 0, "base64", "not known"),
    ] {
        let handler = handler(Topic::default());
        let error = invoke(&handler, &event).await.unwrap_err();
        assert_eq!(error.kind(), "BatchError", "{what}");
        let mails = handler.notify().take();
        let damaged = mails.last().unwrap();
        valid(damaged);
        assert!(damaged.subject.as_str().starts_with("[HIGH] A batch could not be read: "), "{what}");
        assert!(
            damaged.text.contains(reason) && damaged.text.contains(&format!("  Log group   {place}")),
            "{what}: {}",
            damaged.text
        );
        assert!(damaged.text.contains(&format!("  Size        {} bytes", event.len())), "{what}: {}", damaged.text);
        // What could be read of it is mailed first.
        assert_eq!(mails.len(), 1 + usize::from(matched > 0), "{what}");
        if matched > 0 {
            let document: Value = serde_json::from_str(&mails[0].document).unwrap();
            assert!(document["matched"].as_u64().unwrap() >= matched, "{what}: {}", document["matched"]);
        }
        // Lambda tries twice more; the reader has read it.
        invoke(&handler, &event).await.unwrap_err();
        assert!(handler.notify().take().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn what_is_no_batch_at_all_only_fails() {
    for event in ["", "{}", "[]", "null", r#"{"key1":"value1"}"#, r#"{"awslogs":{}}"#] {
        let handler = handler(Topic::default());
        assert_eq!(invoke(&handler, event).await.unwrap_err().kind(), "BatchError", "{event}");
        assert!(handler.notify().take().is_empty());
    }
}

#[tokio::test]
async fn an_alert_whose_answer_was_lost_says_that_it_may_be_a_repetition() {
    let event = shipped("create-access-key");
    let text = "Possible duplicate: the first delivery was not confirmed.";
    for (answer, repeated) in [(Answer::Lost, true), (Answer::Throttled, false), (Answer::NoTopic, false)] {
        let handler = handler(Topic::answering(&[answer]));
        assert_eq!(invoke(&handler, &event).await.unwrap_err().kind(), "NotifyError");
        let report = invoke(&handler, &event).await.unwrap();
        let mails = handler.notify().take();
        let last = mails.last().unwrap();
        valid(last);
        assert_eq!(last.text.contains(text), repeated, "{answer:?}");
        if repeated {
            let id = |mail: &Message| serde_json::from_str::<Value>(&mail.document).unwrap()["alertId"].clone();
            assert_eq!(id(&mails[0]), id(&mails[1]));
            assert!(!mails[0].text.contains(text));
        }
        assert_eq!((report.matched, report.mails), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_never_answers_fails_the_invocation_in_time() {
    let handler = handler(Topic::answering(&[Answer::Silent]));
    let start = Instant::now();
    let error = invoke(&handler, &shipped("create-access-key")).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), ("TimeError", 29));
    // It may have been taken.
    invoke(&handler, &shipped("create-access-key")).await.unwrap();
    assert!(handler.notify().take()[0].text.contains("Possible duplicate"));
}

#[tokio::test]
async fn a_panic_fails_the_invocation_and_not_the_function() {
    let handler = handler(Topic::answering(&[Answer::Panics]));
    let error = invoke(&handler, &shipped("create-access-key")).await.unwrap_err();
    assert_eq!(error.kind(), "Fault");
    assert_eq!(error.chain(), "a fault of this program: publishing is broken");
    assert_eq!(invoke(&handler, &shipped("create-access-key")).await.unwrap().mails, 1);
}

/// Nothing bounds how much matches but the batch; what one mail can't hold is in the next, and none is lost between.
#[tokio::test]
async fn more_matches_than_fit_in_memory_are_told_in_several_mails() {
    const COUNT: usize = 20_000;
    let event = batch(&(0..COUNT).map(|n| root_call(n, "CreateUser")).collect::<Vec<_>>());
    let matched = |mails: &[Message]| -> Vec<u64> {
        mails
            .iter()
            .map(|mail| serde_json::from_str::<Value>(&mail.document).unwrap()["matched"].as_u64().unwrap())
            .collect()
    };

    let handler = handler(Topic::answering(&[Answer::Taken, Answer::Throttled]));
    assert_eq!(invoke(&handler, &event).await.unwrap_err().kind(), "NotifyError");
    let first = matched(&handler.notify().take());
    let report = invoke(&handler, &event).await.unwrap();

    let mails = handler.notify().take();
    mails.iter().for_each(valid);
    assert_eq!((first.len(), report.mails), (1, mails.len()));
    assert!(mails.len() > 1, "one mail had room for all");
    assert_eq!((report.log_events(), report.matched + report.duplicate), (COUNT, COUNT));
    assert_eq!(matched(&mails).iter().sum::<u64>(), report.matched as u64);
    assert!(report.duplicate > 0 && report.duplicate as u64 <= first[0]);
}

#[tokio::test]
async fn a_log_event_longer_than_there_can_be_is_told_unread() {
    for (length, matched) in [(1_000_000, 1), (1_100_000, 0)] {
        let handler = handler(Topic::default());
        let long = root_call(0, "CreateUser").replacen('{', &format!(r#"{{"x":"{}","#, "y".repeat(length)), 1);
        let report = invoke(&handler, &batch(&[long])).await.unwrap();
        assert_eq!((report.matched, report.unreadable, report.mails), (matched, 1 - matched, 1));
        let mails = handler.notify().take();
        assert_eq!(mails[0].text.contains("longer than a log event can be"), matched == 0, "{}", mails[0].text);
    }
}

#[tokio::test]
async fn a_batch_of_more_log_events_than_there_can_be_is_read_as_far_as_it_goes() {
    let handler = handler(Topic::default());
    let error = invoke(&handler, &batch(&vec!["Root".to_owned(); 100_001])).await.unwrap_err();
    assert!(error.chain().contains("the end of the log events that may match expected at byte"), "{}", error.chain());
    let mails = handler.notify().take();
    assert!(mails[0].text.contains("Log events that could not be read: "), "{}", mails[0].text);
    assert!(mails[1].text.contains("100000 log events could be read"), "{}", mails[1].text);
}
