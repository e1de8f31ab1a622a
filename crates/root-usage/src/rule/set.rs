//! The rules in force, and what each record is searched for before any of it is parsed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{OWN_RULE, Rule};
use crate::batch::LogEvent;
use crate::detect::prefilter::{Fields, Prefilter, hides_text};
use filter_pattern::json::Json;
use filter_pattern::{Lint, Literal};

/// The rules in force, and the search for what none of them can match without.
#[derive(Debug, Clone)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    /// `None` if some rule can match without any text that is known beforehand.
    prefilter: Option<Prefilter>,
    /// The same for each rule.
    prefilters: Vec<Option<Prefilter>>,
    /// The marked call that is looked for beside the rules.
    path_test: Option<Arc<Rule>>,
}

impl RuleSet {
    /// A set of rules. One that is named twice counts once.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut ids = BTreeSet::new();
        Self::of(rules.into_iter().filter(|rule| ids.insert(rule.id.clone())).map(Arc::new).collect(), None)
    }

    /// The same rules; and records of the call that [tests the path](Self::tests_path) are found beside them.
    #[must_use]
    pub fn with_path_test(self) -> Self {
        Self::of(self.rules, Rule::path_test().map(Arc::new))
    }

    fn of(rules: Vec<Arc<Rule>>, path_test: Option<Arc<Rule>>) -> Self {
        let literals: Vec<_> = rules.iter().map(|rule| rule.pattern.literals()).collect();
        let fields = Fields::of(literals.iter().flatten().flatten());
        let marker = path_test.iter().map(|rule| rule.pattern.literals());
        let all: Option<Vec<_>> = literals.iter().cloned().chain(marker).collect();
        let prefilter = all.map(|sets| Prefilter::new(&sets.concat(), &fields));
        let own = |literals: &Option<Vec<Literal>>| literals.as_ref().map(|own| Prefilter::new(own, &fields));
        let prefilters = literals.iter().map(own).collect();
        Self { rules, prefilter, prefilters, path_test }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The rules that match a record.
    #[must_use]
    pub fn matching(&self, record: &Json<'_>) -> Vec<Arc<Rule>> {
        self.rules.iter().filter(|rule| rule.pattern.matches(record)).map(Arc::clone).collect()
    }

    /// Whether a record is that of a call which somebody marked so that its way here is seen. Asked of what no rule matches:
    /// a mark hides nothing.
    #[must_use]
    pub fn tests_path(&self, record: &Json<'_>) -> bool {
        self.path_test.as_ref().is_some_and(|rule| rule.pattern.matches(record))
    }

    /// Whether a rule could match the record inside this log event, or could be [mentioned](Self::mentioned) by it. It
    /// may say yes too often, never no too often: a character may be written as `\u0052`, in the record or in the batch
    /// around it.
    #[must_use]
    pub fn may_match(&self, event: &LogEvent<'_>) -> bool {
        let may_hold = |prefilter: &Prefilter| prefilter.may_hold(event.raw());
        self.prefilter.as_ref().is_none_or(may_hold) || (event.is_escaped() && hides_text(event.raw()))
    }

    /// Whether a rule could match this record, given as JSON; `escaped` if `\u` may be in it. It may say yes too often,
    /// never no too often.
    #[must_use]
    pub fn may_match_record(&self, text: &[u8], escaped: bool) -> bool {
        self.prefilter.as_ref().is_none_or(|prefilter| prefilter.holds(text)) || (escaped && hides_text(text))
    }

    /// How many bytes of one part of a text have to be given to [`may_match_record`](Self::may_match_record) again with the
    /// next one, where a text is searched in parts.
    #[must_use]
    pub fn overlap(&self) -> usize {
        self.prefilter.as_ref().map_or(0, Prefilter::overlap)
    }

    /// The rules that a text could match which is no JSON object: it may be a record that was cut off or damaged. Each
    /// such rule finds in it a text that it can't match without, written out or as `\u0052`.
    #[must_use]
    pub fn mentioned(&self, text: &str) -> Vec<Arc<Rule>> {
        let plain = text.contains("\\u").then(|| unescaped(text));
        let holds = |prefilter: &Prefilter| {
            prefilter.holds(text.as_bytes()) || plain.as_ref().is_some_and(|text| prefilter.holds(text.as_bytes()))
        };
        let rules = self.rules.iter().zip(&self.prefilters);
        let mentioned = rules.filter(|(_, prefilter)| prefilter.as_ref().is_none_or(holds));
        mentioned.map(|(rule, _)| Arc::clone(rule)).collect()
    }

    /// The warnings about the operator's own pattern: it is valid, and may yet not say what was meant.
    #[must_use]
    pub fn lints(&self) -> Vec<Lint> {
        self.rules.iter().filter(|rule| rule.id == OWN_RULE).flat_map(|rule| rule.pattern.lints()).collect()
    }
}

/// The text with each `\u0052` written out, wherever it stands: in what is no JSON nothing says what is a string.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escaped = part.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        match escaped {
            Some(character) => {
                plain.push(character);
                plain.push_str(&part[4..]);
            }
            None => plain.push_str(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_of_the_same_name_in_another_service_is_not_meant() {
        let cis = RuleSet::new(Rule::named("cis").unwrap());
        for (source, name, expected) in [
            ("iam.amazonaws.com", "CreatePolicy", &["iam-policy-changes"][..]),
            ("iam.amazonaws.com", "CreatePolicyVersion", &["iam-policy-changes"]),
            ("iot.amazonaws.com", "CreatePolicy", &[]),
            ("iot.amazonaws.com", "CreatePolicyVersion", &[]),
            ("organizations.amazonaws.com", "CreatePolicy", &["organizations-changes"]),
            ("ec2.amazonaws.com", "CreateRoute", &["route-table-changes"]),
            ("ec2.amazonaws.com", "DeleteRoute", &["route-table-changes"]),
            ("apigateway.amazonaws.com", "CreateRoute", &[]),
            ("appmesh.amazonaws.com", "DeleteRoute", &[]),
        ] {
            let text = format!(r#"{{"eventSource":"{source}","eventName":"{name}"}}"#);
            let matching = cis.matching(&Json::parse(&text).unwrap());
            let ids: Vec<&str> = matching.iter().map(|rule| rule.id.as_str()).collect();
            assert_eq!(ids, expected, "{source} {name}");
        }
    }

    #[test]
    fn no_shipped_rule_needs_every_record_parsed() {
        assert!(RuleSet::new(Rule::shipped()).prefilter.is_some());
    }

    #[test]
    fn the_marked_call_is_found_without_a_search_of_its_own_where_root_is_searched_for() {
        for (rules, more) in [("root-usage", false), ("cis", false), ("iam-policy-changes", true)] {
            let without = RuleSet::new(Rule::named(rules).unwrap());
            let with = without.clone().with_path_test();
            // The mark is the longest of all that is searched for.
            assert_eq!(with.overlap() > without.overlap(), more, "{rules}");
            let text = br#"{"userAgent":"RootUsageAlert-test-path-abc"}"#;
            assert!(with.may_match_record(text, false), "{rules}");
            // A damaged record of it is nobody's matter.
            assert_eq!(with.rules().len(), without.rules().len());
            assert!(with.mentioned(r#"{"userAgent":"ootUsageAlert-test-path-"#).is_empty(), "{rules}");
        }
    }

    #[test]
    fn a_set_names_all_its_rules() {
        let cis = Rule::named("cis").unwrap();
        assert_eq!(cis.len(), 17);
        assert_eq!(cis[0].id, "root-usage-cis");
        let twice = [Rule::named("cis").unwrap(), Rule::named("root-usage-cis").unwrap()].concat();
        assert_eq!(RuleSet::new(twice).rules().len(), 17);
    }

    #[test]
    fn the_set_root_sees_who_acts_for_root_and_not_the_services() {
        let root = Rule::named("root").unwrap();
        assert_eq!(root[0].id, "root-usage");
        let root = RuleSet::new(root);
        let federated = r#""type":"FederatedUser","sessionContext":{"sessionIssuer":{"type":"Root"}}"#;
        for (identity, expected) in [
            (r#""type":"Root""#, &["root-usage"][..]),
            (r#""type":"Root","sessionContext":{"sessionIssuer":{}}"#, &["root-usage"]),
            (r#""type":"Root","invokedBy":"signin.amazonaws.com""#, &["root-in-console-by-signin"]),
            (r#""type":"Root","invokedBy":"autoscaling.amazonaws.com""#, &[]),
            (federated, &["root-federated"]),
            (r#""type":"FederatedUser","sessionContext":{"sessionIssuer":{"type":"IAMUser"}}"#, &[]),
            (r#""type":"AssumedRole","sessionContext":{"sessionIssuer":{"type":"Role"}}"#, &[]),
            (r#""type":"IAMUser","invokedBy":"signin.amazonaws.com""#, &[]),
        ] {
            let text = format!(r#"{{"userIdentity":{{{identity}}}}}"#);
            let matching = root.matching(&Json::parse(&text).unwrap());
            let ids: Vec<&str> = matching.iter().map(|rule| rule.id.as_str()).collect();
            assert_eq!(ids, expected, "{identity}");
        }
    }

    #[test]
    fn a_literal_is_found_however_it_is_written() {
        let root = RuleSet::new(Rule::named("root-usage").unwrap());
        let all = RuleSet::new(Rule::shipped());
        for (text, mentioned, among_all) in [
            ("Root", 1, 4),
            ("\\u0052oot", 1, 4),
            ("{\"type\":\"R\\u006fo\\u0074", 1, 4),
            ("C:\\users\\Roo", 0, 0),
            ("\\u00", 0, 0),
            ("\\ud800 \\u00é", 0, 0),
            ("", 0, 0),
            ("{\"eventName\":\"DeleteTrail\",", 0, 1),
            ("{\"eventName\" : \"DeleteTrail\",", 0, 1),
            ("{\"eventName\": \"DescribeTrails\",", 0, 0),
            ("{\"eventName\" \"DescribeTrails\",", 0, 14),
            ("{\"eventName\":\"DescribeTrails\",", 0, 0),
            ("{\"eventName\":\"DeleteTra", 0, 1),
            ("{\"eventNam\\u0065\":\"DeleteTrail\"", 0, 1),
            ("DeleteTrail", 0, 0),
        ] {
            assert_eq!(root.mentioned(text).len(), mentioned, "{text}");
            assert_eq!(all.mentioned(text).len(), among_all, "{text}");
        }
    }
}
