//! What a subscription can choose messages by, beside their text: SNS's message attributes.
//!
//! Nothing that others wrote freely is among them: an account is twelve digits, a Region is what Regions look like, and a
//! rule's id is the operator's.

use crate::alert::{Action, Alert, Severity};
use crate::email::Chapter;
use crate::incident::Kind;
use crate::record::is_account;

/// The most accounts, Regions or rules of one message. Those of the gravest come first.
const VALUES_MAX: usize = 50;

/// The longest name that a Region may have here. The longest that there is has 16 characters.
const REGION_MAX: usize = 32;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// An alert of no incident: all that a delivery has to tell.
    Alert,
    /// The mail that opens an incident.
    First,
    /// What is new and grave in one.
    AtOnce,
    /// What waited in one.
    Update,
    /// An incident is quiet.
    IncidentClosed,
    /// A batch can't be read.
    DamagedBatch,
    /// Somebody asked for a test.
    Test,
    /// A marked call came all the way from CloudTrail.
    PathTest,
}

impl Occasion {
    pub(super) fn of(chapter: Option<&Chapter>) -> Self {
        match chapter.map(|chapter| chapter.kind) {
            None => Self::Alert,
            Some(Kind::First) => Self::First,
            Some(Kind::AtOnce) => Self::AtOnce,
            Some(Kind::Update) => Self::Update,
            Some(Kind::Closing) => Self::IncidentClosed,
        }
    }

    /// As subscribers see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::First => "first",
            Self::AtOnce => "at-once",
            Self::Update => "update",
            Self::IncidentClosed => "incident-closed",
            Self::DamagedBatch => "damaged-batch",
            Self::Test => "test",
            Self::PathTest => "path-test",
        }
    }
}

/// An attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// SNS's name for its type.
    pub data_type: &'static str,
    /// Its value, never empty. An array is written as JSON.
    pub value: String,
}

/// What can be said of a message in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// What it is.
    pub occasion: Occasion,
    /// How grave what it tells is; `None` where it tells of nothing that somebody did.
    pub severity: Option<Severity>,
    /// In which accounts it was done.
    pub accounts: Vec<String>,
    /// In which Regions.
    pub regions: Vec<String>,
    /// By which rules it was found.
    pub rules: Vec<String>,
    /// The incident that it belongs to.
    pub incident: Option<String>,
}

impl Attributes {
    /// Those of a message that tells of no record.
    pub(super) fn new(occasion: Occasion, severity: Option<Severity>) -> Self {
        Self { occasion, severity, accounts: Vec::new(), regions: Vec::new(), rules: Vec::new(), incident: None }
    }

    /// Those of the message about an alert.
    pub(super) fn of(alert: &Alert, chapter: Option<&Chapter>) -> Self {
        let actions = || alert.actors.iter().flat_map(|actor| &actor.actions);
        let account = |action: &Action| action.record.account().filter(|id| is_account(id)).map(str::to_owned);
        let region = |action: &Action| action.record.region().filter(|name| is_region(name)).map(str::to_owned);
        let mut accounts = each(actions().filter_map(account));
        if actions().next().is_none() && is_account(&alert.origin.owner) {
            accounts.push(alert.origin.owner.clone());
        }
        Self {
            accounts,
            regions: each(actions().filter_map(region)),
            rules: each(alert.rules().into_keys().map(str::to_owned)),
            incident: chapter.map(|chapter| chapter.id.to_string()),
            ..Self::new(Occasion::of(chapter), Some(alert.severity()))
        }
    }

    /// Whether somebody has to be woken: it is critical, and new.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.severity == Some(Severity::Critical)
            && match self.occasion {
                Occasion::Alert | Occasion::First | Occasion::AtOnce => true,
                Occasion::Update
                | Occasion::IncidentClosed
                | Occasion::DamagedBatch
                | Occasion::Test
                | Occasion::PathTest => false,
            }
    }

    /// Each, as SNS takes it. What isn't known is left out, since SNS takes no empty value.
    ///
    /// Sources: SNS API Reference, `MessageAttributeValue`; SNS Developer Guide, "Amazon SNS message attributes", by which a
    /// filter policy accepts an array if it accepts one of its values.
    #[must_use]
    pub fn each(&self) -> Vec<Attribute> {
        let one = |name, value: Option<String>| value.map(|value| Attribute { name, data_type: "String", value });
        let several = |name, values: &[String]| {
            let value = serde_json::Value::from(values).to_string();
            (!values.is_empty()).then_some(Attribute { name, data_type: "String.Array", value })
        };
        let all = [
            one("kind", Some(self.occasion.name().to_owned())),
            one("severity", self.severity.map(|severity| severity.to_string())),
            several("account", &self.accounts),
            several("region", &self.regions),
            several("rule", &self.rules),
            one("incident", self.incident.clone()),
        ];
        all.into_iter().flatten().collect()
    }
}

/// Each once, as many as a message may have.
fn each(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for value in values {
        if found.len() < VALUES_MAX && !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

fn is_region(name: &str) -> bool {
    (1..=REGION_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
