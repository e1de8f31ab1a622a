//! The name of a Region, and what goes with it: the partition's console and the Region that records global services.

/// Whether this can be a Region's name, and so part of a host name.
#[must_use]
pub fn is_region(text: &str) -> bool {
    text.len() <= 32
        && text.contains('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The console's host for a Region.
#[must_use]
pub fn console(region: &str) -> String {
    if region.starts_with("us-gov-") {
        "console.amazonaws-us-gov.com".to_owned()
    } else if region.starts_with("cn-") {
        "console.amazonaws.cn".to_owned()
    } else {
        format!("{region}.console.aws.amazon.com")
    }
}

/// The Region in which CloudTrail records IAM, STS and sign-in, of the partition that a Region belongs to.
///
/// Source: CloudTrail User Guide, "Global service events": us-east-1 since November 2021. For the other partitions it is
/// where their IAM endpoint is.
#[must_use]
pub fn global(region: &str) -> &'static str {
    if region.starts_with("us-gov-") {
        "us-gov-west-1"
    } else if region.starts_with("cn-") {
        "cn-north-1"
    } else {
        "us-east-1"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_knows_its_partition() {
        for (region, host, home) in [
            ("eu-west-1", "eu-west-1.console.aws.amazon.com", "us-east-1"),
            ("us-east-1", "us-east-1.console.aws.amazon.com", "us-east-1"),
            ("us-gov-east-1", "console.amazonaws-us-gov.com", "us-gov-west-1"),
            ("cn-northwest-1", "console.amazonaws.cn", "cn-north-1"),
        ] {
            assert_eq!((console(region).as_str(), global(region)), (host, home));
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_region() {
        for text in ["", "useast1", "eu-west-1.evil.example", "eu-west-1/", "EU-WEST-1", "eu-west-1@x", "eu west-1"] {
            assert!(!is_region(text), "{text}");
        }
        assert!(is_region("ap-southeast-7"));
    }
}
