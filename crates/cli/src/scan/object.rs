//! What a JSON object is, by its own keys: a record, another of CloudTrail's files, or something else.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object whose values nobody has parsed yet.
pub struct Object<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A CloudTrail record.
    Record,
    /// CloudTrail writes it, and it holds no record; what it is.
    Other(&'static str),
    /// None of these: a wrapper, or something foreign.
    Unknown,
}

/// The name of CloudTrail's digest files, for a reader.
pub const DIGEST: &str = "digest file";

/// The fields of a record that a query or a `jq` filter may have left of it.
const FIELDS: [&str; 8] = [
    "eventversion",
    "useridentity",
    "eventtime",
    "eventsource",
    "eventname",
    "awsregion",
    "sourceipaddress",
    "eventid",
];

impl<'a> Object<'a> {
    /// Its fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.fields.iter().map(|(key, value)| (&**key, value.get()))
    }

    /// The text of a field's value; of equal keys, the last one's.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.fields.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }

    /// A field's value, if that is a string.
    pub fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(string)
    }

    /// What it is.
    ///
    /// A record has `userIdentity`, an object, or `eventVersion` with `eventSource` and `eventName`. What other services
    /// send has an `eventSource` such as `aws:s3`, where CloudTrail has a domain name.
    pub fn kind(&self) -> Kind {
        let is = |key: &str, value: &str| self.string(key).is_some_and(|text| text == value);
        if is("eventCategory", "Insight") || is("eventType", "AwsCloudTrailInsight") {
            return Kind::Other("CloudTrail Insights event");
        }
        if is("eventCategory", "Aggregated") || is("eventType", "AwsAggregatedEvent") {
            return Kind::Other("aggregated event");
        }
        let source = self.string("eventSource");
        if source.as_deref().is_some_and(|source| source.starts_with("aws:")) {
            return Kind::Unknown;
        }
        let named = || ["eventVersion", "eventName"].iter().all(|key| self.string(key).is_some()) && source.is_some();
        if self.get("userIdentity").is_some_and(|value| value.starts_with('{')) || named() {
            return Kind::Record;
        }
        if self.get("digestS3Bucket").is_some() {
            return Kind::Other(DIGEST);
        }
        // CloudTrail User Guide, "CloudTrail Lake: validate saved query results": the sign file.
        if self.get("hashSignature").is_some() && self.get("publicKeyFingerprint").is_some() {
            return Kind::Other("sign file of a query");
        }
        Kind::Unknown
    }

    /// What it is when it is neither a record nor a wrapper.
    pub fn name(&self) -> String {
        let has = |keys: &[&str]| keys.iter().all(|key| self.get(key).is_some());
        let fixed = if has(&["s3"]) || self.string("eventSource").is_some_and(|source| source == "aws:s3") {
            "an S3 event notification: it names files, and holds no record"
        } else if has(&["s3Bucket", "s3ObjectKey"]) {
            "CloudTrail's notification of a file: it names the file, and holds no record"
        } else if has(&["configurationItems"]) || has(&["configurationItem"]) {
            "a file of AWS Config, not of CloudTrail"
        } else if has(&["class_uid"]) {
            "an event of Security Lake (OCSF), not a CloudTrail record"
        } else if has(&["schemaVersion", "severity", "service"]) {
            "a GuardDuty finding, not a CloudTrail record"
        } else if has(&["EventId", "EventName"]) {
            "an event of lookup-events without CloudTrailEvent, which holds the record"
        } else if self.fields().any(|(key, _)| is_field(key)) {
            "only a part of a CloudTrail record: a rule can't match what was left out. Keep the whole record, as \
             eventJson, @message or CloudTrailEvent has it"
        } else {
            ""
        };
        if !fixed.is_empty() {
            return fixed.to_owned();
        }
        if let Some(kind) = self.string("detail-type") {
            return format!("an EventBridge event of another kind ({})", short(&kind));
        }
        let keys: Vec<String> = self.fields.iter().take(5).map(|(key, _)| short(key)).collect();
        let more = if self.fields.len() > keys.len() { ", …" } else { "" };
        match keys.is_empty() {
            true => "an empty object, not a CloudTrail record".to_owned(),
            false => {
                format!(
                    "neither a CloudTrail record nor a known wrapper of records; its keys: {}{more}",
                    keys.join(", ")
                )
            }
        }
    }
}

/// Whether this names a field of a record, in whatever case. Athena and CloudTrail Lake have them as columns.
pub fn is_field(name: &str) -> bool {
    let name = name.split('.').next().unwrap_or_default();
    FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
}

/// A JSON string's value.
pub fn string(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.starts_with('"') {
        return None;
    }
    serde_json::from_str::<Key<'_>>(raw).ok().map(|Key(text)| text)
}

/// A text that fits into a line.
fn short(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(39).chain(['…']).collect() }
}

/// Whether an object begins like one of CloudTrail's own records: `{"eventVersion":"1.11","userIdentity":{`. Nearly all
/// do, and nothing else that is known does.
#[inline]
pub fn begins_as_record(text: &[u8]) -> bool {
    // Without white space, as CloudTrail writes it; versions have two digits behind the point.
    if let Some(after) = text.strip_prefix(b"{\"eventVersion\":\"1.")
        && let Some((_, after)) = after.split_first_chunk::<2>()
        && after.starts_with(b"\",\"userIdentity\":{")
    {
        return true;
    }
    begins_loosely(text)
}

/// The same with white space, and any number of digits.
#[inline(never)]
fn begins_loosely(text: &[u8]) -> bool {
    fn after<'t>(text: &'t [u8], tokens: &[&[u8]]) -> Option<&'t [u8]> {
        tokens.iter().try_fold(text, |text, token| text.trim_ascii_start().strip_prefix(*token))
    }
    let Some(version) = after(text, &[b"{", b"\"eventVersion\"", b":", b"\"1."]) else { return false };
    let digits = version.iter().take_while(|byte| byte.is_ascii_digit()).count();
    version[digits..].starts_with(b"\"")
        && after(&version[digits..], &[b"\"", b",", b"\"userIdentity\"", b":", b"{"]).is_some()
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    fields.push((key, value));
                }
                Ok(Object { fields })
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// Borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_object_is_known_by_its_keys() {
        for (text, kind) in [
            (r#"{"userIdentity":{}}"#, Kind::Record),
            (r#"{"\u0075serIdentity":{"type":"Root"}}"#, Kind::Record),
            (r#"{"eventVersion":"1.08","eventSource":"a.amazonaws.com","eventName":"A"}"#, Kind::Record),
            (r#"{"userIdentity":"Root"}"#, Kind::Unknown),
            (r#"{"userIdentity":{},"userIdentity":1}"#, Kind::Unknown),
            (r#"{"eventSource":"a.amazonaws.com","eventName":"A"}"#, Kind::Unknown),
            (r#"{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"A","userIdentity":{}}"#, Kind::Unknown),
            (
                r#"{"eventVersion":"1.09","eventCategory":"Insight","userIdentity":{}}"#,
                Kind::Other("CloudTrail Insights event"),
            ),
            (r#"{"eventVersion":"1.0","eventType":"AwsAggregatedEvent"}"#, Kind::Other("aggregated event")),
            (r#"{"awsAccountId":"1","digestS3Bucket":"b"}"#, Kind::Other(DIGEST)),
            (r#"{"hashSignature":"1","publicKeyFingerprint":"b"}"#, Kind::Other("sign file of a query")),
            ("{}", Kind::Unknown),
        ] {
            assert_eq!(object(text).kind(), kind, "{text}");
        }
    }

    #[test]
    fn cloudtrails_own_way_to_begin_is_known() {
        for (text, expected) in [
            (r#"{"eventVersion":"1.08","userIdentity":{"type":"Root"}}"#, true),
            ("{\n  \"eventVersion\": \"1.11\",\n  \"userIdentity\": {", true),
            (r#"{"eventVersion":"2.1","userIdentity":{"#, false),
            (r#"{"eventVersion":"1.08","eventTime":"#, false),
            (r#"{"eventVersion":"1.08","userIdentity":"Root"}"#, false),
            (r#"{"eventVersion":"1.0"#, false),
            ("{", false),
            ("", false),
        ] {
            assert_eq!(begins_as_record(text.as_bytes()), expected, "{text}");
        }
    }
}
