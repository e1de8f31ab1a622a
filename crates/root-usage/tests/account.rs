//! Which account a mail names, however the record has it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;

use alerts::{alert, mails, record};
use root_usage::email::{Message, Style};
use root_usage::notify::topic;
use serde_json::{Value, json};

#[test]
fn an_account_is_told_where_the_record_names_one() {
    let twelve = Some("012345678901");
    for (recipient, identity, account) in [
        (json!("012345678901"), json!(12_345_678_901_u64), twelve),
        (json!(12_345_678_901_u64), json!(null), twelve),
        (json!("12345678901"), json!(null), twelve),
        (json!(1.234_567_890_1e10), json!(null), twelve),
        (json!(null), json!("012345678901"), twelve),
        (json!("n/a"), json!("012345678901"), twelve),
        (json!("-"), json!("ANONYMOUS_PRINCIPAL"), None),
        (json!(""), json!(null), None),
        (json!("1111222233334"), json!(null), None),
    ] {
        let value = json!({"recipientAccountId": recipient, "eventName": "ListUsers", "eventSource": "iam.amazonaws.com",
            "userIdentity": {"type": "Root", "accountId": identity}});
        assert_eq!(record(&value).account(), account, "{value}");
        let mut alert = alert(std::slice::from_ref(&value), &[]);
        alert.origin.owner = "012345678901".to_owned();
        let text = Message::new(&alert, &Style::default(), topic::fits).unwrap().text;
        let unknown = text.contains("an account that the record doesn't name");
        assert_eq!(unknown, account.is_none(), "{value}: {text}");
        assert!(!text.contains("different account"), "{value}: {text}");
    }
}

/// A pipeline that makes numbers of account ids makes them everywhere.
#[test]
fn an_account_that_is_a_number_has_twelve_digits_wherever_it_stands() {
    let shared = |key: &str, account: Value| json!({"createVolumePermission": {"add": {"items": [{key: account}]}}});
    for (source, name, parameters, told) in [
        ("organizations", "CloseAccount", json!({"accountId": 1_234_567_890}), "accountId \"001234567890\""),
        ("ec2", "ModifySnapshotAttribute", shared("userId", json!(12_345_678_901_u64)), "open to account 012345678901"),
        ("ec2", "ModifySnapshotAttribute", shared("userId", json!(1.234_567_890_1e10)), "open to account 012345678901"),
        (
            "rds",
            "ModifyDBSnapshotAttribute",
            json!({"attributeName": "restore", "valuesToAdd": [12_345_678_901_u64]}),
            "open to account 012345678901",
        ),
        // No account has so many zeros.
        ("ec2", "ModifySnapshotAttribute", shared("userId", json!(1234)), "open to 1234"),
    ] {
        let value = json!({"eventName": name, "eventSource": format!("{source}.amazonaws.com"),
            "requestParameters": parameters, "userIdentity": {"type": "Root"}});
        let text = mails(&alert(std::slice::from_ref(&value), &[]));
        assert!(text.contains(told), "{value}: {text}");
    }
}
