//! By what means somebody acted, decided once for a session and from what records say: a field that is missing proves
//! nothing.
//!
//! The first row that holds decides. The label, the notes, the severity and the next steps of the mail all come from
//! this one decision.
//!
//! | access | what proves it | what the mail says | steps that follow |
//! | --- | --- | --- | --- |
//! | long-lived key | a key `AKIA…` that signs without a session | "a long-lived access key"; root should have none | delete root's keys |
//! | central root session | the `AssumeRoot` record that returned this key, in the batch or in the event history; or a record of the session with `assumedRoot` | who called `sts:AssumeRoot`, from where and with which task policy, in the first paragraph; else that the caller isn't known | ask the caller, revoke their sessions; else look for the call |
//! | console session | a record with `sessionCredentialFromConsole` | "a console session" | sign in, change the password, check MFA |
//! | `GetSessionToken` | the record that returned this key | which key it was made with, if long-lived | delete root's keys |
//! | command line session | the `CreateOAuth2Token` record that returned this key, or that began this session | "a command line session (aws login)" | list and revoke the sessions of `aws login` |
//! | console session | a sign-in at the second in which the session began | "a console session" | as above |
//! | console session, by its user agent | a browser's or the console's own user agent | that only the user agent says so, and that a caller can choose it | as above |
//! | temporary key with MFA | an `ASIA…` key or a session, with `mfaAuthenticated` | that its origin isn't known; MFA rules out a central root session | the account's own: password, MFA |
//! | temporary key | the same without `mfaAuthenticated` | that its origin isn't known, and the two that are possible | look for the call that returned it |
//! | sign-in | nothing but events of the sign-in pages | "the sign-in page" | as for the console |
//! | not said | none of these | nothing | as for the console |
//!
//! Sources: CloudTrail User Guide, "CloudTrail userIdentity element"; IAM User Guide, "Centralize root access"; AWS
//! CLI User Guide, "Sign in for AWS local development". Of 292 console calls in real sessions 61 lack
//! `sessionCredentialFromConsole`: `events/README.md`.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::record::Record;

/// How many seconds may lie between a sign-in and the beginning of its session: the record of the one is written when
/// the other is made.
pub(super) const SIGN_IN_SECONDS: i64 = 15;

/// The same for a session of `aws login` and the call that makes its token.
const TOKEN_SECONDS: i64 = 5;

/// The fields of a record that say who acted and by what means: all that has to be kept of it until others are read.
pub const EVIDENCE: [&[&str]; 12] = [
    &["userIdentity"],
    &["eventTime"],
    &["eventSource"],
    &["eventName"],
    &["eventType"],
    &["sourceIPAddress"],
    &["userAgent"],
    &["recipientAccountId"],
    &["sessionCredentialFromConsole"],
    &["additionalEventData", "MFAUsed"],
    &["responseElements", "credentials", "accessKeyId"],
    &["responseElements", "accessToken", "accessKeyId"],
];

/// By what means somebody acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// A long-lived access key (`AKIA…`).
    LongLivedKey,
    /// A central root session of the organization (`sts:AssumeRoot`).
    CentralRootSession,
    /// A console session.
    ConsoleSession {
        /// Only the user agent says so, which whoever makes the call can write.
        by_agent: bool,
    },
    /// Credentials from `GetSessionToken`.
    SessionToken {
        /// They were made with a long-lived access key.
        by_long_lived_key: bool,
    },
    /// A session of `aws login`.
    CommandLineSession,
    /// A temporary key, and nothing says where it is from.
    TemporaryKey {
        /// It has MFA, which no central root session has, nor what is made with a long-lived key alone.
        mfa: bool,
    },
    /// The sign-in page itself.
    SignIn,
    /// The records have no key and are no sign-ins.
    NotSaid,
}

impl Access {
    /// The same for one of the records it was decided for: an event of the sign-in page was made there.
    #[must_use]
    pub fn of(self, record: &Record) -> Self {
        if is_page(record) { Self::SignIn } else { self }
    }
}

impl Serialize for Access {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::LongLivedKey => "long-lived-key",
            Self::CentralRootSession => "central-root-session",
            Self::ConsoleSession { .. } => "console-session",
            Self::SessionToken { .. } => "session-token",
            Self::CommandLineSession => "command-line-session",
            Self::TemporaryKey { .. } => "temporary-key",
            Self::SignIn => "sign-in",
            Self::NotSaid => "unknown",
        })
    }
}

/// Records that say where credentials came from, whoever made them.
#[derive(Debug, Default)]
pub struct Issued {
    by_key: HashMap<String, Call>,
    /// When tokens of `aws login` were made, by account.
    tokens: HashMap<String, Vec<Timestamp>>,
    /// When somebody signed in as root, by account.
    sign_ins: HashMap<String, Vec<Timestamp>>,
}

/// A call that returned a key.
#[derive(Debug, Clone)]
enum Call {
    AssumeRoot(Box<Record>),
    GetSessionToken { by_long_lived_key: bool },
    Token,
}

impl Issued {
    /// What these records say.
    pub fn of<'r>(records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut issued = Self::default();
        for record in records {
            issued.add(record);
        }
        for times in issued.tokens.values_mut().chain(issued.sign_ins.values_mut()) {
            times.sort_unstable();
        }
        issued
    }

    /// The `AssumeRoot` call that returned this key.
    pub(crate) fn root_call(&self, key: &str) -> Option<&Record> {
        match self.by_key.get(key) {
            Some(Call::AssumeRoot(record)) => Some(record),
            _ => None,
        }
    }

    fn add(&mut self, record: &Record) {
        if !record.outcome().may_have_worked() {
            return;
        }
        let at = || {
            let account = record.identity_account().or_else(|| record.account()).unwrap_or_default().to_owned();
            record.event_time().map(|time| (account, time))
        };
        let call = match record.event_name() {
            Some("AssumeRoot") => Call::AssumeRoot(Box::new(record.clone())),
            Some("GetSessionToken") => Call::GetSessionToken { by_long_lived_key: record.by_long_lived_key() },
            Some("ConsoleLogin") if record.is_root() => {
                if let Some((account, time)) = at() {
                    self.sign_ins.entry(account).or_default().push(time);
                }
                return;
            }
            Some("CreateOAuth2Token") if record.is_root() => {
                if let Some((account, time)) = at() {
                    self.tokens.entry(account).or_default().push(time);
                }
                Call::Token
            }
            _ => return,
        };
        let returned = [
            &["responseElements", "credentials", "accessKeyId"][..],
            &["responseElements", "accessToken", "accessKeyId"],
        ];
        if let Some(key) = returned.iter().find_map(|path| record.text(path)) {
            self.by_key.insert(key.to_owned(), call);
        }
    }
}

/// By what means the records of one session, or of one key, or of one address were made, and for a central root session
/// the record of the `AssumeRoot` call, where it is known.
pub(crate) fn decide<'r>(
    records: &(impl Iterator<Item = &'r Record> + Clone),
    issued: &Issued,
) -> (Access, Option<Record>) {
    let any = |is: fn(&Record) -> bool| records.clone().any(is);
    let calls = || records.clone().filter(|record| !is_page(record) && !record.is_sign_in());
    let call = || calls().filter_map(Record::access_key_id).find_map(|key| issued.by_key.get(key));
    if any(|record| !record.is_sign_in() && record.by_long_lived_key()) && !any(Record::is_from_console) {
        return (Access::LongLivedKey, None);
    }
    if let Some(Call::AssumeRoot(call)) = call() {
        return (Access::CentralRootSession, Some((**call).clone()));
    }
    let access = if any(|record| record.assumed_root() && record.event_name() != Some("AssumeRoot")) {
        Access::CentralRootSession
    } else if any(Record::is_from_console) {
        Access::ConsoleSession { by_agent: false }
    } else if let Some(Call::GetSessionToken { by_long_lived_key }) = call() {
        Access::SessionToken { by_long_lived_key: *by_long_lived_key }
    } else if matches!(call(), Some(Call::Token)) || began(calls(), &issued.tokens, TOKEN_SECONDS) {
        Access::CommandLineSession
    } else if began(calls(), &issued.sign_ins, SIGN_IN_SECONDS) {
        Access::ConsoleSession { by_agent: false }
    } else if calls().filter_map(Record::user_agent).any(is_console_agent) {
        Access::ConsoleSession { by_agent: true }
    } else if calls().any(is_temporary) {
        Access::TemporaryKey { mfa: calls().any(|record| record.mfa() == Some(true)) }
    } else if any(Record::is_sign_in_page) {
        Access::SignIn
    } else {
        Access::NotSaid
    };
    (access, None)
}

/// Whether this is an event of the sign-in page: it has no key, and says nothing about a session.
fn is_page(record: &Record) -> bool {
    record.is_sign_in_page() && record.access_key_id().is_none()
}

/// Whether a key is temporary, as its own form or its session says.
fn is_temporary(record: &Record) -> bool {
    record.access_key_id().is_some_and(|key| key.starts_with("ASIA")) || record.session_created().is_some()
}

/// Whether the session began within so many seconds of one of these times.
fn began<'r>(
    mut records: impl Iterator<Item = &'r Record>,
    times: &HashMap<String, Vec<Timestamp>>,
    seconds: i64,
) -> bool {
    if times.is_empty() {
        return false;
    }
    let session = records.find_map(|record| {
        let account = record.identity_account().or_else(|| record.account())?;
        Some((times.get(account)?, record.session_created()?.parse::<Timestamp>().ok()?.as_second()))
    });
    session.is_some_and(|(times, began)| {
        let first = times.partition_point(|time| time.as_second() < began.saturating_sub(seconds));
        times.get(first).is_some_and(|time| time.as_second() <= began.saturating_add(seconds))
    })
}

/// Whether a user agent is a browser's, or one of those that consoles call services with.
///
/// `AWS Internal` is none of them: what services do in somebody's name has it too.
fn is_console_agent(agent: &str) -> bool {
    let agent = agent.trim_start_matches('[');
    let console = ["Console", "console."].iter().any(|word| agent.contains(word));
    agent.starts_with("Mozilla/") || console || agent == "signin.amazonaws.com" || agent.contains("CloudShell")
}
