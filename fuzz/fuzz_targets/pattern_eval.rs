//! A pattern on the first line, a message after it: never a panic, and a message that matches has a literal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use filter_pattern::json::Json;
use filter_pattern::Pattern;

fuzz_target!(|input: &str| {
    let (pattern, message) = input.split_once('\n').unwrap_or((input, "{}"));
    let Ok(pattern) = Pattern::parse(pattern) else { return };
    let matches = pattern.matches_text(message);
    // Without a backslash nothing in the message is escaped, which is what literals are promised for.
    if let Some(literals) = pattern.literals()
        && matches
        && !message.contains('\\')
    {
        assert!(literals.iter().any(|literal| message.contains(literal.as_str())), "{literals:?}");
    }
    if let Ok(event) = Json::parse(message) {
        assert_eq!(pattern.matches(&event), matches);
        let canonical: Pattern = pattern.to_string().parse().expect("the canonical text is a pattern");
        assert_eq!(canonical.matches(&event), matches);
        let explained = pattern.explain(&event);
        assert!(!matches || explained.is_empty() || explained.iter().any(|condition| condition.holds));
    }
});
