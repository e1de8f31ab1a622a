//! The Lambda function behind a CloudWatch Logs subscription.

mod aws;
mod cloudtrail;
mod ledger;
mod log;
mod logs;
mod organizations;
mod pace;
mod sns;
mod stack;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn, tracing};
use root_usage::config::{AccountNames, Config};
use root_usage::error::chain;
use root_usage::handler::{Handler, HandlerError, Invocation};
use root_usage::report::Closing;
use serde_json::value::RawValue;

use aws::Aws;
use cloudtrail::CloudTrail;
use ledger::Table;
use organizations::{NameSource, Organizations};
use sns::Sns;

/// The function's timeout in template.yaml, for a Runtime API that names a deadline in the past: cargo-lambda's does.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is asked of the handler before the stack goes, and where it comes or changes.
const TELL_ALL: &str = r#"{"tick":{"all":true}}"#;
const NOTHING: &str = r#"{"tick":{}}"#;

/// Why the stack can't go yet.
const LEFT: &str = "something is stored that could not be told, so the stack should not be deleted; the log says why";

/// How long to wait until what another invocation has is looked at again.
const PAUSE: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    log::init();
    let vars = std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    let (config, topic) = match Config::for_function(vars) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(error = error.to_string(), "not started");
            return ExitCode::FAILURE;
        }
    };
    config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let aws = Aws::default();
    let (function, metrics) = (&config.style.function.clone(), config.metrics);
    let names = match &config.names {
        AccountNames::Listed(listed) => NameSource::Listed(listed.clone()),
        AccountNames::Organization { .. } => NameSource::Organization(Organizations::new(aws.clone())),
    };
    let history = CloudTrail::new(aws.clone());
    let (table, pace) = (config.ledger_table.clone().map(|name| Table::new(name, aws.clone())), config.pace);
    let has_ledger = table.is_some();
    let pager = config.pager_topic.clone().map(|topic| Sns::pager(topic, aws.clone()));
    let handler = Handler::new(config, Sns::new(topic, aws.clone()), history).with_pager(pager);
    let handler = &handler.with_directory(names).with_ledger(table, pace);
    let (aws, has_ledger) = (&aws, has_ledger);
    let service = service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let started = Instant::now();
        let time_left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or(TIMEOUT);
        let request_id = &event.context.request_id;
        let payload = event.payload.get();
        let asked = stack::Request::of(payload);
        let event = match &asked {
            Some(asked) if asked.is_delete() => TELL_ALL,
            Some(_) => NOTHING,
            None => payload,
        };
        let mut handled = handler.handle(Invocation { event, request_id, time_left, now: Timestamp::now() }).await;
        // Another invocation may be at what is left, for as long as its lease.
        while handled.result.is_ok()
            && handled.report.left.is_some_and(|left| left > 0)
            && started.elapsed() + PAUSE * 4 < time_left
        {
            tokio::time::sleep(PAUSE).await;
            let time_left = time_left.saturating_sub(started.elapsed());
            let invocation = Invocation { event, request_id, time_left, now: Timestamp::now() };
            handled = handler.handle(invocation).await;
        }
        let mut error = handled.result.as_ref().err().map(HandlerError::chain);
        if let (Some(asked), None) = (&asked, &error) {
            let told = !asked.is_delete() || !has_ledger || handled.report.left == Some(0);
            let answered =
                if told { asked.succeed(aws).await.map_err(|error| chain(&error)) } else { Err(LEFT.to_owned()) };
            error = answered.err();
        }
        let closing = Closing {
            report: &handled.report,
            error: error.as_deref(),
            request_id,
            function,
            event_bytes: payload.len(),
            took: started.elapsed(),
            now: Timestamp::now(),
            metrics: metrics && !handled.quiet,
        };
        log::close(&closing);
        match (handled.done(), error) {
            (Ok(report), None) => Ok(report),
            (Err(error), _) => Err(Diagnostic { error_type: error.kind().to_owned(), error_message: error.chain() }),
            (Ok(_), Some(error_message)) => Err(Diagnostic { error_type: "StackError".to_owned(), error_message }),
        }
    });
    match lambda_runtime::run(service).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "stopped");
            ExitCode::FAILURE
        }
    }
}
