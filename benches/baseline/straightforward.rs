//! The function as most would write it: `LogsEvent`, then each message to a JSON value.

use aws_lambda_events::event::cloudwatch_logs::LogsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    lambda_runtime::run(service_fn(|event: LambdaEvent<LogsEvent>| async move {
        let mut matched = 0;
        for log_event in event.payload.aws_logs.data.log_events {
            let record: Value = serde_json::from_str(&log_event.message)?;
            let identity = &record["userIdentity"];
            matched += usize::from(identity["type"] == "Root" && identity.get("invokedBy").is_none());
        }
        Ok::<_, Error>(matched)
    }))
    .await
}
