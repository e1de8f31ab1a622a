//! What an SNS topic is given of a message.

use crate::email::Message;

/// The most bytes that SNS takes as a message, all of its forms together.
///
/// Source: SNS API Reference, `Publish`: at most 256 KB.
pub const MESSAGE_MAX: usize = 262_144;

/// The message with `MessageStructure=json`: a text for each protocol that has one of its own. `None` for a message that
/// is plain text for all of them.
#[must_use]
pub fn payload(message: &Message) -> Option<String> {
    if message.document.is_empty() {
        return None;
    }
    let forms = serde_json::json!({ "default": message.document, "email": message.text, "sms": message.sms });
    Some(forms.to_string())
}

/// Whether a message is small enough for SNS.
#[must_use]
pub fn fits(message: &Message) -> bool {
    payload(message).is_none_or(|payload| payload.len() <= MESSAGE_MAX)
}
