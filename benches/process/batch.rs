//! Batches of records, as CloudWatch Logs makes them.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::records::{ACCOUNT, REGION, Records};

/// This many records, `matching` of them root's, spread evenly: the same for the same seed.
pub fn records(seed: u64, count: usize, matching: usize) -> Vec<String> {
    let mut records = Records::new(seed);
    let every = count.checked_div(matching).unwrap_or(usize::MAX);
    (1..=count).map(|index| if index % every == 0 { records.root() } else { records.ordinary() }).collect()
}

/// A batch, and how large it is.
pub struct Batch {
    /// What Lambda hands to the function.
    pub event: Vec<u8>,
    pub inflated: usize,
    pub compressed: usize,
}

impl Batch {
    /// The batch as CloudWatch Logs makes it of these messages.
    pub fn new(messages: &[String]) -> Self {
        let mut document = format!(
            r#"{{"messageType":"DATA_MESSAGE","owner":"{ACCOUNT}","logGroup":"cloudtrail/management-events","logStream":"{ACCOUNT}_CloudTrail_{REGION}","subscriptionFilters":["root-usage"],"logEvents":["#
        );
        for (index, message) in messages.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let id = 37_294_857_610_293_847_561_029_384_u128 + index as u128 * 7_919_000_000_007;
            let message = serde_json::to_string(message).unwrap();
            let _ = write!(
                document,
                r#"{comma}{{"id":"{id:056}","timestamp":{},"message":{message}}}"#,
                1_795_161_600_000_u64 + index as u64 * 37
            );
        }
        document.push_str("]}");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(document.as_bytes()).unwrap();
        let compressed = gzip.finish().unwrap();
        let data = base64::engine::general_purpose::STANDARD.encode(&compressed);
        let event = format!(r#"{{"awslogs":{{"data":"{data}"}}}}"#).into_bytes();
        Self { event, inflated: document.len(), compressed: compressed.len() }
    }
}
