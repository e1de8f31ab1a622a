//! Numbers compared by value, whatever their length: JSON sets no limit and neither does this.

use std::cmp::Ordering;

/// A decimal number, exactly: `0.DIGITS × 10^exponent`.
///
/// A floating-point number would call `9007199254740993` and `9007199254740992` equal. Exponents beyond ±10^18 are
/// taken for ±10^18, so that two such numbers may compare as if their exponents were equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// ASCII digits without zeros at either end; empty for zero.
    digits: Vec<u8>,
    exponent: i64,
}

const EXPONENT_MAX: i64 = 1_000_000_000_000_000_000;

impl Decimal {
    /// Reads a number of the pattern language: a sign if any, digits, a fraction if any, an exponent with a small `e`.
    pub(super) fn from_pattern(text: &str) -> Option<Self> {
        if text.contains('E') { None } else { Self::read(text) }
    }

    /// Reads a JSON number, which may have its exponent after a capital `E`.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        Self::read(text)
    }

    fn read(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, power) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, exponent(power)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let all = [whole.as_bytes(), fraction.as_bytes()].concat();
        let Some(first) = all.iter().position(|digit| *digit != b'0') else {
            return Some(Self { negative: false, digits: Vec::new(), exponent: 0 });
        };
        let last = all.iter().rposition(|digit| *digit != b'0').unwrap_or(first);
        let places = i64::try_from(whole.len()).ok()? - i64::try_from(first).ok()?;
        Some(Self {
            negative: text.starts_with('-'),
            digits: all.get(first..=last)?.to_vec(),
            exponent: (power + places).clamp(-EXPONENT_MAX, EXPONENT_MAX),
        })
    }
}

/// The value of what follows the `e`, within ±[`EXPONENT_MAX`].
fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.bytes().fold(0_i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX / 100));
    let size = if size == EXPONENT_MAX / 100 { EXPONENT_MAX } else { size };
    Some(if text.starts_with('-') { -size } else { size })
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        };
        let size = || self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then_with(|| if self.negative { size().reverse() } else { size() })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_by_value() {
        let sorted = [
            "-1e999999999999999999999",
            "-10",
            "-9.99",
            "-1",
            "-0.5",
            "0",
            "1e-7",
            "0.001",
            "0.5",
            "1",
            "1.5",
            "9.99",
            "10",
            "9007199254740992",
            "9007199254740993",
            "1e17",
            "1e999999999999999999999",
        ];
        for (i, left) in sorted.iter().enumerate() {
            for (j, right) in sorted.iter().enumerate() {
                let (a, b) = (Decimal::from_json(left).unwrap(), Decimal::from_json(right).unwrap());
                assert_eq!(a.cmp(&b), i.cmp(&j), "{left} {right}");
            }
        }
    }

    #[test]
    fn one_value_has_many_texts() {
        for texts in [
            &["1", "1.0", "1e0", "+1", "01", "0.1e1", "10e-1", "1E0", "1.000e+00"][..],
            &["0", "-0", "0.0", "0e99", "-0.00e-99999999999999999999"],
            &["-1500", "-1.5e3", "-15e2", "-1500.0"],
        ] {
            for text in texts {
                assert_eq!(Decimal::from_json(text), Decimal::from_json(texts[0]), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "", "+", "-", ".", "1.", ".5", "1e", "1e+", "e5", "1.2.3", "--1", "+-1", "1 ", "1e1.5", "0x1", "1_0", "1-2",
        ] {
            assert_eq!(Decimal::from_json(text), None, "{text}");
        }
        assert_eq!(Decimal::from_pattern("1E5"), None);
    }
}
