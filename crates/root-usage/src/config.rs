//! The configuration of the function, from its environment.

mod value;

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::alert::TrustedNetwork;
use crate::batch::DEFAULT_MAX_BYTES;
use crate::directory::Listed;
use crate::email::{HttpsFormat, Language, Style};
use crate::error::chain;
use crate::history::Reach;
use crate::incident::Pace;
use crate::notify::topic::TopicArn;
use crate::rule::{Rule, RuleError, RuleSet};
use value::{policy_id, runbook, table};

/// The variables that can also be set in `SETTINGS`, as `NAME=value` separated by semicolons: those that only the
/// function reads and that few set. What the template decides by must stay a variable of its own, or the two would
/// disagree: but for `METRICS=off`, `HISTORY_MINUTES=0` and `PAGER_TOPIC_ARN`, which the template can find in the text.
pub const SETTINGS: [&str; 9] = [
    "ALERT_TIME_ZONE",
    "MASK_ACCESS_KEYS",
    "HISTORY_MINUTES",
    "HISTORY_TIMEOUT_MS",
    "MAX_BATCH_BYTES",
    "METRICS",
    "LOCKDOWN_POLICY_ID",
    "HTTPS_FORMAT",
    "PAGER_TOPIC_ARN",
];

/// What `QUIET_MINUTES` may be, besides 0.
const QUIET_MINUTES: RangeInclusive<i64> = 10..=240;

/// How long a mail waits for what is looked up, where nothing else is set.
const HISTORY_TIMEOUT: Duration = Duration::from_millis(3000);

/// What an operator can set. `SETTINGS` holds the variables of [`SETTINGS`] that are not set themselves.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ALERT_TOPIC_ARN`; `None` where there is no topic, as in the `root-usage` command.
    pub alert_topic: Option<TopicArn>,
    /// `RULES`, ids of shipped rules and names of their sets, and `RULE_PATTERN`.
    pub rules: RuleSet,
    /// How mails are written: `ALERT_LANGUAGE`, `ALERT_TIME_ZONE`, `MASK_ACCESS_KEYS`, `TRUSTED_CIDRS`, `RUNBOOK_URL`,
    /// `LOCKDOWN_POLICY_ID`, `HTTPS_FORMAT`, and the name that Lambda gives the function.
    pub style: Style,
    /// `HISTORY_MINUTES` and `HISTORY_TIMEOUT_MS`; `None` where nothing is looked up.
    pub history: Option<Reach>,
    /// `ACCOUNT_NAMES`: where accounts' names come from.
    pub names: AccountNames,
    /// `METRICS`: whether each invocation writes a line of metrics. The log line has every figure anyway.
    pub metrics: bool,
    /// `MAX_BATCH_BYTES`: the most bytes a payload may inflate to.
    pub max_batch_bytes: usize,
    /// `QUIET_MINUTES` and `UPDATE_MINUTES`: how fast an incident is told. Without quiet minutes there are no incidents:
    /// each batch has a mail of its own.
    pub pace: Pace,
    /// `LEDGER_TABLE`: the DynamoDB table that incidents are kept in; `None` where there is none, as in the `root-usage`
    /// command.
    pub ledger_table: Option<String>,
    /// `PAGER_TOPIC_ARN`: where what is critical goes besides, as soon as it is told.
    pub pager_topic: Option<TopicArn>,
}

/// Where accounts' names come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountNames {
    /// From the operator's own list, which may be empty.
    Listed(Listed),
    /// From AWS Organizations.
    Organization {
        /// How long a mail waits for them: as long as for the event history, `HISTORY_TIMEOUT_MS`.
        timeout: Duration,
    },
}

impl AccountNames {
    /// The operator's list, which is empty where the organization is asked.
    #[must_use]
    pub fn listed(&self) -> Listed {
        match self {
            Self::Listed(listed) => listed.clone(),
            Self::Organization { .. } => Listed::default(),
        }
    }

    /// How long a mail waits for them. For those of a list it need not.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        match self {
            Self::Listed(_) => Duration::ZERO,
            Self::Organization { timeout } => *timeout,
        }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Error)]
pub struct ConfigError {
    /// One entry for each variable that is wrong.
    pub problems: Vec<Problem>,
}

/// A variable that is wrong.
#[derive(Debug)]
pub struct Problem {
    /// The variable's name.
    pub variable: &'static str,
    /// Its value; `None` if it is not set.
    pub value: Option<String>,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is wrong")?;
        for problem in &self.problems {
            match &problem.value {
                Some(value) => write!(f, "\n  {}={value:?}: {}", problem.variable, problem.expected)?,
                None => write!(f, "\n  {} is not set: {}", problem.variable, problem.expected)?,
            }
        }
        Ok(())
    }
}

/// Reads variables and collects what is wrong with them.
struct Reader {
    vars: HashMap<String, String>,
    problems: Vec<Problem>,
}

impl Reader {
    /// The value of a variable; blank means unset.
    fn get(&self, variable: &str) -> Option<&str> {
        self.vars.get(variable).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Takes apart the variable `SETTINGS`: each of its pairs becomes a variable.
    fn settings(&mut self) {
        let Some(settings) = self.get("SETTINGS").map(str::to_owned) else { return };
        for pair in settings.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (name.trim(), value.trim());
            let expected = if !SETTINGS.contains(&name) {
                format!("there is no setting {name:?}; expected NAME=value with one of {}", SETTINGS.join(", "))
            } else if value.is_empty() {
                format!("{name} has no value; expected {name}=value, or nothing")
            } else if self.get(name).is_some() {
                format!("{name} is set twice; expected it once, here or as a variable of its own")
            } else {
                self.vars.insert(name.to_owned(), value.to_owned());
                continue;
            };
            self.problems.push(Problem { variable: "SETTINGS", value: Some(pair.to_owned()), expected });
        }
    }

    fn parse<T>(&mut self, variable: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = self.get(variable)?.to_owned();
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(expected) => {
                self.problems.push(Problem { variable, value: Some(value), expected });
                None
            }
        }
    }
}

fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

fn https_format(value: &str) -> Result<HttpsFormat, String> {
    match value {
        "json" => Ok(HttpsFormat::Json),
        "amazon-q" => Ok(HttpsFormat::AmazonQ),
        _ => Err("expected json or amazon-q".to_owned()),
    }
}

/// `None` for UTC, which is shown anyway.
fn time_zone(value: &str) -> Result<Option<TimeZone>, String> {
    if value == "UTC" {
        return Ok(None);
    }
    TimeZone::get(value).map(Some).map_err(|_| "expected the IANA name of a time zone, such as Asia/Tokyo".to_owned())
}

fn networks(value: &str) -> Result<Vec<TrustedNetwork>, String> {
    value.split(',').map(TrustedNetwork::parse).collect()
}

/// How many minutes end an incident; 0 where there are no incidents. Fewer than the minutes by which deliveries of one
/// session follow each other would end it between two of them.
fn quiet(value: &str) -> Result<i64, String> {
    let minutes = value.parse().ok().filter(|minutes| *minutes == 0 || QUIET_MINUTES.contains(minutes));
    minutes.ok_or_else(|| {
        format!("expected 0, or a number of minutes from {} to {}", QUIET_MINUTES.start(), QUIET_MINUTES.end())
    })
}

/// A whole number of `unit` within a range.
fn number<T: FromStr + PartialOrd + fmt::Display>(
    unit: &str,
    allowed: RangeInclusive<T>,
) -> impl FnOnce(&str) -> Result<T, String> {
    move |value| {
        let number = value.parse().ok().filter(|number| allowed.contains(number));
        number.ok_or_else(|| format!("expected a number of {unit} from {} to {}", allowed.start(), allowed.end()))
    }
}

impl Config {
    /// Reads the configuration from environment variables. A blank variable counts as unset. What [`SETTINGS`] lists may
    /// stand in the variable `SETTINGS` instead.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every wrong variable at once.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut read = Reader { vars: vars.into_iter().collect(), problems: Vec::new() };
        read.settings();
        let alert_topic = read.parse("ALERT_TOPIC_ARN", TopicArn::parse);
        let pager_topic = read.parse("PAGER_TOPIC_ARN", |arn| match TopicArn::parse(arn)? {
            pager if Some(&pager) == alert_topic.as_ref() => {
                Err("expected another topic than ALERT_TOPIC_ARN, which gets every alert anyway".to_owned())
            }
            pager => Ok(pager),
        });
        let shipped = |names: &str| {
            let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
            let rules = names.map(Rule::named).collect::<Result<Vec<_>, RuleError>>();
            rules.map(|rules| rules.concat()).map_err(|error| chain(&error))
        };
        let mut rules = match read.get("RULES") {
            Some(_) => read.parse("RULES", shipped).unwrap_or_default(),
            None => Self::default_rules(),
        };
        rules.extend(read.parse("RULE_PATTERN", |text| Rule::own(text).map_err(|error| chain(&error))));
        let style = Style {
            language: read.parse("ALERT_LANGUAGE", Language::parse).unwrap_or_default(),
            time_zone: read.parse("ALERT_TIME_ZONE", time_zone).flatten(),
            trusted_networks: read.parse("TRUSTED_CIDRS", networks).unwrap_or_default(),
            mask_access_keys: read.parse("MASK_ACCESS_KEYS", boolean).unwrap_or(true),
            runbook: read.parse("RUNBOOK_URL", runbook),
            lockdown_policy: read.parse("LOCKDOWN_POLICY_ID", policy_id),
            https: read.parse("HTTPS_FORMAT", https_format).unwrap_or_default(),
            function: read.get("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("root-usage").to_owned(),
        };
        let max_batch_bytes =
            read.parse("MAX_BATCH_BYTES", number("bytes", (1 << 20)..=(1 << 30))).unwrap_or(DEFAULT_MAX_BYTES);
        let metrics = read.parse("METRICS", switch).unwrap_or(true);
        let minutes = read.parse("HISTORY_MINUTES", number("minutes", 0..=1440)).unwrap_or(60);
        // More than this would not leave the time that publishing may need.
        let timeout = read.parse("HISTORY_TIMEOUT_MS", number("milliseconds", 100..=8000));
        let timeout = timeout.map_or(HISTORY_TIMEOUT, Duration::from_millis);
        let history = (minutes > 0).then_some(Reach { minutes, timeout });
        let names = read.parse("ACCOUNT_NAMES", |value| match value {
            "none" => Ok(AccountNames::Listed(Listed::default())),
            "organization" => Ok(AccountNames::Organization { timeout }),
            list => Listed::parse(list).map(AccountNames::Listed),
        });
        let names = names.unwrap_or_else(|| AccountNames::Listed(Listed::default()));
        let mut pace = Pace::default();
        if let Some(minutes) = read.parse("QUIET_MINUTES", quiet) {
            pace.quiet = SignedDuration::from_mins(minutes);
        }
        if let Some(minutes) = read.parse("UPDATE_MINUTES", number("minutes", 1..=60)) {
            pace.update = SignedDuration::from_mins(minutes);
        }
        // A read is worth less than a change.
        pace.reads = pace.reads.max(pace.update);
        let ledger_table = read.parse("LEDGER_TABLE", table);
        if rules.is_empty() && read.problems.is_empty() {
            let expected = "expected at least one rule or set, for example root-usage or cis".to_owned();
            read.problems.push(Problem { variable: "RULES", value: read.get("RULES").map(str::to_owned), expected });
        }
        if read.problems.is_empty() {
            let rules = RuleSet::new(rules).with_path_test();
            Ok(Self {
                alert_topic,
                rules,
                style,
                history,
                names,
                metrics,
                max_batch_bytes,
                pace,
                ledger_table,
                pager_topic,
            })
        } else {
            Err(ConfigError { problems: read.problems })
        }
    }

    /// Reads the configuration of the deployed function, which needs a topic.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every wrong variable at once, an unset `ALERT_TOPIC_ARN` among them.
    pub fn for_function(vars: impl IntoIterator<Item = (String, String)>) -> Result<(Self, TopicArn), ConfigError> {
        let vars: Vec<_> = vars.into_iter().collect();
        let unset = !vars.iter().any(|(name, value)| name == "ALERT_TOPIC_ARN" && !value.trim().is_empty());
        let missing = || Problem {
            variable: "ALERT_TOPIC_ARN",
            value: None,
            expected: "expected the ARN of the SNS topic that alerts go to".to_owned(),
        };
        match Self::from_vars(vars) {
            Ok(config) => match config.alert_topic.clone() {
                Some(topic) => Ok((config, topic)),
                None => Err(ConfigError { problems: vec![missing()] }),
            },
            Err(mut error) => {
                error.problems.splice(0..0, unset.then(missing));
                Err(error)
            }
        }
    }

    /// What is right and yet may not be meant, a sentence each: the lints of the operator's own pattern.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.rules.lints().iter().map(|lint| format!("RULE_PATTERN: {lint}")).collect()
    }

    fn default_rules() -> Vec<Rule> {
        Rule::shipped().into_iter().filter(|rule| rule.id == "root-usage").collect()
    }
}
