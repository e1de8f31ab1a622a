//! Tells the people responsible that the root user of an AWS account was used.

pub mod json;
pub mod pattern;
