//! The message for every classic mistake, in one file that a person can read.

use std::fmt::Write;

use filter_pattern::Pattern;

const MISTAKES: &[&str] = &[
    // operators
    r#"{ $.eventName == "ConsoleLogin" }"#,
    "{ $.eventName = ConsoleLogin AND $.errorCode NOT EXISTS }",
    "{ ($.eventName = ConsoleLogin) or ($.eventName = GetSessionToken) }",
    "{ $.eventName = ConsoleLogin & $.userIdentity.type = Root }",
    "{ $.eventName = ConsoleLogin | $.userIdentity.type = Root }",
    "{ !($.userIdentity.type = Root) }",
    "{ NOT $.userIdentity.type = Root }",
    "{ $.eventName LIKE Console }",
    "{ $.count => 5 }",
    "{ $.count <> 5 }",
    // states
    "{ $.userIdentity.invokedBy = null }",
    "{ $.userIdentity.invokedBy != null }",
    "{ $.userIdentity.invokedBy EXISTS }",
    "{ $.userIdentity.invokedBy IS NOT NULL }",
    "{ $.readOnly IS NOT TRUE }",
    "{ $.readOnly IS NOT FALSE }",
    "{ $.readOnly is true }",
    "{ $.userIdentity.invokedBy not exists }",
    "{ $.userIdentity.invokedBy NOT NULL }",
    "{ $.readOnly IS yes }",
    "{ $.readOnly }",
    // selectors
    r#"{ userIdentity.type = "Root" }"#,
    r#"{ $userIdentity.type = "Root" }"#,
    r#"{ .userIdentity.type = "Root" }"#,
    "{ $ = Root }",
    "{ $. = Root }",
    r#"{ $..type = "Root" }"#,
    r#"{ $.userIdentity..type = "Root" }"#,
    "{ $.resources[-1].type = x }",
    "{ $.resources[0:2].type = x }",
    "{ $.resources[first].type = x }",
    "{ $.resources[0 = x }",
    r#"{ $.["cluster.name"] = x }"#,
    "{ $.cluster['name'] = x }",
    "{ $.['cluster.name = x }",
    "{ $.[0] = x }",
    "{ $.@timestamp = x }",
    "{ $.requestParameters.aws:tag/x = y }",
    "{ $.name* = x }",
    // values
    "{ $.userIdentity.type = 'Root' }",
    "{ $.userIdentity.type = “Root” }",
    "{ $.userIdentity.type = ‘Root’ }",
    "{ $.userIdentity.type = \"Root }",
    "{ $.userIdentity.type = }",
    "{ ($.userIdentity.type != ) && $.a = 1 }",
    "{ $.userIdentity.arn = arn:aws:iam::111122223333:root }",
    "{ $.requestParameters.email = someone@example.com }",
    "{ $.requestParameters.path = /admin }",
    "{ $.errorMessage = Failed authentication }",
    "{ $.sourceIPAddress = $.otherAddress }",
    r#"{ $.count > "5" }"#,
    "{ $.count >= five }",
    "{ $.count < }",
    "{\u{a0}$.userIdentity.type = Root }",
    // regular expressions
    "{ $.eventName = %(Create|Delete)User% }",
    "{ $.eventName = %Create(?!User)% }",
    "{ $.eventName = %Create!% }",
    "{ $.eventName = %Create }",
    "{ $.eventName = %*User% }",
    "{ $.eventName = %[a-z% }",
    r"{ $.eventName = %\p% }",
    "{ $.eventName = %a{2,1}% }",
    "{ $.eventName = %.{1000}.{900}% }",
    // limits
    "{ $.a = %x% && $.b = %y% && $.c = %z% }",
    "{ $.a[*].b[*] = 1 }",
    "{ $.a[*] = 1 || $.b[*] = 1 || $.c[*] = 1 || $.d[*] = 1 }",
    // the whole
    r#"$.userIdentity.type = "Root""#,
    r#"($.userIdentity.type = "Root") && ($.userIdentity.invokedBy NOT EXISTS)"#,
    r#"{ $.userIdentity.type = "Root""#,
    r#"{ ($.userIdentity.type = "Root" }"#,
    r#"{ $.userIdentity.type = "Root") }"#,
    r#"{ $.userIdentity.type = "Root" } && { $.a = 1 }"#,
    r#"{ $.userIdentity.type = "Root" && }"#,
    r#"{ $.userIdentity.type = "Root" $.a = 1 }"#,
    r#"'{ $.userIdentity.type = "Root" }'"#,
    "{ }",
    "ERROR",
    "\"Root login\"",
    "?ERROR ?WARN",
    "[ip, user, status = 4*]",
    "%Root%",
    // carets below text of several bytes and columns, line breaks, and in a long pattern
    r#"{ $.a = "é日本語" && $.b == "é" }"#,
    "{ $.a = 1 &&\n\t$.b == 2 }",
    "{ $.a1 = 1 || $.a2 = 1 || $.a3 = 1 || $.a4 = 1 || $.a5 = 1 || $.a6 = 1 || $.a7 == 1 || $.a8 = 1 || $.a9 = 1 || $.a10 = 1 || $.a11 = 1 }",
];

#[test]
fn every_mistake_is_explained() {
    let mut all = String::new();
    for pattern in MISTAKES.iter().map(|pattern| (*pattern).to_owned()).chain([" ".repeat(1025), "(".repeat(130)]) {
        let pattern = if pattern.starts_with("((") { format!("{{ {pattern}") } else { pattern };
        let error = Pattern::parse(&pattern).expect_err(&pattern);
        assert!(pattern.get(error.span()).is_some(), "the span cuts a character: {pattern}");
        writeln!(all, "{error}\n").unwrap();
    }
    insta::assert_snapshot!(all);
}

/// Advice that is wrong itself would be worse than none.
#[test]
fn what_to_write_instead_is_a_pattern() {
    for pattern in MISTAKES {
        let error = Pattern::parse(pattern).expect_err(pattern);
        let Some(instead) = error.instead() else { continue };
        let mut repaired = (*pattern).to_owned();
        if instead.starts_with('{') {
            repaired = instead.to_owned();
        } else {
            repaired.replace_range(error.span(), instead);
        }
        if let Err(next) = Pattern::parse(&repaired) {
            panic!("{error}\n\n{repaired}\n\n{next}");
        }
    }
}
