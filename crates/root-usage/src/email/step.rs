//! What to do next, for what happened: contain it, restore the watch, undo, look around.
//!
//! Each step about how root was used follows from the actor's [`Access`], and the mail has a note that explains it.

use std::collections::HashSet;

use super::account::Account;
use super::list::{LIST_MAX, List};
use super::{Style, link};
use crate::alert::{
    Access, Action, Actor, Alert, Category, Identity, Severity, is_own_credential, is_own_key, reads_secret,
};
use crate::directory::Names;
use crate::history::{Answered, Answers};
use crate::record::{Outcome, Record};
use crate::region::{Credentials, Partition, partition};

/// Something to do next.
pub(super) enum Step {
    /// Was it us?
    Ask {
        /// All of it was done as root, so whoever holds its credentials knows.
        root: bool,
        /// A long-lived root access key was used: it goes, whoever it was.
        key: bool,
    },
    /// Did one of us fail at the second factor?
    AskMistyped,
    /// The same where one person is known to have begun a central root session.
    AskCaller,
    /// A failed sign-in: nothing was gained.
    FailedSignIn { whose: Whose },
    /// A sign-in that a policy blocked, before or after the password was checked.
    BlockedSignIn { whose: Whose },
    /// Root can be denied everything, from the organization and at once.
    AttachLockdown {
        accounts: List<Account>,
        /// None of them is the management account. Of others the mail says that it is of no use there.
        members: bool,
    },
    /// Somebody has root's password.
    ChangeRootPassword { accounts: List<Account> },
    /// Somebody has a user's password.
    ChangeUserPassword,
    /// Log events that could not be read.
    ReadUnreadable,
    /// Find who began a central root session.
    FindAssumeRoot,
    /// Find where a temporary key came from.
    FindKeyOrigin,
    /// Take away what a central root session was begun with.
    RevokeCaller,
    /// End the sessions of `aws login`.
    RevokeCommandLine { account: Account },
    /// Somebody reads the account's mail.
    SecureMailbox,
    /// Root's own access key: only root can delete it.
    DeleteRootKey { accounts: List<Account> },
    /// The same in a partition where root can't sign in.
    DeleteRootKeyByKey,
    /// Root's password and MFA.
    SecureRoot { accounts: List<Account> },
    /// The same in a partition that has no root user.
    SecureWithoutRoot,
    /// A federated user's session that root made: root's permissions can't be changed, nor those of what root made.
    ///
    /// Sources: IAM User Guide, "Disabling permissions for temporary security credentials"; STS API Reference,
    /// `GetFederationToken`: at most 3,600 seconds for root.
    WaitForFederated,
    /// The same for a member account, from the organization.
    RemoveRootCredentials { account: Account },
    /// Turn the watch on again.
    RestoreWatch,
    /// Users, keys, roles that were made or changed.
    UndoCredentials,
    /// Secrets that were read.
    RotateSecrets,
    /// The keys, password and sessions of whoever else acted.
    StopActor { user: bool, role: bool, federated: bool },
    /// What was exposed or deleted.
    UndoExposure,
    /// Everything else they did.
    Review {
        /// The mail has a link to start from.
        link: bool,
    },
    /// AWS Support.
    Support,
}

/// Whose sign-ins failed.
#[derive(Clone)]
pub(super) enum Whose {
    /// Root's, of these accounts.
    Root { accounts: List<Account> },
    /// Somebody else's.
    User,
    /// Root's by the record, where root has no password.
    Anyone,
}

/// Deletes one of the keys that `list-access-keys` lists.
const DELETE_KEY: &str = "aws iam delete-access-key --access-key-id ACCESS_KEY_ID_FROM_THE_LIST";

/// A step, and the commands that do it, to be run one after the other.
pub(super) struct NextStep {
    pub step: Step,
    pub commands: Vec<String>,
}

impl From<Step> for NextStep {
    fn from(step: Step) -> Self {
        Self { step, commands: Vec::new() }
    }
}

struct Steps(Vec<NextStep>);

impl Steps {
    fn add(&mut self, when: bool, step: Step) {
        if when {
            self.0.push(step.into());
        }
    }
}

/// What to do next, for what happened.
pub(super) fn steps(alert: &Alert, answers: &Answers, style: &Style) -> Vec<NextStep> {
    let names = &answers.names;
    let Some(gravest) = alert.actors.first().map(Actor::gravest) else { return Vec::new() };
    let all = || alert.actors.iter().flat_map(|actor| &actor.actions);
    let done = |action: &&Action| action.record.outcome().may_have_worked();
    let of = |category: Category| all().filter(done).any(|action| action.category == category);
    let roots = || answers.of(alert).filter(|each| each.actor.identity == Identity::Root);
    let by = |is: fn(&Answered<'_>) -> bool| roots().find(is).map(|each| each.actor);
    let tried = |action: &Action| matches!(action.category, Category::FailedSignIn | Category::FailedSecondFactor);
    let root = all().any(|action| action.record.is_root() && !tried(action));
    // `GetFederationToken` takes a long-lived key: source as for `Step::WaitForFederated`.
    let by_key = |each: &Answered<'_>| match each.actor.identity {
        Identity::Root => {
            matches!(each.access(), Access::LongLivedKey | Access::SessionToken { by_long_lived_key: true })
        }
        Identity::Other { .. } => each.actor.gravest().record.is_federated_by_root(),
    };
    let key_used = answers.of(alert).any(|each| by_key(&each));
    let made_key =
        |action: &&Action| action.record.event_name() == Some("CreateAccessKey") && is_own_key(&action.record);
    let key_owners = answers.of(alert).filter(by_key).map(|each| each.actor.gravest());
    let key_owners: Vec<&Action> = key_owners.chain(all().filter(done).filter(made_key)).collect();
    let federated = all().any(|action| action.record.is_federated_by_root())
        || all()
            .filter(done)
            .any(|action| action.record.is_root() && action.record.event_name() == Some("GetFederationToken"));
    let called = by(|each| each.root_call().is_some());
    let uncalled = by(|each| each.access() == Access::CentralRootSession && each.root_call().is_none());
    let unknown = by(|each| each.access() == Access::TemporaryKey { mfa: false });
    let central = called.is_some() || uncalled.is_some();
    let command_line = by(|each| {
        let token = |action: &Action| action.record.is_oauth2() && action.record.outcome().may_have_worked();
        each.access() == Access::CommandLineSession || each.actor.actions.iter().any(token)
    });
    let mailbox = all().filter(done).any(|action| action.record.event_name() == Some("PasswordRecoveryCompleted"));
    let undo = |action: &Action| {
        action.category == Category::Credentials
            && action.record.read_only() != Some(true)
            && !is_own_credential(&action.record)
            // Root's own password, and sessions: of these no list of users shows anything.
            && !matches!(action.record.service(), Some("signin" | "sts"))
    };
    let knows_password = |root: bool| {
        let second = |action: &&Action| action.category == Category::FailedSecondFactor;
        all().filter(second).filter(move |action| action.record.is_root() == root)
    };
    let credentials = gravest.record.partition().map(|known| known.root.credentials);
    let no_root = credentials == Some(Credentials::NoRoot);
    let no_password = no_root || credentials == Some(Credentials::KeysOnly);
    let harmless = alert.actors.iter().all(|actor| actor.gravest().category == Category::FailedSignIn);
    let root_tried = all().any(|action| action.record.is_root());
    let whose = || match (root_tried, no_password) {
        (true, false) => Whose::Root { accounts: accounts(all().filter(|action| action.record.is_root()), names) },
        (true, true) => Whose::Anyone,
        (false, _) => Whose::User,
    };
    let blocked = |action: &Action| action.record.outcome() == Outcome::Blocked;
    let held_by_root = |each: Answered<'_>| {
        let as_root = each.actor.identity == Identity::Root && each.access() != Access::CentralRootSession;
        as_root || each.actor.gravest().record.is_federated_by_root()
    };

    let mut steps = Steps(Vec::new());
    match (harmless, root_tried) {
        (false, _) if called.is_some() && roots().count() == alert.actors.len() => steps.add(true, Step::AskCaller),
        (false, _) if all().all(tried) => steps.add(true, Step::AskMistyped),
        (false, _) => {
            let root = !no_root && answers.of(alert).all(held_by_root);
            steps.add(true, Step::Ask { root, key: key_used && !no_root });
        }
        (true, _) => {
            steps.add(all().any(blocked), Step::BlockedSignIn { whose: whose() });
            steps.add(!all().all(blocked), Step::FailedSignIn { whose: whose() });
        }
    }
    let root_password = knows_password(true).next().is_some();
    // A central root session ends by itself, and a policy as AWS publishes it lets it pass (`aws:AssumedRoot`).
    let as_root = roots().filter(|each| each.access() != Access::CentralRootSession);
    let as_root =
        as_root.flat_map(|each| &each.actor.actions).filter(|action| action.category != Category::FailedSignIn);
    if let Some(policy) = style.lockdown_policy.as_ref().filter(|_| !no_root) {
        steps.0.extend(attach_lockdown(policy, as_root, names));
    }
    steps.add(
        root_password && !root && !no_password,
        Step::ChangeRootPassword { accounts: accounts(knows_password(true), names) },
    );
    steps.add(knows_password(false).next().is_some(), Step::ChangeUserPassword);
    steps.add(!alert.unreadable.is_empty(), Step::ReadUnreadable);
    if let Some(actor) = uncalled.or(unknown) {
        let step = if uncalled.is_some() { Step::FindAssumeRoot } else { Step::FindKeyOrigin };
        steps.0.push(NextStep { step, commands: find_assume_root(actor).into_iter().collect() });
    }
    steps.add(called.is_some(), Step::RevokeCaller);
    steps.add(mailbox, Step::SecureMailbox);
    if !key_owners.is_empty() && !no_root {
        let by_key = || {
            let deactivate = DELETE_KEY.replace("delete-access-key", "update-access-key") + " --status Inactive";
            let commands = vec!["aws iam list-access-keys".to_owned(), deactivate, DELETE_KEY.to_owned()];
            NextStep { step: Step::DeleteRootKeyByKey, commands }
        };
        let by_password = || Step::DeleteRootKey { accounts: accounts(key_owners, names) }.into();
        steps.0.push(if no_password { by_key() } else { by_password() });
    }
    if let Some((account, commands)) = command_line.and_then(|actor| revoke_command_line(actor, names)) {
        steps.0.push(NextStep { step: Step::RevokeCommandLine { account }, commands });
    }
    steps.add(no_root && (root || root_password), Step::SecureWithoutRoot);
    let secure = root && !no_password && !central;
    if secure || root_password {
        let acted = all().filter(|action| action.record.is_root() && !tried(action));
        steps.add(secure, Step::SecureRoot { accounts: accounts(acted, names) });
        // Long, and for an emergency.
        let removal = all()
            .filter(|action| action.severity <= Severity::High)
            .find(|action| action.record.is_root() && action.category != Category::FailedSignIn);
        if let Some((account, commands)) = removal.and_then(|action| remove_root_credentials(action, names)) {
            steps.0.push(NextStep { step: Step::RemoveRootCredentials { account }, commands });
        }
    }
    steps.add(federated, Step::WaitForFederated);
    let others = || {
        let stoppable = |record: &&Record| !record.is_root() && !record.is_federated_by_root();
        all().filter(|action| !tried(action)).map(|action| &action.record).filter(stoppable)
    };
    let acted_as = |kind: &str| others().any(|record| record.identity_type() == Some(kind));
    let (user, role) = (acted_as("IAMUser"), acted_as("AssumedRole"));
    let stop = Step::StopActor { user, role, federated: acted_as("FederatedUser") };
    steps.add(others().next().is_some(), stop);
    steps.add(of(Category::Tampering), Step::RestoreWatch);
    steps.add(all().filter(done).any(undo), Step::UndoCredentials);
    steps.add(all().filter(done).any(|action| reads_secret(&action.record)), Step::RotateSecrets);
    let new_address = all().filter(done).any(|action| action.record.event_name() == Some("EmailUpdated"));
    steps.add(of(Category::Exposure) || of(Category::Organization) || new_address, Step::UndoExposure);
    let link = gravest.record.region().zip(gravest.record.event_id());
    let link = link.is_some_and(|(region, id)| link::event(region, id).is_some());
    steps.add(!harmless, Step::Review { link });
    steps.add(!harmless, Step::Support);
    steps.0
}

/// The accounts in which these were done, the gravest's first.
fn accounts<'a>(actions: impl IntoIterator<Item = &'a Action>, names: &Names) -> List<Account> {
    let mut seen = HashSet::new();
    let accounts = actions.into_iter().filter_map(|action| action.record.account());
    List::new(accounts.filter(|account| seen.insert(*account)).map(|id| Account::new(id, names)))
}

/// An account and a Region that can stand in a command, in a partition that has what these commands call.
fn place(action: &Action, has: fn(&Partition) -> bool) -> Option<(&str, &str)> {
    let account = action.record.account()?;
    let region = action.record.region().filter(|region| partition(region).is_some_and(has))?;
    Some((account, region))
}

/// The commands that attach the policy which denies root everything, to each account in which root acted.
///
/// Never to the management account, on which no such policy has effect. Organizations says which it is where it is asked
/// for names.
///
/// Sources: Organizations User Guide, "Service control policies (SCPs)"; Organizations API Reference, `AttachPolicy`.
fn attach_lockdown<'a>(policy: &str, actions: impl Iterator<Item = &'a Action>, names: &Names) -> Option<NextStep> {
    let management = |account: &str| names.of(account).and_then(|entry| entry.management);
    let mut seen = HashSet::new();
    let accounts = actions.filter_map(|action| action.record.account());
    let accounts: Vec<&str> =
        accounts.filter(|account| management(account) != Some(true) && seen.insert(*account)).collect();
    let attach = |account| format!("aws organizations attach-policy --policy-id {policy} --target-id {account}");
    let commands: Vec<String> = accounts.iter().take(LIST_MAX).map(attach).collect();
    let members = accounts.iter().all(|account| management(account) == Some(false));
    let accounts = List::new(accounts.into_iter().map(|account| Account::new(account, names)));
    (!commands.is_empty()).then_some(NextStep { step: Step::AttachLockdown { accounts, members }, commands })
}

/// The command that finds who called `AssumeRoot`: it is recorded in the Region that was called.
fn find_assume_root(actor: &Actor) -> Option<String> {
    let region = actor.gravest().record.region().filter(|region| partition(region).is_some())?;
    Some(format!(
        "aws cloudtrail lookup-events --region {region} --lookup-attributes AttributeKey=EventName,AttributeValue=AssumeRoot"
    ))
}

/// The commands that end what `aws login` began. Source: botocore 1.44.8, the model `signin`.
fn revoke_command_line(actor: &Actor, names: &Names) -> Option<(Account, Vec<String>)> {
    let (account, region) = actor.actions.iter().find_map(|action| place(action, |known| known.root.aws_login))?;
    let root = format!("--region {region} --principal-arn arn:aws:iam::{account}:root");
    let commands = vec![
        format!("aws signin list-sessions {root} --query items[].sessionArn"),
        format!("aws signin batch-revoke-sessions {root} --session-arns SESSION_ARN"),
    ];
    Some((Account::new(account, names), commands))
}

/// The commands by which an organization removes a member account's root credentials.
///
/// Source: IAM User Guide, "Perform a privileged task on an AWS Organizations member account": a Regional endpoint, at
/// most 900 seconds.
fn remove_root_credentials(action: &Action, names: &Names) -> Option<(Account, Vec<String>)> {
    let (account, region) = place(action, |known| known.root.central_access)?;
    let commands = vec![
        format!(
            "aws sts assume-root --region {region} --target-principal {account} \
             --task-policy-arn arn=arn:aws:iam::aws:policy/root-task/IAMDeleteRootUserCredentials --duration-seconds 900"
        ),
        "aws iam delete-login-profile".to_owned(),
        "aws iam list-access-keys".to_owned(),
        DELETE_KEY.to_owned(),
    ];
    Some((Account::new(account, names), commands))
}
