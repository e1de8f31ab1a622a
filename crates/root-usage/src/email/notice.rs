//! Mails that tell of no record: a test, and a batch that can't be read.

use jiff::Timestamp;
use serde::Serialize;

use super::account::Account;
use super::attributes::{Attributes, Occasion};
use super::chat::{Told, numbered};
use super::{Clean, EmailError, Mail, Message, SMS_MAX, Style, Subject};
use crate::alert::{Origin, Severity};
use crate::directory::Names;
use crate::record::is_account;
use crate::rule::RuleSet;

/// A batch that could not be read, or not to its end.
#[derive(Debug, Clone)]
pub struct DamagedBatch {
    /// Where it came from, as far as that could be read.
    pub origin: Origin,
    /// Why it can't be read: ours, with no content of it.
    pub reason: String,
    /// How long the event is, in bytes.
    pub event_bytes: usize,
    /// How many bytes could be inflated.
    pub inflated_bytes: usize,
    /// How many log events could be read.
    pub log_events: usize,
    /// When it was tried.
    pub time: Timestamp,
}

/// The schema of all notices' documents.
pub(super) const SCHEMA: &str = "root-usage-notice/1";

/// The JSON document of a notice, as `docs/notice.schema.json` describes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a, A> {
    pub schema: &'static str,
    pub kind: &'static str,
    pub subject: &'a str,
    pub time: String,
    pub function: &'a Clean,
    /// What only this kind of notice has.
    #[serde(flatten)]
    pub about: A,
}

/// What the document has of a batch. Of a test it has none of it, and says so.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Batch<'a> {
    pub log_group: Option<&'a Clean>,
    pub log_stream: Option<&'a Clean>,
    pub reason: Option<&'a Clean>,
    /// Only a test of the way from CloudTrail has these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called_by: Option<&'a Clean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
}

/// What a test's mail says.
pub(super) struct Test {
    pub function: Clean,
    pub rules: Vec<Clean>,
    pub time: String,
}

/// A [`DamagedBatch`], ready to be put into words.
pub(super) struct Damaged {
    pub function: Clean,
    pub owner: Option<Account>,
    pub log_group: Option<Clean>,
    pub log_stream: Option<Clean>,
    pub reason: Clean,
    pub event_bytes: usize,
    pub inflated_bytes: usize,
    pub log_events: usize,
    pub time: String,
}

impl Message {
    /// The mail that shows that mails arrive. All of it is this function's own, so that no record can pass for a test.
    ///
    /// # Errors
    ///
    /// [`EmailError`] if the template or the document fails, which no content can cause.
    pub fn test(style: &Style, rules: &RuleSet, time: Timestamp) -> Result<Self, EmailError> {
        let test = Test {
            function: Clean::name(&style.function),
            rules: rules.rules().iter().map(|rule| Clean::name(&rule.id)).collect(),
            time: utc(time),
        };
        let text = style.language.0.mail(&Mail::Test(&test));
        let subject = Subject::clipped(&format!("[TEST] Alerts of {} reach you", test.function));
        let document = Document {
            schema: SCHEMA,
            kind: "test",
            subject: subject.as_str(),
            time: time.to_string(),
            function: &test.function,
            about: Batch::default(),
        };
        let attributes = Attributes::new(Occasion::Test, None);
        let message = notice(&subject, text, &document, attributes)?;
        let told = || Ok(Told { paragraphs: 3, thread: format!("test-{time}"), ..Told::default() });
        Ok(Self { chat: message.notification(style, told)?, ..message })
    }

    /// The mail about a batch that can't be read.
    ///
    /// # Errors
    ///
    /// [`EmailError`] if the template or the document fails, which no content can cause.
    pub fn damaged(batch: &DamagedBatch, names: &Names, style: &Style) -> Result<Self, EmailError> {
        let known = |name: &str| (!name.is_empty()).then(|| Clean::log_name(name));
        let damaged = Damaged {
            function: Clean::name(&style.function),
            owner: (!batch.origin.owner.is_empty()).then(|| Account::new(&batch.origin.owner, names)),
            log_group: known(&batch.origin.log_group),
            log_stream: known(&batch.origin.log_stream),
            reason: Clean::text(&batch.reason.replace(": ", ", "), 400),
            event_bytes: batch.event_bytes,
            inflated_bytes: batch.inflated_bytes,
            log_events: batch.log_events,
            time: utc(batch.time),
        };
        let text = style.language.0.mail(&Mail::Damaged(&damaged));
        let place = damaged.log_group.as_ref().map_or("an unknown log group", Clean::as_str);
        let subject = Subject::clipped(&format!("[HIGH] A batch could not be read: {place}"));
        let document = Document {
            schema: SCHEMA,
            kind: "damaged-batch",
            subject: subject.as_str(),
            time: batch.time.to_string(),
            function: &damaged.function,
            about: Batch {
                log_group: damaged.log_group.as_ref(),
                log_stream: damaged.log_stream.as_ref(),
                reason: Some(&damaged.reason),
                ..Batch::default()
            },
        };
        let owner = Some(batch.origin.owner.clone()).filter(|owner| is_account(owner));
        let attributes = Attributes {
            accounts: owner.into_iter().collect(),
            ..Attributes::new(Occasion::DamagedBatch, Some(Severity::High))
        };
        let message = notice(&subject, text, &document, attributes)?;
        let told = || {
            let accounts = damaged.owner.iter().map(ToString::to_string).collect();
            let steps = numbered(&message.text);
            let thread = format!("damaged-batch-{}", batch.time);
            Ok(Told { paragraphs: 2, steps, accounts, thread, ..Told::default() })
        };
        Ok(Self { chat: message.notification(style, told)?, ..message })
    }
}

pub(super) fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(super) fn notice(
    subject: &Subject,
    text: askama::Result<String>,
    document: &Document<'_, Batch<'_>>,
    attributes: Attributes,
) -> Result<Message, EmailError> {
    Ok(Message {
        subject: subject.clone(),
        text: text.map_err(EmailError::Render)?,
        sms: subject.as_str().chars().take(SMS_MAX).collect(),
        document: serde_json::to_string(document).map_err(EmailError::Document)?,
        chat: None,
        attributes,
    })
}
