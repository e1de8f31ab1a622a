//! What to do next, for what happened.

use super::link;
use crate::alert::{Action, Actor, Alert, Category, Credential, is_own_key};
use crate::record::Outcome;

/// Something to do next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Was it us?
    Ask {
        /// A long-lived root access key was used: it goes, whoever it was.
        key: bool,
    },
    /// A failed sign-in of root: nothing was gained.
    FailedSignIn,
    /// A failed sign-in of somebody else.
    FailedUserSignIn,
    /// Log events that could not be read.
    ReadUnreadable,
    /// Find who started a central root session.
    FindAssumeRoot,
    /// Somebody reads the account's mail.
    SecureMailbox,
    /// Root's own access key: only root can delete it.
    DeleteRootKey,
    /// The same in GovCloud, where root can't sign in.
    DeleteGovCloudRootKey,
    /// Root's password and MFA.
    SecureRoot,
    /// Turn the watch on again.
    RestoreWatch,
    /// Users, keys, roles that were made or changed.
    UndoCredentials,
    /// Secrets that were read.
    RotateSecrets,
    /// The keys, password and sessions of whoever else acted.
    StopActor,
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

/// Whether an action shows that root has, or may have, an access key.
pub(super) fn needs_key_deleted(action: &Action) -> bool {
    let made = action.record.outcome() == Outcome::Succeeded && is_own_key(&action.record);
    let temporary = action.credential() == Credential::TemporaryKey && !action.record.assumed_root();
    action.record.is_root() && (made || temporary || action.credential() == Credential::LongLivedKey)
}

/// What to do next, for what happened: take root back, restore the watch, undo, look around.
pub(super) fn steps(alert: &Alert) -> Vec<Step> {
    let Some(gravest) = alert.actors.first().map(Actor::gravest) else { return Vec::new() };
    let all = || alert.actors.iter().flat_map(|actor| &actor.actions);
    let done = |action: &&Action| action.record.outcome() == Outcome::Succeeded;
    let of = |category: Category| all().filter(done).any(|action| action.category == category);
    let root = all().any(|action| action.record.is_root() && action.category != Category::FailedSignIn);
    let reads_secret = |action: &Action| {
        let services = ["secretsmanager", "ssm", "ec2", "apigateway", "acm", "lightsail"];
        action.category == Category::Credentials
            && action.record.read_only() == Some(true)
            && action.record.service().is_some_and(|service| services.contains(&service))
    };
    let key = all().any(|action| action.record.is_root() && action.credential() == Credential::LongLivedKey);
    let temporary = all().any(|action| action.record.is_root() && action.credential() == Credential::TemporaryKey);
    let central = all().any(|action| action.record.assumed_root());
    let root_key = all().any(needs_key_deleted);
    let gov_cloud = gravest.record.region().is_some_and(|region| region.starts_with("us-gov-"));
    let mailbox = all().filter(done).any(|action| action.record.event_name() == Some("PasswordRecoveryCompleted"));
    let undo = |action: &Action| action.category == Category::Credentials && action.record.read_only() != Some(true);
    let harmless = gravest.category == Category::FailedSignIn;
    let root_tried = all().any(|action| action.record.is_root());
    let mut steps = vec![match (harmless, root_tried) {
        (false, _) => Step::Ask { key },
        (true, true) => Step::FailedSignIn,
        (true, false) => Step::FailedUserSignIn,
    }];
    let mut add = |when: bool, step: Step| {
        if when {
            steps.push(step);
        }
    };
    add(!alert.unreadable.is_empty(), Step::ReadUnreadable);
    add(temporary, Step::FindAssumeRoot);
    add(mailbox, Step::SecureMailbox);
    add(root_key, if gov_cloud { Step::DeleteGovCloudRootKey } else { Step::DeleteRootKey });
    add(root && !gov_cloud && !central, Step::SecureRoot);
    add(of(Category::Tampering), Step::RestoreWatch);
    add(all().filter(done).any(undo), Step::UndoCredentials);
    add(all().filter(done).any(reads_secret), Step::RotateSecrets);
    add(of(Category::Exposure) || of(Category::Organization), Step::UndoExposure);
    add(!harmless && all().any(|action| !action.record.is_root()), Step::StopActor);
    let link = gravest.record.region().zip(gravest.record.event_id());
    let link = link.is_some_and(|(region, id)| link::event(region, id).is_some());
    add(!harmless, Step::Review { link });
    add(!harmless, Step::Support);
    steps
}
