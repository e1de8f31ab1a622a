//! What nobody can avoid: the envelope, base64 and inflate, by the function's own code.

use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use root_usage::batch::{DEFAULT_MAX_BYTES, Inflated};
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        Ok::<_, Error>(Inflated::from_event(event.payload.get(), DEFAULT_MAX_BYTES)?.len())
    }))
    .await
}
