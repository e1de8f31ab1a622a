//! The payload of a CloudWatch Logs subscription, from the bytes Lambda hands over to single log events.
//!
//! `aws_lambda_events::LogsEvent` does this inside `Deserialize`: one odd log event fails the whole batch, only the
//! first gzip member is read, and nothing bounds what the payload inflates to. Here the steps are apart: [`Inflated`]
//! owns one buffer, a [`Batch`] borrows its log events from it, and only those that somebody wants to read become the
//! crate's own [`LogEntry`].
//!
//! A payload that can't be read whole would never be, however often Lambda tries. What can be had of it is had: every
//! whole log event before the fault, and the fault.

mod document;

use std::borrow::Cow;
use std::sync::Arc;

use aws_lambda_events::event::cloudwatch_logs::{LogData, LogEntry};
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};
use flate2::{Decompress, DecompressError, FlushDecompress, Status};
use memchr::memmem;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

pub use document::SyntaxError;

/// The most bytes a payload may inflate to where nothing else is said: 32 MiB.
///
/// CloudWatch Logs sends at most 1 MB; CloudTrail records of a real account inflate to 7 or 8 times that.
pub const DEFAULT_MAX_BYTES: usize = 32 << 20;

/// CloudWatch Logs pads its base64, other producers (`aws_lambda_events` among them) don't.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a payload could not be read as a batch of log events, or not to its end.
#[derive(Debug, Clone, Error)]
pub enum BatchError {
    /// The event is empty.
    #[error("the event is empty; a CloudWatch Logs subscription sends {{\"awslogs\":{{\"data\":\"…\"}}}}")]
    Empty,
    /// The event is no JSON, or has no string at `awslogs.data`.
    #[error("the event is not a CloudWatch Logs subscription event, {{\"awslogs\":{{\"data\":\"…\"}}}}")]
    Envelope(#[source] Arc<serde_json::Error>),
    /// `awslogs.data` is not base64, or not to its end.
    #[error("awslogs.data is not base64")]
    Base64(#[source] DecodeError),
    /// What base64 held is not gzip, is cut off or is damaged.
    #[error("awslogs.data does not hold a whole gzip stream ({compressed} bytes compressed, {inflated} read of it)")]
    Gzip {
        /// How many bytes the base64 text held.
        compressed: usize,
        /// How many bytes came out before the fault.
        inflated: usize,
        /// What is wrong with it.
        source: GzipError,
    },
    /// The payload inflates to more than is allowed.
    #[error("awslogs.data inflates to more than {limit} bytes; MAX_BATCH_BYTES sets this limit")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// What was inflated is not, or not to its end, the JSON document that CloudWatch Logs sends.
    #[error("awslogs.data does not hold a CloudWatch Logs batch ({inflated} bytes inflated)")]
    Document {
        /// How many bytes were inflated.
        inflated: usize,
        /// What is wrong with it.
        source: SyntaxError,
    },
}

/// What is wrong with a gzip stream.
#[derive(Debug, Clone, Error)]
pub enum GzipError {
    /// The last member has no end.
    #[error("it breaks off")]
    CutOff,
    /// A member's header, blocks or checksum are wrong.
    #[error("it is damaged")]
    Damaged(#[source] DecompressError),
    /// Bytes after the last member are no member.
    #[error("{bytes} bytes follow that are no gzip")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// An inflated payload: the one buffer that a [`Batch`] borrows from.
pub struct Inflated {
    bytes: Vec<u8>,
    fault: Option<BatchError>,
}

/// One batch of log events, as one invocation brings it.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// Everything but the log events: its `log_events` is empty. A field that is absent, null or of another type counts
    /// as empty.
    pub data: LogData,
    /// The log events that are wanted, unread.
    pub log_events: Vec<LogEvent<'a>>,
    /// How many others there are.
    pub others: usize,
    /// Why the payload could not be read to its end: the [fault](Inflated::fault) of inflating it, or
    /// [`BatchError::Document`].
    pub fault: Option<BatchError>,
}

/// A log event as it stands in the payload: a slice of the inflated buffer that nobody has parsed yet.
#[derive(Debug, Clone, Copy)]
pub struct LogEvent<'a> {
    raw: &'a [u8],
    escaped: bool,
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

fn lenient<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).unwrap_or_default())
}

impl Inflated {
    /// Decodes and inflates the event that Lambda hands over, every gzip member of it, as far as that goes. `limit` is
    /// in bytes.
    ///
    /// # Errors
    ///
    /// Any [`BatchError`] but [`BatchError::Document`], where not one byte can be had. Where some can, the error is the
    /// [`fault`](Self::fault).
    pub fn from_event(event: &str, limit: usize) -> Result<Self, BatchError> {
        if event.trim_ascii().is_empty() {
            return Err(BatchError::Empty);
        }
        let envelope: Envelope = serde_json::from_str(event).map_err(|error| BatchError::Envelope(error.into()))?;
        let (compressed, odd) = decode(&envelope.awslogs.data)?;
        let mut bytes = Vec::new();
        let fault = inflate(&compressed, limit, &mut bytes).err();
        // Where the base64 is odd, that is why the gzip breaks off.
        let fault = odd.map(BatchError::Base64).or(fault);
        match fault {
            Some(fault) if bytes.is_empty() => Err(fault),
            fault => Ok(Self { bytes, fault }),
        }
    }

    /// How many bytes the payload inflated to.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the payload inflated to nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Why there is not more of it: [`BatchError::Base64`], [`BatchError::Gzip`] or [`BatchError::TooLarge`].
    #[must_use]
    pub fn fault(&self) -> Option<&BatchError> {
        self.fault.as_ref()
    }

    /// Finds the log events, without reading any of them, and keeps those that are wanted.
    pub fn batch<'a>(&'a self, wanted: impl FnMut(&LogEvent<'a>) -> bool) -> Batch<'a> {
        let (mut batch, syntax) = document::read(&self.bytes, wanted);
        let syntax = syntax.map(|source| BatchError::Document { inflated: self.bytes.len(), source });
        batch.fault = self.fault.clone().or(syntax);
        batch
    }
}

/// What base64 holds, up to what is none.
fn decode(data: &str) -> Result<(Vec<u8>, Option<DecodeError>), BatchError> {
    let error = match BASE64.decode(data) {
        Ok(bytes) => return Ok((bytes, None)),
        Err(error) => error,
    };
    let whole = match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. } => at,
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => data.len().saturating_sub(1),
    };
    // Four characters are three bytes.
    match data.get(..whole / 4 * 4).map(|whole| BASE64.decode(whole)) {
        Some(Ok(bytes)) if !bytes.is_empty() => Ok((bytes, Some(error))),
        _ => Err(BatchError::Base64(error)),
    }
}

/// Inflates every gzip member, to the end or to the first fault; `bytes` has what came out before it.
fn inflate(compressed: &[u8], limit: usize, bytes: &mut Vec<u8>) -> Result<(), BatchError> {
    // The last four bytes of gzip give the inflated size modulo 2^32. They can lie, so they only size the buffer,
    // and no further than deflate can expand: 1,032 times.
    let stated = compressed.last_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    bytes.reserve(stated.min(limit).min(compressed.len().saturating_mul(1032)).saturating_add(1));
    let fault = |bytes: &[u8], source| BatchError::Gzip { compressed: compressed.len(), inflated: bytes.len(), source };
    let mut rest = compressed;
    let mut member = Decompress::new_gzip(15);
    loop {
        let before = member.total_in();
        let status = member.decompress_vec(rest, bytes, FlushDecompress::None);
        let taken = usize::try_from(member.total_in() - before).unwrap_or(usize::MAX);
        rest = rest.get(taken..).unwrap_or_default();
        if bytes.len() > limit {
            bytes.truncate(limit);
            return Err(BatchError::TooLarge { limit });
        }
        match status {
            Err(error) => return Err(fault(bytes, GzipError::Damaged(error))),
            Ok(Status::StreamEnd) if rest.is_empty() => return Ok(()),
            Ok(Status::StreamEnd) if rest.starts_with(&[0x1f, 0x8b]) => member.reset(true),
            Ok(Status::StreamEnd) => return Err(fault(bytes, GzipError::Trailing { bytes: rest.len() })),
            Ok(Status::Ok | Status::BufError) if bytes.len() == bytes.capacity() => {
                bytes.reserve(bytes.len().max(1 << 16).min((limit - bytes.len()).saturating_add(1)));
            }
            Ok(Status::Ok) if !rest.is_empty() => {}
            Ok(Status::Ok | Status::BufError) => return Err(fault(bytes, GzipError::CutOff)),
        }
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
    fn new(raw: &'a [u8]) -> Self {
        Self { raw, escaped: memmem::find(raw, b"\\u").is_some() }
    }

    /// The log event's JSON text, `{"id":…,"timestamp":…,"message":"…"}`, as it stands in the payload.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether `\u` is anywhere in it.
    #[must_use]
    pub fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// The same as a text. Bytes that are not UTF-8 become U+FFFD: one bad byte must not cost the log event.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.raw)
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
        let read: Entry = serde_json::from_str(&self.text())?;
        let mut entry = LogEntry::default();
        entry.id = read.id;
        entry.timestamp = read.timestamp;
        entry.message = read.message;
        Ok(entry)
    }
}
