//! A CloudTrail record, read leniently.
//!
//! In practice almost every field of a record can be missing, null, `{}` or an empty string, so a [`Record`] is the
//! JSON object as it came plus accessors: each gives `None` where the field says nothing, and none can fail.

mod account;
mod kept;
mod outcome;
mod parameters;
mod texts;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::detail::{Detail, details};
use crate::region::{self, Partition};
pub(crate) use account::is_account;
use filter_pattern::json::Json;
pub use outcome::Outcome;
use texts::{Often, Texts, text};

/// How many names a path may have; `userIdentity.sessionContext.attributes.creationDate` is the longest that is asked for.
const PATH_MAX: usize = 4;

/// One CloudTrail record: what of it has a name of at most four parts, and its [details](Detail). Arrays, which can be
/// long, are not kept: what the details need of them is read before.
#[derive(Debug, Clone)]
pub struct Record {
    json: Json<'static>,
    hash: [u8; 32],
    details: Box<[Detail]>,
    texts: Texts,
    time: Option<Timestamp>,
    outcome: Outcome,
    mfa: Option<bool>,
    read_only: Option<bool>,
    root: bool,
    from_console: bool,
    assumed_root: bool,
    foreign_endpoint: bool,
    addendum: bool,
    public_parameters: bool,
    parameters: Option<[u8; 16]>,
}

impl Record {
    /// A record from the message it was read from and that message's JSON.
    #[must_use]
    pub fn new(message: &str, mut json: Json<'_>) -> Self {
        account::pad(&mut json);
        let details = {
            let text = |name: &str| match json.get(name) {
                Some(Json::String(text)) => text.trim_ascii(),
                _ => "",
            };
            details(text("eventSource").split('.').next().unwrap_or_default(), text("eventName"), &json).into()
        };
        let public_parameters = parameters::are_public(&json);
        let parameters = parameters::digest(&json);
        let json = json.pruned(PATH_MAX).into_owned();
        let hash = Sha256::digest(message.as_bytes()).into();
        let texts = Texts::of(&json);
        let mut record = Self {
            json,
            hash,
            details,
            texts,
            time: None,
            outcome: Outcome::Succeeded,
            mfa: None,
            read_only: None,
            root: false,
            from_console: false,
            assumed_root: false,
            foreign_endpoint: false,
            addendum: false,
            public_parameters,
            parameters,
        };
        record.time = record.text(&["eventTime"]).and_then(|time| time.parse().ok());
        record.outcome = record.find_outcome();
        record.mfa = record
            .flag(&["additionalEventData", "MFAUsed"])
            .or_else(|| record.flag(&["userIdentity", "sessionContext", "attributes", "mfaAuthenticated"]));
        record.read_only = record.flag(&["readOnly"]);
        record.root = record.identity_type() == Some("Root");
        record.from_console = record
            .flag(&["userIdentity", "sessionContext", "sessionCredentialFromConsole"])
            .or_else(|| record.flag(&["sessionCredentialFromConsole"]))
            == Some(true);
        record.assumed_root = record.flag(&["userIdentity", "sessionContext", "assumedRoot"]) == Some(true);
        record.foreign_endpoint = record.text(&["vpcEndpointId"]).is_some()
            && (record.account().is_none() || record.text(&["vpcEndpointAccountId"]) != record.account());
        record.addendum = record.value(&["addendum"]).is_some_and(|addendum| *addendum != Json::Null);
        record
    }

    /// What the action made, opened or let in, as far as the record says.
    #[must_use]
    pub fn details(&self) -> &[Detail] {
        &self.details
    }

    /// SHA-256 of the message: equal for a repeated record, different for a corrected one.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// What tells its request parameters apart, arrays too; nothing where it has none.
    #[must_use]
    pub(crate) fn parameters(&self) -> Option<[u8; 16]> {
        self.parameters
    }

    /// The value at a path of object keys.
    #[must_use]
    pub fn value(&self, path: &[&str]) -> Option<&Json<'static>> {
        path.iter().try_fold(&self.json, |json, key| json.get(key))
    }

    /// The text at a path: a string that is not empty, a number or a boolean as it was written.
    #[must_use]
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        text(&self.json, path)
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
        self.texts.get(Often::EventId)
    }

    /// `eventName`, the action: `CreateAccessKey`.
    #[must_use]
    pub fn event_name(&self) -> Option<&str> {
        self.texts.get(Often::EventName)
    }

    /// `eventSource`, the service: `iam.amazonaws.com`.
    #[must_use]
    pub fn event_source(&self) -> Option<&str> {
        self.texts.get(Often::EventSource)
    }

    /// The first label of `eventSource`: `iam`.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.event_source()?.split('.').next()
    }

    /// `eventTime`; `None` too where it is no time.
    #[must_use]
    pub fn event_time(&self) -> Option<Timestamp> {
        self.time
    }

    /// `awsRegion`
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.texts.get(Often::Region)
    }

    /// The partition it happened in: its Region's, or that of who acted where it names no Region.
    #[must_use]
    pub fn partition(&self) -> Option<&'static Partition> {
        match self.region() {
            Some(region) => region::partition(region),
            None => self.arn().and_then(region::partition_of_arn),
        }
    }

    /// `sourceIPAddress`: IPv4, IPv6, a service's name or `AWS Internal`.
    #[must_use]
    pub fn source_ip(&self) -> Option<&str> {
        self.texts.get(Often::SourceIp)
    }

    /// Whether it came through a VPC endpoint that is not known to be this account's own. Whoever owns the endpoint's
    /// network chooses the source address.
    ///
    /// Source: CloudTrail User Guide, "CloudTrail record contents", `vpcEndpointId` and `vpcEndpointAccountId`.
    #[must_use]
    pub(crate) fn by_foreign_endpoint(&self) -> bool {
        self.foreign_endpoint
    }

    /// `userAgent`
    #[must_use]
    pub(crate) fn user_agent(&self) -> Option<&str> {
        self.texts.get(Often::UserAgent)
    }

    /// `errorCode`
    #[must_use]
    pub(crate) fn error_code(&self) -> Option<&str> {
        self.texts.get(Often::ErrorCode)
    }

    /// `errorMessage`; a failed sign-in has one without an `errorCode`.
    #[must_use]
    pub fn error_message(&self) -> Option<&str> {
        self.text(&["errorMessage"])
    }

    /// `userIdentity.type`
    #[must_use]
    pub(crate) fn identity_type(&self) -> Option<&str> {
        self.texts.get(Often::IdentityType)
    }

    /// Whether root acted.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// Whether a federated user acted whose session root made (`GetFederationToken`).
    #[must_use]
    pub(crate) fn is_federated_by_root(&self) -> bool {
        self.identity_type() == Some("FederatedUser")
            && self.text(&["userIdentity", "sessionContext", "sessionIssuer", "type"]) == Some("Root")
    }

    /// `userIdentity.arn`
    #[must_use]
    pub fn arn(&self) -> Option<&str> {
        self.texts.get(Often::Arn)
    }

    /// The account it happened in: whoever's trail this is, `recipientAccountId` names it.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account_at(Often::Recipient).or_else(|| self.identity_account())
    }

    /// `userIdentity.accountId`, the account of whoever acted.
    #[must_use]
    pub(crate) fn identity_account(&self) -> Option<&str> {
        self.account_at(Often::IdentityAccount)
    }

    /// An account's id; what some pipelines write where there is none (`-`, `n/a`) names no account.
    fn account_at(&self, place: Often) -> Option<&str> {
        self.texts.get(place).filter(|text| is_account(text))
    }

    /// The account alias, which CloudTrail gives as root's `userIdentity.userName`.
    #[must_use]
    pub(crate) fn account_alias(&self) -> Option<&str> {
        self.text(&["userIdentity", "userName"]).filter(|_| self.is_root())
    }

    /// `userIdentity.accessKeyId`
    #[must_use]
    pub(crate) fn access_key_id(&self) -> Option<&str> {
        self.texts.get(Often::AccessKeyId)
    }

    /// Whether it was done with a long-lived access key (`AKIA…`).
    ///
    /// Such a key signs without a session. In some records of the S3 console a key of that form stands beside a session
    /// that began with MFA, which no long-lived key can give: those are the session's.
    #[must_use]
    pub fn by_long_lived_key(&self) -> bool {
        let in_session = self.session_created().is_some() && (self.is_from_console() || self.mfa() == Some(true));
        self.access_key_id().is_some_and(|key| key.starts_with("AKIA")) && !in_session
    }

    /// When the session of a temporary key began, as it was written.
    #[must_use]
    pub(crate) fn session_created(&self) -> Option<&str> {
        self.texts.get(Often::SessionCreated)
    }

    /// Whether the session's key came from a console sign-in.
    #[must_use]
    pub(crate) fn is_from_console(&self) -> bool {
        self.from_console
    }

    /// Whether the session is a central root session (`sts:AssumeRoot`), where the record says so.
    #[must_use]
    pub(crate) fn assumed_root(&self) -> bool {
        self.assumed_root
    }

    /// Whether this is a sign-in to the console.
    #[must_use]
    pub(crate) fn is_sign_in(&self) -> bool {
        self.event_name() == Some("ConsoleLogin")
    }

    /// Whether this is an event of the sign-in pages, which is no API call: `ConsoleLogin`, `SwitchRole`,
    /// `PasswordUpdated`, … Its `responseElements` say under its own name how it ended.
    #[must_use]
    pub(crate) fn is_sign_in_page(&self) -> bool {
        match self.texts.get(Often::EventType) {
            Some(kind) => kind == "AwsConsoleSignIn",
            None => self.is_sign_in() || (self.service() == Some("signin") && !self.is_oauth2()),
        }
    }

    /// Whether this is an API call of `aws login`, by which a person in the browser gives a program a session.
    ///
    /// Source: AWS Sign-In API Reference; the event names end in what they are about.
    #[must_use]
    pub(crate) fn is_oauth2(&self) -> bool {
        self.service() == Some("signin") && self.event_name().is_some_and(|name| name.contains("OAuth2"))
    }

    /// Whether somebody failed after the first factor was accepted: the second was asked for.
    ///
    /// Whoever gets there has the password, so this is no longer a failure that anyone can cause. Sources: CloudTrail
    /// User Guide, "AWS Management Console sign-in events" (`MFAUsed`); `CheckMfa` is the prompt itself.
    #[must_use]
    pub(crate) fn failed_second_factor(&self) -> bool {
        let stopped = matches!(self.outcome, Outcome::Denied | Outcome::Failed | Outcome::Blocked);
        let asked = self.is_sign_in() && self.flag(&["additionalEventData", "MFAUsed"]) == Some(true);
        stopped && (asked || (self.is_sign_in_page() && self.event_name() == Some("CheckMfa")))
    }

    /// Whether a second factor was used, where the record says.
    #[must_use]
    pub fn mfa(&self) -> Option<bool> {
        self.mfa
    }

    /// `readOnly`
    #[must_use]
    pub fn read_only(&self) -> Option<bool> {
        self.read_only
    }

    /// Whether it reads parameters that AWS publishes for everybody (`/aws/service/…`), and no other.
    #[must_use]
    pub(crate) fn reads_public_parameters(&self) -> bool {
        self.public_parameters
    }

    /// Why CloudTrail sent this record late or again (`addendum.reason`).
    #[must_use]
    pub fn addendum(&self) -> Option<&str> {
        self.addendum.then(|| self.text(&["addendum", "reason"]).unwrap_or("addendum"))
    }

    /// How the call ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What `responseElements` say under the event's own name: `{"ConsoleLogin": "Failure"}`. AWS's service events have
    /// the same under `serviceEventDetails`.
    fn answer(&self) -> Option<bool> {
        let name = self.event_name()?;
        let answer = self.text(&["responseElements", name]).or_else(|| self.text(&["serviceEventDetails", name]))?;
        let is = |word: &str| answer.eq_ignore_ascii_case(word);
        if is("Success") { Some(true) } else { is("Failure").then_some(false) }
    }

    fn find_outcome(&self) -> Outcome {
        let message = self.error_message();
        let blocked = |message: &str| {
            ["resource-based policy", "resource control policy", "service control policy"]
                .iter()
                .any(|policy| message.contains(policy))
        };
        let signin = self.is_sign_in_page() || self.service() == Some("signin");
        match (self.error_code(), self.answer()) {
            (_, answer) if answer != Some(true) && signin && message.is_some_and(blocked) => Outcome::Blocked,
            (Some(code), _) if outcome::is_denial(code) => Outcome::Denied,
            (Some(_), _) | (None, Some(false)) => Outcome::Failed,
            (None, Some(true)) => Outcome::Succeeded,
            (None, None) if message.is_some() => Outcome::Failed,
            (None, None) if self.is_sign_in_page() => Outcome::NotSaid,
            (None, None) => Outcome::Succeeded,
        }
    }
}
