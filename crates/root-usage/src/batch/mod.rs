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
use jiff::Timestamp;
use memchr::memmem;
use serde::de::IgnoredAny;
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
    #[error("{bytes} bytes follow that are not gzip")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// An inflated payload: the one buffer that a [`Batch`] borrows from.
pub struct Inflated {
    bytes: Vec<u8>,
    fault: Option<BatchError>,
    forced: bool,
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
    #[serde(default)]
    force: Option<IgnoredAny>,
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
        // glibc's malloc keeps what is freed for the next invocation, once it has seen a block of this size freed.
        let mut bytes = Vec::new();
        match inflate(&envelope.awslogs.data, limit, &mut bytes) {
            Err(fault) if bytes.is_empty() => Err(fault),
            result => Ok(Self { bytes, fault: result.err(), forced: envelope.force.is_some() }),
        }
    }

    /// How many bytes the payload inflated to.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is to be told though it was told before: whoever sends it again put `force` beside it.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.forced
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

    /// When the newest log event was taken in: about when the batch came.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        let batch = self.batch(|_| true);
        let times = batch.log_events.iter().filter_map(|event| event.entry().ok()).map(|entry| entry.timestamp);
        times.max().and_then(|time| Timestamp::from_millisecond(time).ok())
    }

    /// Finds the log events, without reading any of them, and keeps those that are wanted.
    pub fn batch<'a>(&'a self, wanted: impl FnMut(&LogEvent<'a>) -> bool) -> Batch<'a> {
        let (mut batch, syntax) = document::read(&self.bytes, wanted);
        let syntax = syntax.map(|source| BatchError::Document { inflated: self.bytes.len(), source });
        batch.fault = self.fault.clone().or(syntax);
        batch
    }
}

/// Inflates base64 of gzip, every member of it, to the end or to the first fault; `bytes` has what came out before it.
fn inflate(data: &str, limit: usize, bytes: &mut Vec<u8>) -> Result<(), BatchError> {
    // Piece by piece, so that what is compressed is never in memory as a whole. Four characters are three bytes.
    const PIECE: usize = 4 << 13;
    let characters = data.trim_end_matches('=').as_bytes();
    let compressed = characters.len() / 4 * 3 + characters.len() % 4 * 3 / 4;
    bytes.reserve(stated_size(characters).min(limit).min(compressed.saturating_mul(1032)).saturating_add(1));
    let mut gzip = Gzip { member: Decompress::new_gzip(15), ended: false, compressed, taken: 0, limit, bytes };
    let mut decoded = Vec::with_capacity(PIECE.min(data.len()));
    for (index, piece) in data.as_bytes().chunks(PIECE).enumerate() {
        decoded.clear();
        let odd = decode(piece, &mut decoded).err();
        gzip.take(&decoded)?;
        if let Some(odd) = odd {
            return Err(BatchError::Base64(later(&odd, index * PIECE)));
        }
    }
    gzip.end()
}

/// How much the gzip says it inflates to. The last four bytes give the size modulo 2^32. They can lie, so they only size
/// the buffer, and no further than deflate can expand: 1,032 times.
fn stated_size(characters: &[u8]) -> usize {
    let last = &characters[(characters.len() / 4 * 4).saturating_sub(8)..];
    let last = BASE64.decode(last).unwrap_or_default();
    last.last_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
}

/// Decodes base64, or what of it is before the first fault.
fn decode(piece: &[u8], decoded: &mut Vec<u8>) -> Result<(), DecodeError> {
    let result = BASE64.decode_vec(piece, decoded);
    if let Err(error) = &result {
        let whole = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. } => *at,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => piece.len().saturating_sub(1),
        };
        decoded.clear();
        let _ = BASE64.decode_vec(&piece[..whole / 4 * 4], decoded);
    }
    result
}

/// The same fault of a text that has so many bytes more before it.
fn later(error: &DecodeError, bytes: usize) -> DecodeError {
    match *error {
        DecodeError::InvalidByte(at, byte) => DecodeError::InvalidByte(at + bytes, byte),
        DecodeError::InvalidLength(length) => DecodeError::InvalidLength(length + bytes),
        DecodeError::InvalidLastSymbol { offset, symbol, symbol_value } => {
            DecodeError::InvalidLastSymbol { offset: offset + bytes, symbol, symbol_value }
        }
        DecodeError::InvalidPadding => DecodeError::InvalidPadding,
    }
}

/// Members of gzip, one after the other.
struct Gzip<'b> {
    member: Decompress,
    /// Whether the member has ended.
    ended: bool,
    /// How many bytes there are, and how many were taken.
    compressed: usize,
    taken: usize,
    limit: usize,
    bytes: &'b mut Vec<u8>,
}

impl Gzip<'_> {
    fn take(&mut self, mut input: &[u8]) -> Result<(), BatchError> {
        while let Some(first) = input.first() {
            if self.ended {
                if *first != 0x1f {
                    return Err(self.fault(GzipError::Trailing { bytes: self.compressed - self.taken }));
                }
                self.member.reset(true);
                self.ended = false;
            }
            let taken = self.step(input)?;
            input = &input[taken..];
            if taken == 0 && !self.is_full() {
                return Err(self.fault(GzipError::CutOff));
            }
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), BatchError> {
        while !self.ended && self.is_full() {
            self.step(&[])?;
        }
        if self.ended { Ok(()) } else { Err(self.fault(GzipError::CutOff)) }
    }

    fn is_full(&self) -> bool {
        self.bytes.len() == self.bytes.capacity()
    }

    /// How many bytes of the input could be used.
    fn step(&mut self, input: &[u8]) -> Result<usize, BatchError> {
        if self.is_full() {
            let more = self.bytes.len().max(1 << 16).min((self.limit - self.bytes.len()).saturating_add(1));
            self.bytes.reserve(more);
        }
        let before = self.member.total_in();
        let status = self.member.decompress_vec(input, self.bytes, FlushDecompress::None);
        let taken = usize::try_from(self.member.total_in() - before).unwrap_or_default();
        self.taken += taken;
        if self.bytes.len() > self.limit {
            self.bytes.truncate(self.limit);
            return Err(BatchError::TooLarge { limit: self.limit });
        }
        match status {
            Ok(status) => self.ended = status == Status::StreamEnd,
            Err(error) => return Err(self.fault(GzipError::Damaged(error))),
        }
        Ok(taken)
    }

    fn fault(&self, source: GzipError) -> BatchError {
        BatchError::Gzip { compressed: self.compressed, inflated: self.bytes.len(), source }
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
    pub(crate) fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// The same as a text. Bytes that are not UTF-8 become U+FFFD: one bad byte must not cost the log event.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        // Checking is faster than looking for what to replace, and nearly always all there is to do.
        str::from_utf8(self.raw).map_or_else(|_| String::from_utf8_lossy(self.raw), Cow::Borrowed)
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
