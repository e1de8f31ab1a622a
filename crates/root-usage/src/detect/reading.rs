//! What a log event, or the record in it, turns out to be.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::alert::{Match, Unreadable};
use crate::batch::LogEvent;
use crate::error::chain;
use crate::record::Record;
use crate::rule::RuleSet;
use filter_pattern::json::Json;

/// The most bytes of a log event that are read, as it stands in the batch.
///
/// CloudTrail sends no record of more than 256 KB to CloudWatch Logs, and escapes at most double that. Source: CloudTrail
/// User Guide, "Monitoring CloudTrail Log Files with Amazon CloudWatch Logs".
const LOG_EVENT_MAX: usize = 1 << 20;

/// What a log event turned out to be.
#[derive(Debug)]
pub enum Reading {
    /// No rule matches it.
    Ignored,
    /// No rule matches it, and yet it says where root's credentials came from: an `AssumeRoot` call.
    Beside(Record),
    /// No rule matches it: it is the record of a call that tests the way here.
    PathTest(PathTest),
    /// A rule matches it.
    Match(Match),
    /// It is no JSON object, though it holds a text that a rule can't match without.
    Unreadable(Unreadable),
}

/// A call that somebody marked so that its way from CloudTrail to the mail is seen.
#[derive(Debug, Clone)]
pub struct PathTest {
    /// Its record.
    pub record: Record,
    /// When CloudWatch Logs took it in.
    pub received: Option<Timestamp>,
}

/// A log event that is not evaluated: it may match any rule.
pub(crate) fn faulty(event: &LogEvent<'_>, rules: &RuleSet, reason: String) -> Unreadable {
    Unreadable {
        id: String::new(),
        time: None,
        bytes: event.raw().len(),
        reason,
        hash: Sha256::digest(event.raw()).into(),
        rules: rules.rules().to_vec(),
    }
}

/// Reads a log event, if a rule could match it.
#[must_use]
pub fn read(event: &LogEvent<'_>, rules: &RuleSet) -> Reading {
    let unreadable = |text: &str, id: String, time: Option<Timestamp>, reason: String| {
        let rules = rules.mentioned(text);
        if rules.is_empty() {
            return Reading::Ignored;
        }
        let hash = Sha256::digest(event.raw()).into();
        Reading::Unreadable(Unreadable { id, time, bytes: event.raw().len(), reason, hash, rules })
    };
    let bytes = event.raw().len();
    if bytes > LOG_EVENT_MAX {
        return Reading::Unreadable(faulty(event, rules, format!("longer than a log event can be ({bytes} bytes)")));
    }
    let entry = match event.entry() {
        Ok(entry) => entry,
        Err(error) => return unreadable(&event.text(), String::new(), None, format!("not a log event: {error}")),
    };
    let time = (entry.timestamp != 0).then(|| Timestamp::from_millisecond(entry.timestamp).ok()).flatten();
    match Json::parse(&entry.message) {
        Ok(json @ Json::Object(_)) => evaluate(&entry.message, json, rules, time),
        Ok(_) => unreadable(&entry.message, entry.id, time, "JSON, but not an object".to_owned()),
        Err(error) => unreadable(&entry.message, entry.id, time, chain(&error)),
    }
}

/// What a record turns out to be, given the message it came in and that message's JSON.
#[must_use]
pub fn evaluate(message: &str, json: Json<'_>, rules: &RuleSet, received: Option<Timestamp>) -> Reading {
    let matching = rules.matching(&json);
    let is_call = || json.get("eventName").is_some_and(|name| *name == Json::String("AssumeRoot".into()));
    if !matching.is_empty() {
        Reading::Match(Match { record: Record::new(message, json), rules: matching, received })
    } else if rules.tests_path(&json) {
        Reading::PathTest(PathTest { record: Record::new(message, json), received })
    } else if is_call() {
        let record = Record::new(message, json);
        // One that was denied returned no key, and whoever wants to can make any number of those.
        if record.outcome().may_have_worked() { Reading::Beside(record) } else { Reading::Ignored }
    } else {
        Reading::Ignored
    }
}
