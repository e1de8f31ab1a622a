//! Out of time is not out of mail: wherever the time goes, the worst is told, or the invocation fails and is tried again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use root_usage::config::Config;
use root_usage::email::Message;
use root_usage::handler::{Handler, HandlerError, Invocation};
use root_usage::history::Recorded;
use root_usage::notify::Outbox;
use root_usage::report::Report;
use tokio::time::Instant;

/// The event `create-access-key`, with a clock that jumps by so much when it is asked for the `jump`th time. The last value
/// says how often it was asked.
async fn run(jump: usize, by: Duration) -> (Result<Report, String>, Vec<Message>, usize) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("events/create-access-key.json");
    let event = fs::read_to_string(path).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let config = Config { metrics: false, ..Config::from_vars([]).unwrap() };
    let history = Recorded::from_lines(include_str!("../../../events/history.jsonl")).unwrap();
    let clock = {
        let asked = Arc::clone(&asked);
        move || {
            let count = asked.fetch_add(1, Ordering::Relaxed);
            Instant::now() + if count >= jump { by } else { Duration::ZERO }
        }
    };
    let handler = Handler::new(config, Outbox::default(), history).with_clock(clock);
    let result = handler
        .handle(Invocation {
            event: &event,
            request_id: "r",
            time_left: Duration::from_secs(30),
            now: Timestamp::now(),
        })
        .await
        .done();
    let messages = handler.notify().take();
    (result.map_err(|error: HandlerError<_>| error.kind().to_owned()), messages, asked.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn wherever_the_time_goes_the_worst_is_told_or_tried_again() {
    let (report, whole, asked) = run(usize::MAX, Duration::ZERO).await;
    assert_eq!(report.unwrap().mails, 1);
    assert!(!whole[0].document.is_empty() && whole[0].text.contains("What else the event history shows"));
    assert!(asked >= 4, "reading, history, writing: {asked}");
    let mut short = 0;
    for jump in 0..asked {
        for seconds in [9, 15, 17, 19, 25, 29] {
            let (report, messages, _) = run(jump, Duration::from_secs(seconds)).await;
            let told = messages.iter().any(|message| message.text.contains("CreateAccessKey"));
            let cut = report.is_err();
            match report {
                Ok(report) => assert!(told && report.mails == 1, "{jump} {seconds}"),
                Err(kind) => assert_eq!(kind, "TimeError", "{jump} {seconds}"),
            }
            for message in messages.iter().filter(|message| message.document.is_empty()) {
                short += 1;
                assert!(message.text.contains("short form: there was no time"), "{}", message.text);
                assert!(message.text.is_ascii() && (cut || message.text.contains("iam CreateAccessKey (succeeded) 1")));
            }
        }
    }
    assert!(short > 0);
}

#[tokio::test(start_paused = true)]
async fn the_short_form_says_what_a_reader_needs() {
    let (report, messages, _) = run(3, Duration::from_secs(20)).await;
    assert_eq!(report.unwrap().mails, 1);
    insta::assert_snapshot!("short-form", messages[0].text);
}
