//! Signals: facts that make what somebody did better or worse, each only when it is true.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;

use super::{Access, Action, Actor, Category, Identity, Origin, Unseen, acts_unseen};
use crate::record::{Outcome, Record};

/// How old an event may be when it reaches CloudWatch Logs before that is worth a line: CloudTrail needs about five
/// minutes on average.
const LATE_SECONDS: i64 = 30 * 60;

/// The most actions named that set something off, and the most VPC endpoints.
const UNSEEN_MAX: usize = 6;
const ENDPOINTS_MAX: usize = 3;

/// A network that the operator knows (`TRUSTED_CIDRS`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedNetwork {
    /// The operator's name for it, if there is one.
    pub name: Option<String>,
    /// The network.
    pub network: IpNet,
}

/// As a mail calls it: by its name, where it has one.
impl fmt::Display for TrustedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.network),
            None => self.network.fmt(f),
        }
    }
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
                "{text:?} is not a network; expected 203.0.113.0/24 or office=203.0.113.0/24, comma separated"
            )),
        }
    }
}

/// A fact about what an actor did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Signal {
    /// Root or an IAM user did it without a second factor. A role's session says nothing of how its user signed in.
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
    /// A central root session of the organization (`sts:AssumeRoot`).
    CentralRootSession {
        /// The call that began it is known.
        known: bool,
    },
    /// Credentials that `GetSessionToken` made.
    SessionToken {
        /// With a long-lived root access key.
        by_long_lived_key: bool,
    },
    /// A temporary key, and nothing says where it came from.
    TemporaryKey {
        /// It has MFA.
        mfa: bool,
    },
    /// A session of `aws login` was used, or made.
    CommandLineSession,
    /// It is a console session only by its user agent.
    ConsoleByAgent,
    /// What it set off goes on under another identity, which root's rule does not see.
    OtherIdentity {
        /// That of a federated user (`GetFederationToken`).
        federated: bool,
    },
    /// What it set off goes on in a service's name, which root's rule does not see: a stack, a schedule, a command.
    ServiceActs {
        /// The actions, comma separated.
        actions: String,
    },
    /// The call came through a VPC endpoint, whose owner chooses the source address.
    VpcEndpoint {
        /// `vpcEndpointId`
        endpoint: String,
        /// `vpcEndpointAccountId`
        account: Option<String>,
    },
    /// Calls were denied: somebody is probing, or a policy holds.
    Denied {
        /// How many.
        count: usize,
    },
    /// Sign-ins failed at the second factor: somebody has the password.
    FailedSecondFactors {
        /// How many.
        count: usize,
    },
    /// A policy of the account or the organization blocked sign-ins.
    BlockedSignIns {
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

/// The signals of what an actor did by these means, the worst first; `called` if the `AssumeRoot` call is known.
#[must_use]
pub(crate) fn signals(
    actor: &Actor,
    access: Access,
    called: bool,
    origin: &Origin,
    trusted: &[TrustedNetwork],
) -> Vec<Signal> {
    let count = |is: fn(&Action) -> bool| actor.actions.iter().filter(|action| is(action)).count();
    let records = || actor.actions.iter().map(|action| &action.record);
    let mut signals = Vec::new();
    let mut add = |when: bool, signal: Signal| {
        if when {
            signals.push(signal);
        }
    };

    let root = actor.identity == Identity::Root;
    let without_mfa = |action: &&Action| {
        let own_credentials = matches!(action.record.identity_type(), Some("Root" | "IAMUser"));
        let tried = matches!(action.category, Category::FailedSignIn | Category::FailedSecondFactor);
        own_credentials && action.record.mfa() == Some(false) && !tried
    };
    // These were not made with a password, so that MFA is missing says nothing about it.
    let needs_none = matches!(
        access,
        Access::CentralRootSession | Access::TemporaryKey { .. } | Access::SessionToken { .. } | Access::LongLivedKey
    );
    add(root && access == Access::LongLivedKey, Signal::LongLivedKey);
    add(!needs_none && actor.actions.iter().any(|action| without_mfa(&action)), Signal::NoMfa);
    let past_first = count(|action| action.category == Category::FailedSecondFactor);
    add(past_first > 0, Signal::FailedSecondFactors { count: past_first });
    let tampering = |succeeded: bool| {
        let of = |action: &&Action| {
            action.category == Category::Tampering && action.record.outcome().may_have_worked() == succeeded
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
    match access {
        Access::CentralRootSession => add(root, Signal::CentralRootSession { known: called }),
        Access::SessionToken { by_long_lived_key } => add(root, Signal::SessionToken { by_long_lived_key }),
        Access::TemporaryKey { mfa } => add(root, Signal::TemporaryKey { mfa }),
        Access::ConsoleSession { by_agent } => add(root && by_agent, Signal::ConsoleByAgent),
        Access::CommandLineSession | Access::LongLivedKey | Access::SignIn | Access::NotSaid => {}
    }
    let token = count(|action| action.record.is_oauth2() && action.record.outcome().may_have_worked());
    add(root && (token > 0 || access == Access::CommandLineSession), Signal::CommandLineSession);
    let unseen = |kind: Unseen| {
        let names = actor.actions.iter().filter(move |action| acts_unseen(&action.record) == Some(kind));
        names.filter_map(|action| action.record.event_name()).collect::<BTreeSet<&str>>()
    };
    let identities = unseen(Unseen::Identity);
    let federated = identities.contains("GetFederationToken");
    add(root && !identities.is_empty(), Signal::OtherIdentity { federated });
    let services: Vec<&str> = unseen(Unseen::Service).into_iter().take(UNSEEN_MAX).collect();
    add(root && !services.is_empty(), Signal::ServiceActs { actions: services.join(", ") });
    let denied = count(|action| action.record.outcome() == Outcome::Denied);
    add(denied > 0, Signal::Denied { count: denied });
    let blocked = count(|action| action.record.outcome() == Outcome::Blocked);
    add(blocked > 0, Signal::BlockedSignIns { count: blocked });
    let failed =
        count(|action| action.category == Category::FailedSignIn && action.record.outcome() != Outcome::Blocked);
    add(failed > 0, Signal::FailedSignIns { count: failed });

    let sources = actor.each(Record::source_ip);
    let addresses: Vec<IpAddr> = sources.iter().filter_map(|source| source.parse().ok()).collect();
    // Behind an endpoint of somebody else, an address is what they say it is.
    let direct = actor.each(|record| record.source_ip().filter(|_| !record.by_foreign_endpoint()));
    let direct: Vec<IpAddr> = direct.iter().filter_map(|source| source.parse().ok()).collect();
    let network = |address: &IpAddr| trusted.iter().find(|trusted| trusted.network.contains(address));
    let known: BTreeSet<String> = direct.iter().filter_map(network).map(ToString::to_string).collect();
    for network in known {
        add(true, Signal::TrustedSource { network });
    }
    let unknown = direct.iter().filter(|address| network(address).is_none()).count();
    add(!trusted.is_empty() && unknown > 0, Signal::UnknownSource { count: unknown });
    let foreign = records().filter(|record| record.by_foreign_endpoint());
    let endpoints: BTreeSet<_> =
        foreign.map(|record| (record.text(&["vpcEndpointId"]), record.text(&["vpcEndpointAccountId"]))).collect();
    for (endpoint, account) in endpoints.into_iter().take(ENDPOINTS_MAX) {
        let endpoint = endpoint.unwrap_or_default().to_owned();
        add(true, Signal::VpcEndpoint { endpoint, account: account.map(str::to_owned) });
    }
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
