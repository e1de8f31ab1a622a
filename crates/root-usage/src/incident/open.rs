//! What was made in an incident and isn't seen undone.

use std::collections::{HashMap, HashSet};

use filter_pattern::json::Json;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::news::{Topic, topic};
use crate::alert::{Action, Alert, protects};
use crate::detail::{Detail, Label};
use crate::record::Record;

/// What in a command stands before one id or several: things of one kind are undone by one command.
const SEVERAL: [&str; 2] = [" --instance-ids ", " --security-group-rule-ids "];

/// The most things in one command.
const TOGETHER_MAX: usize = 20;

/// The most things that one part adds to the list.
const OPENED_MAX: usize = 50;

/// The most things that one part is seen to undo. What is more stays on the list: somebody looks at it once more.
const UNDONE_MAX: usize = 1000;

/// The most bytes that are kept of a value.
const SHOWN_MAX: usize = 512;

/// The longest value that can stand in a command.
const VALUE_MAX: usize = 128;

/// Something that was made, and stays until somebody undoes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// What it is.
    pub topic: Topic,
    /// The service that made it.
    pub service: String,
    /// The action that made it.
    pub event: String,
    /// What it is called, as the record has it.
    pub values: Vec<String>,
    /// The command that undoes it, where every value in it is one that a shell takes as it stands.
    pub command: Option<String>,
    /// It may have taken the place of something: the command, if there is one, is right only if nothing was there.
    #[serde(default)]
    pub replaces: bool,
    /// It is root's own: the command is right only with root's credentials.
    #[serde(default)]
    pub own: bool,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Something that was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    /// What it is.
    pub topic: Topic,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// What a part opened, and what it undid.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// What it opened and didn't undo after that, in the order of time.
    pub opened: Vec<Open>,
    /// What it undid.
    pub undone: Vec<Undone>,
    /// How much more it opened than is kept of it.
    #[serde(default)]
    pub more: usize,
}

/// How something is made and undone.
#[derive(Clone, Copy)]
struct Row {
    service: &'static str,
    made: &'static str,
    /// What names it: request parameters, or what stands elsewhere in the record: [`INSTANCE`], [`GROUP`], [`RULE`], [`KEY`].
    names: &'static [&'static str],
    /// What undoes it, and where that names it.
    undone: (&'static [&'static str], &'static [&'static str]),
    /// `{0}` is the first value, `{region}` the Region; empty where it takes what was there before.
    command: &'static str,
    /// What was there before may have been replaced: the command is right only if nothing was.
    replaces: bool,
    /// It is root's own: only root can undo it, and the command is about whoever runs it.
    own: bool,
    /// What a call must be to leave something behind. Where it isn't, and the same action undoes, it does.
    leaves: fn(&Record) -> bool,
    /// What a call of what undoes it must be to undo it.
    undoes: fn(&Record) -> bool,
}

const INSTANCE: &str = "the instances' ids";
const GROUP: &str = "a security group's id";
const KEY: &str = "a created access key's id";
const RULE: &str = "the ids of a security group's rules";

/// Whether a record says that something protective is off.
fn switches_off(record: &Record) -> bool {
    record.details().iter().any(|found| matches!(found, Detail::Named { label: Label::Off, .. }))
}

/// Whether a trail may record less than all management events. What advanced selectors come to isn't looked at.
fn records_less(record: &Record) -> bool {
    let less = |found: &Detail| match found {
        Detail::Named { label: Label::ExceptSource, .. } => true,
        Detail::Named { label: Label::Reads, values, .. } => values.iter().any(|value| **value != *"All"),
        _ => false,
    };
    let advanced = record.value(&["requestParameters", "advancedEventSelectors"]);
    switches_off(record) || advanced.is_some_and(|json| *json != Json::Null) || record.details().iter().any(less)
}

const fn row(
    service: &'static str,
    made: &'static str,
    names: &'static [&'static str],
    undone: (&'static [&'static str], &'static [&'static str]),
    command: &'static str,
) -> Row {
    Row {
        service,
        made,
        names,
        undone,
        command,
        replaces: command.is_empty(),
        own: false,
        leaves: |_| true,
        undoes: |_| true,
    }
}

/// What may have taken the place of something.
const fn replacing(row: Row) -> Row {
    Row { replaces: true, ..row }
}

/// What root made for itself.
const fn own(row: Row) -> Row {
    Row { own: true, leaves: Record::is_root, ..row }
}

/// A setting: the same action changes it for the worse and back.
const fn setting(
    service: &'static str,
    made: &'static str,
    names: &'static [&'static str],
    leaves: fn(&Record) -> bool,
    command: &'static str,
) -> Row {
    Row {
        service,
        made,
        names,
        undone: (&[], names),
        command,
        replaces: command.is_empty(),
        own: false,
        leaves,
        undoes: |_| true,
    }
}

const BLOCK_PUBLIC: &str = "aws s3api put-public-access-block --bucket {0} --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true";

/// Sources: the services' API references, for the parameters; AWS CLI 2, for the commands.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("iam", "CreateRole", &["roleName"], (&["DeleteRole"], &["roleName"]), "aws iam delete-role --role-name {0}"),
    replacing(row("iam", "AttachRolePolicy", &["roleName", "policyArn"], (&["DetachRolePolicy"], &["roleName", "policyArn"]), "aws iam detach-role-policy --role-name {0} --policy-arn {1}")),
    replacing(row("iam", "PutRolePolicy", &["roleName", "policyName"], (&["DeleteRolePolicy"], &["roleName", "policyName"]), "aws iam delete-role-policy --role-name {0} --policy-name {1}")),
    row("iam", "CreateGroup", &["groupName"], (&["DeleteGroup"], &["groupName"]), "aws iam delete-group --group-name {0}"),
    row("iam", "UpdateUser", &["userName", "newUserName"], (&[], &[]), ""),
    row("iam", "UpdateGroup", &["groupName", "newGroupName"], (&[], &[]), ""),
    row("iam", "CreateUser", &["userName"], (&["DeleteUser"], &["userName"]), "aws iam delete-user --user-name {0}"),
    replacing(row("iam", "AttachUserPolicy", &["userName", "policyArn"], (&["DetachUserPolicy"], &["userName", "policyArn"]), "aws iam detach-user-policy --user-name {0} --policy-arn {1}")),
    replacing(row("iam", "PutUserPolicy", &["userName", "policyName"], (&["DeleteUserPolicy"], &["userName", "policyName"]), "aws iam delete-user-policy --user-name {0} --policy-name {1}")),
    row("iam", "UpdateAssumeRolePolicy", &["roleName"], (&["DeleteRole"], &["roleName"]), ""),
    replacing(row("iam", "AddUserToGroup", &["groupName", "userName"], (&["RemoveUserFromGroup"], &["groupName", "userName"]), "aws iam remove-user-from-group --group-name {0} --user-name {1}")),
    replacing(row("iam", "AttachGroupPolicy", &["groupName", "policyArn"], (&["DetachGroupPolicy"], &["groupName", "policyArn"]), "aws iam detach-group-policy --group-name {0} --policy-arn {1}")),
    replacing(row("iam", "PutGroupPolicy", &["groupName", "policyName"], (&["DeleteGroupPolicy"], &["groupName", "policyName"]), "aws iam delete-group-policy --group-name {0} --policy-name {1}")),
    row("iam", "CreatePolicyVersion", &["policyArn"], (&["DeletePolicy"], &["policyArn"]), ""),
    row("iam", "DeactivateMFADevice", &["userName", "serialNumber"], (&[], &[]), ""),
    row("iam", "CreateLoginProfile", &["userName"], (&["DeleteLoginProfile"], &["userName"]), "aws iam delete-login-profile --user-name {0}"),
    row("iam", "CreateAccessKey", &[KEY, "userName"], (&["DeleteAccessKey"], &["accessKeyId", "userName"]), "aws iam delete-access-key --access-key-id {0} --user-name {1}"),
    own(row("iam", "CreateAccessKey", &[KEY], (&["DeleteAccessKey"], &["accessKeyId"]), "aws iam delete-access-key --access-key-id {0}")),
    row("iam", "CreateInstanceProfile", &["instanceProfileName"], (&["DeleteInstanceProfile"], &["instanceProfileName"]), "aws iam delete-instance-profile --instance-profile-name {0}"),
    row("iam", "AddRoleToInstanceProfile", &["instanceProfileName", "roleName"], (&["RemoveRoleFromInstanceProfile"], &["instanceProfileName", "roleName"]), "aws iam remove-role-from-instance-profile --instance-profile-name {0} --role-name {1}"),
    row("ec2", "RunInstances", &[INSTANCE], (&["StopInstances", "TerminateInstances"], &[INSTANCE]), "aws ec2 stop-instances --region {region} --instance-ids {0}"),
    row("ec2", "StartInstances", &[INSTANCE], (&["StopInstances", "TerminateInstances"], &[INSTANCE]), "aws ec2 stop-instances --region {region} --instance-ids {0}"),
    row("ec2", "CreateSecurityGroup", &[GROUP], (&["DeleteSecurityGroup"], &["groupId"]), "aws ec2 delete-security-group --region {region} --group-id {0}"),
    row("ec2", "AuthorizeSecurityGroupIngress", &[GROUP, RULE], (&["RevokeSecurityGroupIngress"], &[GROUP, RULE]), "aws ec2 revoke-security-group-ingress --region {region} --group-id {0} --security-group-rule-ids {1}"),
    row("s3", "CreateBucket", &["bucketName"], (&["DeleteBucket"], &["bucketName"]), "aws s3api delete-bucket --bucket {0}"),
    replacing(row("s3", "PutBucketPolicy", &["bucketName"], (&["DeleteBucketPolicy"], &["bucketName"]), "aws s3api delete-bucket-policy --bucket {0}")),
    row("cloudtrail", "StopLogging", &["name"], (&["StartLogging"], &["name"]), "aws cloudtrail start-logging --region {region} --name {0}"),
    row("cloudtrail", "DeleteTrail", &["name"], (&[], &[]), ""),
    Row { undoes: protects, ..replacing(row("s3", "DeleteBucketPublicAccessBlock", &["bucketName"], (&["PutBucketPublicAccessBlock"], &["bucketName"]), BLOCK_PUBLIC)) },
    replacing(setting("s3", "PutBucketPublicAccessBlock", &["bucketName"], |record| !protects(record), BLOCK_PUBLIC)),
    setting("cloudtrail", "PutEventSelectors", &["trailName"], records_less, ""),
    row("cloudtrail", "UpdateTrail", &["name"], (&[], &[]), ""),
    row("kms", "ScheduleKeyDeletion", &["keyId"], (&["CancelKeyDeletion"], &["keyId"]), "aws kms cancel-key-deletion --region {region} --key-id {0}"),
    row("config", "StopConfigurationRecorder", &["configurationRecorderName"], (&["StartConfigurationRecorder"], &["configurationRecorderName"]), "aws configservice start-configuration-recorder --region {region} --configuration-recorder-name {0}"),
];

/// What a part opened and undid. What was not done, or where the record doesn't name it, is neither.
#[must_use]
pub fn changes(part: &Alert) -> Changes {
    let mut actions: Vec<&Action> = part.actors.iter().flat_map(|actor| &actor.actions).collect();
    actions.retain(|action| action.record.outcome().may_have_worked() && action.record.read_only() != Some(true));
    // In one second, a role is made before it is put into a profile, as in the rows.
    let place = |action: &Action| ROWS.iter().position(|row| action.record.event_name() == Some(row.made));
    actions.sort_by_cached_key(|action| (action.record.event_time(), place(action)));
    let mut changes = Changes::default();
    for action in actions {
        let record = &action.record;
        let of_service = || ROWS.iter().filter(|row| record.service() == Some(row.service));
        // The first row whose names the record has.
        let made = of_service()
            .filter(|row| record.event_name() == Some(row.made) && (row.leaves)(record))
            .find_map(|row| named(record, row.names).map(|found| (row, found)));
        if let Some((row, found)) = made {
            let room = OPENED_MAX.saturating_sub(changes.opened.len());
            changes.more += found.len().saturating_sub(room) + left_out(record, row.names);
            changes.opened.extend(found.into_iter().take(room).map(|values| Open::new(row, record, &values)));
        }
        for row in of_service().filter(|row| row.is_undone_by(record)) {
            for values in named(record, row.undone.1).unwrap_or_default().into_iter().take(OPENED_MAX) {
                let undone = Undone { topic: name(row, record, &values), at: record.event_time() };
                // What is made once more after this stays open.
                changes.opened.retain(|open| !undone.ends(open));
                if changes.undone.len() < UNDONE_MAX && !changes.undone.contains(&undone) {
                    changes.undone.push(undone);
                }
            }
        }
    }
    changes
}

impl Row {
    fn is_undone_by(&self, record: &Record) -> bool {
        let name = record.event_name();
        (self.undone.0.iter().any(|undoes| name == Some(undoes)) && (self.undoes)(record))
            || (name == Some(self.made) && !(self.leaves)(record))
    }
}

impl Undone {
    /// Whether this is the end of something. In the second in which it was made nobody knows; then it stays listed.
    fn ends(&self, open: &Open) -> bool {
        self.topic == open.topic && (self.at.is_none() || open.at.is_none() || self.at > open.at)
    }
}

/// What is open of all that was told, the last first: it was made upon what came before it. In whatever order it was told:
/// what happened at one time is delivered at several.
pub fn open<'a>(told: impl IntoIterator<Item = &'a Changes>) -> Vec<Open> {
    let (mut open, mut undone): (Vec<&Open>, HashMap<Topic, &Undone>) = (Vec::new(), HashMap::new());
    for changes in told {
        open.extend(&changes.opened);
        for each in &changes.undone {
            let last = undone.entry(each.topic).or_insert(each);
            *last = if each.at > last.at { each } else { last };
        }
    }
    let place = |open: &Open| ROWS.iter().position(|row| row.made == open.event);
    open.sort_by_key(|each| (each.at, place(each)));
    // What was given to what is new was not there before.
    let new: HashSet<(&str, &str)> = open.iter().filter_map(|each| each.makes()).collect();
    // Nobody can tell any more whom a command with such a name would meet.
    let renamed: HashSet<&str> = open
        .iter()
        .filter(|each| RENAMES.contains(&each.event.as_str()))
        .flat_map(|each| &each.values)
        .map(String::as_str)
        .collect();
    let as_it_is = |each: &&Open| {
        let mut each = (*each).clone();
        each.replaces &= !each.about().is_some_and(|about| new.contains(&about));
        if each.service == "iam" && each.values.iter().any(|value| renamed.contains(value.as_str())) {
            (each.command, each.replaces) = (None, true);
        }
        each
    };
    let is_left = |each: &&&Open| undone.get(&each.topic).is_none_or(|undone| !undone.ends(each));
    let mut seen = HashSet::new();
    open.iter().rev().filter(is_left).filter(|each| seen.insert(each.topic)).map(as_it_is).collect()
}

/// What gives a user or a group another name.
const RENAMES: [&str; 2] = ["UpdateUser", "UpdateGroup"];

impl Open {
    /// The user, role or group that this made. A bucket may have been there: in us-east-1 its owner may create it again.
    ///
    /// Source: Amazon S3 API Reference, `CreateBucket`, `BucketAlreadyOwnedByYou`.
    fn makes(&self) -> Option<(&str, &str)> {
        let kind = self.event.strip_prefix("Create").filter(|kind| ["User", "Role", "Group"].contains(kind))?;
        Some((kind, self.values.first()?))
    }

    /// The one that this gave something to.
    fn about(&self) -> Option<(&str, &str)> {
        let kind = match self.event.as_str() {
            "AttachRolePolicy" | "PutRolePolicy" => "Role",
            "AttachUserPolicy" | "PutUserPolicy" => "User",
            "AttachGroupPolicy" | "PutGroupPolicy" | "AddUserToGroup" => "Group",
            _ => return None,
        };
        Some((kind, self.values.first()?))
    }
}

impl Open {
    fn new(row: &Row, record: &Record, values: &[String]) -> Self {
        let region = record.region().unwrap_or_default().to_owned();
        // A group may be given by its name, which this option doesn't take.
        let is_id = !row.command.contains("--group-id") || values.first().is_some_and(|id| id.starts_with("sg-"));
        let safe = values.iter().chain([&region]).all(|value| is_safe(value)) && !row.command.is_empty() && is_id;
        let command = || {
            let command = row.command.replace("{region}", &region);
            values
                .iter()
                .enumerate()
                .fold(command, |command, (index, value)| command.replace(&format!("{{{index}}}"), value))
        };
        let topic = name(row, record, values);
        let command = safe.then(command);
        // Whoever names things may name them at any length.
        let values = values.iter().map(|value| shown(value)).collect();
        let (service, event) = (row.service.to_owned(), row.made.to_owned());
        Self { topic, service, event, command, values, replaces: row.replaces, own: row.own, at: record.event_time() }
    }
}

/// Things, a line each; and those together that one command undoes, as many as it takes.
#[must_use]
pub fn lines(open: &[Open]) -> Vec<Open> {
    let mut lines: Vec<Open> = Vec::new();
    // Which line takes more of a command that begins so.
    let mut places: HashMap<String, usize> = HashMap::new();
    for each in open {
        let Some((begins, id)) = each.listed() else {
            lines.push(each.clone());
            continue;
        };
        let place = places.get(begins).copied().filter(|place| lines[*place].values.len() < TOGETHER_MAX);
        let Some(place) = place else {
            places.insert(begins.to_owned(), lines.len());
            lines.push(each.clone());
            continue;
        };
        let line = &mut lines[place];
        line.command = line.listed().map(|(begins, ids)| format!("{begins}{id} {ids}"));
        let known = |value: &&String| !each.values.contains(value);
        line.values = each.values.iter().chain(line.values.iter().filter(known)).cloned().collect();
    }
    lines
}

impl Open {
    /// Its command up to the ids that it takes several of, and those.
    fn listed(&self) -> Option<(&str, &str)> {
        let command = self.command.as_deref()?;
        let list = SEVERAL.into_iter().find(|list| command.contains(list))?;
        Some(command.split_at(command.find(list)? + list.len()))
    }
}

/// The beginning of a value, as long as a mail can show it.
fn shown(value: &str) -> String {
    value[..value.floor_char_boundary(SHOWN_MAX)].to_owned()
}

/// What names what was made: global services' things have no Region.
fn name(row: &Row, record: &Record, values: &[String]) -> Topic {
    let is_global = matches!(row.service, "iam" | "s3");
    let region = if is_global { "" } else { record.region().unwrap_or_default() };
    let values: Vec<&str> =
        [row.service, row.made, region].into_iter().chain(values.iter().map(String::as_str)).collect();
    topic("open", &values)
}

/// Whether a shell takes a value as it stands, and no mail program makes a link of it: a plain name, or AWS's own form of
/// an ARN.
fn is_safe(value: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let is_arn = || match value.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", partition, service, region, account, resource] => {
            [partition, service, region, account].into_iter().all(plain) && resource.split('/').all(plain)
        }
        _ => false,
    };
    !value.is_empty() && value.len() <= VALUE_MAX && !value.starts_with('-') && (plain(value) || is_arn())
}

/// What a record names in these ways: once, or for each of several. `None` where one of them isn't there.
fn named(record: &Record, names: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for name in names {
        let found = values(record, name);
        if found.is_empty() {
            return None;
        }
        all = all
            .iter()
            .flat_map(|values| found.iter().map(|value| [&values[..], std::slice::from_ref(value)].concat()))
            .collect();
    }
    Some(all)
}

/// How many more instances or rules a record names than are kept of it.
fn left_out(record: &Record, names: &[&str]) -> usize {
    let of = |found: &Detail| match found {
        Detail::Named { label: Label::Instance, left_out, .. } if names.contains(&INSTANCE) => *left_out,
        Detail::Named { label: Label::SecurityGroupRule, left_out, .. } if names.contains(&RULE) => *left_out,
        _ => 0,
    };
    record.details().iter().map(of).sum()
}

fn values(record: &Record, name: &str) -> Vec<String> {
    let of_details = |found: &Detail| match (name, found) {
        (KEY, Detail::AccessKeyCreated { id }) => vec![id.to_string()],
        (INSTANCE, Detail::Named { label: Label::Instance, values, .. })
        | (GROUP, Detail::Named { label: Label::SecurityGroup, values, .. })
        | (RULE, Detail::Named { label: Label::SecurityGroupRule, values, .. }) => {
            values.iter().map(ToString::to_string).collect()
        }
        _ => Vec::new(),
    };
    match name {
        KEY | INSTANCE | GROUP | RULE => record.details().iter().flat_map(of_details).collect(),
        name => record.text(&["requestParameters", name]).map(str::to_owned).into_iter().collect(),
    }
}
