//! An SNS topic: its name, and what it is given of a message.

use crate::email::Message;
use crate::record::is_account;

/// The most bytes that SNS takes as a message, all of its forms together.
///
/// Source: SNS API Reference, `Publish`: at most 256 KB.
pub const MESSAGE_MAX: usize = 262_144;

/// The ARN of a standard SNS topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicArn {
    arn: String,
    region: String,
}

impl TopicArn {
    /// Reads an ARN such as `arn:aws:sns:eu-west-1:111122223333:alerts`.
    ///
    /// # Errors
    ///
    /// A sentence that says what would be right. E-mail needs a standard topic, so a FIFO topic is refused.
    pub fn parse(arn: &str) -> Result<Self, String> {
        let shape = "expected the ARN of a standard SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME";
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts[..] else { return Err(shape.to_owned()) };
        let plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if name.ends_with(".fifo") {
            return Err(format!("{shape}; a FIFO topic can't send e-mail"));
        }
        if !(plain(partition) && plain(region) && is_account(account) && plain(name)) {
            return Err(shape.to_owned());
        }
        Ok(Self { arn: arn.to_owned(), region: region.to_owned() })
    }

    /// The Region the topic is in.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.arn
    }
}

/// The message with `MessageStructure=json`: a text for each protocol that has one of its own. `None` for a message that
/// is plain text for all of them.
#[must_use]
pub fn payload(message: &Message) -> Option<String> {
    let mut forms = match (message.document.is_empty(), &message.chat) {
        (true, None) => return None,
        (true, Some(_)) => serde_json::json!({ "default": message.text }),
        (false, _) => {
            serde_json::json!({ "default": message.document, "email": message.text, "sms": message.sms })
        }
    };
    if let Some(chat) = &message.chat {
        forms["https"] = chat.as_str().into();
        forms["http"] = chat.as_str().into();
    }
    Some(forms.to_string())
}

/// The message for a topic whose subscribers are programs: its document, or the text of one that has none.
#[must_use]
pub fn document(message: &Message) -> &str {
    if message.document.is_empty() { &message.text } else { &message.document }
}

/// Whether a message is small enough for SNS, its attributes included.
///
/// Source: SNS Developer Guide, "Amazon SNS message attributes": name, type and value are part of the message's size.
#[must_use]
pub fn fits(message: &Message) -> bool {
    let attributes = message.attributes.each();
    let attributes: usize =
        attributes.iter().map(|each| each.name.len() + each.data_type.len() + each.value.len()).sum();
    payload(message).is_none_or(|payload| payload.len() + attributes <= MESSAGE_MAX)
}
