//! Durations as Go writes them, and points in time as `logs --since` takes them.

use std::time::{Duration, SystemTime};

use berth_base::Timestamp;

use super::Rejected;

const MOMENTS: &str = "give a time such as 2026-01-02T13:23:37Z, seconds since 1970 such as 1767360217.5, or how long ago such as 1h30m";

/// Reads `1h30m`, `1.5s`, `300ms`, `100us`.
pub(crate) fn duration(text: &str) -> Result<Duration, Rejected> {
    let rejected =
        || Rejected::new("give a duration with units h, m, s, ms, us or ns, such as 1h30m");
    let mut rest = text;
    let mut total: u128 = 0;
    if rest.is_empty() {
        return Err(rejected());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(rejected)?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit: u128 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" => 1_000,
            "ns" => 1,
            _ => return Err(rejected()),
        };
        total = decimal(number, unit)
            .and_then(|nanos| total.checked_add(nanos))
            .ok_or_else(rejected)?;
        rest = after;
    }
    u64::try_from(total)
        .map(Duration::from_nanos)
        .map_err(|_| rejected())
}

/// Reads a moment: RFC 3339 (with its later parts left out at will; without a zone it is UTC),
/// seconds since the epoch, or a duration before `now`.
pub(crate) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Rejected> {
    if let Ok(ago) = duration(text) {
        let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
        return Ok(Timestamp::from_nanos(now.as_nanos().saturating_sub(ago)));
    }
    if let Some(nanos) = decimal(text, 1_000_000_000).and_then(|nanos| u64::try_from(nanos).ok()) {
        return Ok(Timestamp::from_nanos(nanos));
    }
    calendar(text).ok_or_else(|| Rejected::new(MOMENTS))
}

/// [`moment`] against the clock, as a value parser.
pub(crate) fn moment_now(text: &str) -> Result<Timestamp, Rejected> {
    moment(text, Timestamp::from(SystemTime::now()))
}

/// `number` times `unit`, cut to a whole number; `None` unless it is digits with at most one dot.
fn decimal(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction = fraction.get(..fraction.len().min(18))?;
    let length = u32::try_from(fraction.len()).ok()?;
    let parts: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    whole
        .checked_mul(unit)?
        .checked_add(parts * unit / 10u128.pow(length))
}

fn calendar(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time),
        None => (text.strip_suffix('Z').unwrap_or(text), ""),
    };
    let (time, offset_s) = zone(time)?;
    let complete = match time.len() {
        0 => format!("{date}T00:00:00"),
        2 => format!("{date}T{time}:00:00"),
        5 => format!("{date}T{time}:00"),
        _ => format!("{date}T{time}"),
    };
    let local = humantime::parse_rfc3339_weak(&complete).ok()?;
    let local = Timestamp::from(local).as_nanos();
    let shift = offset_s.unsigned_abs().checked_mul(1_000_000_000)?;
    let utc = if offset_s >= 0 {
        local.checked_sub(shift)?
    } else {
        local.checked_add(shift)?
    };
    Some(Timestamp::from_nanos(utc))
}

/// Splits the zone from a time of day: the rest and the seconds east of UTC.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, zone) = time.split_at(at);
    let (sign, zone) = zone.split_at(1);
    let (hours, minutes) = zone.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    Some((time, if sign == "-" { -seconds } else { seconds }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("300ms", 300),
            ("2m0.5s", 120_500),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "s", "1x", "1h30", "-1s", "1..5s", "."] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments() {
        let now = Timestamp::from_nanos(1_000_000_000_000_000_000);
        let at = |text: &str| moment(text, now).map(|t| t.to_string());
        assert_eq!(at("1h").unwrap(), "2001-09-09T00:46:40.000000000Z");
        assert_eq!(at("0").unwrap(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(at("1.25").unwrap(), "1970-01-01T00:00:01.250000000Z");
        assert_eq!(at("2013-01-02").unwrap(), "2013-01-02T00:00:00.000000000Z");
        assert_eq!(
            at("2013-01-02T13:23").unwrap(),
            "2013-01-02T13:23:00.000000000Z"
        );
        assert_eq!(
            at("2013-01-02T13:23:37.123Z").unwrap(),
            "2013-01-02T13:23:37.123000000Z"
        );
        assert_eq!(
            at("2013-01-02T13:23:37+02:00").unwrap(),
            "2013-01-02T11:23:37.000000000Z"
        );
        assert_eq!(
            at("2013-01-02T23:23:37-02:00").unwrap(),
            "2013-01-03T01:23:37.000000000Z"
        );
        for bad in [
            "",
            "yesterday",
            "2013-13-02",
            "2013-01-02T25:00:00Z",
            "2013-01-02T1",
        ] {
            assert!(moment(bad, now).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9TZ:.+hms -]{0,32}") {
            drop(moment(&text, Timestamp::from_nanos(0)));
        }
    }
}
