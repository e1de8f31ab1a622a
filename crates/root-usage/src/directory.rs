//! Accounts' names, which say more at night than twelve digits: from the operator's list, or from whoever else knows them.
//!
//! As with the event history: a mail is better with them and complete without, and nothing waits for one longer than
//! until its deadline.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::alert::Alert;
use crate::fault::caught_async;
use crate::record::is_account;

/// The most accounts whose names are asked for, for one mail, those of the gravest first.
const ACCOUNTS_MAX: usize = 50;

/// What a directory knows of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name: others wrote it.
    pub name: String,
    /// Whether it is the organization's management account; `None` where the directory doesn't know.
    pub management: Option<bool>,
}

/// Whoever knows accounts by their ids.
pub trait Directory {
    /// What is known of the account; `None` if that is nothing, or can't be had by the deadline.
    fn find(&self, account: &str, deadline: Instant) -> impl Future<Output = Option<Entry>> + Send;
}

/// The operator's own list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed(BTreeMap<String, String>);

impl Listed {
    /// The most characters of a name in the list.
    ///
    /// Source: Account Management API Reference, `PutAccountName`: 1 to 50 characters.
    pub const NAME_MAX: usize = 50;

    /// Reads a list such as `111122223333=payments-prod,444455556666=sandbox`. Of an account that it has twice the last
    /// name counts. Names are printable ASCII, as AWS's are, without what the list itself or a template needs.
    ///
    /// # Errors
    ///
    /// A sentence that says what would be right.
    pub fn parse(list: &str) -> Result<Self, String> {
        let plain = |c: char| (c == ' ' || c.is_ascii_graphic()) && !",\"\\".contains(c);
        let entry = |entry: &str| {
            let (account, name) = entry.trim().split_once('=')?;
            let right = is_account(account)
                && (1..=Self::NAME_MAX).contains(&name.len())
                && name.chars().all(plain)
                && name.trim() == name;
            right.then(|| (account.to_owned(), name.to_owned()))
        };
        list.split(',').map(entry).collect::<Option<_>>().map(Self).ok_or_else(|| {
            format!(
                "expected none, organization, or accounts with their names, such as \
                 111122223333=payments-prod,444455556666=sandbox: each name 1 to {} printable ASCII characters without , \
                 \" and \\",
                Self::NAME_MAX
            )
        })
    }

    /// What the list has of the accounts that the mail about an alert names.
    #[must_use]
    pub fn names(&self, alert: &Alert) -> Names {
        let named = accounts(alert).filter_map(|account| Some((account.to_owned(), self.entry(account)?)));
        Names(named.collect())
    }

    fn entry(&self, account: &str) -> Option<Entry> {
        self.0.get(account).map(|name| Entry { name: name.clone(), management: None })
    }
}

impl Directory for Listed {
    async fn find(&self, account: &str, _deadline: Instant) -> Option<Entry> {
        self.entry(account)
    }
}

/// What was found of the accounts that a mail is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(BTreeMap<String, Entry>);

impl Names {
    /// What was found of an account.
    #[must_use]
    pub fn of(&self, account: &str) -> Option<&Entry> {
        self.0.get(account)
    }

    /// Every account of which something was found, with that.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(account, entry)| (account.as_str(), entry))
    }
}

/// Looks up the accounts that the mail about an alert names. Never fails, and never takes longer than until the deadline.
pub async fn names(directory: &impl Directory, alert: &Alert, deadline: Instant) -> Names {
    look_up(directory, accounts(alert), deadline).await
}

/// The accounts that the mail about an alert names, the gravest first.
fn accounts(alert: &Alert) -> impl Iterator<Item = &str> {
    let gravest = alert.actors.iter().filter_map(|actor| actor.gravest().record.account());
    let owner = std::iter::once(alert.origin.owner.as_str());
    let actions = alert.actors.iter().flat_map(|actor| &actor.actions);
    let held = alert.held.records.values().flat_map(|tally| tally.accounts.each.keys()).map(String::as_str);
    gravest.chain(owner).chain(actions.filter_map(|action| action.record.account())).chain(held)
}

/// The same of these accounts, all at once.
pub(crate) async fn look_up<'a>(
    directory: &impl Directory,
    accounts: impl Iterator<Item = &'a str>,
    deadline: Instant,
) -> Names {
    let mut seen = BTreeSet::new();
    let accounts = accounts.filter(|account| is_account(account) && seen.insert(*account)).take(ACCOUNTS_MAX);
    let each = accounts.map(|account| async move {
        // No fault in here may cost the alert.
        let found = caught_async(timeout_at(deadline, directory.find(account, deadline))).await;
        let entry = found.ok()?.ok()??;
        (!entry.name.trim().is_empty()).then(|| (account.to_owned(), entry))
    });
    Names(join_all(each).await.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_or_refused_whole() {
        let longest = format!("111122223333={}", "x".repeat(50));
        for (list, names) in [
            ("111122223333=payments-prod", vec![("111122223333", "payments-prod")]),
            ("111122223333=a, 444455556666=b c=d", vec![("111122223333", "a"), ("444455556666", "b c=d")]),
            ("111122223333=a,111122223333=b", vec![("111122223333", "b")]),
            // A semicolon is a character like others.
            ("111122223333=a;444455556666=b", vec![("111122223333", "a;444455556666=b")]),
            (&longest, vec![("111122223333", &longest[13..])]),
        ] {
            let listed = Listed::parse(list).unwrap();
            let found: Vec<_> = listed.0.iter().map(|(account, name)| (account.as_str(), name.as_str())).collect();
            assert_eq!(found, names);
        }
        for list in [
            "",
            "payments-prod",
            "111122223333",
            "111122223333=",
            "111122223333= ",
            "111122223333=a,",
            "1111=a",
            "111122223333:a",
            "111122223333=\"a\"",
            "111122223333=a\\b",
            "111122223333=本番",
            &format!("{longest}x"),
        ] {
            assert!(Listed::parse(list).is_err(), "{list}");
        }
    }

    struct Slow(std::time::Duration);

    impl Directory for Slow {
        async fn find(&self, account: &str, _deadline: Instant) -> Option<Entry> {
            assert!(account != "000000000000", "a fault");
            if account.starts_with('4') {
                tokio::time::sleep(self.0).await;
            }
            Some(Entry {
                name: if account.starts_with('7') { " ".to_owned() } else { "x".to_owned() },
                management: None,
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_slow_faulty_or_blank_has_no_name_and_costs_no_other_its_own() {
        let start = Instant::now();
        let accounts = ["111122223333", "444455556666", "000000000000", "777788889999", "x", "111122223333"];
        let slow = Slow(std::time::Duration::from_secs(60));
        let names = look_up(&slow, accounts.into_iter(), start + std::time::Duration::from_secs(3)).await;
        assert_eq!(names.iter().map(|(account, _)| account).collect::<Vec<_>>(), ["111122223333"]);
        assert_eq!(start.elapsed().as_secs(), 3);
    }
}
