//! `root-usage rules`: what RULES can name.

use std::io::Write;

use root_usage::rule::Rule;

/// Prints the shipped rules: id, severity, title and sets, then the exact pattern and its source.
///
/// RULES takes ids and sets, comma separated. A severity is the highest for anyone but root.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  root-usage rules\n  RULES=root-usage,cis root-usage run events/cis-changes.json")]
pub struct Arguments {}

/// Always true: there is no input that could be wrong.
pub fn run(_: &Arguments, out: &mut impl Write) -> anyhow::Result<bool> {
    let rules = Rule::shipped();
    let width = rules.iter().map(|rule| rule.id.len()).max().unwrap_or_default();
    for Rule { id, title, severity, sets, text, source, .. } in &rules {
        let severity = severity.map(|severity| severity.to_string()).unwrap_or_default();
        let sets = if sets.is_empty() { String::new() } else { format!(" [{}]", sets.join(", ")) };
        let source = source.as_ref().map(|source| format!("\n    {source}")).unwrap_or_default();
        writeln!(out, "{id:width$}  {severity:8}  {title}{sets}\n    {text}{source}")?;
    }
    Ok(true)
}
