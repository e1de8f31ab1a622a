//! What nobody can avoid: the envelope, base64 and inflate, by the function's own code.

use std::mem;
use std::sync::Mutex;

use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use root_usage_alert::batch::{DEFAULT_MAX_BYTES, Inflated};
use serde_json::value::RawValue;

static BUFFER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let buffer = mem::take(&mut *BUFFER.lock().map_err(|_| "no other thread")?);
        let inflated = Inflated::in_buffer(buffer, event.payload.get(), DEFAULT_MAX_BYTES)?;
        let length = inflated.len();
        *BUFFER.lock().map_err(|_| "no other thread")? = inflated.into_buffer();
        Ok::<_, Error>(length)
    }))
    .await
}
