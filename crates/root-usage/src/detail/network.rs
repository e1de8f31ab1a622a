//! Ports and networks: what a security group, a network ACL, a route or a Lightsail firewall lets through.

use std::fmt;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::field::{at, get, is_true, items_at};
use super::{Call, Detail, VALUES_MAX, net, value};
use filter_pattern::json::Json;

/// The most openings of one record that are kept one by one.
const OPENINGS_MAX: usize = 6;

/// Traffic that is let through, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Opening<T = Box<str>> {
    /// Let through or not.
    pub change: Change,
    /// It is about what goes out, not what comes in.
    pub outbound: bool,
    /// What traffic.
    pub traffic: Traffic<T>,
    /// From where, or to where if it goes out: at most [`VALUES_MAX`]. Empty where a request names only the rule's id.
    pub peers: Vec<Peer<T>>,
    /// How many more there are.
    pub left_out: usize,
    /// How much of the internet is among them.
    pub reach: Reach,
}

/// What is done about traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Let through.
    Open,
    /// No longer let through.
    Close,
    /// Refused by a rule of its own.
    Deny,
}

/// How much of the internet can be on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Certain networks or groups.
    Some,
    /// A network of 2^25 addresses of IPv4 or more (`0.0.0.0/1`), or 2^112 of IPv6.
    Wide,
    /// Every address.
    Anyone,
}

/// What traffic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", tag = "type")]
pub enum Traffic<T = Box<str>> {
    /// All of it.
    All,
    /// Ports.
    Ports {
        /// `tcp`, `udp`
        protocol: T,
        /// The first.
        from: u16,
        /// The last.
        to: u16,
    },
    /// A protocol without ports, or all ports of one.
    Protocol {
        /// `icmp`, `tcp`, a number
        protocol: T,
    },
    /// A rule that is named by its id.
    Rule {
        /// `sgr-0123456789abcdef0`
        id: T,
    },
}

/// The other side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Peer<T = Box<str>> {
    /// Addresses.
    Net(IpNet),
    /// A security group or prefix list, by its id, or a network that can't be read.
    Named(T),
}

impl<T: fmt::Display> fmt::Display for Peer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Named(name) => name.fmt(f),
        }
    }
}

impl<T: Serialize> Serialize for Peer<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Net(net) => serializer.collect_str(net),
            Self::Named(name) => name.serialize(serializer),
        }
    }
}

impl Traffic {
    /// The text that it holds.
    pub(super) fn protocol(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Ports { protocol, .. } | Self::Protocol { protocol } => Some(protocol),
            Self::Rule { id } => Some(id),
        }
    }

    /// From a protocol by name or number (`-1` and `all` are all of them) and ports, where there are any.
    fn new(protocol: &str, from: Option<&str>, to: Option<&str>) -> Option<Self> {
        let protocol = match protocol {
            "-1" | "all" => return Some(Self::All),
            "6" => "tcp",
            "17" => "udp",
            "1" => "icmp",
            "58" => "icmpv6",
            other => other,
        };
        let port = |text: Option<&str>| text?.parse::<u16>().ok();
        let ports = port(from).zip(port(to).or(port(from))).filter(|ports| *ports != (0, u16::MAX));
        // ICMP has types and codes in the same fields.
        let ports = ports.filter(|_| ["tcp", "udp"].iter().any(|name| protocol.eq_ignore_ascii_case(name)));
        let protocol = value(protocol)?;
        Some(match ports {
            Some((from, to)) => Self::Ports { protocol, from, to },
            None => Self::Protocol { protocol },
        })
    }
}

impl Peer {
    pub(super) fn new(text: &str) -> Option<Self> {
        Some(net(text).map_or(Self::Named(value(text)?), Self::Net))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Net(_) => None,
            Self::Named(name) => Some(name),
        }
    }

    fn reach(&self) -> Reach {
        match self {
            Self::Net(net) if net.prefix_len() == 0 => Reach::Anyone,
            Self::Net(IpNet::V4(net)) if net.prefix_len() < 8 => Reach::Wide,
            Self::Net(IpNet::V6(net)) if net.prefix_len() < 17 => Reach::Wide,
            Self::Net(_) | Self::Named(_) => Reach::Some,
        }
    }
}

/// Openings of one record: peers of the same traffic together.
struct Openings {
    change: Change,
    outbound: bool,
    list: Vec<Opening>,
    left_out: usize,
}

impl Openings {
    fn add<'r>(&mut self, traffic: Option<Traffic>, peers: impl Iterator<Item = &'r str>) {
        let Some(traffic) = traffic else { return };
        let known = self.list.iter().position(|opening| opening.traffic == traffic);
        let mut opening = match known {
            Some(index) => self.list.swap_remove(index),
            None => {
                let (change, outbound) = (self.change, self.outbound);
                Opening { change, outbound, traffic, peers: Vec::new(), left_out: 0, reach: Reach::Some }
            }
        };
        for peer in peers.filter_map(Peer::new) {
            opening.reach = opening.reach.max(peer.reach());
            if opening.peers.contains(&peer) {
                continue;
            }
            if opening.peers.len() < VALUES_MAX {
                opening.peers.push(peer);
            } else {
                // The widest stay: a list of small networks must not hide the one that is everyone.
                let narrow = opening.peers.iter().position(|kept| kept.reach() < peer.reach());
                if let Some(narrow) = narrow {
                    opening.peers[narrow] = peer;
                }
                opening.left_out += 1;
            }
        }
        if known.is_some() || self.list.len() < OPENINGS_MAX {
            return self.list.push(opening);
        }
        self.left_out += 1;
        if let Some(narrow) = self.list.iter_mut().find(|kept| kept.reach < opening.reach) {
            *narrow = opening;
        }
    }

    fn details(mut self, found: &mut Vec<Detail>) {
        let port = |opening: &Opening| match opening.traffic {
            Traffic::Ports { from, .. } => Some(from),
            Traffic::All | Traffic::Protocol { .. } | Traffic::Rule { .. } => None,
        };
        self.list.sort_by_key(|opening| (std::cmp::Reverse(opening.reach), port(opening)));
        found.extend(self.list.into_iter().map(Detail::Network));
        if self.left_out > 0 {
            found.push(Detail::LeftOut { count: self.left_out });
        }
    }
}

pub(super) fn read(call: &Call<'_>, found: &mut Vec<Detail>) {
    let request = call.request;
    let openings = |change, outbound| Openings { change, outbound, list: Vec::new(), left_out: 0 };
    match (call.service, call.event_name) {
        (
            "ec2",
            name @ ("AuthorizeSecurityGroupIngress"
            | "AuthorizeSecurityGroupEgress"
            | "RevokeSecurityGroupIngress"
            | "RevokeSecurityGroupEgress"),
        ) => {
            let change = if name.starts_with("Revoke") { Change::Close } else { Change::Open };
            let mut openings = openings(change, name.ends_with("Egress"));
            items_at(request, "ipPermissions").iter().for_each(|rule| security_group(rule, &mut openings));
            if get(request, "ipProtocol").is_some() {
                security_group(request, &mut openings);
            }
            for id in items_at(request, "securityGroupRuleIds").iter().filter_map(rule_id) {
                openings.add(value(id).map(|id| Traffic::Rule { id }), std::iter::empty());
            }
            openings.details(found);
        }
        ("ec2", "ModifySecurityGroupRules") => {
            let mut openings = openings(Change::Open, false);
            for rule in items_at(request, "SecurityGroupRule") {
                security_group(get(rule, "SecurityGroupRule").unwrap_or(rule), &mut openings);
            }
            openings.details(found);
        }
        ("rds" | "redshift", "AuthorizeDBSecurityGroupIngress" | "AuthorizeClusterSecurityGroupIngress") => {
            let mut openings = openings(Change::Open, false);
            openings.add(
                Some(Traffic::All),
                ["cIDRIP", "eC2SecurityGroupName"].iter().filter_map(|name| at(request, name)),
            );
            openings.details(found);
        }
        ("ec2", "CreateNetworkAclEntry" | "ReplaceNetworkAclEntry") => {
            let change = if at(request, "ruleAction") == Some("allow") { Change::Open } else { Change::Deny };
            let mut openings = openings(change, is_true(request, "egress"));
            let protocol = ["aclProtocol", "protocol"].iter().find_map(|name| at(request, name)).unwrap_or("-1");
            let traffic = Traffic::new(protocol, at(request, "portRange.from"), at(request, "portRange.to"));
            openings.add(traffic, ["cidrBlock", "ipv6CidrBlock"].iter().filter_map(|name| at(request, name)));
            openings.details(found);
        }
        ("ec2", "CreateRoute" | "ReplaceRoute") => {
            let to = ["destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId"];
            let via = [
                "gatewayId",
                "natGatewayId",
                "egressOnlyInternetGatewayId",
                "transitGatewayId",
                "vpcPeeringConnectionId",
                "networkInterfaceId",
                "instanceId",
                "vpcEndpointId",
                "carrierGatewayId",
                "localGatewayId",
            ];
            let via = via.iter().find_map(|name| at(request, name)).and_then(value);
            let to = to.iter().find_map(|name| at(request, name)).and_then(Peer::new);
            found.extend(to.map(|to| Detail::Route { to, via }));
        }
        ("ec2", "AuthorizeClientVpnIngress") => {
            let to = at(request, "TargetNetworkCidr").and_then(Peer::new);
            found.extend(to.map(|to| Detail::Route { to, via: at(request, "ClientVpnEndpointId").and_then(value) }));
        }
        ("lightsail", name @ ("OpenInstancePublicPorts" | "PutInstancePublicPorts" | "CloseInstancePublicPorts")) => {
            let change = if name.starts_with("Close") { Change::Close } else { Change::Open };
            let mut openings = openings(change, false);
            for port in items_at(request, "portInfo").iter().chain(items_at(request, "portInfos")) {
                let traffic =
                    Traffic::new(at(port, "protocol").unwrap_or("-1"), at(port, "fromPort"), at(port, "toPort"));
                let peers = ["cidrs", "ipv6Cidrs", "cidrListAliases"];
                openings
                    .add(traffic, peers.iter().flat_map(|name| items_at(port, name)).filter_map(super::field::text));
            }
            openings.details(found);
        }
        _ => (),
    }
}

fn rule_id<'r>(json: &'r Json<'r>) -> Option<&'r str> {
    super::field::text(json).or_else(|| at(json, "securityGroupRuleId"))
}

/// One rule of a security group: with lists of peers (`ipRanges`), or with one (`cidrIp`).
fn security_group(rule: &Json<'_>, openings: &mut Openings) {
    let Some(protocol) = at(rule, "ipProtocol") else { return };
    const LISTS: [(&str, &str); 4] =
        [("ipRanges", "cidrIp"), ("ipv6Ranges", "cidrIpv6"), ("groups", "groupId"), ("prefixListIds", "prefixListId")];
    const SINGLE: [&str; 7] = [
        "cidrIp",
        "cidrIpv4",
        "cidrIpv6",
        "sourceSecurityGroupId",
        "sourceSecurityGroupName",
        "referencedGroupId",
        "prefixListId",
    ];
    let listed =
        LISTS.iter().flat_map(|(list, name)| items_at(rule, list).iter().filter_map(move |item| at(item, name)));
    let single = SINGLE.iter().filter_map(|name| at(rule, name));
    openings.add(Traffic::new(protocol, at(rule, "fromPort"), at(rule, "toPort")), listed.chain(single));
}
