//! Who is woken, and that a pager which fails costs nobody a mail. And what subscriptions can choose messages by.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod deeds;
mod topic;

use std::time::Duration;

use root_usage::config::Config;
use root_usage::email::Message;
use root_usage::handler::{Handler, Invocation};
use root_usage::history::Recorded;
use root_usage::incident::Pace;
use root_usage::ledger::InMemory;
use root_usage::notify::topic as sns;
use root_usage::report::Report;
use serde_json::json;
use tokio::time::Instant;

use batches::{batch, broken, raw};
use deeds::{Deed, after, delivery};
use topic::{Answer, Topic};

const MINUTE: i64 = 60;

type Pipeline = Handler<Topic, Recorded>;

fn pipeline(mails: Topic) -> Pipeline {
    let config = topic::config(&[("RULES", "root-usage,cis")]);
    Handler::new(Config { history: None, ..config }, mails, Recorded::default())
}

async fn told<D: root_usage::directory::Directory, L: root_usage::ledger::Ledger>(
    handler: &Handler<Topic, Recorded, D, L>,
    at: i64,
    event: &str,
) -> (Report, bool) {
    let invocation = Invocation { event, request_id: "r", time_left: Duration::from_secs(30), now: after(at) };
    let handled = handler.handle(invocation).await;
    (handled.report, handled.result.is_ok())
}

fn kinds(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.attributes.occasion.name()).collect()
}

/// A sign-in without MFA is critical, one with MFA is not.
fn critical() -> Deed {
    Deed::sign_in().with("additionalEventData", json!({ "MFAUsed": "No" }))
}

#[tokio::test(start_paused = true)]
async fn what_is_critical_and_new_is_paged_and_nothing_else() {
    let pager = Topic::default();
    let handler =
        pipeline(Topic::default()).with_pager(Some(pager)).with_incidents(InMemory::default(), Pace::default());
    let launch = |image| Deed::new("ec2", "RunInstances").of("imageId", image);
    let stop = Deed::new("cloudtrail", "StopLogging").of("name", "main");
    let key = || Deed::new("iam", "CreateAccessKey").of("userName", "x");
    let mut events: Vec<(i64, String)> = vec![
        (0, delivery(0, &[critical()])),
        (2 * MINUTE, delivery(2 * MINUTE, &[stop])),
        (4 * MINUTE, delivery(4 * MINUTE, &[launch("a")])),
        (6 * MINUTE, delivery(6 * MINUTE, &[launch("b")])),
        (8 * MINUTE, delivery(8 * MINUTE, &[key().account("444455556666")])),
        (9 * MINUTE, delivery(9 * MINUTE, &[Deed::failed_sign_in("111122223333")])),
        (9 * MINUTE, r#"{"test":{}}"#.to_owned()),
        (9 * MINUTE, batch(&[broken(0)])),
        (9 * MINUTE, raw(b"no gzip")),
    ];
    events.extend((1..150).map(|minute| (minute * MINUTE, r#"{"tick":{}}"#.to_owned())));
    events.sort_by_key(|(at, _)| *at);
    let (mut mails, mut pages, mut counted) = (Vec::new(), Vec::new(), 0);
    for (at, event) in &events {
        let (report, _) = told(&handler, *at, event).await;
        assert_eq!(report.pager_failures, 0);
        counted += report.pages;
        mails.extend(handler.notify().take());
        pages.extend(handler.pager().unwrap().take());
    }
    let urgent: Vec<Message> =
        mails.iter().filter(|mail| mail.subject.as_str().starts_with("[CRITICAL]")).cloned().collect();
    let urgent: Vec<Message> =
        urgent.into_iter().filter(|mail| matches!(mail.attributes.occasion.name(), "first" | "at-once")).collect();
    assert!(urgent.len() >= 2 && kinds(&urgent).contains(&"first") && kinds(&urgent).contains(&"at-once"));
    assert_eq!(pages, urgent, "{:?}", kinds(&pages));
    assert_eq!(counted, pages.len());
    for kind in ["update", "incident-closed", "test", "damaged-batch"] {
        assert!(kinds(&mails).contains(&kind), "{kind} is not among {:?}", kinds(&mails));
    }
    // A program gets the document, and nothing else.
    assert!(pages.iter().all(|page| sns::document(page) == page.document && !page.document.is_empty()));
}

/// A mail of the same minute holds back what is grave and new. Whoever arranges that must not keep the pager silent; and what
/// is only repeated wakes nobody again.
#[tokio::test(start_paused = true)]
async fn what_is_critical_and_new_pages_though_it_had_to_wait_for_a_minute() {
    let handler = pipeline(Topic::default())
        .with_pager(Some(Topic::default()))
        .with_incidents(InMemory::default(), Pace::default());
    let deed = |at: i64| delivery(at, &[Deed::new("cloudtrail", "StopLogging").of("name", "trail")]);
    let mut events = vec![(0, delivery(0, &[Deed::sign_in()])), (20, deed(20)), (5 * MINUTE, deed(5 * MINUTE))];
    events.extend((1..60).map(|minute| (minute * MINUTE + 1, r#"{"tick":{}}"#.to_owned())));
    events.sort_by_key(|(at, _)| *at);
    let mut pages = Vec::new();
    for (at, event) in &events {
        told(&handler, *at, event).await;
        let mailed = handler.notify().take();
        let paged = handler.pager().unwrap().take();
        pages.extend(paged.iter().map(|page| (*at, page.attributes.occasion.name())));
        // It is told as what would have come at once: by what was done, with what to do.
        for page in &paged {
            assert!(page.subject.as_str().contains("stopped a CloudTrail trail"), "{}", page.subject.as_str());
            assert!(page.text.contains("aws cloudtrail start-logging"), "{}", page.text);
        }
        assert!(paged.iter().all(|page| mailed.contains(page)));
    }
    let [(at, "at-once")] = pages[..] else { panic!("{pages:?}") };
    assert!(at <= 81, "{pages:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pager_that_fails_costs_no_mail_and_is_counted() {
    for answer in [Answer::Lost, Answer::Throttled, Answer::Refused, Answer::NoTopic, Answer::Silent, Answer::Panics] {
        let handler = pipeline(Topic::default()).with_pager(Some(Topic::answering(&[answer])));
        let began = Instant::now();
        let (report, well) = told(&handler, 0, &delivery(0, &[critical()])).await;
        assert!(well, "{answer:?}");
        assert_eq!((report.mails, report.pages, report.pager_failures), (1, 0, 1), "{answer:?}");
        assert_eq!(handler.notify().take().len(), 1);
        assert!(began.elapsed() <= Duration::from_secs(4), "{answer:?}: {:?}", began.elapsed());
        // It is not tried again by itself, and works as soon as the pager does.
        let (report, _) = told(&handler, 0, &delivery(0, &[Deed::new("cloudtrail", "StopLogging")])).await;
        assert_eq!((report.mails, report.pages, report.pager_failures), (1, 1, 0), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pager_that_never_answers_keeps_no_other_mail_of_the_delivery_waiting() {
    let handler = pipeline(Topic::default())
        .with_pager(Some(Topic::answering(&[Answer::Silent; 20])))
        .with_incidents(InMemory::default(), Pace::default());
    let accounts = ["111122223333", "222233334444", "333344445555", "444455556666", "555566667777", "666677778888"];
    let deeds: Vec<Deed> = accounts.iter().map(|account| critical().account(account)).collect();
    let began = Instant::now();
    let (report, well) = told(&handler, 0, &delivery(0, &deeds)).await;
    assert!(well);
    assert_eq!((report.mails, report.pages, report.pager_failures), (6, 0, 6));
    assert_eq!(handler.notify().take().len(), 6);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_woken_for_a_mail_that_is_not_out_or_without_a_pager() {
    let handler = pipeline(Topic::answering(&[Answer::Throttled])).with_pager(Some(Topic::default()));
    let event = delivery(0, &[critical()]);
    let (report, well) = told(&handler, 0, &event).await;
    assert!(!well);
    assert_eq!((report.mails, report.pages, report.pager_failures), (0, 0, 0));
    // Lambda tries again.
    let (report, _) = told(&handler, 0, &event).await;
    assert_eq!((report.mails, report.pages), (1, 1));
    let handler = pipeline(Topic::default());
    let (report, _) = told(&handler, 0, &event).await;
    assert_eq!((report.mails, report.pages, report.pager_failures), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_short_form_wakes_too() {
    let handler = pipeline(Topic::answering(&[Answer::Refused])).with_pager(Some(Topic::default()));
    let (report, _) = told(&handler, 0, &delivery(0, &[critical()])).await;
    assert_eq!((report.mails, report.pages), (1, 1));
    let page = handler.pager().unwrap().take().remove(0);
    assert!(page.document.is_empty());
    assert_eq!(sns::document(&page), page.text);
}

fn attributes(message: &Message) -> Vec<String> {
    let each = message.attributes.each();
    each.iter().map(|each| format!("{} {} {}", each.name, each.data_type, each.value)).collect()
}

#[tokio::test]
async fn a_message_says_what_a_subscription_can_choose_it_by() {
    let handler = pipeline(Topic::default());
    let deeds = [
        critical(),
        Deed::new("iam", "CreateRole").account("444455556666").region("eu-west-1"),
        // What is no account and no Region is left out.
        Deed::read("s3", "ListBuckets").account("<@here>").region("EU West\n"),
    ];
    told(&handler, 0, &delivery(0, &deeds)).await;
    let mails = handler.notify().take();
    assert_eq!(
        attributes(&mails[0]),
        [
            "kind String alert",
            "severity String CRITICAL",
            // The gravest first.
            "account String.Array [\"444455556666\",\"111122223333\"]",
            "region String.Array [\"eu-west-1\",\"us-east-1\"]",
            "rule String.Array [\"root-usage\",\"root-usage-cis\"]",
        ]
    );
    told(&handler, 0, r#"{"test":{}}"#).await;
    assert_eq!(attributes(&handler.notify().take()[0]), ["kind String test"]);
    told(&handler, 0, &raw(b"no gzip")).await;
    assert_eq!(attributes(&handler.notify().take()[0]), ["kind String damaged-batch", "severity String HIGH"]);
}

#[tokio::test(start_paused = true)]
async fn an_incident_and_its_kinds_can_be_chosen() {
    let handler = pipeline(Topic::default()).with_incidents(InMemory::default(), Pace::default());
    told(&handler, 0, &delivery(0, &[Deed::sign_in()])).await;
    told(&handler, 300, &delivery(300, &[Deed::read("s3", "ListBuckets")])).await;
    for minute in 6..90 {
        told(&handler, minute * MINUTE, r#"{"tick":{}}"#).await;
    }
    let mails = handler.notify().take();
    let name = mails[0].attributes.incident.clone().unwrap();
    assert!(mails[0].subject.as_str().ends_with(&format!(" #{name}")));
    assert_eq!(kinds(&mails), ["first", "incident-closed"]);
    for mail in &mails {
        let attributes = attributes(mail);
        assert!(attributes.contains(&format!("incident String {name}")), "{attributes:?}");
        assert!(attributes.contains(&"account String.Array [\"111122223333\"]".to_owned()), "{attributes:?}");
    }
}

#[tokio::test]
async fn attributes_are_few_and_count_as_part_of_the_message() {
    let handler = pipeline(Topic::default());
    let deeds: Vec<Deed> = (0..300)
        .map(|index| critical().account(&format!("{:012}", 111_122_220_000_u64 + index)).region(&format!("xx-{index}")))
        .collect();
    told(&handler, 0, &delivery(0, &deeds)).await;
    let mail = handler.notify().take().remove(0);
    assert_eq!((mail.attributes.accounts.len(), mail.attributes.regions.len()), (50, 50));
    let size: usize =
        mail.attributes.each().iter().map(|each| each.name.len() + each.data_type.len() + each.value.len()).sum();
    assert!(size < 4096, "{size}");
    // One byte more than is left beside them does not fit.
    let room = sns::MESSAGE_MAX - sns::payload(&mail).unwrap().len() - size;
    let grown = |by: usize| Message { text: format!("{}{}", mail.text, "x".repeat(by)), ..mail.clone() };
    assert!(sns::fits(&grown(room)) && !sns::fits(&grown(room + 1)));
}
