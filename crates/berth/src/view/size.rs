//! Sizes in Docker's words: four digits, powers of 1024 or of 1000.

/// Says bytes in powers of 1024: `12.34MiB`.
pub(crate) fn binary(bytes: u64) -> String {
    scaled(
        bytes,
        1024,
        4,
        &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"],
    )
}

/// Says bytes in powers of 1000: `1.05kB`.
pub(crate) fn decimal(bytes: u64) -> String {
    scaled(bytes, 1000, 3, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Divides by `base` until less than it is left, then writes `digits` significant digits.
fn scaled(bytes: u64, base: u64, digits: u32, units: &[&str]) -> String {
    let mut scale: u128 = 1;
    let mut index = 0;
    while u128::from(bytes) >= scale * u128::from(base) && index + 1 < units.len() {
        scale *= u128::from(base);
        index += 1;
    }
    let unit = units.get(index).copied().unwrap_or("B");
    let whole = u128::from(bytes) / scale;
    let left = whole.max(1).ilog10() + 1;
    let decimals = digits.saturating_sub(left);
    let power = 10u128.pow(decimals);
    // Rounded to the nearest, in integers.
    let parts = (u128::from(bytes) * power + scale / 2) / scale;
    let (whole, fraction) = (parts / power, parts % power);
    let width = usize::try_from(decimals).unwrap_or(0);
    let text = format!("{whole}.{fraction:0width$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_1024() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1KiB"),
            (1536, "1.5KiB"),
            (64 << 20, "64MiB"),
            (12_939_428, "12.34MiB"),
            (u64::MAX, "16EiB"),
        ] {
            assert_eq!(binary(bytes), text);
        }
    }

    #[test]
    fn powers_of_1000() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1050, "1.05kB"),
            (656_000, "656kB"),
        ] {
            assert_eq!(decimal(bytes), text);
        }
    }
}
