//! English.

use std::fmt::Display;

use askama::Template;

use super::{Mail, Words};
use crate::alert::{Access, Category, Signal};
use crate::detail::{Change, Detail, Fact, Label, Opening, Principal, Reach, Traffic, Trusted};
use crate::email::detail::Safe;
use crate::email::link::NoLinks;
use crate::email::related::{Before, History};
use crate::email::step::{NextStep, Step, Whose};
use crate::email::view::{Because, View, Who};
use crate::history::Why;
use crate::incident::{Kind, Reason, Whose as Incident};
use crate::record::Outcome;

#[derive(Template)]
#[template(path = "mail.en.txt")]
struct Text<'a> {
    mail: &'a Mail<'a>,
}

impl Text<'_> {
    /// What to do in one step: a text of its own, so that its words are compiled once and not for each mail.
    fn step(&self, view: &View, next: &NextStep) -> askama::Result<String> {
        Text { mail: &Mail::Step(view, next) }.render()
    }
}

#[derive(Debug)]
pub(super) struct English;

impl Words for English {
    fn code(&self) -> &'static str {
        "en"
    }

    fn mail(&self, mail: &Mail<'_>) -> askama::Result<String> {
        Text { mail }.render()
    }

    fn detail(&self, detail: &Detail<Safe>) -> String {
        let people = |who: &[Trusted<Safe>], left_out| list(who.iter().map(who_words), left_out);
        match detail {
            Detail::AccessKeyCreated { id } => format!("access key {id}"),
            Detail::TemporaryKey { id } => format!("temporary key {id}"),
            Detail::Named { label, values, left_out } => {
                let (one, several) = label_words(*label);
                let one_value = values.len() + left_out == 1;
                let listed = list(values, *left_out);
                match label {
                    Label::Seconds => format!("valid for {listed} {}", if listed == "1" { one } else { several }),
                    Label::Days => format!("{listed} {}", if listed == "1" { one } else { several }),
                    Label::Operation if values.contains(&Safe::Any) => "may do anything".to_owned(),
                    Label::AllowedOrigin if values.contains(&Safe::Any) => "allows browsers from anywhere".to_owned(),
                    _ => format!("{} {listed}", if one_value { one } else { several }),
                }
            }
            Detail::Field { name, values, left_out } => format!("{name} {}", list(values, *left_out)),
            Detail::Launched { count, of } => match of {
                Some(of) => format!("{count} x {of}"),
                None => format!("{count} machines"),
            },
            Detail::Network(opening) => opening_words(opening),
            Detail::Route { to, via } => match via {
                Some(via) => format!("route to {to} through {via}"),
                None => format!("route to {to}"),
            },
            Detail::Trusts { who, left_out } => format!("trusts {}", people(who, *left_out)),
            Detail::Allows { who, left_out } => format!("open to {}", people(who, *left_out)),
            Detail::Unshared { who, left_out } => format!("no longer open to {}", people(who, *left_out)),
            Detail::AllowsEverything { except, conditional } => {
                let what =
                    if *except { "allows everything except what it names" } else { "allows everything (admin rights)" };
                format!("{what}{}", if *conditional { ", under conditions" } else { "" })
            }
            Detail::AllowsServices { services, left_out } => {
                format!("allows everything in {}", list(services, *left_out))
            }
            Detail::Fact { fact } => fact_words(*fact).to_owned(),
            Detail::LeftOut { count } => format!("{count} more not shown"),
        }
    }

    fn asked_for(&self, detail: &str) -> String {
        format!("asked for: {detail}")
    }

    /// Of "created/create an access key", in the past if it was done.
    fn did(&self, words: &str, done: bool) -> Option<String> {
        let (verb, rest) = words.split_once(' ')?;
        let (past, base) = verb.split_once('/')?;
        Some(if done { format!("{past} {rest}") } else { format!("tried to {base} {rest}") })
    }
}

fn list(values: impl IntoIterator<Item = impl Display>, left_out: usize) -> String {
    let values = values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
    if left_out == 0 { values } else { format!("{values} and {left_out} more") }
}

fn opening_words(opening: &Opening<Safe>) -> String {
    let traffic = match &opening.traffic {
        Traffic::All => "all traffic".to_owned(),
        Traffic::Ports { protocol, from, to } => {
            let udp = if protocol.as_str().eq_ignore_ascii_case("udp") { "UDP " } else { "" };
            if from == to { format!("{udp}port {from}") } else { format!("{udp}ports {from}-{to}") }
        }
        Traffic::Protocol { protocol } => {
            let protocol = protocol.to_string().to_ascii_uppercase();
            match &*protocol {
                "TCP" | "UDP" => format!("all {protocol} ports"),
                _ if protocol.bytes().all(|byte| byte.is_ascii_digit()) => format!("protocol {protocol}"),
                _ => format!("all {protocol} traffic"),
            }
        }
        Traffic::Rule { id } => format!("rule {id}"),
    };
    let what = match opening.change {
        Change::Open => traffic,
        Change::Close => format!("no longer {traffic}"),
        Change::Deny => format!("denies {traffic}"),
    };
    if opening.peers.is_empty() {
        return what;
    }
    let side = if opening.outbound { "to" } else { "from" };
    let reach = match (opening.reach, opening.change) {
        (Reach::Anyone, Change::Open) if opening.outbound => " (anywhere)",
        (Reach::Anyone, Change::Open) => " (anyone)",
        (Reach::Wide, Change::Open) => " (much of the internet)",
        _ => "",
    };
    format!("{what} {side} {}{reach}", list(&opening.peers, opening.left_out))
}

fn who_words(trusted: &Trusted<Safe>) -> String {
    let who = match &trusted.who {
        Principal::Anyone => "anyone".to_owned(),
        Principal::AnyAwsAccount => "any AWS account".to_owned(),
        Principal::AnyoneBut => "anyone except those it names".to_owned(),
        Principal::Account { id, own: true } => format!("account {id} (this one)"),
        Principal::Account { id, own: false } => format!("account {id}"),
        Principal::Identity { id } | Principal::Organization { id } => id.to_string(),
        Principal::Service { name } => name.to_string(),
        Principal::Federated { provider } => format!("users of {provider}"),
    };
    if trusted.conditional { format!("{who} (with conditions)") } else { who }
}

/// What values are: for one and for several.
fn label_words(label: Label) -> (&'static str, &'static str) {
    match label {
        Label::Account => ("account", "accounts"),
        Label::Address => ("IP address", "IP addresses"),
        Label::Allocation => ("allocation", "allocations"),
        Label::AllowedOrigin => ("allows browsers from", "allows browsers from"),
        Label::Api => ("API", "APIs"),
        Label::Application => ("app", "apps"),
        Label::Caller => ("from", "from"),
        Label::Capability => ("with", "with"),
        Label::Certificate => ("certificate", "certificates"),
        Label::Cluster => ("cluster", "clusters"),
        Label::CodeFrom => ("code from", "code from"),
        Label::Command => ("command", "commands"),
        Label::ConnectsTo => ("on", "on"),
        Label::CopiesTo => ("copies to", "copies to"),
        Label::CopyOf => ("copy of", "copies of"),
        Label::Database => ("database", "databases"),
        Label::Days => ("day", "days"),
        Label::Destination => ("sends to", "sends to"),
        Label::Distribution => ("distribution", "distributions"),
        Label::DnsName => ("name", "names"),
        Label::DnsTarget => ("points to", "points to"),
        Label::Document => ("document", "documents"),
        Label::Domain => ("domain", "domains"),
        Label::Endpoint => ("endpoint", "endpoints"),
        Label::ExceptSource => ("leaves out", "leaves out"),
        Label::Fleet => ("fleet", "fleets"),
        Label::FlowLog => ("flow log", "flow logs"),
        Label::Function => ("function", "functions"),
        Label::Grant => ("grant", "grants"),
        Label::Group => ("group", "groups"),
        Label::Id => ("id", "ids"),
        Label::Image => ("image", "images"),
        Label::Instance => ("instance", "instances"),
        Label::InstanceProfile => ("instance profile", "instance profiles"),
        Label::InstanceType => ("instance type", "instance types"),
        Label::Key => ("KMS key", "KMS keys"),
        Label::KeyPair => ("key pair", "key pairs"),
        Label::Layer => ("layer", "layers"),
        Label::LoadBalancer => ("load balancer", "load balancers"),
        Label::MadeFrom => ("made from", "made from"),
        Label::MfaDevice => ("MFA device", "MFA devices"),
        Label::Name => ("name", "names"),
        Label::Network => ("from", "from"),
        Label::NetworkAcl => ("network ACL", "network ACLs"),
        Label::NetworkInterface => ("network interface", "network interfaces"),
        Label::Notebook => ("notebook", "notebooks"),
        Label::Off => ("off:", "off:"),
        Label::OidcClient => ("for client", "for clients"),
        Label::Operation => ("may", "may"),
        Label::PeerAccount => ("with account", "with accounts"),
        Label::PeerVpc => ("with VPC", "with VPCs"),
        Label::PeeringConnection => ("peering connection", "peering connections"),
        Label::PermissionSet => ("permission set", "permission sets"),
        Label::Policy => ("policy", "policies"),
        Label::Pool => ("pool", "pools"),
        Label::Protocol => ("by", "by"),
        Label::Provider => ("identity provider", "identity providers"),
        Label::Queue => ("queue", "queues"),
        Label::Reads => ("records only", "records only"),
        Label::RedirectsTo => ("redirects to", "redirects to"),
        Label::Resource => ("resource", "resources"),
        Label::Role => ("role", "roles"),
        Label::RouteTable => ("route table", "route tables"),
        Label::RunsAs => ("runs as", "runs as"),
        Label::Seconds => ("second", "seconds"),
        Label::Secret => ("secret", "secrets"),
        Label::SecurityGroup => ("security group", "security groups"),
        Label::SecurityGroupRule => ("security group rule", "security group rules"),
        Label::Server => ("server", "servers"),
        Label::ServiceCredential => ("credential", "credentials"),
        Label::Session => ("session", "sessions"),
        Label::SetTo => ("set to", "set to"),
        Label::Setting => ("setting", "settings"),
        Label::Share => ("share", "shares"),
        Label::SigningCertificate => ("signing certificate", "signing certificates"),
        Label::Snapshot => ("snapshot", "snapshots"),
        Label::SourceRegion => ("from", "from"),
        Label::SpotRequest => ("spot request", "spot requests"),
        Label::SshKey => ("SSH key", "SSH keys"),
        Label::Stack => ("stack", "stacks"),
        Label::Subscription => ("subscription", "subscriptions"),
        Label::Target => ("target", "targets"),
        Label::Task => ("task", "tasks"),
        Label::TaskDefinition => ("task definition", "task definitions"),
        Label::TrustAnchor => ("trust anchor", "trust anchors"),
        Label::User => ("user", "users"),
        Label::Version => ("version", "versions"),
        Label::Volume => ("disk", "disks"),
        Label::Workspace => ("WorkSpace", "WorkSpaces"),
    }
}

fn fact_words(fact: Fact) -> &'static str {
    match fact {
        Fact::AnyAccountRead => "any AWS account can read it",
        Fact::Everyone => "open to every user of the directory",
        Fact::ExternalPrincipals => "accounts outside the organization allowed",
        Fact::InternetAccess => "with internet access",
        Fact::InternetFacing => "internet-facing",
        Fact::MasterPassword => "master password set",
        Fact::Public => "publicly accessible",
        Fact::PublicEndpoint => "public API endpoint",
        Fact::PublicIp => "public IP address",
        Fact::PublicRead => "anyone can read it",
        Fact::PublicReadWrite => "anyone can read and change it",
        Fact::SignedUrl => "a URL that signs in whoever has it",
        Fact::UrlWithoutAuthentication => "URL without authentication, anyone can call it",
        Fact::UserData => "start-up script (user data)",
    }
}
