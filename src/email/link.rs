//! Links into the AWS console, right for the partition that a Region belongs to.

/// The partition that a Region belongs to, and the console host that goes with it.
fn console(region: &str) -> String {
    if region.starts_with("us-gov-") {
        "console.amazonaws-us-gov.com".to_owned()
    } else if region.starts_with("cn-") {
        "console.amazonaws.cn".to_owned()
    } else {
        format!("{region}.console.aws.amazon.com")
    }
}

/// Whether this can be a Region's name, and so part of a host name.
fn is_region(text: &str) -> bool {
    text.len() <= 32
        && text.contains('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

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

/// CloudTrail's list of trails.
pub(super) fn trails(region: Option<&str>) -> String {
    page(region, "cloudtrailv2/home#/trails")
}

/// AWS Support's centre.
pub(super) fn support(region: Option<&str>) -> String {
    page(region, "support/home#/")
}
