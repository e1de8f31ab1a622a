//! Details in Japanese.

use super::label::{fact_words, label_words};
use super::{Safe, list, peer_text, peers, texts};
use crate::detail::{Change, Detail, Label, Opening, Principal, Reach, Traffic, Trusted};
use crate::email::Language;

/// A detail in Japanese.
pub(super) fn words(detail: &Detail<Safe>) -> String {
    const LANGUAGE: Language = Language::Japanese;
    let people = |who: &[Trusted<Safe>], left_out| list(who.iter().map(who_words), left_out, LANGUAGE);
    match detail {
        Detail::AccessKeyCreated { id } => format!("アクセスキー {id}"),
        Detail::TemporaryKey { id } => format!("一時アクセスキー {id}"),
        Detail::Named { label, values, left_out } => {
            let (_, _, words) = label_words(*label);
            let texts = texts(values, *left_out, LANGUAGE);
            match label {
                Label::Seconds => format!("有効期間 {texts} {words}"),
                Label::Days => format!("{texts} {words}"),
                Label::Operation if values.contains(&Safe::Any) => "すべての操作を許可".to_owned(),
                Label::AllowedOrigin if values.contains(&Safe::Any) => "すべてのオリジンを許可".to_owned(),
                _ => format!("{words} {texts}"),
            }
        }
        Detail::Field { name, values, left_out } => format!("{name} {}", texts(values, *left_out, LANGUAGE)),
        Detail::Launched { count, of } => match of {
            Some(of) => format!("{of} × {count}"),
            None => format!("{count} 台"),
        },
        Detail::Network(opening) => opening_words(opening),
        Detail::Route { to, via } => match via {
            Some(via) => format!("{} へのルート（{via} 経由）", peer_text(to)),
            None => format!("{} へのルート", peer_text(to)),
        },
        Detail::Trusts { who, left_out } => format!("信頼先: {}", people(who, *left_out)),
        Detail::Allows { who, left_out } => format!("許可先: {}", people(who, *left_out)),
        Detail::Unshared { who, left_out } => format!("許可の取り消し: {}", people(who, *left_out)),
        Detail::AllowsEverything { except, conditional } => {
            let what = if *except {
                "列挙されたもの以外のすべての操作を許可"
            } else {
                "すべての操作を許可（管理者権限）"
            };
            format!("{what}{}", if *conditional { "（条件付き）" } else { "" })
        }
        Detail::AllowsServices { services, left_out } => {
            format!("次のサービスのすべての操作を許可: {}", texts(services, *left_out, LANGUAGE))
        }
        Detail::Fact { fact } => fact_words(*fact).1.to_owned(),
        Detail::LeftOut { count } => format!("ほか {count} 件は省略"),
    }
}

fn opening_words(opening: &Opening<Safe>) -> String {
    let traffic = match &opening.traffic {
        Traffic::All => "すべてのトラフィック".to_owned(),
        Traffic::Ports { protocol, from, to } => {
            let udp = if protocol.as_str().eq_ignore_ascii_case("udp") { "UDP " } else { "" };
            if from == to { format!("{udp}ポート {from}") } else { format!("{udp}ポート {from}-{to}") }
        }
        Traffic::Protocol { protocol } => {
            let protocol = protocol.to_string().to_ascii_uppercase();
            match &*protocol {
                "TCP" | "UDP" => format!("{protocol} の全ポート"),
                _ if protocol.bytes().all(|byte| byte.is_ascii_digit()) => format!("プロトコル {protocol}"),
                _ => format!("すべての {protocol}"),
            }
        }
        Traffic::Rule { id } => format!("ルール {id}"),
    };
    let change = match opening.change {
        Change::Open => "を許可",
        Change::Close => "の許可を削除",
        Change::Deny => "を拒否",
    };
    let space = if traffic.ends_with(|c: char| c.is_ascii()) { " " } else { "" };
    if opening.peers.is_empty() {
        return format!("{traffic}{space}{change}");
    }
    let side = if opening.outbound { "宛先" } else { "送信元" };
    let reach = match (opening.reach, opening.change) {
        (Reach::Anyone, Change::Open) => "（制限なし）",
        (Reach::Wide, Change::Open) => "（インターネットの広い範囲）",
        _ => "",
    };
    format!("{traffic}{space}{change}、{side} {}{reach}", peers(opening, Language::Japanese))
}

fn who_words(trusted: &Trusted<Safe>) -> String {
    let who = match &trusted.who {
        Principal::Anyone => "誰でも".to_owned(),
        Principal::AnyAwsAccount => "すべての AWS アカウント".to_owned(),
        Principal::AnyoneBut => "列挙されたもの以外のすべて".to_owned(),
        Principal::Account { id, own: true } => format!("アカウント {id}（このアカウント）"),
        Principal::Account { id, own: false } => format!("アカウント {id}"),
        Principal::Identity { id } | Principal::Organization { id } => id.to_string(),
        Principal::Service { name } => name.to_string(),
        Principal::Federated { provider } => format!("{provider} のユーザー"),
    };
    if trusted.conditional { format!("{who}（条件付き）") } else { who }
}
