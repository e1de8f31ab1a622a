//! What is kept in the ledger and told later: once, in time, by whichever instance, and what is said about it until then.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod deeds;
mod slow;
mod topic;

use std::time::Duration;

use root_usage::directory::Listed;
use root_usage::email::Message;
use root_usage::handler::{Handler, Invocation};
use root_usage::history::Recorded;
use root_usage::incident::Pace;
use root_usage::ledger::{Ledger, PartKey, STORY_MAX, Told};
use root_usage::notify::Notify;
use root_usage::report::Report;
use serde_json::{Value, json};
use tokio::time::Instant;

use deeds::{Deed, after, delivery, messages};
use slow::{Slow, Timed};
use topic::{Answer, Topic, config};

const MINUTE: i64 = 60;
const TICK: &str = r#"{"tick":{}}"#;
const LIST: &str = r#"{"incidents":{}}"#;

type Over<N> = Handler<N, Recorded, Listed, Slow>;

/// The handler over a ledger.
fn handler<N: Notify>(topic: N, ledger: &Slow) -> Over<N> {
    with(topic, ledger, &[])
}

fn with<N: Notify>(topic: N, ledger: &Slow, vars: &[(&str, &str)]) -> Over<N> {
    let config = config(&[&[("HISTORY_MINUTES", "0")], vars].concat());
    Handler::new(config, topic, Recorded::default()).with_incidents(ledger.clone(), Pace::default())
}

/// One invocation, so many seconds after the beginning: its report, and whether it failed.
async fn at<N: Notify>(handler: &Over<N>, seconds: i64, event: &str) -> (Report, bool) {
    let (request_id, now) = (format!("{seconds}-{}", event.len()), after(seconds));
    let invocation = Invocation { event, request_id: &request_id, time_left: Duration::from_secs(30), now };
    let handled = handler.handle(invocation).await;
    (handled.report, handled.result.is_err())
}

fn document(mail: &Message) -> Value {
    serde_json::from_str(&mail.document).unwrap()
}

fn times(mails: &[Message], deed: &Deed) -> usize {
    mails.iter().filter(|mail| mail.document.contains(&format!("\"{}\"", deed.id()))).count()
}

fn role(name: &str) -> Deed {
    Deed::new("iam", "CreateRole").of("roleName", name)
}

fn read() -> Deed {
    Deed::read("s3", "ListBuckets")
}

/// More than one mail's worth: the parts of its portions wait, and each tells its own.
#[tokio::test(start_paused = true)]
async fn each_portion_of_a_delivery_is_told_once() {
    let handler = handler(Topic::default(), &Slow::remembering(10));
    at(&handler, 0, &delivery(0, &[Deed::sign_in()])).await;
    handler.notify().take();
    let blank = "x".repeat(20_000);
    let reads: Vec<Deed> = (0..1400).map(|_| read().with("requestParameters", json!({ "a": blank }))).collect();
    let (report, failed) = at(&handler, 5 * MINUTE, &delivery(300, &reads)).await;
    assert_eq!((report.waiting, failed, report.mails), (1400, false, 0));
    for minute in 6..130 {
        at(&handler, minute * MINUTE, TICK).await;
    }
    let told = |mail: &Message| {
        let document = document(mail);
        let closing =
            || document["eventIds"].as_array().unwrap().len() as u64 + document["eventIdsLeftOut"].as_u64().unwrap();
        document["matched"].as_u64().unwrap_or_else(closing)
    };
    let told: Vec<u64> = handler.notify().take().iter().map(told).collect();
    assert_eq!(told.iter().sum::<u64>(), 1400, "{told:?}");
}

/// While nothing can be mailed, whoever asks what waits is told so.
#[tokio::test(start_paused = true)]
async fn what_waits_is_listed_while_sns_refuses() {
    let topic = Topic::answering(&[&[Answer::Taken][..], &[Answer::Throttled; 40]].concat());
    let handler = handler(topic, &Slow::default());
    let list = async |seconds| {
        let (report, failed) = at(&handler, seconds, LIST).await;
        assert!(!failed && report.publish_failures == 0, "{seconds}");
        report.incidents.unwrap()
    };
    assert_eq!(list(0).await, []);
    at(&handler, 0, &delivery(0, &[Deed::sign_in()])).await;
    at(&handler, 300, &delivery(300, &[read()])).await;
    let [open] = &list(301).await[..] else { panic!() };
    assert_eq!((open.mails, open.waiting, open.closing, open.until), (1, 1, false, Some(after(3900))));
    assert_eq!((open.opened, open.last), (Some(after(0)), Some(after(300))));
    // It is over, and its last mail does not go out.
    assert!(at(&handler, 3900, TICK).await.1);
    for seconds in [3901, 4000, 9000] {
        let [over] = &list(seconds).await[..] else { panic!("{seconds}") };
        assert_eq!((&over.id, over.mails, over.waiting, over.closing), (&open.id, 1, 1, true));
        assert_eq!((over.opened, over.last), (Some(after(0)), None));
    }
    // Another identity's, which was not mailed at once; and what is kept of one that has no incident yet.
    assert!(at(&handler, 9001, &delivery(9001, &[role("a").account("444455556666")])).await.1);
    let all = list(9002).await;
    assert_eq!(all.iter().map(|one| one.waiting).sum::<usize>(), 2, "{all:?}");
}

/// What may have been mailed by whoever kept it says so, and what was put to wait does not.
#[tokio::test(start_paused = true)]
async fn what_a_tick_finds_that_was_not_put_to_wait_may_have_been_told() {
    let ledger = Slow::default();
    let handler = handler(Topic::default(), &ledger);
    let (grave, waits) = (role("a"), role("b").denied());
    // It is mailed, and nothing remembers that.
    ledger.takes(|name, _| if name == "tell" { Duration::from_secs(60) } else { Duration::ZERO });
    at(&handler, 0, &delivery(0, std::slice::from_ref(&grave))).await;
    ledger.takes(|_, _| Duration::ZERO);
    at(&handler, 120, TICK).await;
    let mails = handler.notify().take();
    let marks: Vec<bool> = mails.iter().map(|mail| document(mail)["mayBeRepeated"] == true).collect();
    assert_eq!((times(&mails, &grave), marks), (2, vec![false, true]));
    assert!(mails[1].text.contains("Possible duplicate"));
    at(&handler, 180, &delivery(180, std::slice::from_ref(&waits))).await;
    at(&handler, 1080, TICK).await;
    let mails = handler.notify().take();
    assert_eq!(times(&mails, &waits), 1);
    assert!(document(&mails[0])["mayBeRepeated"] != true && !mails[0].text.contains("Possible duplicate"));
}

/// The minute of an incident was taken by an instance whose clock is two minutes ahead.
#[tokio::test(start_paused = true)]
async fn by_clocks_two_minutes_apart_a_grave_deed_waits_two_minutes_and_a_tick() {
    for began in (0..60).step_by(5) {
        let ledger = Slow::default();
        let [ahead, right] = [(); 2].map(|()| handler(Topic::default(), &ledger));
        at(&ahead, began + 120, &delivery(began, &[Deed::sign_in()])).await;
        let (deed, came) = (role("a"), began + 5);
        at(&right, came, &delivery(came, std::slice::from_ref(&deed))).await;
        let mut told = times(&right.notify().take(), &deed);
        let mut now = 0;
        while told == 0 {
            now += MINUTE;
            at(&right, now, TICK).await;
            told = times(&right.notify().take(), &deed);
            assert!(now - came <= 2 * MINUTE + MINUTE, "it came at {came}, and waits at {now}");
        }
        // Due after a minute at the latest, and the tick after that.
        assert!(now - came <= 2 * MINUTE, "it came at {came}, and is told at {now}");
    }
}

/// Fifteen minutes late, and not before.
#[tokio::test(start_paused = true)]
async fn what_is_fifteen_minutes_late_is_counted() {
    let topic = Topic::answering(&[Answer::Taken, Answer::Throttled, Answer::Throttled]);
    let handler = handler(topic, &Slow::default());
    at(&handler, 0, &delivery(0, &[Deed::sign_in()])).await;
    // Due at 1000 and at 1010.
    at(&handler, 100, &delivery(100, &[role("a").denied()])).await;
    at(&handler, 110, &delivery(110, &[role("b").denied()])).await;
    for (seconds, overdue) in [(999, 0), (1899, 0), (1900, 1), (1920, 2), (2000, 2), (2100, 2), (2200, 0)] {
        assert_eq!(at(&handler, seconds, TICK).await.0.overdue, overdue, "{seconds}");
    }
}

/// Whoever makes many mails keeps the last one away by none of them, and it counts what it leaves out.
#[tokio::test(start_paused = true)]
async fn a_long_story_is_closed_and_says_how_many_lines_it_leaves_out() {
    let ledger = Slow::default();
    let handler = handler(Topic::default(), &ledger);
    at(&handler, 0, &delivery(0, &[Deed::sign_in()])).await;
    let id = ledger.items().all_current().await.unwrap()[0].id;
    for number in 0..STORY_MAX as u64 + 100 {
        let digest = (0..3).map(|line| format!("2026-11-20 02:48:00 mail {number}, line {line}")).collect();
        let told = Told { incident: Some(id), digest, ..Told::default() };
        let mut key = [7; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        ledger.items().tell(&[PartKey(key)], &told, after(1)).await.unwrap();
    }
    at(&handler, 300, &delivery(300, &[read()])).await;
    handler.notify().take();
    at(&handler, 3900, TICK).await;
    let [closing] = &handler.notify().take()[..] else { panic!() };
    let document = document(closing);
    let story = document["story"].as_array().unwrap();
    let all = ledger.items().so_far(id).await.unwrap();
    assert_eq!(all.mails, STORY_MAX + 102);
    assert_eq!(usize::try_from(document["linesLeftOut"].as_u64().unwrap()).unwrap() + story.len(), all.lines);
    assert!(story.iter().all(|line| line.as_str().unwrap().len() > 10), "{story:?}");
    assert_eq!(ledger.items().story(id).await.unwrap().len(), STORY_MAX);
}

/// A call that got a key of a central root session, so many seconds after the beginning.
fn assume_root(key: &str, seconds: i64) -> Deed {
    Deed::new("sts", "AssumeRoot")
        .by("mateo")
        .account("444455556666")
        .with("userIdentity", json!({
            "type": "IAMUser", "arn": "arn:aws:iam::444455556666:user/mateo", "accountId": "444455556666", "userName": "mateo"
        }))
        .with("eventTime", json!(after(seconds).to_string()))
        .with("sessionCredentialFromConsole", Value::Null)
        .with("responseElements", json!({ "credentials": { "accessKeyId": key } }))
}

/// What that session does.
fn in_session(key: &str, deed: Deed) -> Deed {
    deed.with("sessionCredentialFromConsole", Value::Null).with("userIdentity", json!({
        "type": "Root", "principalId": "111122223333", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333",
        "accessKeyId": key,
        "sessionContext": { "attributes": { "creationDate": after(0).to_string(), "mfaAuthenticated": "false" } }
    }))
}

const ASSUME_ROOT: &[(&str, &str)] = &[("RULE_PATTERN", "{ $.eventName = \"AssumeRoot\" }")];

/// Whether a rule matches the call or not, and whichever comes first.
#[tokio::test(start_paused = true)]
async fn who_got_a_central_root_session_is_told_whichever_comes_first() {
    const KEY: &str = "ASIAIOSFODNN7EXAMPLE";
    let named = |mails: &[Message]| {
        let of_session = mails.iter().filter(|mail| mail.subject.as_str().contains("111122223333"));
        of_session.map(|mail| mail.document.contains("user/mateo")).collect::<Vec<_>>()
    };
    for vars in [&[][..], ASSUME_ROOT] {
        let call_first = with(Topic::default(), &Slow::default(), vars);
        at(&call_first, 0, &delivery(0, &[assume_root(KEY, 0)])).await;
        at(&call_first, 60, &delivery(60, &[in_session(KEY, role("a"))])).await;
        assert_eq!(named(&call_first.notify().take()), [true], "{vars:?}");

        let session_first = with(Topic::default(), &Slow::default(), vars);
        at(&session_first, 0, &delivery(0, &[in_session(KEY, role("a"))])).await;
        at(&session_first, 90, &delivery(90, &[in_session(KEY, role("b").denied())])).await;
        at(&session_first, 120, &delivery(120, &[assume_root(KEY, 0)])).await;
        at(&session_first, 990, TICK).await;
        at(&session_first, 1100, &delivery(1100, &[in_session(KEY, role("c"))])).await;
        let mails = session_first.notify().take();
        // The first could not know; the update and what goes out at once after it do.
        assert_eq!(named(&mails), [false, true, true], "{vars:?}");
        let of_session = mails.iter().filter(|mail| mail.subject.as_str().contains("111122223333"));
        let in_words = of_session.map(|mail| mail.text.contains("user/mateo\" called sts:AssumeRoot"));
        assert_eq!(in_words.collect::<Vec<_>>(), [false, true, true], "{vars:?}");
    }
}

/// Of many calls in one batch the newest are remembered, in whatever order they stand.
#[tokio::test(start_paused = true)]
async fn of_many_calls_the_newest_are_remembered() {
    let key = |number: i64| format!("ASIAIOSFODNN7EXAM{number:03}");
    for (vars, backwards) in [(&[][..], false), (&[], true), (ASSUME_ROOT, false), (ASSUME_ROOT, true)] {
        let handler = with(Topic::default(), &Slow::default(), vars);
        let mut calls: Vec<String> = (0..30).map(|number| assume_root(&key(number), number).0.to_string()).collect();
        if backwards {
            calls.reverse();
        }
        at(&handler, 60, &messages(60, &calls)).await;
        handler.notify().take();
        at(&handler, 120, &delivery(120, &[in_session(&key(29), role("a"))])).await;
        let mails = handler.notify().take();
        assert!(mails[0].text.contains("user/mateo"), "{backwards} {vars:?}: {}", mails[0].text);
    }
}

/// An incident with ten reads that wait, and after it a grave deed while each call of the ledger takes as long as that.
async fn grave_while(takes: impl Fn(&str, usize) -> Duration + Send + 'static, first: bool) -> (Duration, usize) {
    let ledger = Slow::default();
    let handler = handler(Timed::default(), &ledger);
    at(&handler, 0, &delivery(0, &[Deed::sign_in()])).await;
    let mut deeds: Vec<Deed> = Vec::new();
    for number in 0..10 {
        deeds.push(read());
        at(&handler, 61 + number, &delivery(61 + number, &deeds[deeds.len() - 1..])).await;
    }
    handler.notify().take();
    ledger.takes(takes);
    let grave = if first { role("a").account("444455556666") } else { role("a") };
    let began = Instant::now();
    at(&handler, 200, &delivery(200, std::slice::from_ref(&grave))).await;
    let mut mails = handler.notify().take();
    let waited = mails[0].0 - began;
    assert_eq!(times(&[mails[0].1.clone()], &grave), 1);
    ledger.takes(|_, _| Duration::ZERO);
    deeds.push(grave);
    for minute in 5..130 {
        at(&handler, minute * MINUTE, TICK).await;
    }
    let along = mails.len();
    mails.extend(handler.notify().take());
    assert!(ledger.items().parts().await.unwrap().is_empty());
    let mails: Vec<Message> = mails.into_iter().map(|(_, mail)| mail).collect();
    let told: Vec<usize> = deeds.iter().map(|deed| times(&mails, deed)).collect();
    // With one that does not come through it may be told once more, and is never told nowhere.
    assert!(told.iter().all(|times| (1..=2).contains(times)), "{told:?}");
    assert_eq!(along, 1);
    (waited, told.iter().filter(|times| **times > 1).count())
}

const LEDGER_TIME: Duration = Duration::from_millis(1500);

/// However slow the ledger is, a mail waits for all of its answers together no longer than that.
#[tokio::test(start_paused = true)]
async fn a_mail_that_somebody_waits_for_waits_for_the_ledger_once() {
    for first in [false, true] {
        for millis in [0, 20, 50, 100, 150, 200, 300, 400, 700, 1400, 1600] {
            let (waited, twice) = grave_while(move |_, _| Duration::from_millis(millis), first).await;
            assert!(waited <= LEDGER_TIME, "{millis} ms each: {waited:?}");
            assert_eq!(twice, 0, "{millis} ms each");
        }
    }
}

/// Whichever call does not come through.
#[tokio::test(start_paused = true)]
async fn whichever_answer_does_not_come_a_grave_mail_goes_out_in_time() {
    for first in [false, true] {
        for call in 0..60 {
            let takes = move |_: &str, number| if number == call { Duration::from_secs(60) } else { Duration::ZERO };
            let (waited, _) = grave_while(takes, first).await;
            assert!(waited <= LEDGER_TIME, "call {call}: {waited:?}");
        }
    }
}
