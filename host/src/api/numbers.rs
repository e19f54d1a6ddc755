//! Whole numbers in JSON. For JSON Schema, and in languages whose numbers are all floats, `7.0` is one.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// Above this, a float is not exact.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// Read a number that is whole and not negative.
///
/// # Errors
/// If it is something else.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Whole;
    impl Visitor<'_> for Whole {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number that is not negative")
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
            Ok(value)
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
            match value.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&value) {
                // Nothing is lost within these bounds.
                true => Ok(value as u64),
                false => Err(E::invalid_value(Unexpected::Float(value), &self)),
            }
        }
    }
    deserializer.deserialize_any(Whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u64> {
        whole(&mut serde_json::Deserializer::from_str(text)).ok()
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        for (text, number) in [("0", 0), ("7.0", 7), ("5e2", 500), ("-0.0", 0), ("18446744073709551615", u64::MAX)] {
            assert_eq!(read(text), Some(number), "{text}");
        }
        for text in ["7.5", "-1", "-1.0", "1e300", "\"7\"", "null", "true"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
