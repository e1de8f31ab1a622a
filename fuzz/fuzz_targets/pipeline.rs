//! The whole pipeline on bytes from anywhere: never a panic, every log event counted once and as a slow reading would,
//! and mails that SNS takes, in both languages. The first byte says where the others come in; see `event`.
#![no_main]

use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::{Corpus, fuzz_target};
use root_usage::notify::topic;
use root_usage::batch::{Batch, Inflated};
use root_usage::config::Config;
use root_usage::email::{Message, SMS_MAX, SUBJECT_MAX};
use root_usage::handler::{Handler, Invocation};
use root_usage::history::{History, LookUpError, Page, Query};
use filter_pattern::json::Json;
use root_usage::notify::Outbox;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::Instant;

static CONFIGS: LazyLock<[Config; 2]> = LazyLock::new(|| {
    let own = "{ $.requestParameters.* = \"*a*\" || $.eventName = %^Delete% }";
    [
        &[("ALERT_LANGUAGE", "en"), ("HISTORY_MINUTES", "0")][..],
        &[
            ("ALERT_LANGUAGE", "ja"),
            ("RULES", "root-usage,cis"),
            ("RULE_PATTERN", own),
            ("ALERT_TIME_ZONE", "Asia/Tokyo"),
        ],
    ]
    .map(|vars| {
        let vars = vars.iter().chain(&[("METRICS", "off"), ("MAX_BATCH_BYTES", "1048576")]);
        Config::from_vars(vars.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).unwrap()
    })
});

static SCHEMAS: LazyLock<[jsonschema::Validator; 2]> = LazyLock::new(|| {
    [include_str!("../../docs/alert.schema.json"), include_str!("../../docs/notice.schema.json")]
        .map(|text| jsonschema::draft202012::new(&serde_json::from_str(text).unwrap()).unwrap())
});

thread_local! {
    // The clock stands still but for sleeps, which take no time.
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
}

/// An event history that is what the batch holds: nobody vouches for that either.
struct Echo(Vec<String>);

impl History for Echo {
    async fn look_up(&self, _: &Query, _: Instant) -> Result<Page, LookUpError> {
        Ok(Page { events: self.0.clone(), next: None })
    }
}

fn raw(compressed: &[u8]) -> String {
    json!({ "awslogs": { "data": STANDARD.encode(compressed) } }).to_string()
}

/// gzip without compression.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The event that Lambda hands over.
fn event(kind: u8, bytes: &[u8]) -> Option<String> {
    Some(match kind {
        // All of it.
        b'e' => std::str::from_utf8(bytes).ok()?.to_owned(),
        // What base64 holds.
        b'g' => raw(bytes),
        // What gzip holds.
        b'd' => raw(&stored(bytes)),
        // A log event's message, twice: the second is a repetition, or tells the same of somebody else.
        b'm' => {
            let message = String::from_utf8_lossy(bytes);
            let log_event =
                |message: &str| json!({ "id": "1", "timestamp": 1_795_143_129_000_i64, "message": message });
            let other = message.replacen("111122223333", "444455556666", 1);
            let document = json!({
                "messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "trail", "logStream": "stream",
                "subscriptionFilters": [], "logEvents": [log_event(&message), log_event(&other)]
            });
            raw(&stored(document.to_string().as_bytes()))
        }
        _ => return None,
    })
}

/// How many log events match and don't, read one by one without a prefilter. What is no JSON object is in neither.
fn counted(batch: &Batch<'_>, config: &Config) -> (usize, usize) {
    let (mut matching, mut others) = (0, 0);
    for log_event in &batch.log_events {
        let Ok(entry) = log_event.entry() else { continue };
        let Ok(json @ Json::Object(_)) = Json::parse(&entry.message) else { continue };
        if config.rules.rules().iter().any(|rule| rule.pattern.matches(&json)) {
            matching += 1;
        } else {
            others += 1;
        }
    }
    (matching, others)
}

fn check(message: &Message) {
    let subject = message.subject.as_str();
    assert!((1..=SUBJECT_MAX).contains(&subject.len()), "{subject:?}");
    assert!(subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{subject:?}");
    assert!(!message.sms.is_empty() && message.sms.len() <= SMS_MAX && message.sms.is_ascii(), "{:?}", message.sms);
    assert!(topic::payload(&message).expect("no mail was refused").len() <= topic::MESSAGE_MAX);
    assert!(!message.text.chars().any(|c| c != '\n' && c.is_control()), "{}", message.text);
    let document: Value = serde_json::from_str(&message.document).unwrap();
    let schema = &SCHEMAS[usize::from(document["schema"] != "root-usage-alert/1")];
    if let Err(error) = schema.validate(&document) {
        panic!("{error}\n{}", message.document);
    }
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(event) = input.split_first().and_then(|(kind, bytes)| event(*kind, bytes)) else { return Corpus::Reject };
    let inflated = Inflated::from_event(&event, 1 << 20).ok();
    let batch = inflated.as_ref().map(|inflated| inflated.batch(|_| true)).unwrap_or_default();
    let messages = batch.log_events.iter().filter_map(|log_event| Some(log_event.entry().ok()?.message));
    let messages: Vec<String> = messages.take(60).collect();
    for config in &*CONFIGS {
        let handler = Handler::new(config.clone(), Outbox::default(), Echo(messages.clone()));
        let invocation = Invocation { event: &event, request_id: "r", time_left: Duration::from_secs(30) };
        let result = RUNTIME.with(|runtime| runtime.block_on(handler.handle(invocation)));
        let mails = handler.notify().take();
        mails.iter().for_each(check);
        assert_eq!(result.is_err(), batch.fault.is_some() || (inflated.is_none() && !is_request(&event)));
        let Ok(report) = result else { continue };
        assert_eq!(report.log_events(), batch.log_events.len());
        assert_eq!(report.mails, mails.len());
        if !batch.is_control_message() {
            let (matching, others) = counted(&batch, config);
            assert_eq!(report.matched + report.duplicate, matching);
            assert_eq!(report.ignored.min(others), others);
        }
    }
    Corpus::Keep
});

/// Whether this asks for a test or a heartbeat.
fn is_request(event: &str) -> bool {
    let Ok(Value::Object(keys)) = serde_json::from_str(event) else { return false };
    keys.contains_key("test") || keys.contains_key("heartbeat")
}
