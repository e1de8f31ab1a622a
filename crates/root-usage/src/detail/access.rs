//! Who is let in.

use std::collections::HashSet;

use serde::Serialize;

use super::{Detail, VALUES_MAX, value};
use crate::record::is_account;

/// Somebody whom a policy, a share or an access list names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", tag = "type")]
pub enum Principal<T = Box<str>> {
    /// Everyone; where a call needs no signature, without an AWS account even.
    Anyone,
    /// Everyone who has an AWS account.
    AnyAwsAccount,
    /// Everyone but those whom the policy names (`NotPrincipal`).
    AnyoneBut,
    /// An account.
    Account {
        /// Its number.
        id: T,
        /// It is the account in which this happened.
        own: bool,
    },
    /// A user, role or session, by its ARN or id.
    Identity {
        /// `arn:aws:iam::111122223333:role/audit`
        id: T,
    },
    /// An AWS service.
    Service {
        /// `ec2.amazonaws.com`
        name: T,
    },
    /// An identity provider, and so everyone whom it lets sign in.
    Federated {
        /// `arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com`, `accounts.google.com`
        provider: T,
    },
    /// An organization, or a unit of one.
    Organization {
        /// Its ARN or id.
        id: T,
    },
}

/// Somebody who is let in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Trusted<T = Box<str>> {
    /// Who.
    #[serde(flatten)]
    pub who: Principal<T>,
    /// Only where conditions hold, or where nothing else in the policy denies it. They are not looked into: whether they
    /// keep anybody out is for a reader to see.
    pub conditional: bool,
}

impl Principal {
    /// Whom a text names that stands where AWS wants a principal: `*`, an account's number or ARN, another ARN, an id.
    pub(super) fn aws(text: &str, account: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let number = text
            .strip_suffix(":root")
            .and_then(|arn| arn.rsplit_once("::").filter(|(arn, _)| arn.starts_with("arn:aws")))
            .map_or(text, |(_, number)| number);
        Some(match text {
            "*" => Self::Anyone,
            _ if is_account(number) => Self::Account { id: value(number)?, own: number == account },
            _ if text.contains(":organizations::") || text.starts_with("o-") => Self::Organization { id: value(text)? },
            _ if text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn") => {
                Self::Service { name: value(text)? }
            }
            _ => Self::Identity { id: value(text)? },
        })
    }

    /// Its text, if it has one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Anyone | Self::AnyAwsAccount | Self::AnyoneBut => None,
            Self::Account { id, .. } | Self::Identity { id } | Self::Organization { id } => Some(id),
            Self::Service { name } => Some(name),
            Self::Federated { provider } => Some(provider),
        }
    }

    /// Whether it stands for people whom nobody knows.
    pub(super) fn is_wide(&self) -> bool {
        matches!(self, Self::Anyone | Self::AnyAwsAccount | Self::AnyoneBut)
    }
}

/// Those who are let in, each once; whoever stands for many is kept before all others.
#[derive(Default)]
pub(super) struct Access {
    seen: HashSet<Trusted>,
    wide: Vec<Trusted>,
    others: Vec<Trusted>,
}

impl Access {
    pub(super) fn add(&mut self, who: Option<Principal>, conditional: bool) {
        let Some(who) = who else { return };
        let trusted = Trusted { who, conditional };
        if !self.seen.insert(trusted.clone()) {
            return;
        }
        if trusted.who.is_wide() {
            self.wide.push(trusted);
        } else if self.others.len() < VALUES_MAX {
            self.others.push(trusted);
        }
    }

    /// Puts those who are let in into a detail, `None` if there is nobody.
    pub(super) fn detail(self, detail: impl FnOnce(Vec<Trusted>, usize) -> Detail) -> Option<Detail> {
        let left_out = self.seen.len() - self.wide.len() - self.others.len();
        let who: Vec<Trusted> = self.wide.into_iter().chain(self.others).collect();
        // Who is let in without a condition needs no second line for those with one.
        let unconditional =
            |each: &Trusted| !each.conditional || !who.contains(&Trusted { who: each.who.clone(), conditional: false });
        let who: Vec<Trusted> = who.iter().filter(|each| unconditional(each)).cloned().collect();
        (!who.is_empty()).then(|| detail(who, left_out))
    }
}
