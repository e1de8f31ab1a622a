//! The words for what an action made, opened or let in.

use std::fmt;

use serde::{Serialize, Serializer};

use super::sanitize::mask_access_keys;
use super::{Clean, Style};
use crate::detail::{Detail, Opening, Peer, Principal, Traffic, Trusted};

/// The most characters shown of a value.
const VALUE_MAX: usize = 160;

/// The most bytes that the words for one action's details have together. What is made safe to print can be eight times
/// as long as it was.
const WORDS_MAX: usize = 4096;

/// The details of an action: as data for the JSON document, and in the mail's words. Every text is safe to print.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub(super) struct Details {
    list: Vec<Detail<Safe>>,
    #[serde(skip)]
    words: Vec<String>,
}

/// A text of a record that is safe to print inside a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Safe {
    /// A star of its own, which stands for whatever there is. As such it could make a list or emphasis.
    Any,
    /// Any other text.
    Text(String),
}

impl Safe {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Any => "any",
            Self::Text(text) => text,
        }
    }
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Safe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<Clean> for Safe {
    fn from(text: Clean) -> Self {
        Self::Text(text.as_str().to_owned())
    }
}

impl Details {
    /// The details, without the values that the mail shows beside them anyway. Of what was not done, the words say that
    /// it was asked for.
    pub(super) fn new(details: &[Detail], shown: &[&str], done: bool, style: &Style) -> Self {
        let (mut list, mut words, mut bytes, mut left_out) = (Vec::new(), Vec::new(), 0, 0);
        for detail in details.iter().filter_map(|detail| safe(detail, shown, style.mask_access_keys)) {
            let text = style.language.0.detail(&detail);
            bytes += text.len();
            match detail {
                Detail::LeftOut { count } => left_out += count,
                _ if bytes > WORDS_MAX => left_out += 1,
                _ => {
                    list.push(detail);
                    words.push(text);
                }
            }
        }
        if left_out > 0 {
            let rest = Detail::LeftOut { count: left_out };
            words.push(style.language.0.detail(&rest));
            list.push(rest);
        }
        if let Some(first) = words.first_mut().filter(|_| !done) {
            *first = style.language.0.asked_for(first);
        }
        Self { list, words }
    }

    /// Each in a few words.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }
}

/// A name, id, ARN or number.
fn named(text: &str, mask: bool) -> Safe {
    let masked = if mask { mask_access_keys(text) } else { text.to_owned() };
    if text == "*" {
        return Safe::Any;
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Clean::source(text).into();
    }
    if let Ok(net) = text.parse::<ipnet::IpNet>() {
        return Safe::Text(net.to_string());
    }
    if text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn") {
        return Clean::service(text).into();
    }
    if is_plain(&masked) {
        return Clean::name(&masked).into();
    }
    machine(text).unwrap_or_else(|| Clean::quoted(&masked, VALUE_MAX).into())
}

/// Whether a text is made of letters, digits, `-` and `_`, so that it needs no quotation marks.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The type of a machine: `t3.micro`, `db.r6g.2xlarge`. A size that AWS has is no top-level domain.
fn machine(text: &str) -> Option<Safe> {
    const SIZES: [&str; 8] = ["nano", "micro", "small", "medium", "large", "xlarge", "metal", "search"];
    let parts: Vec<&str> = text.split('.').collect();
    let size = parts.last()?.trim_start_matches(|c: char| c.is_ascii_digit());
    let size = size.split('-').next()?;
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let known = (2..=3).contains(&parts.len()) && SIZES.contains(&size) && parts.iter().all(word) && text.len() <= 40;
    known.then(|| Safe::Text(text.to_owned()))
}

/// The detail with texts that are safe to print; `None` if nothing is left of it.
fn safe(detail: &Detail, shown: &[&str], mask: bool) -> Option<Detail<Safe>> {
    let name = |text: &str| named(text, mask);
    let names = |values: &[Box<str>]| -> Vec<Safe> {
        values.iter().filter(|text| !shown.contains(&&***text)).map(|text| name(text)).collect()
    };
    let all = |who: &[Trusted]| who.iter().map(|each| trusted(each, mask)).collect();
    Some(match detail {
        Detail::AccessKeyCreated { id } => Detail::AccessKeyCreated { id: Clean::access_key(id, false).into() },
        Detail::TemporaryKey { id } => Detail::TemporaryKey { id: Clean::access_key(id, mask).into() },
        Detail::Named { label, values, left_out } => {
            let values = names(values);
            if values.is_empty() {
                return None;
            }
            Detail::Named { label: *label, values, left_out: *left_out }
        }
        Detail::Field { name, values, left_out } => {
            let values = names(values);
            if values.is_empty() {
                return None;
            }
            Detail::Field { name: Clean::name(name).into(), values, left_out: *left_out }
        }
        Detail::Launched { count, of } => Detail::Launched { count: *count, of: of.as_deref().map(name) },
        Detail::Network(opening) => Detail::Network(Opening {
            change: opening.change,
            outbound: opening.outbound,
            traffic: match &opening.traffic {
                Traffic::All => Traffic::All,
                Traffic::Ports { protocol, from, to } => {
                    Traffic::Ports { protocol: name(protocol), from: *from, to: *to }
                }
                Traffic::Protocol { protocol } => Traffic::Protocol { protocol: name(protocol) },
                Traffic::Rule { id } => Traffic::Rule { id: name(id) },
            },
            peers: opening.peers.iter().map(|each| peer(each, mask)).collect(),
            left_out: opening.left_out,
            reach: opening.reach,
        }),
        Detail::Route { to, via } => Detail::Route { to: peer(to, mask), via: via.as_deref().map(name) },
        Detail::Trusts { who, left_out } => Detail::Trusts { who: all(who), left_out: *left_out },
        Detail::Allows { who, left_out } => Detail::Allows { who: all(who), left_out: *left_out },
        Detail::Unshared { who, left_out } => Detail::Unshared { who: all(who), left_out: *left_out },
        Detail::AllowsEverything { except, conditional } => {
            Detail::AllowsEverything { except: *except, conditional: *conditional }
        }
        Detail::AllowsServices { services, left_out } => {
            Detail::AllowsServices { services: services.iter().map(|text| name(text)).collect(), left_out: *left_out }
        }
        Detail::Fact { fact } => Detail::Fact { fact: *fact },
        Detail::LeftOut { count } => Detail::LeftOut { count: *count },
    })
}

fn peer(peer: &Peer, mask: bool) -> Peer<Safe> {
    match peer {
        Peer::Net(net) => Peer::Net(*net),
        Peer::Named(name) => Peer::Named(named(name, mask)),
    }
}

fn trusted(trusted: &Trusted, mask: bool) -> Trusted<Safe> {
    let name = |text: &str| named(text, mask);
    let who = match &trusted.who {
        Principal::Anyone => Principal::Anyone,
        Principal::AnyAwsAccount => Principal::AnyAwsAccount,
        Principal::AnyoneBut => Principal::AnyoneBut,
        Principal::Account { id, own } => Principal::Account { id: name(id), own: *own },
        Principal::Identity { id } => Principal::Identity { id: name(id) },
        Principal::Service { name } => Principal::Service { name: Clean::service(name).into() },
        Principal::Federated { provider } => Principal::Federated { provider: name(provider) },
        Principal::Organization { id } => Principal::Organization { id: name(id) },
    };
    Trusted { who, conditional: trusted.conditional }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::detail::details;
    use crate::email::Language;
    use filter_pattern::json::Json;

    const ROWS: &str = include_str!("../../tests/data/details.jsonl");

    fn words_of_row(row: &Value, language: Language) -> Vec<String> {
        let text = |name: &str| row[name].as_str().unwrap();
        let record = row["record"].to_string();
        let found = details(text("service"), text("event"), &Json::parse(&record).unwrap());
        let style = Style { language, mask_access_keys: true, ..Style::default() };
        Details::new(&found, &[], row["record"].get("errorCode").is_none(), &style).words().to_vec()
    }

    #[test]
    fn what_grows_when_it_is_made_safe_stays_bounded() {
        let values: Vec<Box<str>> = (0..8).map(|index| format!("{}{index}", "\u{1}".repeat(100)).into()).collect();
        let detail = Detail::Named { label: crate::detail::Label::Image, values, left_out: 0 };
        let details = Details::new(&[detail.clone(), detail.clone(), detail], &[], true, &Style::default());
        assert!(details.words().iter().map(String::len).sum::<usize>() < 5_000);
        assert_eq!(details.words().last().map(String::as_str), Some("3 more not shown"));
    }

    #[test]
    fn every_row_is_put_into_words_in_every_language() {
        let mut wrong = Vec::new();
        let mut rows = 0;
        for line in ROWS.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            assert!(row["source"].as_str().is_some_and(|source| !source.is_empty()), "{line}");
            for language in Language::ALL {
                let key = language.code();
                let expected: Vec<String> = serde_json::from_value(row[key].clone()).unwrap();
                let found = words_of_row(&row, language);
                if found != expected {
                    wrong.push(format!("{} {} {key}: {}", row["service"], row["event"], serde_json::json!(found)));
                }
            }
            rows += 1;
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(rows > 100, "{rows}");
    }
}
