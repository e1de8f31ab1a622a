//! A topic that answers as a test tells it, and the pipeline in front of it.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use root_usage::config::Config;
use root_usage::email::{Message, SUBJECT_MAX};
use root_usage::handler::{Handler, HandlerError, Invocation};
use root_usage::history::{History, LookUpError, Page, Query, Recorded, Why};
use root_usage::notify::{Notify, Receipt, Refusal, Remedy, topic};
use root_usage::report::Report;
use serde_json::Value;
use tokio::time::Instant;

/// What a topic does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Taken,
    /// It is taken, but the answer is lost.
    Lost,
    Throttled,
    Refused,
    NoTopic,
    /// No answer, ever.
    Silent,
    /// The code that publishes panics.
    Panics,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
pub struct NotTaken(Answer);

impl Refusal for NotTaken {
    fn remedy(&self) -> Remedy {
        match self.0 {
            Answer::Refused => Remedy::Rephrase,
            Answer::NoTopic => Remedy::Repair,
            _ => Remedy::Retry,
        }
    }

    fn may_have_arrived(&self) -> bool {
        self.0 == Answer::Lost
    }
}

/// A topic that answers as it is told, and then takes everything.
#[derive(Default)]
pub struct Topic {
    answers: Mutex<Vec<Answer>>,
    arrived: Mutex<Vec<Message>>,
    pub refused: Mutex<Vec<Message>>,
}

impl Notify for Topic {
    type Error = NotTaken;

    fn fits(&self, message: &Message) -> bool {
        topic::fits(message)
    }

    async fn publish(&self, message: &Message) -> Result<Receipt, NotTaken> {
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.is_empty() { Answer::Taken } else { answers.remove(0) }
        };
        match answer {
            Answer::Taken | Answer::Lost => self.arrived.lock().unwrap().push(message.clone()),
            Answer::Silent => std::future::pending().await,
            Answer::Panics => panic!("publishing is broken"),
            Answer::Throttled | Answer::Refused | Answer::NoTopic => self.refused.lock().unwrap().push(message.clone()),
        }
        match answer {
            Answer::Taken => Ok(Receipt { message_id: "m".to_owned() }),
            answer => Err(NotTaken(answer)),
        }
    }
}

impl Topic {
    pub fn answering(answers: &[Answer]) -> Self {
        Self { answers: Mutex::new(answers.to_vec()), ..Self::default() }
    }

    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.arrived.lock().unwrap())
    }
}

/// A history that fails in one of the ways there are, or is empty.
pub struct Failing(pub Option<Why>);

impl History for Failing {
    async fn look_up(&self, _: &Query, _: Instant) -> Result<Page, LookUpError> {
        match &self.0 {
            None => Ok(Page::default()),
            Some(Why::Fault) => panic!("the history is broken"),
            Some(Why::Time) => std::future::pending().await,
            Some(why) => Err(LookUpError { why: why.clone(), source: None }),
        }
    }
}

pub fn config(vars: &[(&str, &str)]) -> Config {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config { metrics: false, ..Config::from_vars(vars).unwrap() }
}

pub fn handler(topic: Topic) -> Handler<Topic, Recorded> {
    Handler::new(Config { history: None, ..config(&[]) }, topic, Recorded::default())
}

pub async fn invoke<H: History>(handler: &Handler<Topic, H>, event: &str) -> Result<Report, HandlerError<NotTaken>> {
    handler
        .handle(Invocation { event, request_id: "r", time_left: Duration::from_secs(30), now: Timestamp::now() })
        .await
        .done()
}

fn schema(text: &str) -> jsonschema::Validator {
    jsonschema::draft202012::new(&serde_json::from_str(text).unwrap()).unwrap()
}

static ALERT: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| schema(include_str!("../../../../docs/alert.schema.json")));
static NOTICE: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| schema(include_str!("../../../../docs/notice.schema.json")));

pub fn valid(message: &Message) {
    let document: Value = serde_json::from_str(&message.document).unwrap();
    let schema = match document["schema"].as_str().unwrap() {
        "root-usage-alert/1" | "root-usage-alert/2" => &ALERT,
        _ => &NOTICE,
    };
    let errors: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let subject = message.subject.as_str();
    assert!(subject.len() <= SUBJECT_MAX && subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{subject}");
}
