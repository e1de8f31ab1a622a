//! Japanese.

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
#[template(path = "mail.ja.txt")]
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
pub(super) struct Japanese;

impl Words for Japanese {
    fn code(&self) -> &'static str {
        "ja"
    }

    fn mail(&self, mail: &Mail<'_>) -> askama::Result<String> {
        Text { mail }.render()
    }

    fn detail(&self, detail: &Detail<Safe>) -> String {
        let people = |who: &[Trusted<Safe>], left_out| list(who.iter().map(who_words), left_out);
        match detail {
            Detail::AccessKeyCreated { id } => format!("アクセスキー {id}"),
            Detail::TemporaryKey { id } => format!("一時アクセスキー {id}"),
            Detail::Named { label, values, left_out } => {
                let words = label_words(*label);
                let listed = list(values, *left_out);
                match label {
                    Label::Seconds => format!("有効期間 {listed} {words}"),
                    Label::Days => format!("{listed} {words}"),
                    Label::Operation if values.contains(&Safe::Any) => "すべての操作を許可".to_owned(),
                    Label::AllowedOrigin if values.contains(&Safe::Any) => "すべてのオリジンを許可".to_owned(),
                    _ => format!("{words} {listed}"),
                }
            }
            Detail::Field { name, values, left_out } => format!("{name} {}", list(values, *left_out)),
            Detail::Launched { count, of } => match of {
                Some(of) => format!("{of} × {count}"),
                None => format!("{count} 台"),
            },
            Detail::Network(opening) => opening_words(opening),
            Detail::Route { to, via } => match via {
                Some(via) => format!("{to} へのルート（{via} 経由）"),
                None => format!("{to} へのルート"),
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
                format!("次のサービスのすべての操作を許可: {}", list(services, *left_out))
            }
            Detail::Fact { fact } => fact_words(*fact).to_owned(),
            Detail::LeftOut { count } => format!("ほか {count} 件は省略"),
        }
    }

    fn asked_for(&self, detail: &str) -> String {
        format!("要求内容: {detail}")
    }

    /// Of "アクセスキーを作成". A Latin letter has a space before it.
    fn did(&self, words: &str, done: bool) -> Option<String> {
        let space = if words.chars().next()?.is_ascii() { " " } else { "" };
        Some(format!("{space}{words}{}", if done { "しました" } else { "しようとしました" }))
    }
}

fn list(values: impl IntoIterator<Item = impl Display>, left_out: usize) -> String {
    let values = values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join("、");
    if left_out == 0 { values } else { format!("{values}、ほか {left_out} 件") }
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
    format!("{traffic}{space}{change}、{side} {}{reach}", list(&opening.peers, opening.left_out))
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

/// What values are.
fn label_words(label: Label) -> &'static str {
    match label {
        Label::Account => "アカウント",
        Label::Address => "IP アドレス",
        Label::Allocation => "割り当て",
        Label::AllowedOrigin => "許可するオリジン",
        Label::Api => "API",
        Label::Application => "アプリ",
        Label::Caller => "呼び出し元",
        Label::Capability => "承認した機能",
        Label::Certificate => "証明書",
        Label::Cluster => "クラスター",
        Label::CodeFrom => "コードの取得元",
        Label::Command => "コマンド",
        Label::ConnectsTo => "対象",
        Label::CopiesTo => "コピー先",
        Label::CopyOf => "コピー元",
        Label::Database => "データベース",
        Label::Days => "日",
        Label::Destination => "送信先",
        Label::Distribution => "ディストリビューション",
        Label::DnsName => "レコード名",
        Label::DnsTarget => "値",
        Label::Document => "ドキュメント",
        Label::Domain => "ドメイン",
        Label::Endpoint => "エンドポイント",
        Label::ExceptSource => "記録対象外",
        Label::Fleet => "フリート",
        Label::FlowLog => "フローログ",
        Label::Function => "関数",
        Label::Grant => "グラント",
        Label::Group => "グループ",
        Label::Id => "ID",
        Label::Image => "イメージ",
        Label::Instance => "インスタンス",
        Label::InstanceProfile => "インスタンスプロファイル",
        Label::InstanceType => "インスタンスタイプ",
        Label::Key => "KMS キー",
        Label::KeyPair => "キーペア",
        Label::Layer => "レイヤー",
        Label::LoadBalancer => "ロードバランサー",
        Label::MadeFrom => "作成元",
        Label::MfaDevice => "MFA デバイス",
        Label::Name => "名前",
        Label::Network => "接続元",
        Label::NetworkAcl => "ネットワーク ACL",
        Label::NetworkInterface => "ネットワークインターフェイス",
        Label::Notebook => "ノートブック",
        Label::Off => "無効:",
        Label::OidcClient => "対象クライアント",
        Label::Operation => "許可する操作",
        Label::PeerAccount => "相手のアカウント",
        Label::PeerVpc => "相手の VPC",
        Label::PeeringConnection => "ピアリング接続",
        Label::PermissionSet => "許可セット",
        Label::Policy => "ポリシー",
        Label::Pool => "プール",
        Label::Protocol => "プロトコル",
        Label::Provider => "ID プロバイダー",
        Label::Queue => "キュー",
        Label::Reads => "記録する種類",
        Label::RedirectsTo => "リダイレクト先",
        Label::Resource => "リソース",
        Label::Role => "ロール",
        Label::RouteTable => "ルートテーブル",
        Label::RunsAs => "実行ロール",
        Label::Seconds => "秒",
        Label::Secret => "シークレット",
        Label::SecurityGroup => "セキュリティグループ",
        Label::SecurityGroupRule => "セキュリティグループのルール",
        Label::Server => "サーバー",
        Label::ServiceCredential => "認証情報",
        Label::Session => "セッション",
        Label::SetTo => "設定値",
        Label::Setting => "設定",
        Label::Share => "リソース共有",
        Label::SigningCertificate => "署名証明書",
        Label::Snapshot => "スナップショット",
        Label::SourceRegion => "コピー元リージョン",
        Label::SpotRequest => "スポットリクエスト",
        Label::SshKey => "SSH キー",
        Label::Stack => "スタック",
        Label::Subscription => "サブスクリプション",
        Label::Target => "ターゲット",
        Label::Task => "タスク",
        Label::TaskDefinition => "タスク定義",
        Label::TrustAnchor => "トラストアンカー",
        Label::User => "ユーザー",
        Label::Version => "バージョン",
        Label::Volume => "ボリューム",
        Label::Workspace => "WorkSpace",
    }
}

fn fact_words(fact: Fact) -> &'static str {
    match fact {
        Fact::AnyAccountRead => "すべての AWS アカウントが読み取り可能",
        Fact::Everyone => "ディレクトリの全ユーザーに許可",
        Fact::ExternalPrincipals => "組織外のアカウントとの共有を許可",
        Fact::InternetAccess => "インターネット接続あり",
        Fact::InternetFacing => "インターネット向け",
        Fact::MasterPassword => "マスターパスワードを設定",
        Fact::Public => "パブリックアクセス可能",
        Fact::PublicEndpoint => "API エンドポイントがパブリック",
        Fact::PublicIp => "パブリック IP アドレスあり",
        Fact::PublicRead => "誰でも読み取り可能",
        Fact::PublicReadWrite => "誰でも読み書き可能",
        Fact::SignedUrl => "URL を知る人は誰でもサインイン可能",
        Fact::UrlWithoutAuthentication => "認証なしの URL（誰でも呼び出し可能）",
        Fact::UserData => "起動スクリプト（ユーザーデータ）あり",
    }
}
