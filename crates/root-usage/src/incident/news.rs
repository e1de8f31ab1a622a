//! What is worth a mail at once, the first time that it comes in an incident.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::alert::{Action, Alert, Category, severity_of_deed};
use crate::record::Record;
use crate::severity::Severity;

/// The most kinds of news looked at in one part. What is more has the same mail.
const NEWS_MAX: usize = 100;

/// What a ledger knows a piece of news by.
pub type Topic = [u8; 16];

/// How often news of one kind may cause a mail: so often, until so much time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How often.
    pub times: u8,
    /// After how long each of these may be used again; never, if `None`.
    pub pause: Option<SignedDuration>,
}

/// Under what the mails of an incident, or of all, spend their minute.
pub(crate) const ALL: Topic = [0; 16];

/// The same for those that come in a minute which had all of its mails.
pub(crate) const BEYOND: Topic = [1; 16];

/// Mails at once of one incident.
pub(crate) const IN_INCIDENT: Budget = Budget { times: 1, pause: Some(SignedDuration::from_secs(60)) };

/// Mails at once of all incidents together, as many as may come in a minute.
pub(crate) const IN_ALL: Budget = Budget { times: 10, pause: Some(SignedDuration::from_secs(60)) };

/// One a minute beyond that.
pub(crate) const IN_ALL_BEYOND: Budget = Budget { times: 1, pause: Some(SignedDuration::from_secs(60)) };

/// Mails at once for one action of one service. Whatever is done more often than that waits, with its count.
pub(crate) const FOR_ACTION: Budget = Budget { times: 10, pause: None };

/// Mails at once for a new address: whoever has a network of machines has many.
pub(crate) const FOR_SOURCE: Budget = Budget { times: 3, pause: Some(SignedDuration::from_mins(15)) };

/// Why something is worth a mail at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// What was done is grave.
    Deed,
    /// A change, the first of its kind.
    Change,
    /// A sign-in.
    SignIn,
    /// A sign-in that failed past the first factor.
    SecondFactor,
    /// The session is new.
    Session,
    /// The long-lived key is new.
    Key,
    /// The source address is new.
    Source,
}

/// Something that is worth a mail at once, if it is new in its incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Why it is.
    pub reason: Reason,
    /// What it is. A second one with the same topic is no news.
    pub topic: Topic,
    /// What else is not news after it: a session that begins with a sign-in is announced by it.
    pub also: Vec<Topic>,
    /// What limits the mails that it causes, beside the minute.
    pub limit: Option<(Topic, Budget)>,
    /// What is new, as the record has it, where the reason alone doesn't say which: an action, a key's id, an address.
    pub what: Option<String>,
}

/// What in a part may be news, the gravest first.
///
/// | news | what is the same |
/// | --- | --- |
/// | a deed of severity CRITICAL, by what was done | service, event, outcome, Region and all request parameters; without parameters nothing |
/// | a change that was made | service and event |
/// | a sign-in; a sign-in that failed past the first factor | nothing |
/// | a session | when it began; the sign-in that began it announces it |
/// | a long-lived key | its id |
/// | a source address | the address; of IPv6 the first 64 bits |
#[must_use]
pub fn news(part: &Alert) -> Vec<News> {
    together(part.actors.iter().flat_map(|actor| &actor.actions).flat_map(of_action))
}

/// What is news in several parts that come as one.
#[must_use]
pub fn together(parts: impl IntoIterator<Item = News>) -> Vec<News> {
    let mut all: Vec<News> = Vec::new();
    for each in parts {
        if all.len() == NEWS_MAX {
            break;
        }
        if !all.iter().any(|other| other.topic == each.topic) {
            all.push(each);
        }
    }
    all
}

fn of_action(action: &Action) -> Vec<News> {
    let record = &action.record;
    let done = record.outcome().may_have_worked();
    let name = [record.service(), record.event_name()].map(Option::unwrap_or_default);
    let of_action = || Some((topic("mails", &name), FOR_ACTION));
    let mut all = Vec::new();
    let what = |reason| match reason {
        Reason::Change => Some(name.join(" ")),
        Reason::Key => record.access_key_id().map(str::to_owned),
        Reason::Source => record.source_ip().map(str::to_owned),
        _ => None,
    };
    let mut add = |reason, topic, also, limit| all.push(News { reason, topic, also, limit, what: what(reason) });
    match action.category {
        Category::FailedSignIn => return all,
        Category::SignIn => add(Reason::SignIn, once("sign-in", record), beginning(record), of_action()),
        Category::FailedSecondFactor => {
            add(Reason::SecondFactor, once("second-factor", record), Vec::new(), of_action());
        }
        category if severity_of_deed(record, category) == Severity::Critical => {
            add(Reason::Deed, deed(record, name), vec![topic("change", &name)], of_action());
        }
        Category::Read => {}
        _ if done => add(Reason::Change, topic("change", &name), Vec::new(), of_action()),
        _ => {}
    }
    if record.by_long_lived_key() {
        add(Reason::Key, topic("key", &[record.access_key_id().unwrap_or_default()]), Vec::new(), None);
    } else if let Some(session) = session(record) {
        add(Reason::Session, session, Vec::new(), None);
    }
    if let Some(source) = record.source_ip().and_then(network) {
        add(Reason::Source, topic("source", &[&source]), Vec::new(), Some((topic("sources", &[]), FOR_SOURCE)));
    }
    all
}

/// What names a deed. Of one without parameters nobody knows whether it was the same.
fn deed(record: &Record, [service, event]: [&str; 2]) -> Topic {
    let Some(parameters) = record.parameters() else { return once("deed", record) };
    let outcome = if record.outcome().may_have_worked() { "done" } else { "not done" };
    let region = record.region().unwrap_or_default();
    topic("deed", &[service, event, outcome, region, &format!("{parameters:?}")])
}

/// The session of a record that is no sign-in.
fn session(record: &Record) -> Option<Topic> {
    if record.is_sign_in_page() {
        return None;
    }
    let created = record.session_created()?;
    Some(match created.parse::<Timestamp>() {
        Ok(began) => session_at(began.as_second()),
        Err(_) => topic("session", &[created]),
    })
}

/// The sessions that a sign-in may begin: their times are up to [`SIGN_IN_SECONDS`](crate::alert::access) apart.
fn beginning(record: &Record) -> Vec<Topic> {
    let Some(time) = record.event_time() else { return Vec::new() };
    let (from, to) = (time.as_second() - SLOT / 2, time.as_second() + SLOT / 2);
    let mut both = vec![session_at(from), session_at(to)];
    both.dedup();
    both
}

/// Sessions that begin in the same half minute are taken for one, so that a sign-in can announce its session.
const SLOT: i64 = 30;

fn session_at(second: i64) -> Topic {
    topic("session", &[&second.div_euclid(SLOT).to_string()])
}

/// An address; of IPv6 the network that one customer has. What is not an address is a service.
fn network(source: &str) -> Option<String> {
    match source.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => Some(address.to_string()),
        IpAddr::V6(address) => Some(format!("{:x}", u128::from(address) >> 64)),
    }
}

/// What is new each time.
fn once(kind: &str, record: &Record) -> Topic {
    let hash: String = record.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    topic(kind, &[record.event_id().unwrap_or_default(), &hash])
}

pub(super) fn topic(kind: &str, parts: &[&str]) -> Topic {
    let mut digest = Sha256::new();
    for part in std::iter::once(&kind).chain(parts) {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    std::array::from_fn(|index| digest[index])
}
