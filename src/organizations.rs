//! AWS Organizations, which knows accounts by name.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_organizations::Client;
use aws_sdk_organizations::config::Builder;
use aws_sdk_organizations::error::SdkError;
use aws_sdk_organizations::operation::describe_account::DescribeAccountError;
use root_usage::directory::{Directory, Entry, Listed};
use root_usage::error::chain;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::aws::Aws;

/// How long an answer is kept: accounts are renamed seldom.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long nothing more is asked for after a failure. Most of them, a missing permission for one, need a person.
const FAILURE_KEPT: Duration = Duration::from_secs(15 * 60);

/// The most accounts that are kept.
const KEPT_MAX: usize = 1000;

/// How many accounts are asked for at once: each request may need a connection of its own.
const AT_ONCE: usize = 4;

/// How often one account is asked for.
const ATTEMPTS: u32 = 2;

/// Where accounts get their names.
pub enum NameSource {
    /// From the operator's list.
    Listed(Listed),
    /// From the organization.
    Organization(Organizations),
}

impl Directory for NameSource {
    async fn find(&self, account: &str, deadline: Instant) -> Option<Entry> {
        match self {
            Self::Listed(listed) => listed.find(account, deadline).await,
            Self::Organization(organization) => organization.find(account, deadline).await,
        }
    }
}

/// Organizations' DescribeAccount.
///
/// The client is made when an account is first asked for: almost no invocation does.
pub struct Organizations {
    aws: Aws,
    client: OnceCell<Client>,
    kept: Mutex<Kept>,
    at_once: Semaphore,
}

/// What was answered, each until when.
#[derive(Default)]
struct Kept {
    accounts: HashMap<String, (Option<Entry>, Instant)>,
    /// Until when nobody is asked, because a call failed.
    failed: Option<Instant>,
}

/// Why an account could not be described.
enum Failure {
    /// The organization has no such account.
    Unknown,
    /// The same would become of any other account.
    Any(String),
}

impl Organizations {
    /// The organization of the account that the function runs in.
    #[must_use]
    pub fn new(aws: Aws) -> Self {
        Self { aws, client: OnceCell::new(), kept: Mutex::default(), at_once: Semaphore::new(AT_ONCE) }
    }

    async fn client(&self) -> &Client {
        let make = || async {
            // Of the function's own Region the SDK finds the one endpoint of the partition.
            let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
            Client::from_conf(Builder::from(self.aws.config().await).retry_config(retries).build())
        };
        self.client.get_or_init(make).await
    }

    async fn ask(&self, account: &str) -> Result<Entry, Failure> {
        let answer =
            self.client().await.describe_account().account_id(account).send().await.map_err(|error| failure(&error))?;
        let empty = || Failure::Any("the answer names no account".to_owned());
        let described = answer.account.ok_or_else(empty)?;
        let name = described.name.ok_or_else(empty)?;
        // arn:aws:organizations::MANAGEMENT_ACCOUNT:account/o-ORGANIZATION/ACCOUNT. Source: Service Authorization
        // Reference, "Resource types defined by AWS Organizations".
        let owner = described.arn.as_deref().and_then(|arn| arn.split(':').nth(4)).filter(|owner| !owner.is_empty());
        Ok(Entry { name, management: owner.map(|owner| owner == account) })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was answered about an account, or nothing where it makes no sense to ask; `None` if it does.
    fn remembered(&self, account: &str) -> Option<Option<Entry>> {
        let (now, kept) = (Instant::now(), self.kept());
        let answer = kept.accounts.get(account).filter(|(_, until)| *until > now).map(|(entry, _)| entry.clone());
        answer.or_else(|| kept.failed.filter(|until| *until > now).map(|_| None))
    }

    fn keep(&self, account: &str, answer: Result<Entry, Failure>) -> Option<Entry> {
        let (now, mut kept) = (Instant::now(), self.kept());
        let (entry, until) = match answer {
            Ok(entry) => (Some(entry), now + KEPT),
            Err(Failure::Unknown) => {
                tracing::warn!(account, "no name: the organization has no such account");
                (None, now + FAILURE_KEPT)
            }
            Err(Failure::Any(error)) => {
                // Of those that were asked for at once, the first says it.
                if kept.failed.is_none_or(|until| until <= now) {
                    let minutes = FAILURE_KEPT.as_secs() / 60;
                    tracing::warn!(
                        account,
                        error,
                        "no names of accounts for {minutes} minutes: organizations:DescribeAccount failed"
                    );
                }
                kept.failed = Some(now + FAILURE_KEPT);
                return None;
            }
        };
        if kept.accounts.len() >= KEPT_MAX {
            kept.accounts.clear();
        }
        kept.accounts.insert(account.to_owned(), (entry.clone(), until));
        entry
    }
}

/// What a failure means for other accounts.
fn failure(error: &SdkError<DescribeAccountError>) -> Failure {
    match error.as_service_error() {
        Some(DescribeAccountError::AccountNotFoundException(_)) => Failure::Unknown,
        _ => Failure::Any(chain(error)),
    }
}

impl Directory for Organizations {
    async fn find(&self, account: &str, deadline: Instant) -> Option<Entry> {
        if let Some(known) = self.remembered(account) {
            return known;
        }
        if deadline <= Instant::now() {
            return None;
        }
        let asked = async {
            let _permit = self.at_once.acquire().await;
            // The call before may have failed.
            match self.remembered(account) {
                Some(known) => known,
                None => self.keep(account, self.ask(account).await),
            }
        };
        match timeout_at(deadline, asked).await {
            Ok(entry) => entry,
            Err(_) => self.keep(account, Err(Failure::Any("there was no answer in time".to_owned()))),
        }
    }
}
