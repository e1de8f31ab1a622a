//! The function that does nothing: what `lambda_runtime` itself costs.

use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    lambda_runtime::run(service_fn(|_: LambdaEvent<Box<RawValue>>| async { Ok::<_, Error>(0) })).await
}
