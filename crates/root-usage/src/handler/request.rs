//! What an invocation asks for that brings no log events.

use serde::Deserialize;
use serde_json::value::RawValue;

/// An invocation that is no batch.
#[derive(Debug, Clone)]
pub(super) enum Request {
    /// `{"test":{}}`: show that mails arrive.
    Test,
    /// `{"heartbeat":{"logGroup":"…"}}`: make a call that CloudTrail records, and look whether the record of an earlier one is
    /// in that log group.
    Heartbeat { log_group: Option<String> },
    /// `{"tick":{}}`: tell what is due. With `"all":true`, or if CloudFormation deletes the stack, tell all that is kept.
    Tick { all: bool },
    /// `{"incidents":{}}`: say what is open.
    Incidents,
}

impl Request {
    /// What an event asks for. One that brings log events never asks for anything else, so that no record can pass for
    /// a test.
    pub fn of(event: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Keys<'a> {
            #[serde(borrow)]
            awslogs: Option<&'a RawValue>,
            #[serde(borrow)]
            test: Option<&'a RawValue>,
            heartbeat: Option<Heartbeat>,
            #[serde(borrow)]
            tick: Option<Tick<'a>>,
            #[serde(borrow)]
            incidents: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Tick<'a> {
            #[serde(borrow)]
            all: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Heartbeat {
            log_group: Option<String>,
        }
        // Batches are longer: they are not read twice.
        if event.len() > 1024 {
            return None;
        }
        match serde_json::from_str(event).ok()? {
            Keys { awslogs: None, test: Some(_), .. } => Some(Self::Test),
            Keys { awslogs: None, heartbeat: Some(Heartbeat { log_group }), .. } => Some(Self::Heartbeat { log_group }),
            Keys { awslogs: None, tick: Some(Tick { all }), .. } => {
                Some(Self::Tick { all: all.is_some_and(|all| all.get() == "true") })
            }
            Keys { awslogs: None, incidents: Some(_), .. } => Some(Self::Incidents),
            _ => None,
        }
    }
}
