//! Whose incident something belongs to.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::alert::{Actor, Alert, Held, HeldKind, Identity};

/// The most identities of one delivery that have an incident each. With more, the delivery is told in a mail of its own.
pub const IDENTITIES_MAX: usize = 20;

/// The most bytes of an issuer that an incident keeps.
///
/// Source: IAM User Guide, "IAM and AWS STS quotas": an ARN has at most 2,048 characters.
const ISSUER_MAX: usize = 2048;

/// Whose incident something belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// Root's of one account. Where no record names the account, it is empty.
    Root {
        /// Twelve digits.
        account: String,
    },
    /// Somebody else's in one account: for whoever assumes a role chooses the session's name, the role's.
    Other {
        /// Twelve digits.
        account: String,
        /// An ARN, or what there is of it.
        issuer: String,
    },
    /// Failed sign-ins and requests for a new password, in all accounts together: whoever tries one tries sixty.
    FailedSignIns,
    /// Log events that can't be read.
    Unreadable,
}

impl Whose {
    /// Whose it is what somebody did in one delivery.
    #[must_use]
    pub fn of(actor: &Actor) -> Self {
        let record = &actor.gravest().record;
        let account = actor.first(|record| record.account()).unwrap_or_default().to_owned();
        match HeldKind::of(actor) {
            Some(HeldKind::SignIns | HeldKind::Recoveries) => Self::FailedSignIns,
            _ if actor.identity == Identity::Root => Self::Root { account },
            _ => {
                let role = record.text(&["userIdentity", "sessionContext", "sessionIssuer", "arn"]);
                let issuer = role.or_else(|| record.arn()).or_else(|| record.text(&["userIdentity", "principalId"]));
                Self::Other { account, issuer: bounded(issuer.unwrap_or_default()) }
            }
        }
    }
}

/// An issuer as it stands, or, where it is longer than an ARN can be, what names it.
fn bounded(issuer: &str) -> String {
    if issuer.len() <= ISSUER_MAX {
        return issuer.to_owned();
    }
    let digest: String = Sha256::digest(issuer).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digest}")
}

impl Whose {
    /// The account, where it is one.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Root { account } | Self::Other { account, .. } => Some(account),
            Self::FailedSignIns | Self::Unreadable => None,
        }
    }
}

/// What it is known by in a ledger.
impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root { account } => write!(f, "root/{account}"),
            Self::Other { account, issuer } => write!(f, "other/{account}/{issuer}"),
            Self::FailedSignIns => f.write_str("failed-sign-ins"),
            Self::Unreadable => f.write_str("unreadable"),
        }
    }
}

/// An alert taken apart, by whose incident it belongs to; whole if there are too many for an incident each.
///
/// # Errors
///
/// The alert itself, with more than [`IDENTITIES_MAX`] identities.
pub fn by_identity(alert: Alert) -> Result<Vec<(Whose, Alert)>, Box<Alert>> {
    let mut identities: Vec<Whose> = alert.actors.iter().map(Whose::of).collect();
    let each = identities.clone();
    identities.sort_unstable();
    identities.dedup();
    if identities.len() > IDENTITIES_MAX {
        return Err(Box::new(alert));
    }
    let mut parts: BTreeMap<Whose, Vec<Actor>> = BTreeMap::new();
    for (whose, actor) in each.into_iter().zip(alert.actors) {
        parts.entry(whose).or_default().push(actor);
    }
    let part = |actors, unreadable| Alert {
        id: alert.id,
        origin: alert.origin.clone(),
        actors,
        unreadable,
        held: Held::default(),
        may_be_repeated: false,
        without_ledger: false,
    };
    let mut parts: Vec<(Whose, Alert)> =
        parts.into_iter().map(|(whose, actors)| (whose, part(actors, Vec::new()))).collect();
    if !alert.unreadable.is_empty() {
        parts.push((Whose::Unreadable, part(Vec::new(), alert.unreadable)));
    }
    // The gravest first: it is told before anything can go wrong with the others.
    parts.sort_by_key(|(_, part)| part.severity());
    Ok(parts)
}
