//! Batches that somebody who is root could cause, or who can write to the log group: what makes a function slow that
//! compares each with each, keeps all there is, or trusts a length.
//!
//! Accounts, keys and addresses are the ones that AWS's documentation uses.

use std::fmt::Write as _;

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";

/// A kind of batch.
#[derive(Clone, Copy)]
pub struct Shape {
    /// What it is.
    pub name: &'static str,
    /// The function's settings that make it cost most.
    pub vars: &'static [(&'static str, &'static str)],
    /// What its log events say.
    pub message: Message,
}

/// The message of a log event, by its number.
#[derive(Clone, Copy)]
pub enum Message {
    /// As many as there is room for.
    Short(fn(usize) -> String),
    /// By its length too: that of the longest stands before it.
    Long(usize, fn(usize, usize) -> String),
}

impl Shape {
    const fn with(self, vars: &'static [(&'static str, &'static str)]) -> Self {
        Self { vars, ..self }
    }

    /// The message of this number, as long as it gets.
    pub fn message(&self, number: usize) -> String {
        match self.message {
            Message::Short(message) => message(number),
            Message::Long(most, message) => message(number, most),
        }
    }
}

const ALL: &[(&str, &str)] = &[("RULES", "root-usage,cis")];
const JAPANESE: &[(&str, &str)] = &[("ALERT_LANGUAGE", "ja"), ("MASK_ACCESS_KEYS", "true")];
/// The regular expressions that an operator might write, and that are expensive where each place is tried.
const REGEX: &[(&str, &str)] =
    &[("RULE_PATTERN", "{ $.userAgent = %a.*b.*c.*d.*e$% || $.requestParameters.name = %x*x*x*x*y$% }")];

/// Every shape.
pub const SHAPES: [Shape; 29] = [
    many("reads of one session", |n| Event::of(n, "iam", "ListUsers").reads().json()),
    many("distinct users made", |n| made(n, "user")),
    many("the same in Japanese", |n| made(n, "user")).with(JAPANESE),
    many("distinct actions", |n| Event::of(n, "iam", &format!("Do{n}")).json()),
    many("distinct services", |n| Event::of(n, &format!("s{n}"), "Do").json()),
    many("distinct Regions", |n| Event::user(n).region(&format!("r-{n}")).json()),
    many("distinct errors", |n| Event::user(n).error(&format!("E{n}")).json()),
    many("distinct sessions", |n| Event::user(n).created(n).json()),
    many("distinct keys", |n| Event::user(n).key(&format!("AKIA{n:016}")).json()),
    many("distinct accounts", |n| Event::user(n).account(n).json()),
    many("distinct addresses", |n| Event::user(n).address(n).json()),
    many("nothing alike", unlike),
    many("sign-ins and sessions at one second", signed_in),
    many("failed sign-ins, distinct accounts and addresses", failed),
    many("AssumeRoot calls and their sessions", central),
    many("distinct IAM users, all rules", iam_user).with(ALL),
    many("one record again and again", |_| made(0, "user")),
    many("the smallest record", |n| format!(r#"{{"userIdentity":{{"type":"Root"}},"eventID":"{n}"}}"#)),
    many("broken JSON", |n| format!(r#"{{"userIdentity":{{"type":"Root"}},"eventID":"{n}""#)),
    many("names of 2 KB", |n| made(n, &"x".repeat(2_000))),
    long("names of 200 KB", 200_000, |n, bytes| made(n, &"x".repeat(bytes))),
    long("names of 200 KB like links", 13_000, |n, times| made(n, &"a.b://c.d@e.co/".repeat(times))),
    long("names of 200 KB like telephone numbers", 15_000, |n, times| made(n, &"+1 (800) 555-".repeat(times))),
    long("every field of 20 KB", 4_000, long_fields),
    long("126 levels of arrays around 500 KB", 250_000, nested),
    long("objects of 10,000 keys", 10_000, wide),
    long("two policies of 50 KB", 400, policies),
    long("security groups of 1,000 networks", 1_000, networks),
    long("200 KB against an operator's regular expressions", 200_000, for_regex).with(REGEX),
];

const fn many(name: &'static str, message: fn(usize) -> String) -> Shape {
    Shape { name, vars: &[], message: Message::Short(message) }
}

const fn long(name: &'static str, most: usize, message: fn(usize, usize) -> String) -> Shape {
    Shape { name, vars: &[], message: Message::Long(most, message) }
}

/// One record, with what is asked of it.
struct Event {
    id: usize,
    account: String,
    created: usize,
    key: String,
    source: String,
    action: String,
    region: String,
    address: String,
    agent: String,
    parameters: String,
    more: String,
    read_only: bool,
}

impl Event {
    fn of(id: usize, source: &str, action: &str) -> Self {
        Self {
            id,
            account: "111122223333".to_owned(),
            created: 0,
            key: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            source: source.to_owned(),
            action: action.to_owned(),
            region: "us-east-1".to_owned(),
            address: "198.51.100.77".to_owned(),
            agent: AGENT.to_owned(),
            parameters: "null".to_owned(),
            more: r#","sessionCredentialFromConsole":"true""#.to_owned(),
            read_only: false,
        }
    }

    fn user(id: usize) -> Self {
        Self::of(id, "iam", "CreateUser")
    }

    fn reads(self) -> Self {
        Self { read_only: true, ..self }
    }

    fn region(self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self }
    }

    fn error(mut self, code: &str) -> Self {
        let _ = write!(self.more, r#","errorCode":"{code}""#);
        self
    }

    /// When the session began, in seconds of a day.
    fn created(self, created: usize) -> Self {
        Self { created, ..self }
    }

    fn key(self, key: &str) -> Self {
        Self { key: key.to_owned(), more: String::new(), ..self }
    }

    fn account(self, n: usize) -> Self {
        Self { account: format!("{n:012}"), ..self }
    }

    fn address(self, n: usize) -> Self {
        Self { address: format!("2001:db8::{:x}:{:x}", n >> 16, n & 0xffff), ..self }
    }

    fn parameters(self, parameters: String) -> Self {
        Self { parameters, ..self }
    }

    fn json(&self) -> String {
        let Self { id, account, key, source, action, region, address, agent, parameters, more, read_only, .. } = self;
        let [time, created] = [*id, self.created].map(|seconds| {
            let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
            format!("2026-11-20T{hours:02}:{minutes:02}:{seconds:02}Z")
        });
        format!(
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"Root","principalId":"{account}","arn":"arn:aws:iam::{account}:root","accountId":"{account}","accessKeyId":"{key}","sessionContext":{{"attributes":{{"creationDate":"{created}","mfaAuthenticated":"true"}}}}}},"eventTime":"{time}","eventSource":"{source}.amazonaws.com","eventName":"{action}","awsRegion":"{region}","sourceIPAddress":"{address}","userAgent":"{agent}","requestParameters":{parameters},"responseElements":null,"eventID":"00000000-0000-4000-8000-{id:012}","readOnly":{read_only},"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{account}","eventCategory":"Management"{more}}}"#
        )
    }
}

fn made(n: usize, name: &str) -> String {
    Event::user(n).parameters(format!(r#"{{"userName":"{n}{name}"}}"#)).json()
}

/// Each by somebody else, from somewhere else, and something else.
fn unlike(n: usize) -> String {
    let event = Event::of(n, &format!("s{n}"), &format!("Do{n}")).account(n).address(n).created(n);
    event.key(&format!("AKIA{n:016}")).region(&format!("r-{n}")).json()
}

/// The sign-in page's own event, which has no session.
fn page(n: usize, account: &str, address: &str, outcome: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"Root","accountId":"{account}"}},"eventTime":"2026-11-20T02:47:09Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","awsRegion":"us-east-1","sourceIPAddress":"{address}","userAgent":"{AGENT}","responseElements":{{"ConsoleLogin":"{outcome}"}},"additionalEventData":{{"MFAUsed":"No"}},"eventID":"page-{n}","eventType":"AwsConsoleSignIn","recipientAccountId":"{account}"}}"#
    )
}

fn signed_in(n: usize) -> String {
    if n.is_multiple_of(2) {
        page(n, "111122223333", &format!("2001:db8::{n:x}"), "Success")
    } else {
        Event::of(n, "iam", "CreateUser").created(2 * 3600 + 47 * 60 + 9 + n % 7).json()
    }
}

fn failed(n: usize) -> String {
    page(n, &format!("{n:012}"), &format!("2001:db8:{:x}:{:x}::1", n >> 16, n & 0xffff), "Failure")
}

fn central(n: usize) -> String {
    let key = format!("ASIA{:016}", n / 2);
    if n.is_multiple_of(2) {
        format!(
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::444455556666:user/u{n}","accountId":"444455556666"}},"eventTime":"2026-11-20T02:47:09Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRoot","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.77","requestParameters":{{"targetPrincipal":"111122223333","taskPolicyArn":{{"arn":"arn:aws:iam::aws:policy/root-task/IAMAuditRootUserCredentials"}}}},"responseElements":{{"credentials":{{"accessKeyId":"{key}"}}}},"eventID":"call-{n}","recipientAccountId":"444455556666"}}"#
        )
    } else {
        Event::of(n, "iam", "DeleteLoginProfile").created(n).key(&key).json()
    }
}

fn iam_user(n: usize) -> String {
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","principalId":"AIDA{n}","arn":"arn:aws:iam::111122223333:user/u{n}","accountId":"111122223333","userName":"u{n}"}},"eventTime":"2026-11-20T02:47:09Z","eventSource":"iam.amazonaws.com","eventName":"CreatePolicy","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.77","userAgent":"{AGENT}","requestParameters":{{"policyName":"p{n}"}},"eventID":"{n}","recipientAccountId":"111122223333"}}"#
    )
}

fn long_fields(n: usize, times: usize) -> String {
    let text = |field: &str| format!("{n}-{field}-{}", "é.co ".repeat(times));
    let mut event = Event::of(n, &text("source"), &text("action")).region(&text("region")).error(&text("error"));
    (event.address, event.agent, event.account) = (text("address"), text("agent"), text("account"));
    let names = ["userName", "roleName", "policyArn", "bucketName"].map(|name| format!(r#""{name}":"{}""#, text(name)));
    event.parameters(format!("{{{}}}", names.join(","))).json()
}

fn nested(n: usize, items: usize) -> String {
    let (open, close) = ("[".repeat(126), "]".repeat(126));
    format!(r#"{{"userIdentity":{{"type":"Root"}},"eventID":"{n}","x":{open}1{}{close}}}"#, ",1".repeat(items - 1))
}

fn wide(n: usize, keys: usize) -> String {
    let keys = (0..keys).fold(String::new(), |mut text, key| {
        let _ = write!(text, r#","k{key}":{key}"#);
        text
    });
    Event::of(n, "iam", "CreateRole").parameters(format!(r#"{{"roleName":"r{n}"{keys}}}"#)).json()
}

fn policies(n: usize, statements: usize) -> String {
    let statement = |each| {
        let principal = format!(r#"{{\"AWS\":\"arn:aws:iam::{each:012}:root\"}}"#);
        format!(r#"{{\"Effect\":\"Allow\",\"Principal\":{principal},\"Action\":\"*\",\"Resource\":\"*\"}}"#)
    };
    let statements = (0..statements).map(statement).collect::<Vec<_>>().join(",");
    let document = format!(r#"{{\"Version\":\"2012-10-17\",\"Statement\":[{statements}]}}"#);
    let parameters =
        format!(r#"{{"roleName":"r{n}","assumeRolePolicyDocument":"{document}","policyDocument":"{document}"}}"#);
    Event::of(n, "iam", "CreateRole").parameters(parameters).json()
}

fn networks(n: usize, networks: usize) -> String {
    let network = |each| format!(r#"{{"cidrIp":"10.{}.{}.0/24"}}"#, each / 250, each % 250);
    let networks = (0..networks).map(network).collect::<Vec<_>>().join(",");
    let rule = format!(r#"{{"ipProtocol":"tcp","fromPort":22,"toPort":22,"ipRanges":{{"items":[{networks}]}}}}"#);
    let parameters = format!(r#"{{"groupId":"sg-{n}","ipPermissions":{{"items":[{rule}]}}}}"#);
    Event::of(n, "ec2", "AuthorizeSecurityGroupIngress").parameters(parameters).json()
}

fn for_regex(n: usize, bytes: usize) -> String {
    let event = Event { agent: "abcd".repeat(bytes / 4), ..Event::user(n) };
    event.parameters(format!(r#"{{"name":"{}"}}"#, "x".repeat(bytes))).json()
}
