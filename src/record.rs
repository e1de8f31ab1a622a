//! A CloudTrail record, read leniently.
//!
//! In practice almost every field of a record can be missing, null, `{}` or an empty string, so a [`Record`] is the
//! JSON object as it came plus accessors: each gives `None` where the field says nothing, and none can fail.

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::json::Json;

/// How many names a path may have; `userIdentity.sessionContext.attributes.creationDate` is the longest that is asked for.
const PATH_MAX: usize = 4;

/// One CloudTrail record: what of it has a name of at most four parts. Arrays, which can be long and which nothing here
/// reads, are not kept.
#[derive(Debug, Clone)]
pub struct Record {
    json: Json<'static>,
    hash: [u8; 32],
    // Asked for most often by far, of records that are no longer near in memory.
    root: bool,
    outcome: Outcome,
}

impl Record {
    /// A record from the message it was read from and that message's JSON.
    #[must_use]
    pub fn new(message: &str, json: Json<'_>) -> Self {
        let json = json.pruned(PATH_MAX).into_owned();
        let hash = Sha256::digest(message.as_bytes()).into();
        let mut record = Self { json, hash, root: false, outcome: Outcome::Succeeded };
        record.root = record.identity_type() == Some("Root");
        record.outcome = record.find_outcome();
        record
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.json.memory() + size_of_val(&self.hash)
    }

    /// SHA-256 of the message: equal for a repeated record, different for a corrected one.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The value at a path of object keys.
    #[must_use]
    pub fn value(&self, path: &[&str]) -> Option<&Json<'static>> {
        path.iter().try_fold(&self.json, |json, key| json.get(key))
    }

    /// The text at a path: a string that is not empty, a number or a boolean as it was written.
    #[must_use]
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        match self.value(path)? {
            Json::String(text) | Json::Number(text) => Some(text.trim_ascii()).filter(|text| !text.is_empty()),
            Json::Bool(true) => Some("true"),
            Json::Bool(false) => Some("false"),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// Whether the text at a path says `true` or `yes`, in any case; CloudTrail writes many booleans as strings.
    #[must_use]
    pub fn flag(&self, path: &[&str]) -> Option<bool> {
        let text = self.text(path)?;
        let is = |words: [&str; 2]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        if is(["true", "yes"]) { Some(true) } else { is(["false", "no"]).then_some(false) }
    }

    /// `eventID`
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.text(&["eventID"])
    }

    /// `eventName`, the action: `CreateAccessKey`.
    #[must_use]
    pub fn event_name(&self) -> Option<&str> {
        self.text(&["eventName"])
    }

    /// `eventSource`, the service: `iam.amazonaws.com`.
    #[must_use]
    pub fn event_source(&self) -> Option<&str> {
        self.text(&["eventSource"])
    }

    /// The first label of `eventSource`: `iam`.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.event_source()?.split('.').next()
    }

    /// `eventTime`; `None` too where it is no time.
    #[must_use]
    pub fn event_time(&self) -> Option<Timestamp> {
        self.text(&["eventTime"])?.parse().ok()
    }

    /// `awsRegion`
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.text(&["awsRegion"])
    }

    /// `sourceIPAddress`: IPv4, IPv6, a service's name or `AWS Internal`.
    #[must_use]
    pub fn source_ip(&self) -> Option<&str> {
        self.text(&["sourceIPAddress"])
    }

    /// `userAgent`
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.text(&["userAgent"])
    }

    /// `errorCode`
    #[must_use]
    pub fn error_code(&self) -> Option<&str> {
        self.text(&["errorCode"])
    }

    /// `errorMessage`; a failed sign-in has one without an `errorCode`.
    #[must_use]
    pub fn error_message(&self) -> Option<&str> {
        self.text(&["errorMessage"])
    }

    /// `userIdentity.type`
    #[must_use]
    pub fn identity_type(&self) -> Option<&str> {
        self.text(&["userIdentity", "type"])
    }

    /// Whether root acted.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// `userIdentity.arn`
    #[must_use]
    pub fn arn(&self) -> Option<&str> {
        self.text(&["userIdentity", "arn"])
    }

    /// The account it happened in: whoever's trail this is, `recipientAccountId` names it.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.text(&["recipientAccountId"]).or_else(|| self.identity_account())
    }

    /// `userIdentity.accountId`, the account of whoever acted.
    #[must_use]
    pub fn identity_account(&self) -> Option<&str> {
        self.text(&["userIdentity", "accountId"])
    }

    /// The account alias, which CloudTrail gives as root's `userIdentity.userName`.
    #[must_use]
    pub fn account_alias(&self) -> Option<&str> {
        self.text(&["userIdentity", "userName"]).filter(|_| self.is_root())
    }

    /// `userIdentity.accessKeyId`
    #[must_use]
    pub fn access_key_id(&self) -> Option<&str> {
        self.text(&["userIdentity", "accessKeyId"])
    }

    /// When the session of a temporary key began, as it was written.
    #[must_use]
    pub fn session_created(&self) -> Option<&str> {
        self.text(&["userIdentity", "sessionContext", "attributes", "creationDate"])
    }

    /// Whether the session's key came from a console sign-in.
    #[must_use]
    pub fn from_console(&self) -> bool {
        self.flag(&["userIdentity", "sessionContext", "sessionCredentialFromConsole"])
            .or_else(|| self.flag(&["sessionCredentialFromConsole"]))
            == Some(true)
    }

    /// Whether the session is a central root session (`sts:AssumeRoot`), where the record says so.
    #[must_use]
    pub fn assumed_root(&self) -> bool {
        self.flag(&["userIdentity", "sessionContext", "assumedRoot"]) == Some(true)
    }

    /// Whether this is a sign-in to the console.
    #[must_use]
    pub fn is_sign_in(&self) -> bool {
        self.event_name() == Some("ConsoleLogin")
    }

    /// Whether a second factor was used, where the record says.
    #[must_use]
    pub fn mfa(&self) -> Option<bool> {
        self.flag(&["additionalEventData", "MFAUsed"])
            .or_else(|| self.flag(&["userIdentity", "sessionContext", "attributes", "mfaAuthenticated"]))
    }

    /// `readOnly`
    #[must_use]
    pub fn read_only(&self) -> Option<bool> {
        self.flag(&["readOnly"])
    }

    /// Why CloudTrail sent this record late or again (`addendum.reason`).
    #[must_use]
    pub fn addendum(&self) -> Option<&str> {
        self.value(&["addendum"]).filter(|json| **json != Json::Null)?;
        Some(self.text(&["addendum", "reason"]).unwrap_or("addendum"))
    }

    /// How the call ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn find_outcome(&self) -> Outcome {
        let failed_sign_in = self.is_sign_in() && self.text(&["responseElements", "ConsoleLogin"]) == Some("Failure");
        match self.error_code() {
            Some(code) if is_denial(code) => Outcome::Denied,
            Some(_) => Outcome::Failed,
            None if failed_sign_in || self.error_message().is_some() => Outcome::Failed,
            None => Outcome::Succeeded,
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Succeeded,
    /// It was refused for want of permission.
    Denied,
    /// It failed for another reason.
    Failed,
}

/// Whether an error code says that the caller lacked permission.
///
/// Services differ: `AccessDenied`, `AccessDeniedException`, `Client.UnauthorizedOperation`, `AuthorizationError`, …
fn is_denial(code: &str) -> bool {
    ["AccessDenied", "Unauthorized", "NotAuthorized", "AuthFailure", "AuthorizationError", "Forbidden"]
        .iter()
        .any(|part| code.contains(part))
}
