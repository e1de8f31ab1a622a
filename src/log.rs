//! The function's log.

use std::env;
use std::io::{self, Write};

use lambda_runtime::tracing::{Level, init_default_subscriber, subscriber};
use root_usage::report::Closing;
use tracing::level_filters::LevelFilter;

/// Writes log lines to standard output, as Lambda's settings for the function's log want them: `AWS_LAMBDA_LOG_FORMAT`
/// and `AWS_LAMBDA_LOG_LEVEL`.
///
/// This is `lambda_runtime`'s own subscriber, but in lines of JSON without the spans around them: they say the request's
/// id twice more, and cost a batch of one record a tenth of its time.
pub fn init() {
    let set = |name| env::var(name).ok();
    let json = set("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    if !json || set("RUST_LOG").is_some() {
        return init_default_subscriber();
    }
    let level = set("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(Level::INFO);
    let lines = subscriber::fmt().with_target(false).with_max_level(level).json();
    lines.with_current_span(false).with_span_list(false).init();
}

/// Writes the line that an invocation ends with, where the log takes its level, or it is metrics too.
pub fn close(closing: &Closing<'_>) {
    let level = if closing.error.is_some() { Level::ERROR } else { Level::INFO };
    if closing.metrics || LevelFilter::current() >= level {
        // Where the log can't be written there is nowhere to say so.
        let _ = io::stdout().write_all(closing.line().as_bytes());
    }
}
