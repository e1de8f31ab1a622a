//! What a mail says of one action.

use std::net::IpAddr;

use serde::Serialize;

use super::account::Account;
use super::detail::Details;
use super::lines::{Resource, details, masked, resources};
use super::moment::Moment;
use super::view::{Because, LONG_TEXT, SHORT_TEXT};
use super::{Clean, Style, link};
use crate::alert::{Access, Action, Category, Severity, known_of};
use crate::directory::Names;
use crate::record::Outcome;

/// The facts of one action.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Facts {
    pub severity: Severity,
    pub because: Option<Because>,
    pub category: Category,
    /// What was done or tried, in the mail's language.
    #[serde(skip)]
    pub did: Option<String>,
    #[serde(rename = "eventName")]
    pub action: Option<Clean>,
    #[serde(rename = "eventSource")]
    pub service: Option<Clean>,
    pub outcome: Outcome,
    pub error_code: Option<Clean>,
    pub error_message: Option<Clean>,
    pub time: Option<Moment>,
    pub region: Option<Clean>,
    pub source: Option<Clean>,
    /// The operator's network that it is in.
    #[serde(skip)]
    pub network: Option<String>,
    /// Networks are known, and it is in none of them.
    #[serde(skip)]
    pub in_no_network: bool,
    #[serde(rename = "userAgent")]
    pub agent: Option<Clean>,
    pub account: Option<Account>,
    pub account_name: Option<Clean>,
    pub alias: Option<Clean>,
    #[serde(rename = "credential")]
    pub access: Access,
    pub session_created: Option<Moment>,
    #[serde(rename = "accessKey")]
    pub key: Option<Clean>,
    pub mfa: Option<bool>,
    pub event_id: Option<Clean>,
    pub link: Option<String>,
    pub command: Option<String>,
    pub resources: Vec<Resource>,
    pub details: Details,
}

impl Facts {
    pub(super) fn new(action: &Action, access: Access, names: &Names, style: &Style) -> Self {
        let record = &action.record;
        let account = record.account().map(|id| Account::new(id, names));
        let outcome = record.outcome();
        // The event history holds management events only.
        let listed = record.text(&["eventCategory"]) != Some("Data");
        let place = record.region().zip(record.event_id()).filter(|_| listed);
        let mfa = match record.mfa() {
            _ if action.category != Category::SignIn => None,
            Some(true) => None,
            Some(false) => Some(Because::NoMfa),
            None => Some(Because::MfaNotSaid),
        };
        // Behind an endpoint of somebody else, an address is what they say it is.
        let address = record.source_ip().filter(|_| !record.by_foreign_endpoint());
        let address: Option<IpAddr> = address.and_then(|source| source.parse().ok());
        let network = style.trusted_networks.iter().find(|known| address.is_some_and(|it| known.network.contains(&it)));
        let long_lived_key = access == Access::LongLivedKey && record.is_root();
        Self {
            severity: action.severity,
            because: long_lived_key.then_some(Because::LongLivedKey).or(mfa),
            category: action.category,
            did: known_of(record).and_then(|known| style.language.did(known, outcome == Outcome::Succeeded)),
            action: record.event_name().map(Clean::name),
            service: record.event_source().map(Clean::service),
            outcome,
            error_code: record.error_code().map(Clean::code),
            error_message: record.error_message().map(|text| Clean::quoted(&masked(text, style), LONG_TEXT)),
            time: record.event_time().map(|time| Moment::new(time, style)),
            region: record.region().map(Clean::name),
            source: record.source_ip().map(Clean::source),
            in_no_network: address.is_some() && network.is_none() && !style.trusted_networks.is_empty(),
            network: network.map(|network| Clean::text(&network.to_string(), SHORT_TEXT).to_string()),
            agent: record.user_agent().map(|text| Clean::quoted(&masked(text, style), LONG_TEXT)),
            account_name: account.as_ref().and_then(|account| account.name.clone()),
            account,
            alias: record.account_alias().map(|text| Clean::quoted(text, SHORT_TEXT)),
            access: access.of(record),
            session_created: record
                .session_created()
                .and_then(|text| text.parse().ok())
                .map(|time| Moment::new(time, style)),
            key: record.access_key_id().map(|key| Clean::access_key(key, style.mask_access_keys)),
            mfa: record.mfa(),
            event_id: record.event_id().map(Clean::name),
            link: place.and_then(|(region, id)| link::event(region, id)),
            command: place.and_then(|(region, id)| link::lookup_command(region, id)),
            resources: resources(action, style),
            details: details(action, style),
        }
    }
}
