//! What the hourly look asks of AWS, and why it got no answer.

use std::error::Error;

/// Something that the hourly look asked and that could not be answered.
#[derive(Debug, thiserror::Error)]
#[error("{what} could not be asked; {advice}")]
pub struct WatchError {
    /// What was asked.
    pub what: &'static str,
    /// What would be right.
    pub advice: &'static str,
    /// The cause.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}
