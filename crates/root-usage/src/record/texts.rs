//! The texts of a record that are asked for over and over, next to each other: its JSON is spread over memory.

use filter_pattern::json::Json;

/// Names each text, and says where it stands.
macro_rules! texts {
    ($($name:ident: [$($key:literal),+],)+) => {
        /// What is asked for over and over, of records that are no longer near in memory.
        #[derive(Debug, Clone, Copy)]
        pub(super) enum Often {
            $($name),+
        }

        /// The path of each.
        const PATHS: &[&[&str]] = &[$(&[$($key),+]),+];
    };
}

texts! {
    EventId: ["eventID"],
    EventName: ["eventName"],
    EventSource: ["eventSource"],
    EventType: ["eventType"],
    Region: ["awsRegion"],
    SourceIp: ["sourceIPAddress"],
    UserAgent: ["userAgent"],
    ErrorCode: ["errorCode"],
    IdentityType: ["userIdentity", "type"],
    Arn: ["userIdentity", "arn"],
    IdentityAccount: ["userIdentity", "accountId"],
    AccessKeyId: ["userIdentity", "accessKeyId"],
    SessionCreated: ["userIdentity", "sessionContext", "attributes", "creationDate"],
    Recipient: ["recipientAccountId"],
}

/// The texts of all [`Often`], one after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    all: Box<str>,
    ends: [u32; PATHS.len()],
}

impl Texts {
    pub(super) fn of(json: &Json<'_>) -> Self {
        let mut all = String::new();
        let mut ends = [0; PATHS.len()];
        for (end, path) in ends.iter_mut().zip(PATHS) {
            all.push_str(text(json, path).unwrap_or_default());
            *end = u32::try_from(all.len()).unwrap_or(u32::MAX);
        }
        Self { all: all.into(), ends }
    }

    /// How many bytes they are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// A text; `None` where the record has none, or an empty one.
    pub(super) fn get(&self, which: Often) -> Option<&str> {
        let index = which as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        // Texts of 4 GB, of which only the first could be had, don't come: a log event has 1 MB.
        self.all.get(start as usize..self.ends[index] as usize).filter(|text| !text.is_empty())
    }
}

/// The text at a path: a string that is not empty, a number or a boolean as it was written.
pub(super) fn text<'j>(json: &'j Json<'_>, path: &[&str]) -> Option<&'j str> {
    match path.iter().try_fold(json, |json, key| json.get(key))? {
        Json::String(text) | Json::Number(text) => Some(text.trim_ascii()).filter(|text| !text.is_empty()),
        Json::Bool(true) => Some("true"),
        Json::Bool(false) => Some("false"),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}
