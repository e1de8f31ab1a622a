//! What Kinesis, Firehose and queues encode: base64, and gzip in it.

use std::io::Read;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::bufread::MultiGzDecoder;

use super::foreign::GZIP;
use super::row::is_json;

/// The most bytes that a compressed text inside a file may inflate to: 32 MiB.
const INFLATED_MAX: u64 = 32 << 20;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What is in a text of base64, and compressed with gzip or not; `None` if it is no such text.
pub fn decoded(text: &str) -> Result<Option<Vec<u8>>, String> {
    let Ok(bytes) = BASE64.decode(text) else { return Ok(None) };
    if !bytes.starts_with(GZIP) {
        return Ok(is_json(&String::from_utf8_lossy(&bytes)).then_some(bytes));
    }
    let mut inflated = Vec::new();
    MultiGzDecoder::new(&bytes[..])
        .take(INFLATED_MAX + 1)
        .read_to_end(&mut inflated)
        .map_err(|error| format!("its gzip stream breaks off or is damaged: {error}"))?;
    if inflated.len() as u64 > INFLATED_MAX {
        return Err("it inflates to more than 32 MiB".to_owned());
    }
    Ok(Some(inflated))
}
