//! The Lambda function behind a CloudWatch Logs subscription.

mod aws;
mod cloudtrail;
mod ledger;
mod log;
mod organizations;
mod pace;
mod sns;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn, tracing};
use root_usage::config::{AccountNames, Config};
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
    let handler = Handler::new(config, Sns::new(topic, aws), history);
    let handler = &handler.with_directory(names).with_ledger(table, pace);
    let service = service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let started = Instant::now();
        let time_left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or(TIMEOUT);
        let request_id = &event.context.request_id;
        let handled = handler
            .handle(Invocation { event: event.payload.get(), request_id, time_left, now: Timestamp::now() })
            .await;
        let error = handled.result.as_ref().err().map(HandlerError::chain);
        let closing = Closing {
            report: &handled.report,
            error: error.as_deref(),
            request_id,
            function,
            event_bytes: event.payload.get().len(),
            took: started.elapsed(),
            now: Timestamp::now(),
            metrics: metrics && !handled.quiet,
        };
        log::close(&closing);
        handled.done().map_err(|error| Diagnostic { error_type: error.kind().to_owned(), error_message: error.chain() })
    });
    match lambda_runtime::run(service).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "stopped");
            ExitCode::FAILURE
        }
    }
}
