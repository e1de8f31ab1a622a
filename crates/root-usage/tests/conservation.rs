//! Every record is told once, or counted where it was held back, or its invocation fails: over generated batches, topics
//! and histories.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batches;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::Config as Cases;
use root_usage::email::Message;
use root_usage::handler::Handler;
use root_usage::history::Why;
use serde_json::Value;

use batches::{batch, broken, failed_sign_in, root_call};
use topic::{Answer, Failing, Topic, config, invoke};

const MINUTE: Duration = Duration::from_secs(60);

/// A log event of a generated batch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ignored(usize),
    Grave(usize),
    Low(usize),
    /// A match that has no id: nothing proves a repetition of it.
    Nameless,
    Broken(usize),
}

impl Event {
    fn message(&self) -> String {
        match self {
            Self::Ignored(n) => root_call(*n, "ListUsers").replace("\"Root\"", "\"IAMUser\""),
            Self::Grave(n) => root_call(*n, "CreateUser"),
            Self::Low(n) => failed_sign_in(*n),
            Self::Nameless => root_call(0, "CreateRole").replace("eventID", "eventId"),
            Self::Broken(n) => broken(*n),
        }
    }

    fn id(&self) -> Option<String> {
        match self {
            Self::Grave(n) => Some(format!("CreateUser-{n}")),
            Self::Low(n) => Some(format!("low-{n}")),
            _ => None,
        }
    }

    fn is_match(&self) -> bool {
        matches!(self, Self::Grave(_) | Self::Low(_) | Self::Nameless)
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..4usize).prop_map(Event::Ignored),
        3 => (0..8usize).prop_map(Event::Grave),
        3 => (0..8usize).prop_map(Event::Low),
        1 => Just(Event::Nameless),
        2 => (0..3usize).prop_map(Event::Broken),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        5 => Just(Answer::Taken),
        1 => Just(Answer::Lost),
        1 => Just(Answer::Throttled),
        2 => Just(Answer::Refused),
        1 => Just(Answer::NoTopic),
        1 => Just(Answer::Silent),
        1 => Just(Answer::Panics),
    ]
}

fn history() -> impl Strategy<Value = Option<Why>> {
    let whys = [Why::Time, Why::Throttled, Why::Denied, Why::Malformed, Why::Fault];
    prop_oneof![2 => Just(None), 3 => proptest::sample::select(whys.to_vec()).prop_map(Some)]
}

/// Every event id that a document names.
fn ids(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| match (name.as_str(), value) {
            ("eventIds", Value::Array(list)) => found.extend(list.iter().filter_map(Value::as_str).map(str::to_owned)),
            ("eventId", Value::String(id)) => _ = found.insert(id.clone()),
            (_, value) => ids(value, found),
        }),
        Value::Array(list) => list.iter().for_each(|value| ids(value, found)),
        _ => {}
    }
}

fn told(message: &Message) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    ids(&serde_json::from_str(&message.document).unwrap(), &mut found);
    found
}

/// What the mails told, after each invocation and its retries.
#[derive(Default)]
struct Ledger {
    /// Ids of records in mails that arrived, and how often.
    told: BTreeMap<String, usize>,
    alerts: BTreeSet<String>,
    unreadable: usize,
    held_told: usize,
    lost: bool,
}

impl Ledger {
    fn read(&mut self, arrived: &[Message], refused: &[Message]) {
        for message in arrived {
            // A plain mail stands for the full one that was refused before it.
            let full = if message.document.is_empty() { refused.last().unwrap() } else { message };
            let document: Value = serde_json::from_str(&full.document).unwrap();
            told(full).into_iter().for_each(|id| *self.told.entry(id).or_default() += 1);
            self.unreadable += usize::try_from(document["unreadableCount"].as_u64().unwrap()).unwrap();
            // But it has no room for what was held back, which the next one tells.
            if !message.document.is_empty() {
                let held = |kind: &str| usize::try_from(document["heldBack"][kind].as_u64().unwrap()).unwrap();
                self.held_told += held("low") + held("passwordRecoveries") + held("unreadable");
            }
            let known = !self.alerts.insert(document["alertId"].as_str().unwrap().to_owned());
            let nameless = document.to_string().contains("CreateRole") || self.unreadable > 0;
            assert!(
                !known || nameless || document["mayBeRepeated"] == true,
                "the same alert twice, and not a word of it"
            );
        }
    }
}

async fn conserve(batches: &[Vec<Event>], answers: &[Answer], history: Option<Why>, minutes: u64) {
    let handler = Handler::new(config(&[]), Topic::answering(answers), Failing(history));
    let mut ledger = Ledger::default();
    let (mut held, mut held_ids) = (0, BTreeSet::new());
    // What is left of the answers when the first lost one is taken can't be told from outside, so any counts.
    ledger.lost = answers.iter().any(|answer| matches!(answer, Answer::Lost | Answer::Silent));
    // After all faults, so that what was held back is told: three refusals are the most that six answers leave for them.
    let flushes = [996, 997, 998, 999].map(|number| vec![Event::Grave(number)]);
    for (number, events) in batches.iter().chain(&flushes).enumerate() {
        let raw = batch(&events.iter().map(Event::message).collect::<Vec<_>>());
        let attempts = if number >= batches.len() { 20 } else { 3 };
        let mut done = None;
        for _ in 0..attempts {
            let result = invoke(&handler, &raw).await;
            let (arrived, refused) =
                (handler.notify().take(), std::mem::take(&mut *handler.notify().refused.lock().unwrap()));
            ledger.read(&arrived, &refused);
            if let Ok(report) = result {
                done = Some(report);
                break;
            }
        }
        // It failed three times: the event is in the dead-letter queue.
        let Some(report) = done else { continue };
        let of = |test: fn(&Event) -> bool| events.iter().filter(|event| test(event)).count();
        assert_eq!(report.log_events(), events.len());
        assert_eq!(report.ignored, of(|event| matches!(event, Event::Ignored(_))));
        assert_eq!(report.unreadable, of(|event| matches!(event, Event::Broken(_))));
        assert_eq!(report.matched + report.duplicate, of(Event::is_match));
        assert!(report.held_back == 0 || report.held_back == report.matched + report.unreadable);
        held += report.held_back;
        for event in events.iter().filter(|event| event.is_match()) {
            let Some(id) = event.id() else { continue };
            if report.held_back > 0 && !ledger.told.contains_key(&id) {
                assert!(matches!(event, Event::Low(_)), "{id} was held back");
                held_ids.insert(id);
            } else {
                assert!(ledger.told.contains_key(&id) || held_ids.contains(&id), "{id} is nowhere");
            }
        }
        assert!(report.held_back > 0 || report.unreadable == 0 || ledger.unreadable >= report.unreadable);
        tokio::time::sleep(MINUTE * u32::try_from(minutes).unwrap()).await;
    }
    assert!(ledger.told.contains_key("CreateUser-999"));
    if !ledger.lost {
        assert_eq!(ledger.held_told, held, "what was held back is told, once");
        assert!(ledger.told.values().all(|times| *times == 1), "{:?}", ledger.told);
    }
}

proptest! {
    #![proptest_config(Cases { cases: 10_000, ..Cases::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_told_twice_in_silence(
        batches in proptest::collection::vec(proptest::collection::vec(event(), 0..6), 1..4),
        answers in proptest::collection::vec(answer(), 0..6),
        history in history(),
        minutes in proptest::sample::select(vec![0u64, 1, 16]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(conserve(&batches, &answers, history, minutes));
    }
}
