//! The payload of a CloudWatch Logs subscription, from the bytes Lambda hands over to single log events.
//!
//! `aws_lambda_events::LogsEvent` does this inside `Deserialize`: one odd log event fails the whole batch, only the
//! first gzip member is read, and nothing bounds what the payload inflates to. Here the steps are apart: [`Inflated`]
//! owns one buffer, a [`Batch`] borrows its log events from it, and only those that somebody wants to read become the
//! crate's own [`LogEntry`].

use std::borrow::Cow;
use std::io::Read;

use aws_lambda_events::event::cloudwatch_logs::{LogData, LogEntry};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

/// The most bytes a payload may inflate to where nothing else is said: 32 MiB.
///
/// CloudWatch Logs sends at most 1 MB; CloudTrail records of a real account inflate to 7 or 8 times that.
pub const DEFAULT_MAX_BYTES: usize = 32 << 20;

/// CloudWatch Logs pads its base64, other producers (`aws_lambda_events` among them) don't.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a payload could not be read as a batch of log events.
#[derive(Debug, Error)]
pub enum BatchError {
    /// The event is empty.
    #[error("the event is empty; a CloudWatch Logs subscription sends {{\"awslogs\":{{\"data\":\"…\"}}}}")]
    Empty,
    /// The event is no JSON, or has no string at `awslogs.data`.
    #[error("the event is not a CloudWatch Logs subscription event, {{\"awslogs\":{{\"data\":\"…\"}}}}")]
    Envelope(#[source] serde_json::Error),
    /// `awslogs.data` is not base64.
    #[error("awslogs.data is not base64")]
    Base64(#[source] base64::DecodeError),
    /// What base64 held is not gzip, is cut off or is damaged.
    #[error("awslogs.data does not hold a whole gzip stream ({compressed} bytes compressed, {inflated} read of it)")]
    Gzip {
        /// How many bytes the base64 text held.
        compressed: usize,
        /// How many bytes came out before the fault.
        inflated: usize,
        /// What the decoder said.
        source: std::io::Error,
    },
    /// The payload inflates to more than is allowed.
    #[error("awslogs.data inflates to more than {limit} bytes; MAX_BATCH_BYTES sets this limit")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// What was inflated is not the JSON document that CloudWatch Logs sends.
    #[error("awslogs.data does not hold a CloudWatch Logs batch ({inflated} bytes inflated)")]
    Document {
        /// How many bytes were inflated.
        inflated: usize,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
}

/// An inflated payload: the one buffer that a [`Batch`] borrows from.
pub struct Inflated {
    text: String,
}

/// One batch of log events, as one invocation brings it.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Everything but the log events: its `log_events` is empty.
    pub data: LogData,
    /// The log events, unread.
    pub log_events: Vec<LogEvent<'a>>,
}

/// A log event as it stands in the payload: a slice of the inflated buffer that nobody has parsed yet.
#[derive(Debug, Clone, Copy)]
pub struct LogEvent<'a> {
    raw: &'a str,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    awslogs: AwsLogs<'a>,
}

#[derive(Deserialize)]
struct AwsLogs<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

/// Each field by itself may be absent, null or of another type; then it counts as empty.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(default, deserialize_with = "lenient")]
    owner: String,
    #[serde(default, deserialize_with = "lenient")]
    log_group: String,
    #[serde(default, deserialize_with = "lenient")]
    log_stream: String,
    #[serde(default, deserialize_with = "lenient")]
    subscription_filters: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    message_type: String,
    #[serde(borrow, default)]
    log_events: Vec<&'a RawValue>,
}

fn lenient<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_default())
}

impl Inflated {
    /// Decodes and inflates the event that Lambda hands over, every gzip member of it.
    ///
    /// Bytes that are not UTF-8 are replaced by U+FFFD: one bad byte in one message must not cost the batch.
    ///
    /// # Errors
    ///
    /// Any [`BatchError`] but [`BatchError::Document`]. `limit` is in bytes.
    pub fn from_event(event: &str, limit: usize) -> Result<Self, BatchError> {
        if event.trim_ascii().is_empty() {
            return Err(BatchError::Empty);
        }
        let envelope: Envelope = serde_json::from_str(event).map_err(BatchError::Envelope)?;
        let compressed = BASE64.decode(envelope.awslogs.data.as_bytes()).map_err(BatchError::Base64)?;
        let bytes = inflate(&compressed, limit)?;
        let text =
            String::from_utf8(bytes).unwrap_or_else(|invalid| String::from_utf8_lossy(invalid.as_bytes()).into_owned());
        Ok(Self { text })
    }

    /// How many bytes the payload inflated to.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether the payload inflated to nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Finds the log events, without reading any of them.
    ///
    /// # Errors
    ///
    /// [`BatchError::Document`] if the text is no JSON object or its `logEvents` is no array.
    pub fn batch(&self) -> Result<Batch<'_>, BatchError> {
        // serde would take an array for the fields in order.
        let document: Result<Document, serde_json::Error> = if self.text.trim_ascii_start().starts_with('{') {
            serde_json::from_str(&self.text)
        } else {
            Err(serde::de::Error::custom("it is no JSON object"))
        };
        let document = document.map_err(|source| BatchError::Document { inflated: self.text.len(), source })?;
        let mut data = LogData::default();
        data.owner = document.owner;
        data.log_group = document.log_group;
        data.log_stream = document.log_stream;
        data.subscription_filters = document.subscription_filters;
        data.message_type = document.message_type;
        let log_events = document.log_events.into_iter().map(|raw| LogEvent { raw: raw.get() }).collect();
        Ok(Batch { data, log_events })
    }
}

fn inflate(compressed: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    // The last four bytes of gzip give the inflated size modulo 2^32. They can lie, so they only size the buffer,
    // and no further than deflate can expand: 1,032 times.
    let stated = compressed.last_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    let capacity = stated.min(limit).min(compressed.len().saturating_mul(1032));
    let mut bytes = Vec::with_capacity(capacity.saturating_add(1));
    let read = MultiGzDecoder::new(compressed).take((limit as u64).saturating_add(1)).read_to_end(&mut bytes);
    match read {
        _ if bytes.len() > limit => Err(BatchError::TooLarge { limit }),
        Ok(_) => Ok(bytes),
        Err(source) => Err(BatchError::Gzip { compressed: compressed.len(), inflated: bytes.len(), source }),
    }
}

impl Batch<'_> {
    /// Whether this only asks if the destination is reachable.
    #[must_use]
    pub fn is_control_message(&self) -> bool {
        self.data.message_type == "CONTROL_MESSAGE"
    }
}

impl<'a> LogEvent<'a> {
    /// The log event's JSON text, `{"id":…,"timestamp":…,"message":"…"}`, as it stands in the payload.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Reads the log event.
    ///
    /// An `id` or `timestamp` that is absent or odd counts as empty: only the message is needed.
    ///
    /// # Errors
    ///
    /// A `serde_json::Error` if this is no object with a string `message`.
    pub fn entry(&self) -> Result<LogEntry, serde_json::Error> {
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default, deserialize_with = "lenient")]
            id: String,
            #[serde(default, deserialize_with = "lenient")]
            timestamp: i64,
            message: String,
        }
        let read: Entry = serde_json::from_str(self.raw)?;
        let mut entry = LogEntry::default();
        entry.id = read.id;
        entry.timestamp = read.timestamp;
        entry.message = read.message;
        Ok(entry)
    }
}
