//! Partitions: to which one a Region or an ARN belongs, and what goes with it.
//!
//! In a partition that is not in this table nothing is known: there is no link, no look-up, and the mail says why.

use std::fmt;

/// A group of Regions with accounts, IAM and a console of its own.
///
/// Source, where nothing else is said: `partitions.json` and the endpoint rules of IAM in botocore 1.44.8.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its name, the second part of its ARNs: `aws-us-gov`.
    pub id: &'static str,
    /// What its Regions' names begin with, up to the last two parts: `us-gov` of `us-gov-west-1`.
    prefixes: &'static [&'static str],
    /// Where its console is; `None` where no public source says.
    console: Option<Console>,
    /// The Region that records IAM, STS and sign-in: where IAM's endpoint is.
    ///
    /// Source for `aws`: CloudTrail User Guide, "Global service events", since November 2021.
    pub home: &'static str,
    /// What its services' host names end with: `amazonaws.com`.
    pub dns_suffix: &'static str,
    /// What root can do.
    pub root: Root,
}

/// Where a console is.
#[derive(Debug, PartialEq, Eq)]
struct Console {
    domain: &'static str,
    /// Each Region has a host of its own below the domain.
    regional: bool,
}

/// What root can do in a partition. `false` is also what nobody has documented.
#[derive(Debug, PartialEq, Eq)]
pub struct Root {
    /// How root's own credentials work.
    pub credentials: Credentials,
    /// `aws login` gives root a session for the command line, which `aws signin` can list and revoke.
    pub aws_login: bool,
    /// An organization can act as a member account's root, and delete its credentials (`sts:AssumeRoot`).
    pub central_access: bool,
}

/// How root's own credentials work in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// Root signs in to the console with a password, and can have access keys.
    Password,
    /// Root can have access keys only; its console takes IAM users.
    ///
    /// Source: AWS GovCloud (US) User Guide, "Signing in to AWS GovCloud (US)".
    KeysOnly,
    /// There is no root user: whoever made the account is an IAM user.
    ///
    /// Source: Getting Started with Amazon Web Services in China, "Amazon Identity and Access Management".
    NoRoot,
    /// Not published.
    Unknown,
}

const PASSWORD: Root = Root { credentials: Credentials::Password, aws_login: false, central_access: false };
const UNKNOWN: Root = Root { credentials: Credentials::Unknown, ..PASSWORD };

/// Every partition that is known.
static PARTITIONS: [Partition; 8] = [
    Partition {
        id: "aws",
        prefixes: &["us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"],
        // AWS General Reference, "AWS Management Console endpoints and quotas".
        console: Some(Console { domain: "console.aws.amazon.com", regional: true }),
        home: "us-east-1",
        dns_suffix: "amazonaws.com",
        root: Root { aws_login: true, central_access: true, ..PASSWORD },
    },
    Partition {
        id: "aws-us-gov",
        prefixes: &["us-gov"],
        console: Some(Console { domain: "console.amazonaws-us-gov.com", regional: false }),
        home: "us-gov-west-1",
        dns_suffix: "amazonaws.com",
        root: Root { credentials: Credentials::KeysOnly, ..PASSWORD },
    },
    Partition {
        id: "aws-cn",
        prefixes: &["cn"],
        console: Some(Console { domain: "console.amazonaws.cn", regional: false }),
        // "IAM control plane" in the guide named above; botocore's first Region of the partition is another one.
        home: "cn-north-1",
        dns_suffix: "amazonaws.com.cn",
        root: Root { credentials: Credentials::NoRoot, ..PASSWORD },
    },
    Partition {
        id: "aws-eusc",
        prefixes: &["eusc-de"],
        // Its sign-in is at amazonaws-eusc.eu in botocore; the console's host is what tools that open it use.
        console: Some(Console { domain: "console.amazonaws-eusc.eu", regional: false }),
        home: "eusc-de-east-1",
        dns_suffix: "amazonaws.eu",
        root: PASSWORD,
    },
    Partition {
        id: "aws-iso",
        prefixes: &["us-iso"],
        console: None,
        home: "us-iso-east-1",
        dns_suffix: "c2s.ic.gov",
        root: UNKNOWN,
    },
    Partition {
        id: "aws-iso-b",
        prefixes: &["us-isob"],
        console: None,
        home: "us-isob-east-1",
        dns_suffix: "sc2s.sgov.gov",
        root: UNKNOWN,
    },
    Partition {
        id: "aws-iso-e",
        prefixes: &["eu-isoe"],
        console: None,
        home: "eu-isoe-west-1",
        dns_suffix: "cloud.adc-e.uk",
        root: UNKNOWN,
    },
    Partition {
        id: "aws-iso-f",
        prefixes: &["us-isof"],
        console: None,
        home: "us-isof-south-1",
        dns_suffix: "csp.hci.ic.gov",
        root: UNKNOWN,
    },
];

impl Partition {
    /// The console's host; of a Region, where the partition has one for each.
    ///
    /// `region` must be of this partition: see [`partition`].
    #[must_use]
    pub fn console(&self, region: Option<&str>) -> Option<String> {
        let console = self.console.as_ref()?;
        Some(match region.filter(|_| console.regional) {
            Some(region) => format!("{region}.{}", console.domain),
            None => console.domain.to_owned(),
        })
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// The partition of a Region, which makes its name safe as a part of a host's name; `None` if there is none known.
#[must_use]
pub fn partition(region: &str) -> Option<&'static Partition> {
    let mut parts = region.rsplitn(3, '-');
    let (number, place, prefix) = (parts.next()?, parts.next()?, parts.next()?);
    let is = |text: &str, of: fn(&u8) -> bool| (1..=16).contains(&text.len()) && text.bytes().all(|byte| of(&byte));
    // Longer, and a phone would offer to dial it.
    let named = number.len() <= 2 && is(number, u8::is_ascii_digit) && is(place, u8::is_ascii_lowercase);
    PARTITIONS.iter().find(|partition| named && partition.prefixes.contains(&prefix))
}

/// The partition that an ARN names; `None` if it is no ARN or that partition is not known.
#[must_use]
pub(crate) fn partition_of_arn(arn: &str) -> Option<&'static Partition> {
    let id = arn.strip_prefix("arn:")?.split(':').next()?;
    PARTITIONS.iter().find(|partition| partition.id == id)
}

/// Whether this is the host name of an AWS service in any partition, `iam.amazonaws.com`. Only one label may stand
/// before AWS's own: others can be a customer's, as in `name.s3.amazonaws.com`.
#[must_use]
pub(crate) fn is_service_host(text: &str) -> bool {
    let label = |partition: &Partition| text.strip_suffix(partition.dns_suffix)?.strip_suffix('.');
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    PARTITIONS.iter().filter_map(label).any(|label| (1..=63).contains(&label.len()) && label.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_knows_its_partition() {
        for (region, id, host, home) in [
            ("eu-west-1", "aws", Some("eu-west-1.console.aws.amazon.com"), "us-east-1"),
            ("us-east-1", "aws", Some("us-east-1.console.aws.amazon.com"), "us-east-1"),
            ("ap-southeast-7", "aws", Some("ap-southeast-7.console.aws.amazon.com"), "us-east-1"),
            ("mx-central-1", "aws", Some("mx-central-1.console.aws.amazon.com"), "us-east-1"),
            ("us-gov-east-1", "aws-us-gov", Some("console.amazonaws-us-gov.com"), "us-gov-west-1"),
            ("cn-northwest-1", "aws-cn", Some("console.amazonaws.cn"), "cn-north-1"),
            ("eusc-de-east-1", "aws-eusc", Some("console.amazonaws-eusc.eu"), "eusc-de-east-1"),
            ("us-iso-west-1", "aws-iso", None, "us-iso-east-1"),
            ("us-isob-west-1", "aws-iso-b", None, "us-isob-east-1"),
            ("eu-isoe-west-1", "aws-iso-e", None, "eu-isoe-west-1"),
            ("us-isof-east-1", "aws-iso-f", None, "us-isof-south-1"),
        ] {
            let partition = partition(region).unwrap();
            assert_eq!((partition.id, partition.home), (id, home), "{region}");
            assert_eq!(partition.console(Some(region)).as_deref(), host, "{region}");
            assert_eq!(partition_of_arn(&format!("arn:{id}:iam::111122223333:root")), Some(partition));
        }
    }

    #[test]
    fn a_home_is_a_region_of_its_own_partition() {
        for known in &PARTITIONS {
            assert_eq!(partition(known.home), Some(known), "{known}");
        }
    }

    #[test]
    fn what_could_lead_elsewhere_or_is_not_known_has_no_partition() {
        for text in [
            "",
            "-",
            "--",
            "useast1",
            "east-1",
            "eu-west-",
            "eu--1",
            "eu-west-1.evil.example",
            "eu-west-1/",
            "EU-WEST-1",
            "eu-west-1@x",
            "eu west-1",
            "eu-west-x",
            "evil.example/-west-1",
            "us-new-west-1",
            "us-isox-east-1",
            "eusc-fr-west-1",
            "xx-west-1",
            "us-gov-gov-west-1",
            "aws-global",
        ] {
            assert_eq!(partition(text), None, "{text}");
        }
        for arn in ["", "arn", "arn:", "arn:aws-new:iam::1:root", "aws:iam", "arn:aws.evil.example:iam::1:root"] {
            assert_eq!(partition_of_arn(arn), None, "{arn}");
        }
    }

    #[test]
    fn a_service_is_one_label_before_a_partitions_suffix() {
        for host in
            ["iam.amazonaws.com", "s3.amazonaws.com.cn", "signin.amazonaws.eu", "iam.c2s.ic.gov", "ec2.cloud.adc-e.uk"]
        {
            assert!(is_service_host(host), "{host}");
        }
        for host in [
            "",
            ".amazonaws.com",
            "amazonaws.com",
            "evilamazonaws.com",
            "name.s3.amazonaws.com",
            "iam.amazonaws.com.evil.example",
            "IAM.amazonaws.com",
            "a_b.amazonaws.com",
            "iam.ic.gov",
        ] {
            assert!(!is_service_host(host), "{host}");
        }
    }
}
