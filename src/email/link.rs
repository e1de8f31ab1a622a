//! Links into the AWS console, right for the partition that a Region belongs to.

use crate::region::{console, is_region};

/// Whether this can be an event id.
pub(super) fn is_event_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// A page of CloudTrail's console that shows one event.
///
/// The form of the address is not documented by AWS. `None` where the Region or the id is not what it should be.
pub(super) fn event(region: &str, event_id: &str) -> Option<String> {
    (is_region(region) && is_event_id(event_id))
        .then(|| format!("https://{}/cloudtrailv2/home?region={region}#/events/{event_id}", console(region)))
}

/// The command that shows one event.
pub(super) fn lookup_command(region: &str, event_id: &str) -> Option<String> {
    (is_region(region) && is_event_id(event_id)).then(|| {
        format!(
            "aws cloudtrail lookup-events --region {region} \
             --lookup-attributes AttributeKey=EventId,AttributeValue={event_id}"
        )
    })
}

/// A page of the console by its path, in the partition of a Region.
fn page(region: Option<&str>, path: &str) -> String {
    match region.filter(|region| is_region(region)) {
        Some(region) if region.starts_with("us-gov-") || region.starts_with("cn-") => {
            format!("https://{}/{path}", console(region))
        }
        _ => format!("https://console.aws.amazon.com/{path}"),
    }
}

/// Where root sees and deletes its own keys, password and MFA.
pub(super) fn security_credentials(region: Option<&str>) -> String {
    page(region, "iam/home#/security_credentials")
}

/// IAM's list of users.
pub(super) fn users(region: Option<&str>) -> String {
    page(region, "iam/home#/users")
}

/// CloudTrail's list of trails, in a Region.
pub(super) fn trails(region: Option<&str>) -> String {
    match region.filter(|region| is_region(region)) {
        Some(region) => format!("https://{}/cloudtrailv2/home?region={region}#/trails", console(region)),
        None => page(None, "cloudtrailv2/home#/trails"),
    }
}

/// AWS Support's centre.
pub(super) fn support(region: Option<&str>) -> String {
    page(region, "support/home#/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_right_for_the_partition_and_the_region() {
        let id = "9736d713-1694-4c72-adc5-2513d32702f2";
        for (region, trails_host, page_host) in [
            ("eu-west-1", "eu-west-1.console.aws.amazon.com", "console.aws.amazon.com"),
            ("us-gov-west-1", "console.amazonaws-us-gov.com", "console.amazonaws-us-gov.com"),
            ("cn-north-1", "console.amazonaws.cn", "console.amazonaws.cn"),
        ] {
            let expected = format!("https://{trails_host}/cloudtrailv2/home?region={region}#/events/{id}");
            assert_eq!(event(region, id), Some(expected));
            assert_eq!(
                trails(Some(region)),
                format!("https://{trails_host}/cloudtrailv2/home?region={region}#/trails")
            );
            assert_eq!(users(Some(region)), format!("https://{page_host}/iam/home#/users"));
        }
        for (region, id) in [
            ("evil.example/", id),
            ("eu-west-1", "x"),
            ("", id),
            ("eu-west-1", "../../../../../../../../../../../../a"),
        ] {
            assert_eq!(event(region, id), None);
            assert_eq!(lookup_command(region, id), None);
        }
        assert_eq!(trails(Some("evil.example/")), "https://console.aws.amazon.com/cloudtrailv2/home#/trails");
    }
}
