//! Sizes in bytes, as `-m` and `--tmpfs size=` take them.

use super::Rejected;

const ACCEPTED: &str = "a size is a number with an optional unit b, k, m, g, t or p (powers of 1024), such as 64m or 1.5g";

/// Reads `64m`, `1.5g`, `512KiB`, `1048576`: units are powers of 1024, in either case.
pub(crate) fn size(text: &str) -> Result<u64, Rejected> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit_bytes(unit.trim_start()).ok_or_else(|| Rejected::new(ACCEPTED))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || fraction.len() > 18 {
        return Err(Rejected::new(ACCEPTED));
    }
    let too_large = || Rejected::new("a size is at most 16 EiB");
    let whole: u128 = whole.parse().map_err(|_| too_large())?;
    let mut bytes = whole.checked_mul(u128::from(unit)).ok_or_else(too_large)?;
    if !fraction.is_empty() {
        let digits = u32::try_from(fraction.len()).map_err(|_| too_large())?;
        let parts: u128 = fraction.parse().map_err(|_| Rejected::new(ACCEPTED))?;
        bytes += parts * u128::from(unit) / 10u128.pow(digits);
    }
    u64::try_from(bytes).map_err(|_| too_large())
}

/// Reads `size=SIZE`, the one option of `--storage-opt`.
pub(crate) fn storage_option(text: &str) -> Result<u64, Rejected> {
    match text.split_once('=') {
        Some(("size", value)) => size(value),
        _ => Err(Rejected::new("give size=SIZE, such as size=10g")),
    }
}

/// The bytes of a unit: one letter, optionally followed by `b` or `ib`.
fn unit_bytes(unit: &str) -> Option<u64> {
    let lower = unit.to_ascii_lowercase();
    let power = match lower.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    Some(1u64 << (10 * power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_storage_option() {
        assert_eq!(storage_option("size=10m"), Ok(10 << 20));
        for bad in ["10m", "size", "dm.size=1g", "size=", "=1"] {
            assert!(storage_option(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("42", 42),
            ("42b", 42),
            ("64m", 64 << 20),
            ("64MB", 64 << 20),
            ("64 MiB", 64 << 20),
            ("1.5g", 3 << 29),
            ("0.5k", 512),
            ("1.0001k", 1024),
            ("2t", 2 << 40),
            ("1p", 1 << 50),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "m",
            ".5m",
            "-1",
            "1..5m",
            "1.5.5m",
            "64x",
            "64mm",
            "1e3",
            "99999999p",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,24}") {
            drop(size(&text));
        }

        #[test]
        fn whole_numbers_are_exact(n in 0u64..(1 << 43), unit in 0usize..3) {
            let letter = ["", "k", "m"][unit];
            prop_assert_eq!(size(&format!("{n}{letter}")), Ok(n << (10 * unit)));
        }
    }
}
