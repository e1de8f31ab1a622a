//! What an action made, opened or let in, where its record says so: ids, counts, ports, networks, who is trusted.
//!
//! [`details`] is a pure reading of one record. It looks at the request whether or not the call succeeded, since an
//! attempt says as much about whoever made it, and at the response where there is one. The values are the record's own
//! text, shortened; they are made safe to print where they are put into words. Nothing is concluded from a field that is
//! missing.
//!
//! | where it is found | what |
//! | --- | --- |
//! | [`table`] | ids, names, counts and switches that stand at a known place of a known action |
//! | [`policy`] | who a policy document lets in, in any parameter of any service, and policies that allow everything |
//! | [`network`] | ports and networks: security groups, network ACLs, routes, Lightsail |
//! | [`share`] | snapshots, images, documents, access lists, function permissions: whom something is shared with |
//! | [`launch`] | how many instances of what type |
//! | [`made`] | for every other change: the ids and names that its response, else its request, begins with |
//!
//! Secrets are never read: a place is named in the table, or its key says that it is an id or a name.

mod access;
mod field;
mod label;
mod launch;
mod made;
mod network;
mod policy;
mod share;
mod table;

use ipnet::IpNet;
use serde::Serialize;

pub use access::{Principal, Trusted};
pub use label::{Fact, Label};
pub use network::{Change, Opening, Peer, Reach, Traffic};

use filter_pattern::json::Json;

/// The most details of a record.
pub const DETAILS_MAX: usize = 12;

/// The most bytes that the texts of a record's details have together.
pub const BYTES_MAX: usize = 2048;

/// The most values in one detail; how many more there are is counted.
pub(crate) const VALUES_MAX: usize = 8;

/// The most bytes of a value.
const VALUE_MAX: usize = 200;

/// Something that an action made, opened or let in.
///
/// `T` is the record's own text, or what a mail may show of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", tag = "kind")]
pub enum Detail<T = Box<str>> {
    /// A long-lived access key was created. Deleting it needs its whole id.
    AccessKeyCreated {
        /// `AKIA…`
        id: T,
    },
    /// Temporary credentials were handed out. They end by themselves and can't be deleted; their key only finds the
    /// records of whoever uses them.
    TemporaryKey {
        /// `ASIA…`
        id: T,
    },
    /// Ids, names, ARNs or numbers.
    Named {
        /// What they are.
        label: Label,
        /// At most [`VALUES_MAX`] of them.
        values: Vec<T>,
        /// How many more there are.
        left_out: usize,
    },
    /// The same by the name that the record has for it.
    Field {
        /// The field: `subnetId`.
        name: T,
        /// At most [`VALUES_MAX`] values.
        values: Vec<T>,
        /// How many more there are.
        left_out: usize,
    },
    /// Machines.
    Launched {
        /// How many.
        count: u64,
        /// The type: `g6e.12xlarge`.
        of: Option<T>,
    },
    /// Traffic that is let through, or no longer.
    Network(Opening<T>),
    /// A route.
    Route {
        /// The destination.
        to: Peer<T>,
        /// The gateway, interface or connection that it goes through.
        via: Option<T>,
    },
    /// Who may assume a role.
    Trusts {
        /// Who.
        who: Vec<Trusted<T>>,
        /// How many more there are.
        left_out: usize,
    },
    /// Who may use something: a resource policy, an access list, a permission.
    Allows {
        /// Who.
        who: Vec<Trusted<T>>,
        /// How many more there are.
        left_out: usize,
    },
    /// Who may not use it any more.
    Unshared {
        /// Who.
        who: Vec<Trusted<T>>,
        /// How many more there are.
        left_out: usize,
    },
    /// A policy that allows every action on every resource.
    AllowsEverything {
        /// It says so by what it excepts (`NotAction`).
        except: bool,
        /// Only under conditions.
        conditional: bool,
    },
    /// A policy that allows every action of these services on every resource.
    AllowsServices {
        /// `iam`, `s3`, …
        services: Vec<T>,
        /// How many more there are.
        left_out: usize,
    },
    /// Something that has no value of its own.
    Fact {
        /// What.
        fact: Fact,
    },
    /// More than may be kept.
    LeftOut {
        /// How many details.
        count: usize,
    },
}

/// What the record of an action says of what it made, opened or let in: at most [`DETAILS_MAX`], whose texts have at
/// most [`BYTES_MAX`] bytes together, the gravest first. Linear in the record.
///
/// `service` is the first label of `eventSource`. Of a call that only reads, the record is not looked at unless it hands
/// out credentials.
#[must_use]
pub fn details(service: &str, event_name: &str, record: &Json<'_>) -> Vec<Detail> {
    // Lambda's event names end with the version of its API.
    let event_name = match event_name.find("20").filter(|_| service == "lambda") {
        Some(version) => &event_name[..version],
        None => event_name,
    };
    let known = table::row(service, event_name);
    if service == "signin" || (known.is_none() && reads(event_name, record)) {
        return Vec::new();
    }
    let call = Call {
        service,
        event_name,
        request: part(record, "requestParameters", event_name, "Request"),
        response: part(record, "responseElements", event_name, "Response"),
        account: ["recipientAccountId"].iter().find_map(|key| field::text(record.get(key)?)).unwrap_or_default(),
    };
    let mut found = Vec::new();
    launch::read(&call, &mut found);
    network::read(&call, &mut found);
    share::read(&call, &mut found);
    policy::read(&call, &mut found);
    match known {
        Some(places) => table::read(&call, places, &mut found),
        None => {
            table::anywhere(&call, &mut found);
            made::read(&call, &mut found);
        }
    }
    bounded(found)
}

/// What is read of a record.
struct Call<'r> {
    service: &'r str,
    event_name: &'r str,
    request: &'r Json<'r>,
    response: &'r Json<'r>,
    /// The account it happened in, if the record says so.
    account: &'r str,
}

/// Request or response. Newer EC2 actions have it once more inside: `requestParameters.CreateFleetRequest`.
fn part<'r>(record: &'r Json<'r>, key: &str, event_name: &str, suffix: &str) -> &'r Json<'r> {
    let part = record.get(key).unwrap_or(&Json::Null);
    let wrapped = part.as_object().and_then(|fields| fields.iter().next().filter(|_| fields.iter().len() == 1));
    match wrapped {
        Some((name, inside)) if name.strip_suffix(suffix) == Some(event_name) => inside,
        _ => part,
    }
}

fn reads(event_name: &str, record: &Json<'_>) -> bool {
    match record.get("readOnly") {
        Some(Json::Bool(read_only)) => *read_only,
        Some(Json::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => ["Get", "List", "Describe", "Head", "Lookup", "Search", "BatchGet"]
            .iter()
            .any(|verb| event_name.starts_with(verb)),
    }
}

/// The gravest first, no more than may be kept, and how many more there were.
fn bounded(mut found: Vec<Detail>) -> Vec<Detail> {
    found.sort_by_key(Detail::rank);
    let uncounted = |detail: &Detail| match detail {
        Detail::LeftOut { count } => *count,
        _ => 1,
    };
    let whole = found.iter().take_while(|detail| detail.rank() < LEFT_OUT).count();
    let mut bytes = 0;
    let fits = |detail: &&Detail| {
        bytes += detail.bytes();
        bytes <= BYTES_MAX
    };
    let fitting = found.iter().take(whole).take_while(fits).count();
    let kept = if fitting == found.len() && fitting <= DETAILS_MAX { fitting } else { fitting.min(DETAILS_MAX - 1) };
    let count = found.drain(kept..).map(|detail| uncounted(&detail)).sum();
    if count > 0 {
        found.push(Detail::LeftOut { count });
    }
    found
}

/// The rank of what only counts what isn't there.
const LEFT_OUT: u8 = 2;

impl Detail {
    /// Its place among others: what lets anyone in, or does anything, comes first.
    fn rank(&self) -> u8 {
        let anyone = |who: &[Trusted]| who.iter().any(|each| each.who.is_wide());
        match self {
            Self::Fact { fact } if fact.is_public() => 0,
            Self::Trusts { who, .. } | Self::Allows { who, .. } if anyone(who) => 0,
            Self::Network(opening) if opening.change == Change::Open && opening.reach != Reach::Some => 0,
            Self::AllowsEverything { .. } | Self::AccessKeyCreated { .. } => 0,
            Self::LeftOut { .. } => LEFT_OUT,
            _ => 1,
        }
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        const VALUE: usize = 48;
        size_of::<Self>() + self.bytes() + self.texts().count() * VALUE
    }

    /// How many bytes its texts have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.texts().map(str::len).sum()
    }

    /// The texts that it holds.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let mut texts: Vec<&str> = Vec::new();
        match self {
            Self::AccessKeyCreated { id } | Self::TemporaryKey { id } => texts.push(id),
            Self::Named { values, .. } => texts.extend(values.iter().map(|text| &**text)),
            Self::Field { name, values, .. } => {
                texts.push(name);
                texts.extend(values.iter().map(|text| &**text));
            }
            Self::Launched { of, .. } => texts.extend(of.as_deref()),
            Self::Network(opening) => {
                texts.extend(opening.traffic.protocol());
                texts.extend(opening.peers.iter().filter_map(Peer::text));
            }
            Self::Route { to, via } => texts.extend(to.text().into_iter().chain(via.as_deref())),
            Self::Trusts { who, .. } | Self::Allows { who, .. } | Self::Unshared { who, .. } => {
                texts.extend(who.iter().filter_map(|each| each.who.text()));
            }
            Self::AllowsServices { services, .. } => texts.extend(services.iter().map(|text| &**text)),
            Self::AllowsEverything { .. } | Self::Fact { .. } | Self::LeftOut { .. } => (),
        }
        texts.into_iter()
    }
}

/// A value of a record, shortened to what is kept of it; `None` where CloudTrail or the caller left nothing to see.
fn value(text: &str) -> Option<Box<str>> {
    let text = text.trim_ascii();
    if text.is_empty() || text == "HIDDEN_DUE_TO_SECURITY_REASONS" || text.starts_with("***") {
        return None;
    }
    if text.len() <= VALUE_MAX {
        return Some(text.into());
    }
    let end = (0..=VALUE_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    Some(format!("{}...", &text[..end]).into())
}

/// The network that a text names.
fn net(text: &str) -> Option<IpNet> {
    text.parse().ok()
}
