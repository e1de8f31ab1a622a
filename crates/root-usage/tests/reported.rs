//! What counts as reported: the alarm that compares the function with AWS's recipe goes by it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod topic;

use jiff::{SignedDuration, Timestamp};
use root_usage::handler::{Handler, Invocation};
use root_usage::history::Recorded;
use root_usage::incident::Pace;
use root_usage::ledger::InMemory;
use root_usage::report::Report;
use tokio::time::Duration;

use batches::{batch, root_call};
use topic::{Answer, Topic, config};

const NOW: &str = "2026-11-26T03:00:00Z";

/// The same root activity in one delivery and, later, in the same one or in another.
#[tokio::test(start_paused = true)]
async fn what_was_mailed_long_ago_is_not_reported_by_coming_again() {
    let told = root_call(1, "CreateAccessKey");
    let first = batch(std::slice::from_ref(&told));
    let other = batch(&[told.clone(), r#"{"eventName":"ListBuckets"}"#.to_owned()]);
    let with_news = batch(&[told, root_call(2, "DeleteTrail")]);
    // (what comes again, minutes after it was mailed, duplicates, reported)
    let rows = [
        (&first, 0, 1, 1),
        (&first, 3, 1, 1),
        (&first, 15, 1, 1),
        (&first, 16, 1, 0),
        (&first, 24 * 60, 1, 0),
        (&other, 3, 1, 1),
        (&other, 16, 1, 0),
        (&with_news, 3, 1, 2),
        (&with_news, 16, 1, 1),
    ];
    for has_ledger in [true, false] {
        for (again, minutes, duplicate, reported) in rows {
            let handler = Handler::new(config(&[("HISTORY_MINUTES", "0")]), Topic::default(), Recorded::default());
            let handler = handler.with_ledger(has_ledger.then(InMemory::default), Pace::default());
            let now: Timestamp = NOW.parse().unwrap();
            let handle = async |event: &str, now: Timestamp| -> Report {
                let time_left = Duration::from_secs(30);
                let request_id = &now.to_string();
                handler.handle(Invocation { event, request_id, time_left, now }).await.done().unwrap()
            };
            let report = handle(&first, now).await;
            assert_eq!((report.matched, report.reported, report.mails), (1, 1, 1));

            let report = handle(again, now + SignedDuration::from_mins(minutes)).await;
            assert_eq!((report.duplicate, report.reported), (duplicate, reported), "{has_ledger} {minutes} {again}");
        }
    }
}

/// What waits was reported when it was stored. Sent again, it waits as before.
#[tokio::test(start_paused = true)]
async fn what_waits_is_reported_once() {
    let handler = Handler::new(config(&[("HISTORY_MINUTES", "0")]), Topic::default(), Recorded::default());
    let handler = handler.with_ledger(Some(InMemory::default()), Pace::default());
    let now: Timestamp = NOW.parse().unwrap();
    let first = batch(&[root_call(1, "ListBuckets")]);
    let waits = batch(&[root_call(2, "ListBuckets")]);
    for (event, seconds, waiting, reported) in
        [(&first, 0, 0, 1), (&waits, 60, 1, 1), (&waits, 65, 1, 0), (&waits, 120, 1, 0)]
    {
        let now = now + SignedDuration::from_secs(seconds);
        let invocation = Invocation { event, request_id: &now.to_string(), time_left: Duration::from_secs(30), now };
        let report = handler.handle(invocation).await.done().unwrap();
        assert_eq!((report.waiting, report.reported), (waiting, reported), "{seconds}");
    }
}

/// Where SNS took no mail, nobody has reported it yet: the tick that mails it does.
#[tokio::test(start_paused = true)]
async fn what_a_tick_mails_in_place_of_a_delivery_is_reported() {
    let topic = Topic::answering(&[Answer::Throttled]);
    let handler = Handler::new(config(&[("HISTORY_MINUTES", "0")]), topic, Recorded::default());
    let handler = handler.with_ledger(Some(InMemory::default()), Pace::default());
    let now: Timestamp = NOW.parse().unwrap();
    let event = batch(&[root_call(1, "CreateAccessKey")]);
    for (event, seconds, mails, reported) in [(&event[..], 0, 0, 0), (r#"{"tick":{}}"#, 90, 1, 1), (&event, 120, 0, 1)]
    {
        let now = now + SignedDuration::from_secs(seconds);
        let invocation = Invocation { event, request_id: &now.to_string(), time_left: Duration::from_secs(30), now };
        let report = handler.handle(invocation).await.report;
        assert_eq!((report.mails, report.reported), (mails, reported), "{seconds}");
    }
}
