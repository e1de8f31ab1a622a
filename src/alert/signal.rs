//! Signals: facts that make what somebody did better or worse, each only when it is true.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;

use super::{Action, Actor, Category, Credential, Origin};
use crate::record::{Outcome, Record};

/// How old an event may be when it reaches CloudWatch Logs before that is worth a line: CloudTrail needs about five
/// minutes on average.
const LATE_SECONDS: i64 = 30 * 60;

/// A network that the operator knows (`TRUSTED_CIDRS`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedNetwork {
    /// The operator's name for it, if there is one.
    pub name: Option<String>,
    /// The network.
    pub network: IpNet,
}

impl TrustedNetwork {
    /// Reads `203.0.113.0/24`, `2001:db8::/32`, a lone address, or one of these behind a name: `office=203.0.113.0/24`.
    ///
    /// # Errors
    ///
    /// A sentence that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, network) = match text.split_once('=') {
            Some((name, network)) => (Some(name.trim()), network.trim()),
            None => (None, text.trim()),
        };
        let plain = |c: char| c.is_alphanumeric() || " -_".contains(c);
        let named = name.is_none_or(|name| (1..=40).contains(&name.chars().count()) && name.chars().all(plain));
        let parsed = network.parse::<IpNet>().or_else(|_| network.parse::<IpAddr>().map(IpNet::from));
        match parsed {
            Ok(network) if named => Ok(Self { name: name.map(str::to_owned), network }),
            _ => Err(format!(
                "{text:?} is no network; expected 203.0.113.0/24 or office=203.0.113.0/24, comma separated"
            )),
        }
    }
}

/// A fact about what an actor did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Signal {
    /// It was done without a second factor.
    NoMfa,
    /// A long-lived root access key was used. Root should have none.
    LongLivedKey,
    /// Logging or alerting was changed.
    Tampering {
        /// How many times.
        count: usize,
    },
    /// Somebody tried to change logging or alerting, in vain.
    TamperingTried {
        /// How many times.
        count: usize,
    },
    /// After a sign-in, an access key was created.
    SignInThenKey,
    /// The record says that it was a central root session of the organization (`sts:AssumeRoot`).
    CentralRootSession,
    /// A temporary key that is neither the console's nor said to be a central root session's. It may be one all the
    /// same, for not every such record says so, or made from a long-lived key.
    TemporaryKey,
    /// Calls were denied: somebody is probing, or a policy holds.
    Denied {
        /// How many.
        count: usize,
    },
    /// Sign-ins failed. That proves nothing about the password.
    FailedSignIns {
        /// How many.
        count: usize,
    },
    /// The address is in a network that the operator knows.
    TrustedSource {
        /// The network, or the operator's name for it.
        network: String,
    },
    /// The operator named networks, and an address is in none of them.
    UnknownSource {
        /// How many addresses.
        count: usize,
    },
    /// The call came through AWS: a service, or `AWS Internal`.
    AwsSource,
    /// One session, several addresses.
    SeveralSources {
        /// How many.
        count: usize,
    },
    /// One session, several access keys. The console does this: one key for each service and Region.
    SeveralKeys {
        /// How many.
        count: usize,
    },
    /// It came late.
    Late {
        /// Minutes between the oldest event and its delivery to CloudWatch Logs.
        minutes: i64,
    },
    /// CloudTrail sent a record late or again, and says why.
    Addendum {
        /// `addendum.reason`
        reason: String,
    },
    /// It happened in another account than the one that owns the log group.
    OtherAccount,
    /// Whoever acted belongs to another account than the one it happened in.
    CrossAccount,
}

/// The signals of what an actor did, the worst first.
#[must_use]
pub fn signals(actor: &Actor, origin: &Origin, trusted: &[TrustedNetwork]) -> Vec<Signal> {
    let count = |is: fn(&Action) -> bool| actor.actions.iter().filter(|action| is(action)).count();
    let records = || actor.actions.iter().map(|action| &action.record);
    let mut signals = Vec::new();
    let mut add = |when: bool, signal: Signal| {
        if when {
            signals.push(signal);
        }
    };

    let without_mfa = |action: &Action| action.record.mfa() == Some(false) && action.category != Category::FailedSignIn;
    add(count(|action| action.credential() == Credential::LongLivedKey) > 0, Signal::LongLivedKey);
    let central = actor.actions.iter().any(|action| action.record.assumed_root());
    let temporary = |action: &Action| {
        action.record.is_root() && action.credential() == Credential::TemporaryKey && action.record.mfa() != Some(true)
    };
    let temporary = !central && actor.actions.iter().any(temporary);
    // Neither kind of temporary key ever has MFA of its own.
    add(!central && !temporary && actor.actions.iter().any(without_mfa), Signal::NoMfa);
    let tampering = |succeeded: bool| {
        let of = |action: &&Action| {
            action.category == Category::Tampering && (action.record.outcome() == Outcome::Succeeded) == succeeded
        };
        actor.actions.iter().filter(of).count()
    };
    add(tampering(true) > 0, Signal::Tampering { count: tampering(true) });
    add(tampering(false) > 0, Signal::TamperingTried { count: tampering(false) });
    let signed_in = actor.actions.iter().find(|action| action.category == Category::SignIn);
    let created = actor.actions.iter().find(|action| {
        action.record.event_name() == Some("CreateAccessKey") && action.record.outcome() == Outcome::Succeeded
    });
    add(
        signed_in.zip(created).is_some_and(|(from, to)| from.record.event_time() <= to.record.event_time()),
        Signal::SignInThenKey,
    );
    add(central, Signal::CentralRootSession);
    add(temporary, Signal::TemporaryKey);
    let denied = count(|action| action.record.outcome() == Outcome::Denied);
    add(denied > 0, Signal::Denied { count: denied });
    let failed = count(|action| action.category == Category::FailedSignIn);
    add(failed > 0, Signal::FailedSignIns { count: failed });

    let sources = actor.each(Record::source_ip);
    let addresses: Vec<IpAddr> = sources.iter().filter_map(|source| source.parse().ok()).collect();
    let network = |address: &IpAddr| trusted.iter().find(|trusted| trusted.network.contains(address));
    let known: BTreeSet<String> = addresses
        .iter()
        .filter_map(network)
        .map(|trusted| match &trusted.name {
            Some(name) => format!("{name} ({})", trusted.network),
            None => trusted.network.to_string(),
        })
        .collect();
    for network in known {
        add(true, Signal::TrustedSource { network });
    }
    let unknown = addresses.iter().filter(|address| network(address).is_none()).count();
    add(!trusted.is_empty() && unknown > 0, Signal::UnknownSource { count: unknown });
    add(addresses.len() < sources.len(), Signal::AwsSource);
    let session = actor.actions.iter().any(|action| action.record.session_created().is_some());
    add(session && addresses.len() > 1, Signal::SeveralSources { count: addresses.len() });
    let keys = actor.each(Record::access_key_id).len();
    add(session && keys > 1, Signal::SeveralKeys { count: keys });

    let age = |action: &Action| seconds(action.record.event_time()?, action.received?);
    let oldest = actor.actions.iter().filter_map(age).max().unwrap_or(0);
    add(oldest >= LATE_SECONDS, Signal::Late { minutes: oldest / 60 });
    let reasons: BTreeSet<&str> = records().filter_map(Record::addendum).collect();
    for reason in reasons {
        add(true, Signal::Addendum { reason: reason.to_owned() });
    }

    let elsewhere =
        |record: &Record| record.account().is_some_and(|account| !origin.owner.is_empty() && account != origin.owner);
    add(records().any(elsewhere), Signal::OtherAccount);
    let crosses = |record: &Record| {
        record.identity_account().zip(record.account()).is_some_and(|(identity, account)| identity != account)
    };
    add(records().any(crosses), Signal::CrossAccount);
    signals
}

fn seconds(from: Timestamp, to: Timestamp) -> Option<i64> {
    to.as_second().checked_sub(from.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_with_and_without_a_name() {
        for (text, name, network) in [
            ("203.0.113.0/24", None, "203.0.113.0/24"),
            ("office = 2001:db8::/32", Some("office"), "2001:db8::/32"),
            ("198.51.100.7", None, "198.51.100.7/32"),
        ] {
            let trusted = TrustedNetwork::parse(text).unwrap();
            assert_eq!((trusted.name.as_deref(), trusted.network.to_string().as_str()), (name, network));
        }
        for text in ["", "a:b=203.0.113.0/24", "office", "=203.0.113.0/24", "203.0.113.0/33", "office="] {
            assert!(TrustedNetwork::parse(text).is_err(), "{text:?}");
        }
    }
}
