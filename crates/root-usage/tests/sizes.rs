//! The mails of an incident stay within their sizes, whatever they tell.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;

use hostile::{alert, check, hostile, record, style};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use root_usage::directory::{Listed, Names};
use root_usage::email::{Chapter, Ending, Language, Message, digest};
use root_usage::history::Answers;
use root_usage::incident::{IncidentId, Kind, Open, Pace, Reason, Whose, changes, open};
use root_usage::ledger::PartKey;
use root_usage::notify::topic;
use serde_json::Value;

fn whose() -> impl Strategy<Value = Whose> {
    prop_oneof![
        hostile().prop_map(|account| Whose::Root { account }),
        (hostile(), hostile()).prop_map(|(account, issuer)| Whose::Other { account, issuer }),
        Just(Whose::FailedSignIns),
        Just(Whose::Unreadable),
    ]
}

fn reason() -> impl Strategy<Value = Option<Reason>> {
    use Reason::{Change, Deed, Key, SecondFactor, Session, SignIn, Source};
    prop::option::of(select(vec![Deed, Change, SignIn, SecondFactor, Session, Key, Source]))
}

/// What may be open: as much as many parts leave, with any names.
fn things() -> impl Strategy<Value = Vec<Open>> {
    let command = prop::option::of("aws iam delete-role --role-name [a-z]{1,128}");
    let thing =
        (prop::collection::vec(hostile(), 0..3), command, any::<[u8; 16]>()).prop_map(|(values, command, topic)| {
            let (service, event) = ("iam".to_owned(), "CreateRole".to_owned());
            Open { topic, service, event, values, command, replaces: false, own: false, at: None }
        });
    prop::collection::vec(thing, 0..60)
}

/// What somebody chose who made a call.
const HOSTILE: &str = "\n1. <https://evil.example> @all\t`x` https://evil.example/a?b";

fn chapter(whose: &Whose, kind: Kind, number: u32, reason: Option<Reason>, open: Vec<Open>) -> Chapter {
    let now = Timestamp::from_second(1_795_143_060).unwrap();
    let id = IncidentId::of(whose, PartKey([7; 32]));
    Chapter {
        id,
        kind,
        number,
        now,
        opened: now,
        reason,
        what: Some(HOSTILE.to_owned()),
        pace: Pace::default(),
        open,
        more: 7,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mails_of_an_incident_are_bounded(
        (record, name, whose) in (record(), hostile(), whose()),
        (count, number, reason) in (1_usize..40, any::<u32>(), reason()),
        things in things(),
        (language, kind) in (select(&Language::ALL[..]), select(vec![Kind::First, Kind::AtOnce, Kind::Update])),
        named in any::<bool>(),
    ) {
        let records: Vec<Value> = (0..count).map(|index| {
            let mut record = record.clone();
            record["requestParameters"]["userName"] = format!("{name}{index}").into();
            record["sourceIPAddress"] = format!("203.0.113.{index}").into();
            record["recipientAccountId"] = "111122223333".into();
            record
        }).collect();
        let (alert, style) = (alert(&records, &name), style(language));
        let listed = Listed::parse("111122223333=payments-production-eu1").unwrap();
        let names = if named { listed.names(&alert) } else { Names::default() };
        let answers = Answers::default().with_names(names.clone());
        let open = [things, open([&changes(&alert)])].concat();

        let told = chapter(&whose, kind, number, reason, open.clone());
        let message = Message::within(&alert, &answers, Some(&told), &style, topic::fits, || true).unwrap().unwrap();
        check(&message)?;
        prop_assert!(message.subject.as_str().ends_with(&format!(" #{}", told.id)), "{:?}", message.subject);

        let lines = digest(&alert, &style);
        let story: Vec<&str> = lines.iter().map(String::as_str).cycle().take(lines.len() * 40).collect();
        let closing = chapter(&whose, Kind::Closing, number, None, open);
        for goes_on in [false, true] {
            let ending = Ending { story: &story, unread: 0, last: Some(&alert), goes_on };
            let message = Message::closing(&closing, &whose, &ending, &names, &style, topic::fits);
            check(&message)?;
            prop_assert!(message.subject.as_str().ends_with(&format!(" #{}", closing.id)), "{:?}", message.subject);
        }
    }
}

/// What the closing mail is the first to tell comes last in its story, so it is what stays.
#[test]
fn a_closing_mail_that_is_too_large_leaves_out_what_earlier_mails_told() {
    let whose = Whose::Root { account: "111122223333".to_owned() };
    let closing = chapter(&whose, Kind::Closing, 9, None, Vec::new());
    for (lines, width) in [(121, 80), (5000, 80), (120, 3000), (2, 300_000)] {
        let mut story: Vec<String> =
            (1..lines).map(|line| format!("line {line} {}", "\u{1F512}".repeat(width / 4))).collect();
        story.push("the newest".to_owned());
        let story: Vec<&str> = story.iter().map(String::as_str).collect();
        for language in Language::ALL {
            let ending = Ending { story: &story, unread: 0, last: None, goes_on: false };
            let (names, style) = (Names::default(), style(language));
            let message = Message::closing(&closing, &whose, &ending, &names, &style, topic::fits);
            check(&message).unwrap();
            let told = message.text.matches("line ").count() + 1;
            assert!(message.text.contains("the newest") && told < lines, "{lines} lines of {width} bytes");
            assert!(message.text.contains(&(lines - told).to_string()), "{}", message.text);
        }
    }
}
