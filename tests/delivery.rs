//! That nothing is lost, nothing is mailed twice without saying so, and nothing floods the topic.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::test_runner::Config as Cases;
use root_usage_alert::alert::Why;
use root_usage_alert::config::Config;
use root_usage_alert::email::{Message, SUBJECT_MAX};
use root_usage_alert::handler::{Handler, HandlerError, Invocation};
use root_usage_alert::history::{History, LookUpError, Page, Query, Recorded};
use root_usage_alert::notify::{Notify, Receipt, Refusal, Remedy};
use root_usage_alert::report::Report;
use serde_json::{Value, json};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(15 * 60);

/// What a topic does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Taken,
    /// It is taken, but the answer is lost.
    Lost,
    Throttled,
    Refused,
    NoTopic,
    /// No answer, ever.
    Silent,
    /// The code that publishes panics.
    Panics,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct NotTaken(Answer);

impl Refusal for NotTaken {
    fn remedy(&self) -> Remedy {
        match self.0 {
            Answer::Refused => Remedy::Rephrase,
            Answer::NoTopic => Remedy::Repair,
            _ => Remedy::Retry,
        }
    }

    fn may_have_arrived(&self) -> bool {
        self.0 == Answer::Lost
    }
}

/// A topic that answers as it is told, and then takes everything.
#[derive(Default)]
struct Topic {
    answers: Mutex<Vec<Answer>>,
    arrived: Mutex<Vec<Message>>,
    refused: Mutex<Vec<Message>>,
}

impl Notify for Topic {
    type Error = NotTaken;

    async fn publish(&self, message: &Message) -> Result<Receipt, NotTaken> {
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.is_empty() { Answer::Taken } else { answers.remove(0) }
        };
        match answer {
            Answer::Taken | Answer::Lost => self.arrived.lock().unwrap().push(message.clone()),
            Answer::Silent => std::future::pending().await,
            Answer::Panics => panic!("publishing is broken"),
            Answer::Throttled | Answer::Refused | Answer::NoTopic => self.refused.lock().unwrap().push(message.clone()),
        }
        match answer {
            Answer::Taken => Ok(Receipt { message_id: "m".to_owned() }),
            answer => Err(NotTaken(answer)),
        }
    }
}

impl Topic {
    fn answering(answers: &[Answer]) -> Self {
        Self { answers: Mutex::new(answers.to_vec()), ..Self::default() }
    }

    fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.arrived.lock().unwrap())
    }
}

/// A history that fails in one of the ways there are, or is empty.
struct Failing(Option<Why>);

impl History for Failing {
    async fn look_up(&self, _: &Query, _: Instant) -> Result<Page, LookUpError> {
        match &self.0 {
            None => Ok(Page::default()),
            Some(Why::Fault) => panic!("the history is broken"),
            Some(Why::Time) => std::future::pending().await,
            Some(why) => Err(LookUpError { why: why.clone(), source: None }),
        }
    }
}

fn config(vars: &[(&str, &str)]) -> Config {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config { metrics: false, ..Config::from_vars(vars).unwrap() }
}

fn handler(topic: Topic) -> Handler<Topic, Recorded> {
    Handler::new(Config { history: None, ..config(&[]) }, topic, Recorded::default())
}

async fn invoke<H: History>(handler: &Handler<Topic, H>, event: &str) -> Result<Report, HandlerError<NotTaken>> {
    handler.handle(Invocation { event, request_id: "r", time_left: Duration::from_secs(30) }).await
}

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/{name}.json"))).unwrap()
}

fn raw(bytes: &[u8]) -> String {
    json!({ "awslogs": { "data": STANDARD.encode(bytes) } }).to_string()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A raw event with these messages.
fn batch(messages: &[String]) -> String {
    let events = messages.iter().enumerate();
    let events = events
        .map(|(n, message)| json!({ "id": n.to_string(), "timestamp": 1_795_143_129_000_i64, "message": message }));
    let data = json!({
        "messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "trail", "logStream": "stream",
        "subscriptionFilters": ["f"], "logEvents": events.collect::<Vec<_>>()
    });
    raw(&gzip(data.to_string().as_bytes()))
}

fn schema(text: &str) -> jsonschema::Validator {
    jsonschema::draft202012::new(&serde_json::from_str(text).unwrap()).unwrap()
}

fn valid(message: &Message) {
    let document: Value = serde_json::from_str(&message.document).unwrap();
    let of = match document["schema"].as_str().unwrap() {
        "root-usage-alert/1" => include_str!("../docs/alert.schema.json"),
        _ => include_str!("../docs/notice.schema.json"),
    };
    let errors: Vec<_> = schema(of).iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let subject = message.subject.as_str();
    assert!(subject.len() <= SUBJECT_MAX && subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{subject}");
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

/// A history that counts what it is asked.
#[derive(Default)]
struct Counting(Mutex<Vec<Query>>);

impl History for &Counting {
    async fn look_up(&self, query: &Query, _: Instant) -> Result<Page, LookUpError> {
        self.0.lock().unwrap().push(query.clone());
        Ok(Page::default())
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_is_one_look_up_and_no_mail() {
    let vars = [("ALERT_TOPIC_ARN", "arn:aws:sns:eu-west-1:111122223333:alerts"), ("HISTORY_MINUTES", "0")];
    let history = Counting::default();
    let handler = Handler::new(config(&vars), Topic::default(), &history);
    assert_eq!(invoke(&handler, r#"{"heartbeat":{}}"#).await.unwrap(), Report::default());
    assert!(handler.notify().take().is_empty());
    let regions: Vec<String> = history.0.lock().unwrap().iter().map(|query| query.region.clone()).collect();
    assert_eq!(regions, ["eu-west-1"]);

    for why in [Why::Denied, Why::Time] {
        let handler = Handler::new(config(&vars), Topic::default(), Failing(Some(why)));
        let report = invoke(&handler, r#"{"heartbeat":{}}"#).await.unwrap();
        assert_eq!((report.history_failures, report.mails), (1, 0));
    }
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
            damaged.text.contains(reason) && damaged.text.contains(&format!("Log group:   {place}")),
            "{what}: {}",
            damaged.text
        );
        assert!(damaged.text.contains(&format!("Size:        {} bytes", event.len())), "{what}: {}", damaged.text);
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

fn failed_sign_in(id: usize) -> String {
    json!({
        "userIdentity": { "type": "Root", "accountId": "111122223333", "accessKeyId": "" },
        "eventTime": "2026-11-20T02:50:00Z", "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin",
        "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.180", "eventID": format!("low-{id}"),
        "errorMessage": "Failed authentication", "responseElements": { "ConsoleLogin": "Failure" },
        "eventType": "AwsConsoleSignIn", "recipientAccountId": "111122223333"
    })
    .to_string()
}

fn root_call(id: usize, name: &str) -> String {
    json!({
        "userIdentity": {
            "type": "Root", "accountId": "111122223333", "accessKeyId": "ASIAI44QH8DHBEXAMPLE",
            "sessionContext": { "attributes": { "creationDate": "2026-11-20T02:47:09Z", "mfaAuthenticated": "true" } }
        },
        "eventTime": "2026-11-20T02:50:00Z", "eventSource": "iam.amazonaws.com", "eventName": name,
        "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.77", "eventID": format!("{name}-{id}"),
        "recipientAccountId": "111122223333"
    })
    .to_string()
}

#[tokio::test(start_paused = true)]
async fn what_anyone_can_cause_is_one_mail_in_a_quarter_of_an_hour_and_counted() {
    for (broken, told) in [(false, "- 9 failed root sign-ins"), (true, "- 9 log events that could not be read")] {
        let message = |n| if broken { Event::Broken(n).message() } else { failed_sign_in(n) };
        let handler = handler(Topic::default());
        for n in 0..10 {
            let report = invoke(&handler, &batch(&[message(n)])).await.unwrap();
            assert_eq!((report.mails, report.held_back), if n == 0 { (1, 0) } else { (0, 1) });
            assert_eq!(report.matched + report.unreadable, 1);
            tokio::time::sleep(MINUTE).await;
        }
        assert!(!handler.notify().take()[0].text.contains("Held back"));
        // The next one carries the count, and the one after it begins anew.
        tokio::time::sleep(PAUSE).await;
        for expected in [true, false] {
            assert_eq!(
                invoke(&handler, &batch(&[message(100)])).await.unwrap().duplicate,
                usize::from(!expected && told.contains("sign-ins"))
            );
            if let Some(mail) = handler.notify().take().first() {
                valid(mail);
                assert_eq!(mail.text.contains(told), expected, "{}", mail.text);
            }
            tokio::time::sleep(PAUSE).await;
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
            Self::Broken(n) => format!("{{\"n\":{n},\"type\":\"Root\""),
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
            let held = |kind: &str| usize::try_from(document["heldBack"][kind].as_u64().unwrap()).unwrap();
            self.held_told += held("low") + held("passwordRecoveries") + held("unreadable");
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
    let flush = vec![Event::Grave(999)];
    for (number, events) in batches.iter().chain([&flush]).enumerate() {
        let raw = batch(&events.iter().map(Event::message).collect::<Vec<_>>());
        // The last one after all faults, so that what was held back is told.
        let attempts = if number == batches.len() { 20 } else { 3 };
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
