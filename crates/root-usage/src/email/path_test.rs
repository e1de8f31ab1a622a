//! The mail that a marked call came all the way from CloudTrail.

use jiff::Timestamp;

use super::attributes::{Attributes, Occasion};
use super::chat::Told;
use super::notice::{Batch, Document, SCHEMA, notice, utc};
use super::{Clean, EmailError, Mail, Message, Style, Subject};
use crate::alert::Origin;
use crate::detect::reading::PathTest;
use crate::record::Record;

/// What such a call's user agent begins with. The pattern in rules.json has it too, and a test compares them.
pub(crate) const MARK: &str = "RootUsageAlert-test-path-";

/// The most letters behind it that are shown. More could be a message from whoever made the call.
const MARKER_MAX: usize = 12;

/// A call that tests the way here, and what is known of the way.
pub(crate) struct PathTestMail<'a> {
    pub test: &'a PathTest,
    pub origin: &'a Origin,
    /// When the function has it.
    pub now: Timestamp,
}

/// The same, ready to be put into words.
pub(super) struct PathTested {
    pub marker: String,
    pub who: Option<Clean>,
    pub source: Option<Clean>,
    pub region: Option<Clean>,
    pub called: Option<String>,
    /// Seconds after the call.
    pub in_log_group: Option<i64>,
    pub here: Option<i64>,
    pub event_id: Option<Clean>,
    pub log_group: Clean,
    pub log_stream: Clean,
    pub function: Clean,
}

/// How a call was marked: of its user agent what everybody's begins with, and the letters behind it.
pub(crate) fn marker(record: &Record) -> String {
    let behind = record.user_agent().and_then(|agent| agent.strip_prefix(MARK)).unwrap_or_default();
    let letters = behind.chars().take_while(char::is_ascii_lowercase).take(MARKER_MAX);
    MARK.chars().chain(letters).collect()
}

impl Message {
    /// The mail that shows that the way from CloudTrail to here works. Of the record it has what nobody can take for an
    /// alert.
    ///
    /// # Errors
    ///
    /// [`EmailError`] if the template or the document fails, which no content can cause.
    pub(crate) fn path_test(mail: &PathTestMail<'_>, style: &Style) -> Result<Self, EmailError> {
        let PathTestMail { test: PathTest { record, received }, origin, now } = mail;
        let called = record.event_time();
        // Clocks differ: what would be before the call says nothing.
        let after = |time: Timestamp| called.map(|called| time.duration_since(called).as_secs()).filter(|s| *s >= 0);
        let tested = PathTested {
            marker: marker(record),
            who: record.arn().map(|arn| Clean::text(arn, 200)),
            source: record.source_ip().map(Clean::source),
            region: record.region().map(Clean::name),
            called: called.map(utc),
            in_log_group: received.and_then(after),
            here: after(*now),
            event_id: record.event_id().map(Clean::name),
            log_group: Clean::log_name(&origin.log_group),
            log_stream: Clean::log_name(&origin.log_stream),
            function: Clean::name(&style.function),
        };
        let text = style.language.0.mail(&Mail::PathTest(&tested));
        let subject = Subject::clipped(&format!("[TEST] From CloudTrail to this mail: {}", tested.marker));
        let document = Document {
            schema: SCHEMA,
            kind: "path-test",
            subject: subject.as_str(),
            time: now.to_string(),
            function: &tested.function,
            about: Batch {
                log_group: Some(&tested.log_group),
                log_stream: Some(&tested.log_stream),
                reason: None,
                marker: Some(&tested.marker),
                called_by: tested.who.as_ref(),
                called: called.map(|called| called.to_string()),
            },
        };
        let message = notice(&subject, text, &document, Attributes::new(Occasion::PathTest, None))?;
        let told = || Ok(Told { paragraphs: 2, thread: tested.marker.clone(), ..Told::default() });
        Ok(Self { chat: message.notification(style, told)?, ..message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Rule;
    use filter_pattern::json::Json;

    fn of(agent: &str) -> String {
        let text = format!(r#"{{"userAgent":"{agent}"}}"#);
        marker(&Record::new(&text, Json::parse(&text).unwrap()))
    }

    #[test]
    fn a_marker_is_letters_and_no_message() {
        for (agent, behind) in [
            ("RootUsageAlert-test-path-abcdefghijkl", "abcdefghijkl"),
            ("RootUsageAlert-test-path-abcdefghijklm", "abcdefghijkl"),
            ("RootUsageAlert-test-path-abc md/Botocore#1.44", "abc"),
            ("RootUsageAlert-test-path-call 0120-828-828", "call"),
            ("RootUsageAlert-test-path-http://evil.example", "http"),
            ("RootUsageAlert-test-path-", ""),
            ("RootUsageAlert-test-path-京", ""),
        ] {
            assert_eq!(of(agent), format!("{MARK}{behind}"), "{agent}");
        }
    }

    #[test]
    fn the_mark_is_the_patterns() {
        let rule = Rule::path_test().unwrap();
        assert!(rule.text.contains(&format!(r#"($.userAgent = "{MARK}*")"#)), "{}", rule.text);
        // The longest text that the pattern can't match without: what is searched for.
        assert_eq!(rule.pattern.literals().unwrap().iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), [MARK]);
    }
}
