//! Links into the AWS console, right for the partition that a Region belongs to.

use std::fmt;

use serde::Serialize;

use super::sanitize::is_uuid;
use crate::alert::{Actor, Alert};
use crate::record::Record;
use crate::region::{Partition, partition};

/// A page of CloudTrail's console that shows one event.
///
/// The form of the address is not documented by AWS. `None` where the Region's partition or its console is not known,
/// or the id is not what it should be.
pub(super) fn event(region: &str, event_id: &str) -> Option<String> {
    let host = partition(region)?.console(Some(region))?;
    is_uuid(event_id).then(|| format!("https://{host}/cloudtrailv2/home?region={region}#/events/{event_id}"))
}

/// The command that shows one event.
pub(super) fn lookup_command(region: &str, event_id: &str) -> Option<String> {
    (partition(region).is_some() && is_uuid(event_id)).then(|| {
        format!(
            "aws cloudtrail lookup-events --region {region} \
             --lookup-attributes AttributeKey=EventId,AttributeValue={event_id}"
        )
    })
}

/// The command that shows what root did last in a Region: the look-up that the function makes where it can.
pub(super) fn root_command(region: &str) -> Option<String> {
    partition(region).map(|_| {
        format!(
            "aws cloudtrail lookup-events --region {region} \
             --lookup-attributes AttributeKey=Username,AttributeValue=root"
        )
    })
}

/// A page of the console: its address, or else where to find it.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Page {
    address: Option<String>,
    #[serde(skip)]
    place: &'static str,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.address.as_deref().unwrap_or(self.place))
    }
}

/// Pages that the next steps name, in the partition of an alert.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Links {
    /// Where root sees and deletes its own keys, password and MFA.
    pub security_credentials: Page,
    /// IAM's list of users.
    pub users: Page,
    /// CloudTrail's list of trails.
    pub trails: Page,
    /// AWS Support's centre.
    pub support: Page,
    /// Why there are no addresses.
    pub missing: Option<NoLinks>,
}

/// Why nothing is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NoLinks {
    /// No record names a Region or a partition.
    NoRegion,
    /// The Region, or the partition of the ARN, is in no partition that is known.
    UnknownPartition,
    /// The address of the partition's console is not known.
    UnknownConsole,
}

impl Links {
    /// The links of an alert, in the partition of what leads it.
    pub(super) fn new(alert: &Alert) -> Self {
        let records = || alert.actors.iter().flat_map(|actor| &actor.actions).map(|action| &action.record);
        let first = alert.actors.first().map(|actor: &Actor| &actor.gravest().record);
        // All that a log group gets is of one partition.
        let known = first.into_iter().chain(records()).find_map(Record::partition);
        let region = first.and_then(Record::region).filter(|region| partition(region).is_some());
        let page = |region: Option<&str>, path: &str, place| Page {
            address: known.and_then(|known| known.console(region)).map(|host| format!("https://{host}/{path}")),
            place,
        };
        let trails = match region {
            Some(region) => format!("cloudtrailv2/home?region={region}#/trails"),
            None => "cloudtrailv2/home#/trails".to_owned(),
        };
        Self {
            security_credentials: page(None, "iam/home#/security_credentials", "\"IAM > Security credentials\""),
            users: page(None, "iam/home#/users", "\"IAM > Users\""),
            trails: page(region, &trails, "\"CloudTrail > Trails\""),
            support: page(None, "support/home#/", "\"Support Center\""),
            missing: first.and_then(|first| missing(first, known)),
        }
    }
}

fn missing(first: &Record, known: Option<&'static Partition>) -> Option<NoLinks> {
    match known {
        Some(known) => known.console(None).is_none().then_some(NoLinks::UnknownConsole),
        None if first.region().is_none() && first.arn().is_none() => Some(NoLinks::NoRegion),
        None => Some(NoLinks::UnknownPartition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::alert::{Match, Origin};
    use filter_pattern::json::Json;

    const ID: &str = "9736d713-1694-4c72-adc5-2513d32702f2";

    fn links(region: Option<&str>, arn: Option<&str>) -> Links {
        let text = serde_json::json!({
            "eventName": "StopLogging", "awsRegion": region, "userIdentity": { "type": "Root", "arn": arn },
        })
        .to_string();
        let record = Record::new(&text, Json::parse(&text).unwrap());
        let found = Match { record, rules: Vec::new(), received: None };
        let origin = Origin { owner: String::new(), log_group: String::new(), log_stream: String::new() };
        Links::new(&Alert::new(origin, vec![found], Vec::new(), &[]).unwrap())
    }

    #[test]
    fn links_are_right_for_the_partition_and_the_region() {
        for (region, own, plain) in [
            ("eu-west-1", "eu-west-1.console.aws.amazon.com", "console.aws.amazon.com"),
            ("us-gov-west-1", "console.amazonaws-us-gov.com", "console.amazonaws-us-gov.com"),
            ("cn-north-1", "console.amazonaws.cn", "console.amazonaws.cn"),
            ("eusc-de-east-1", "console.amazonaws-eusc.eu", "console.amazonaws-eusc.eu"),
        ] {
            let expected = format!("https://{own}/cloudtrailv2/home?region={region}#/events/{ID}");
            assert_eq!(event(region, ID), Some(expected));
            assert!(lookup_command(region, ID).unwrap().contains(&format!(" --region {region} ")));
            let links = links(Some(region), None);
            assert_eq!(links.missing, None);
            assert_eq!(links.trails.to_string(), format!("https://{own}/cloudtrailv2/home?region={region}#/trails"));
            for (page, path) in [
                (links.security_credentials, "iam/home#/security_credentials"),
                (links.users, "iam/home#/users"),
                (links.support, "support/home#/"),
            ] {
                assert_eq!(page.to_string(), format!("https://{plain}/{path}"));
            }
        }
        for (region, id) in [
            ("evil.example/", ID),
            ("xx-west-1", ID),
            ("eu-west-1", "x"),
            ("", ID),
            ("1-800-555-0199", ID),
            ("eu-west-18005550199", ID),
            ("eu-west-1", "1-800-555-0199-1-800-555-0199-abcdef00"),
            ("eu-west-1", "../../../../../../../../../../../../a"),
        ] {
            assert_eq!(event(region, id), None);
            assert_eq!(lookup_command(region, id), None);
        }
        // The event history can be asked for where no console's address is known.
        assert_eq!(event("us-iso-east-1", ID), None);
        assert!(lookup_command("us-iso-east-1", ID).is_some());
    }

    #[test]
    fn without_a_known_partition_nothing_is_linked() {
        let arn = "arn:aws-cn:iam::111122223333:root";
        for (region, of, expected) in [
            (None, None, Err(NoLinks::NoRegion)),
            (None, Some("arn:aws-new:iam::111122223333:root"), Err(NoLinks::UnknownPartition)),
            (Some("xx-west-1"), None, Err(NoLinks::UnknownPartition)),
            // The Region is nearer to what happened than who did it.
            (Some("xx-west-1"), Some(arn), Err(NoLinks::UnknownPartition)),
            (Some("evil.example/"), Some(arn), Err(NoLinks::UnknownPartition)),
            (Some("us-isob-east-1"), None, Err(NoLinks::UnknownConsole)),
            (None, Some(arn), Ok("https://console.amazonaws.cn/cloudtrailv2/home#/trails")),
        ] {
            let links = links(region, of);
            let trails = links.trails.to_string();
            let found = links.missing.map_or_else(|| Ok(trails.as_str()), Err);
            assert_eq!(found, expected, "{region:?} {of:?}");
            let json = serde_json::to_value(&links).unwrap();
            let text = json["trails"].as_str();
            assert_eq!(text, expected.ok());
            if expected.is_err() {
                assert_eq!(links.users.to_string(), "\"IAM > Users\"");
            }
        }
    }
}
