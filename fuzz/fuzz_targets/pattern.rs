//! Any text: read or refused, never a panic; what was read has a canonical text that says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use filter_pattern::{MAX_CHARS, Pattern};

fuzz_target!(|text: &str| match Pattern::parse(text) {
    Ok(pattern) => {
        let canonical = pattern.to_string();
        assert!(canonical.chars().count() <= MAX_CHARS);
        let again = Pattern::parse(&canonical).expect("the canonical text is a pattern");
        assert_eq!(again, pattern);
        assert_eq!(again.to_string(), canonical);
        assert_eq!(again.literals(), pattern.literals());
        assert_eq!(again.lints(), pattern.lints());
    }
    Err(error) => {
        assert!(text.get(error.span()).is_some(), "the place is on the borders of characters");
        assert!(error.to_string().lines().count() >= 3);
    }
});
