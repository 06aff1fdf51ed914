//! `--cpus`: a decimal number of CPUs, kept as billionths.

use super::Rejected;

const ACCEPTED: &str = "give a number of CPUs from 0.01 up, such as 0.5 or 2 (0 sets no limit)";

/// Reads a decimal number into billionths of a CPU, exactly; at most nine decimals.
pub(crate) fn nano_cpus(text: &str) -> Result<u64, Rejected> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err(Rejected::new(ACCEPTED));
    }
    if fraction.len() > 9 {
        return Err(Rejected::new("at most nine decimals, such as 0.5"));
    }
    let whole: u64 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| Rejected::new(ACCEPTED))?,
    };
    let parts: u64 = format!("{fraction:0<9}")
        .parse()
        .map_err(|_| Rejected::new(ACCEPTED))?;
    let nanos = whole
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(parts))
        .ok_or_else(|| Rejected::new(ACCEPTED))?;
    // The kernel takes a quota of at least 1 ms; of the usual 100 ms period that is 0.01 CPU.
    if nanos != 0 && nanos < 10_000_000 {
        return Err(Rejected::new(ACCEPTED));
    }
    Ok(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, nanos) in [
            ("1", 1_000_000_000),
            ("1.5", 1_500_000_000),
            (".5", 500_000_000),
            ("0.01", 10_000_000),
            ("0", 0),
            ("2.000000001", 2_000_000_001),
        ] {
            assert_eq!(nano_cpus(text), Ok(nanos), "{text}");
        }
        for text in [
            "",
            ".",
            "-1",
            "1,5",
            "0.001",
            "1.0000000001",
            "x",
            "99999999999999",
        ] {
            assert!(nano_cpus(text).is_err(), "{text}");
        }
    }
}
