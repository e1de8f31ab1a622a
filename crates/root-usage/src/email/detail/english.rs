//! Details in English.

use super::label::{fact_words, label_words};
use super::{Safe, list, peer_text, peers, texts};
use crate::detail::{Change, Detail, Label, Opening, Principal, Reach, Traffic, Trusted};
use crate::email::Language;

/// A detail in English.
pub(super) fn words(detail: &Detail<Safe>) -> String {
    const LANGUAGE: Language = Language::English;
    let people = |who: &[Trusted<Safe>], left_out| list(who.iter().map(who_words), left_out, LANGUAGE);
    match detail {
        Detail::AccessKeyCreated { id } => format!("access key {id}"),
        Detail::TemporaryKey { id } => format!("temporary key {id}"),
        Detail::Named { label, values, left_out } => {
            let (one, several, _) = label_words(*label);
            let one_value = values.len() + left_out == 1;
            let texts = texts(values, *left_out, LANGUAGE);
            match label {
                Label::Seconds => format!("valid for {texts} {}", if texts == "1" { one } else { several }),
                Label::Days => format!("{texts} {}", if texts == "1" { one } else { several }),
                Label::Operation if values.contains(&Safe::Any) => "may do anything".to_owned(),
                Label::AllowedOrigin if values.contains(&Safe::Any) => "allows browsers from anywhere".to_owned(),
                _ => format!("{} {texts}", if one_value { one } else { several }),
            }
        }
        Detail::Field { name, values, left_out } => format!("{name} {}", texts(values, *left_out, LANGUAGE)),
        Detail::Launched { count, of } => match of {
            Some(of) => format!("{count} x {of}"),
            None => format!("{count} machines"),
        },
        Detail::Network(opening) => opening_words(opening),
        Detail::Route { to, via } => match via {
            Some(via) => format!("route to {} through {via}", peer_text(to)),
            None => format!("route to {}", peer_text(to)),
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
            format!("allows everything in {}", texts(services, *left_out, LANGUAGE))
        }
        Detail::Fact { fact } => fact_words(*fact).0.to_owned(),
        Detail::LeftOut { count } => format!("{count} more not shown"),
    }
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
    format!("{what} {side} {}{reach}", peers(opening, Language::English))
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
