//! What root does, as records of a few words, and deliveries of them.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::batches::{gzip, raw};

/// When everything begins: 2026-11-20T02:47:00Z.
pub const BEGIN: i64 = 1_795_142_820;

thread_local! {
    /// How many deeds there are. Of the thread, so that a run that is made from a seed has the same ids each time.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// Counts from the start again.
pub fn count_anew() {
    COUNT.set(0);
}

/// So many seconds after the beginning.
pub fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGIN).unwrap() + SignedDuration::from_secs(seconds)
}

/// A number in letters: digits could be a telephone number, which a mail would change.
fn letters(number: usize) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

/// A record.
#[derive(Clone)]
pub struct Deed(pub Value);

impl Deed {
    /// A call of root's in a console session that began at the beginning.
    pub fn new(service: &str, name: &str) -> Self {
        let number = COUNT.replace(COUNT.get() + 1);
        Self(json!({
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "Root", "principalId": "111122223333", "arn": "arn:aws:iam::111122223333:root",
                "accountId": "111122223333", "accessKeyId": "ASIAI44QH8DHBEXAMPLE",
                "sessionContext": { "attributes": { "creationDate": after(0).to_string(), "mfaAuthenticated": "true" } }
            },
            "eventTime": after(0).to_string(), "eventSource": format!("{service}.amazonaws.com"), "eventName": name,
            "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.77", "userAgent": "test",
            "requestParameters": null, "responseElements": null, "readOnly": false,
            "eventID": format!("event-{}", letters(number)), "eventType": "AwsApiCall", "recipientAccountId": "111122223333",
            "sessionCredentialFromConsole": "true"
        }))
    }

    /// A call that only reads.
    pub fn read(service: &str, name: &str) -> Self {
        Self::new(service, name).with("readOnly", json!(true))
    }

    /// A sign-in.
    pub fn sign_in() -> Self {
        Self::page("Success", json!({ "MFAUsed": "Yes" }))
    }

    /// A sign-in that failed at the password.
    pub fn failed_sign_in(account: &str) -> Self {
        Self::page("Failure", json!({ "MFAUsed": "No" }))
            .with("errorMessage", json!("Failed authentication"))
            .account(account)
    }

    /// A sign-in that failed at the MFA prompt.
    pub fn failed_mfa() -> Self {
        let page = Self::page("Failure", json!({ "MFAUsed": "Yes" }));
        page.with("errorMessage", json!("Failed authentication"))
    }

    fn page(outcome: &str, additional: Value) -> Self {
        let identity = json!({ "type": "Root", "accountId": "111122223333", "arn": "arn:aws:iam::111122223333:root" });
        Self::new("signin", "ConsoleLogin")
            .with("userIdentity", identity)
            .with("eventType", json!("AwsConsoleSignIn"))
            .with("responseElements", json!({ "ConsoleLogin": outcome }))
            .with("additionalEventData", additional)
            .with("sessionCredentialFromConsole", Value::Null)
    }

    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.0[field] = value;
        self
    }

    pub fn of(self, name: &str, value: &str) -> Self {
        self.with("requestParameters", json!({ name: value }))
    }

    pub fn account(mut self, account: &str) -> Self {
        self.0["userIdentity"]["accountId"] = json!(account);
        self.0["userIdentity"]["arn"] = json!(format!("arn:aws:iam::{account}:root"));
        self.with("recipientAccountId", json!(account))
    }

    pub fn from(self, source: &str) -> Self {
        self.with("sourceIPAddress", json!(source))
    }

    pub fn region(self, region: &str) -> Self {
        self.with("awsRegion", json!(region))
    }

    pub fn denied(self) -> Self {
        self.with("errorCode", json!("AccessDenied"))
    }

    pub fn session(mut self, seconds: i64) -> Self {
        self.0["userIdentity"]["sessionContext"]["attributes"]["creationDate"] = json!(after(seconds).to_string());
        self
    }

    /// With a long-lived key.
    pub fn by_key(mut self, key: &str) -> Self {
        self.0["userIdentity"]["sessionContext"] = Value::Null;
        self.0["userIdentity"]["accessKeyId"] = json!(key);
        self.with("sessionCredentialFromConsole", Value::Null)
    }

    /// By somebody else.
    pub fn by(self, name: &str) -> Self {
        let identity = json!({
            "type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/{name}"), "accountId": "111122223333",
            "userName": name, "accessKeyId": "AKIAIOSFODNN7EXAMPLE"
        });
        self.with("userIdentity", identity)
    }

    /// The same once more: another event.
    pub fn again(self) -> Self {
        let number = COUNT.replace(COUNT.get() + 1);
        self.with("eventID", json!(format!("event-{}", letters(number))))
    }

    pub fn id(&self) -> String {
        self.0["eventID"].as_str().unwrap().to_owned()
    }
}

/// A delivery of what happened `seconds` after the beginning.
pub fn delivery(seconds: i64, deeds: &[Deed]) -> String {
    let time = after(seconds);
    let message = |deed: &Deed| deed.clone().with("eventTime", json!(time.to_string())).0.to_string();
    messages(seconds, &deeds.iter().map(message).collect::<Vec<_>>())
}

/// The same of texts.
pub fn messages(seconds: i64, messages: &[String]) -> String {
    let number = COUNT.replace(COUNT.get() + 1);
    let event = |(n, message): (usize, &String)| json!({ "id": format!("{number}-{n}"), "timestamp": after(seconds).as_millisecond(), "message": message });
    let events: Vec<Value> = messages.iter().enumerate().map(event).collect();
    let data = json!({
        "messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "trail", "logStream": "stream",
        "subscriptionFilters": ["f"], "logEvents": events
    });
    raw(&gzip(data.to_string().as_bytes()))
}
