//! Policy documents, wherever a request has one: whom they let in, and whether they allow everything.
//!
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language"; which parameter has the document is each service's
//! own choice, but its name has "policy" in it, with the exceptions below.

use std::borrow::Cow;

use super::access::Access;
use super::field::{Values, at, get, items, text, without_service};
use super::{Call, Detail, Label, Principal};
use filter_pattern::json::Json;

/// The longest document that is read, in bytes. The longest that AWS takes is KMS's, of 32 KiB.
const DOCUMENT_MAX: usize = 65_536;

/// The most brackets that are open at once in a document that is read. AWS's own grammar needs six.
const NESTING_MAX: usize = 12;

/// How deep inside the request a document is looked for.
const DEPTH_MAX: usize = 4;

pub(super) fn read(call: &Call<'_>, found: &mut Vec<Detail>) {
    let mut policies = Policies { account: call.account, ..Policies::default() };
    match (call.service, call.event_name) {
        // Policies that bound what others allow.
        ("organizations", "CreatePolicy" | "UpdatePolicy")
        | ("iam", "PutUserPermissionsBoundary" | "PutRolePermissionsBoundary")
        | ("sts", _)
        | ("ec2", "CreateVpcEndpoint" | "ModifyVpcEndpoint") => return,
        ("organizations", "PutResourcePolicy") => policies.see(get(call.request, "content")),
        ("sns", "SetTopicAttributes") if at(call.request, "attributeName") == Some("Policy") => {
            policies.see(get(call.request, "attributeValue"));
        }
        _ => policies.search(call.request, DEPTH_MAX),
    }
    let role =
        call.service == "iam" && (call.event_name.contains("AssumeRolePolicy") || call.event_name == "CreateRole");
    found.extend(policies.everything.map(|(except, conditional)| Detail::AllowsEverything { except, conditional }));
    found.extend(policies.access.detail(|who, left_out| {
        if role { Detail::Trusts { who, left_out } } else { Detail::Allows { who, left_out } }
    }));
    if !role {
        found.extend(policies.actions.named(Label::Operation));
    }
    let Values { kept: services, left_out } = policies.services;
    if !services.is_empty() && policies.everything.is_none() {
        found.push(Detail::AllowsServices { services, left_out });
    }
}

/// What the policy documents of one request say together.
#[derive(Default)]
struct Policies<'r> {
    account: &'r str,
    access: Access,
    /// Everything is allowed: but for exceptions, under conditions.
    everything: Option<(bool, bool)>,
    /// The services of which everything is allowed on everything.
    services: Values,
    /// What others than the account itself may do.
    actions: Values,
}

impl Policies<'_> {
    /// Looks for documents under every name that has "policy" or "policies" in it.
    fn search(&mut self, json: &Json<'_>, depth: usize) {
        match json {
            Json::Object(fields) => {
                for (name, inside) in fields.iter() {
                    if name.to_ascii_lowercase().contains("polic") && self.read(inside) {
                        continue;
                    }
                    if depth > 1 {
                        self.search(inside, depth - 1);
                    }
                }
            }
            Json::Array(items) if depth > 1 => items.iter().for_each(|item| self.search(item, depth - 1)),
            _ => (),
        }
    }

    fn see(&mut self, json: Option<&Json<'_>>) {
        if let Some(json) = json {
            self.read(json);
        }
    }

    /// Reads a document, which may be an object, JSON text, or that URL-encoded; `false` if it is something else.
    fn read(&mut self, json: &Json<'_>) -> bool {
        match json {
            Json::String(text) if text.len() <= DOCUMENT_MAX => {
                let text = text.trim_ascii();
                let decoded = if text.starts_with('%') { percent_decoded(text) } else { Cow::Borrowed(text) };
                is_flat(&decoded) && Json::parse(&decoded).is_ok_and(|document| self.document(&document))
            }
            _ => self.document(json),
        }
    }

    fn document(&mut self, document: &Json<'_>) -> bool {
        let Some(statements) = get(document, "Statement") else { return false };
        let statements = match statements {
            Json::Array(statements) => statements.as_slice(),
            one => std::slice::from_ref(one),
        };
        let allows =
            |statement: &&Json<'_>| at(statement, "Effect").is_some_and(|effect| effect.eq_ignore_ascii_case("Allow"));
        // What is allowed to all may be taken from most of them again.
        let denied = statements.iter().filter(|statement| !allows(statement)).any(|statement| {
            get(statement, "NotPrincipal").is_some() || (is_everyone(statement) && is_conditional(statement))
        });
        for statement in statements.iter().filter(allows) {
            self.statement(statement, denied);
        }
        true
    }

    fn statement(&mut self, statement: &Json<'_>, denied: bool) {
        let conditional = is_conditional(statement);
        if get(statement, "NotPrincipal").is_some() {
            self.access.add(Some(Principal::AnyoneBut), conditional || denied);
            return self.actions_of(statement);
        }
        let Some(principal) = get(statement, "Principal") else {
            return self.identity_statement(statement, conditional);
        };
        if is_everyone(statement) {
            self.access.add(Some(Principal::Anyone), conditional || denied);
            self.actions_of(statement);
        }
        let Some(kinds) = principal.as_object() else { return };
        for (kind, names) in kinds.iter() {
            for name in items(names).iter().filter_map(text).filter(|name| *name != "*") {
                let who = match kind {
                    "Service" => super::value(name).map(|name| Principal::Service { name }),
                    "Federated" => super::value(name).map(|provider| Principal::Federated { provider }),
                    "CanonicalUser" => super::value(name).map(|id| Principal::Identity { id }),
                    "AWS" => Principal::aws(name, self.account),
                    _ => continue,
                };
                if !matches!(who, Some(Principal::Account { own: true, .. })) {
                    self.actions_of(statement);
                }
                self.access.add(who, conditional);
            }
        }
    }

    fn actions_of(&mut self, statement: &Json<'_>) {
        for action in get(statement, "Action").map(items).unwrap_or_default().iter().filter_map(text) {
            self.actions.add(without_service(action));
        }
    }

    /// A statement about whoever the policy is attached to.
    fn identity_statement(&mut self, statement: &Json<'_>, conditional: bool) {
        let has = |name: &str, wanted: &str| {
            get(statement, name).is_some_and(|json| items(json).iter().filter_map(text).any(|text| text == wanted))
        };
        if !has("Resource", "*") {
            return;
        }
        let except = get(statement, "NotAction").is_some();
        if except || has("Action", "*") || has("Action", "*:*") {
            // The least restricted of several is what counts.
            let this = (except, conditional);
            self.everything = Some(self.everything.map_or(this, |other| other.min(this)));
        }
        let actions = get(statement, "Action").map(items).unwrap_or_default();
        for service in actions.iter().filter_map(text).filter_map(|action| action.strip_suffix(":*")) {
            if service != "*" {
                self.services.add(service);
            }
        }
    }
}

/// Whether a text is an object whose parts are nested no deeper than a policy's: reading takes time for each level.
fn is_flat(text: &str) -> bool {
    let mut open: usize = 0;
    let mut most = 0;
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => continue,
        }
        most = open.max(most);
    }
    text.starts_with('{') && most <= NESTING_MAX
}

/// Whether a statement is about everyone: `"*"` or `{"AWS": "*"}`, alone or in a list.
fn is_everyone(statement: &Json<'_>) -> bool {
    let star = |json: &Json<'_>| items(json).iter().filter_map(text).any(|text| text == "*");
    match get(statement, "Principal") {
        Some(Json::Object(kinds)) => kinds.values().any(star),
        Some(principal) => star(principal),
        None => false,
    }
}

fn is_conditional(statement: &Json<'_>) -> bool {
    get(statement, "Condition").and_then(Json::as_object).is_some_and(|condition| condition.iter().len() > 0)
}

/// A text with its `%41` read; what is no such escape stays.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|hex| *first == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        match hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
