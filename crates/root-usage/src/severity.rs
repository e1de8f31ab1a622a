//! How soon somebody must look.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How soon somebody must look, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Get up.
    Critical,
    /// Now, if nobody announced it.
    High,
    /// Today.
    Medium,
    /// Nothing was gained by whoever did it.
    Low,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Critical => "CRITICAL",
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        })
    }
}
