//! What is kept of a record's request and response is bounded and has no secret in it, whatever the record holds.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use filter_pattern::json::Json;
use proptest::prelude::*;
use root_usage::detail::{BYTES_MAX, DETAILS_MAX, Detail, Fact, details};
use serde_json::{Map, Value, json};

/// What stands under every key that could hold a secret.
const SECRET: &str = "hunter2";

/// Keys whose values nobody may read.
const SECRET_KEYS: [&str; 16] = [
    "password",
    "masterUserPassword",
    "servicePassword",
    "secretAccessKey",
    "secretString",
    "clientSecretId",
    "sessionToken",
    "tokenValue",
    "nextTokenId",
    "keyMaterial",
    "privateKeyArn",
    "userData",
    "plaintextName",
    "authorizationTokenId",
    "temporaryCredentialsArn",
    "accessKeyId",
];

static ROWS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    include_str!("data/details.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
});

fn read(service: &str, event: &str, record: &Value) -> Vec<Detail> {
    let text = record.to_string();
    details(service, event, &Json::parse(&text).unwrap())
}

fn is_bounded(found: &[Detail]) -> bool {
    found.len() <= DETAILS_MAX && found.iter().map(Detail::bytes).sum::<usize>() <= BYTES_MAX
}

/// Puts a secret under every secret key that an object doesn't have, at every level.
fn plant(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            fields.values_mut().for_each(plant);
            for key in SECRET_KEYS {
                fields.entry(key).or_insert_with(|| SECRET.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plant),
        _ => (),
    }
}

#[test]
fn no_secret_is_read_of_any_action_that_has_a_row() {
    for row in &*ROWS {
        let (service, event) = (row["service"].as_str().unwrap(), row["event"].as_str().unwrap());
        let mut record = row["record"].clone();
        for side in ["requestParameters", "responseElements"] {
            record[side] = if record[side].is_object() { record[side].clone() } else { json!({}) };
            plant(&mut record[side]);
        }
        let found = read(service, event, &record);
        let shown: Vec<&str> = found.iter().flat_map(Detail::texts).collect();
        // What was created is read where its own row says: only there is a key's id no secret.
        let created = event == "CreateAccessKey" || service == "sts";
        assert!(created || !shown.iter().any(|text| text.contains(SECRET)), "{service} {event}: {found:?}");
        assert!(is_bounded(&found), "{service} {event}: {found:?}");
    }
}

#[test]
fn of_what_is_secret_only_its_presence_is_read() {
    let record =
        json!({ "requestParameters": { "instancesSet": { "items": [{ "imageId": "ami-1" }] }, "userData": SECRET } });
    let found = read("ec2", "RunInstances", &record);
    assert!(found.contains(&Detail::Fact { fact: Fact::UserData }));
    assert!(!found.iter().flat_map(Detail::texts).any(|text| text.contains(SECRET)));
}

#[test]
fn huge_and_deep_records_stay_bounded() {
    let many = |item: Value| vec![item; 5_000];
    let rules: Vec<Value> = (0..5_000)
        .map(|index| {
            let port = index % 60_000;
            json!({ "ipProtocol": "tcp", "fromPort": port, "toPort": port, "ipRanges": { "items": [{ "cidrIp": "192.0.2.1/32" }] } })
        })
        .collect();
    let statements: Vec<Value> = (0..5_000)
        .map(|index| json!({ "Effect": "Allow", "Principal": { "AWS": format!("{index:012}") }, "Action": format!("s3:A{index}") }))
        .collect();
    let nested = (0..120).fold(json!({}), |inside, _| json!({ "policy": inside }));
    let long = "x".repeat(100_000);
    let deep_text = format!("{}1{}", "{\"Statement\":".repeat(5_000), "}".repeat(5_000));
    let records = [
        ("ec2", "AuthorizeSecurityGroupIngress", json!({ "ipPermissions": { "items": rules } })),
        ("s3", "PutBucketPolicy", json!({ "bucketPolicy": { "Statement": statements } })),
        ("x", "CreateThing", nested),
        (
            "x",
            "CreateThing",
            json!({ "policy": deep_text, "thingId": long, "thingName": long, "other": many(json!({})) }),
        ),
        (
            "ec2",
            "TerminateInstances",
            json!({ "instancesSet": { "items": many(json!({ "instanceId": long.get(..50) })) } }),
        ),
        (
            "ram",
            "CreateResourceShare",
            json!({ "principals": many(json!(long.get(..20))), "resourceArns": many(json!("a")) }),
        ),
    ];
    for (service, event, request) in records {
        let found = read(service, event, &json!({ "requestParameters": request.clone(), "responseElements": request }));
        assert!(is_bounded(&found), "{service} {event}");
    }
    let open = json!({ "ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "cidrIp": "0.0.0.0/0" });
    let mut rules = rules_of(5_000);
    rules.push(open);
    let found = read(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        &json!({ "requestParameters": { "ipPermissions": { "items": rules } } }),
    );
    assert!(format!("{:?}", found[0]).contains("Anyone"), "what is open to anyone comes first: {:?}", found[0]);
}

fn rules_of(count: usize) -> Vec<Value> {
    let rule = |port: usize| json!({ "ipProtocol": "tcp", "fromPort": port, "toPort": port, "cidrIp": "192.0.2.1/32" });
    (0..count).map(|index| rule(1_000 + index)).collect()
}

#[test]
fn a_call_that_reads_has_no_details() {
    for row in &*ROWS {
        let mut record = row["record"].clone();
        record["readOnly"] = true.into();
        let found = read("x", "DescribeThings", &record);
        assert!(found.is_empty(), "{row}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "items",
            "policy",
            "Policy",
            "policyDocument",
            "Statement",
            "Principal",
            "AWS",
            "Effect",
            "Action",
            "Resource",
            "Condition",
            "groupId",
            "ipPermissions",
            "ipProtocol",
            "fromPort",
            "toPort",
            "cidrIp",
            "instancesSet",
            "instanceId",
            "userId",
            "add",
            "accessKey",
            "accessKeyId",
            "createVolumePermission",
            "valuesToAdd",
            "principals",
            "name",
            "arn",
            "thingId",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let text = prop::sample::select(vec![
        "*",
        "Allow",
        "Deny",
        "22",
        "-1",
        "0.0.0.0/0",
        "::/0",
        "tcp",
        "444455556666",
        "all",
        "AKIAI44QH8DHBEXAMPLE",
        "%7B%22Statement%22%3A",
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\"}]}",
        "%",
        "%4",
        "é\u{202e}",
    ]);
    let leaf = prop_oneof![
        text.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(6, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_record_gives_bounded_details(row in 0_usize..1_000, request in any_json(), response in any_json()) {
        let row = &ROWS[row % ROWS.len()];
        let (service, event) = (row["service"].as_str().unwrap(), row["event"].as_str().unwrap());
        let found = read(service, event, &json!({ "requestParameters": request, "responseElements": response }));
        prop_assert!(is_bounded(&found), "{found:?}");
        let reread = read(service, event, &json!({ "requestParameters": request, "responseElements": response }));
        prop_assert_eq!(found, reread);
    }
}
