//! Devices: `--device`, `--device-cgroup-rule`, amounts for block devices, `--gpus`.

use std::path::{Path, PathBuf};

use berth_engine::{DeviceAmount, DeviceRequest, DeviceRule, GpuRequest, is_cdi_name};

use super::Rejected;
use super::size::size;

/// The bounds of a weight (kernel: block/bfq-cgroup.c).
const WEIGHT: std::ops::RangeInclusive<u64> = 10..=1_000;
/// More graphics cards than a host has.
const MOST_GPUS: u32 = 1_024;

/// Reads `HOST[:CONTAINER][:ACCESS]`, or `vendor.com/class=name`.
pub(crate) fn device(text: &str) -> Result<DeviceRequest, Rejected> {
    const FORM: &str = "give HOST[:CONTAINER][:rwm] with absolute paths, such as /dev/fuse, or a CDI name such as vendor.com/class=name";
    if !text.starts_with('/') {
        return match is_cdi_name(text) {
            true => Ok(DeviceRequest::Cdi {
                name: text.to_owned(),
            }),
            false => Err(Rejected::new(FORM)),
        };
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, access) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, second] if is_access(second) => (*host, *host, *second),
        [host, container] => (*host, *container, "rwm"),
        [host, container, access] if is_access(access) => (*host, *container, *access),
        [_, _, access] => {
            return Err(Rejected::new(format!(
                "{access:?} is no access: give one or more of r (read), w (write) and m (make nodes), each once"
            )));
        }
        _ => return Err(Rejected::new(FORM)),
    };
    if !container.starts_with('/') || text.contains('\0') {
        return Err(Rejected::new(FORM));
    }
    Ok(DeviceRequest::Path {
        host: PathBuf::from(host),
        container: PathBuf::from(container),
        access: access.to_owned(),
    })
}

/// Some of `rwm`, none twice.
fn is_access(text: &str) -> bool {
    let known = text.bytes().all(|b| b"rwm".contains(&b));
    let once = b"rwm"
        .iter()
        .all(|wanted| text.bytes().filter(|b| b == wanted).count() <= 1);
    known && once && !text.is_empty()
}

/// Reads `TYPE MAJOR:MINOR ACCESS`, such as `c 42:* rmw`.
pub(crate) fn device_rule(text: &str) -> Result<DeviceRule, Rejected> {
    const FORM: &str = "give TYPE MAJOR:MINOR ACCESS, such as \"c 42:* rwm\"; the type is a, b or c, a number may be *";
    let words: Vec<&str> = text.split(' ').collect();
    let [kind, numbers, access] = words.as_slice() else {
        return Err(Rejected::new(FORM));
    };
    let (Some(kind @ ('a' | 'b' | 'c')), 1) = (kind.chars().next(), kind.len()) else {
        return Err(Rejected::new(FORM));
    };
    let number = |text: &str| match text {
        "*" => Ok(None),
        digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map(Some).map_err(|_| Rejected::new(FORM))
        }
        _ => Err(Rejected::new(FORM)),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(|| Rejected::new(FORM))?;
    if !is_access(access) {
        return Err(Rejected::new(FORM));
    }
    Ok(DeviceRule {
        kind,
        major: number(major)?,
        minor: number(minor)?,
        access: (*access).to_owned(),
    })
}

/// Reads `DEVICE:RATE` in bytes per second.
pub(crate) fn byte_rate(text: &str) -> Result<DeviceAmount, Rejected> {
    let (path, amount) = split(text, "/dev/sda:1mb")?;
    Ok(DeviceAmount {
        path,
        amount: size(amount)?,
    })
}

/// Reads `DEVICE:RATE` in operations per second.
pub(crate) fn operation_rate(text: &str) -> Result<DeviceAmount, Rejected> {
    let (path, amount) = split(text, "/dev/sda:1000")?;
    let amount = amount
        .parse()
        .map_err(|_| Rejected::new("the rate is a whole number of operations per second"))?;
    Ok(DeviceAmount { path, amount })
}

/// Reads `DEVICE:WEIGHT`.
pub(crate) fn device_weight(text: &str) -> Result<DeviceAmount, Rejected> {
    let (path, amount) = split(text, "/dev/sda:200")?;
    match amount.parse() {
        Ok(amount) if WEIGHT.contains(&amount) => Ok(DeviceAmount { path, amount }),
        _ => Err(Rejected::new("a weight is a number from 10 to 1000")),
    }
}

/// A weight for all devices; 0 sets none.
pub(crate) fn weight(text: &str) -> Result<u16, Rejected> {
    match text.parse::<u16>() {
        Ok(weight) if weight == 0 || WEIGHT.contains(&u64::from(weight)) => Ok(weight),
        _ => Err(Rejected::new(
            "a weight is a number from 10 to 1000, or 0 for none",
        )),
    }
}

fn split<'t>(text: &'t str, example: &str) -> Result<(PathBuf, &'t str), Rejected> {
    let form = || {
        Rejected::new(format!(
            "give a device below /dev and an amount, such as {example}"
        ))
    };
    let (path, amount) = text.rsplit_once(':').ok_or_else(form)?;
    if !Path::new(path).starts_with("/dev") || path.contains('\0') {
        return Err(form());
    }
    Ok((PathBuf::from(path), amount))
}

/// Reads `all`, a number, or `device=ID,...`; further keys of Docker's are taken where they ask for
/// no more than that. As with Docker, a value with commas in it stands in double quotes.
pub(crate) fn gpus(text: &str) -> Result<GpuRequest, Rejected> {
    const FORM: &str = "give all, a number of GPUs, or device=ID, several IDs as '\"device=0,1\"'";
    let mut request = None;
    for field in csv_fields(text).ok_or_else(|| Rejected::new(FORM))? {
        let found = match field.split_once('=').unwrap_or(("count", &field)) {
            ("count", "all" | "-1") => GpuRequest::All,
            ("count", number) => match number.parse() {
                Ok(count @ 1..=MOST_GPUS) => GpuRequest::Count(count),
                _ => return Err(Rejected::new(FORM)),
            },
            ("device", list) if !list.is_empty() => {
                let devices: Vec<String> = list.split(',').map(str::to_owned).collect();
                let sound = |id: &String| is_cdi_name(&format!("nvidia.com/gpu={id}"));
                if !devices.iter().all(sound) {
                    return Err(Rejected::new(FORM));
                }
                GpuRequest::Devices(devices)
            }
            // The driver that there is, and what its devices bring along anyway.
            ("driver", "nvidia" | "cdi") | ("capabilities", _) => continue,
            (key, _) => {
                return Err(Rejected::new(format!(
                    "{key:?} cannot be asked for; {FORM}"
                )));
            }
        };
        if request.replace(found).is_some() {
            return Err(Rejected::new(
                "give either a number of GPUs or device=ID, once",
            ));
        }
    }
    // Only capabilities: one, as with Docker.
    Ok(request.unwrap_or(GpuRequest::Count(1)))
}

/// The fields of one line of CSV (RFC 4180), quotes only around whole fields.
fn csv_fields(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (field, after) = quoted.split_once('"')?;
                (field, after)
            }
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        if field.is_empty() {
            return None;
        }
        fields.push(field.to_owned());
        if after.is_empty() {
            return Some(fields);
        }
        rest = after.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Option<(String, String, String)> {
        match device(text) {
            Ok(DeviceRequest::Path {
                host,
                container,
                access,
            }) => Some((
                host.display().to_string(),
                container.display().to_string(),
                access,
            )),
            _ => None,
        }
    }

    #[test]
    fn devices_are_paths_or_cdi_names() {
        let three = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(path("/dev/fuse"), three("/dev/fuse", "/dev/fuse", "rwm"));
        assert_eq!(path("/dev/a:/dev/b"), three("/dev/a", "/dev/b", "rwm"));
        assert_eq!(path("/dev/a:r"), three("/dev/a", "/dev/a", "r"));
        assert_eq!(path("/dev/a:/b:mr"), three("/dev/a", "/b", "mr"));
        for name in [
            "vendor.com/net=eth0",
            "a/b=c",
            "nvidia.com/gpu=GPU-1:2.0",
            "v_1.x/c-l=0",
        ] {
            assert_eq!(device(name), Ok(DeviceRequest::Cdi { name: name.into() }));
        }
        for bad in [
            "",
            "dev/a",
            "a=b",
            "a/b",
            "a/b=",
            "1a/b=c",
            "a/b=c/d",
            "a b/c=d",
            "/dev/a:b",
            "/dev/a:/b:x",
            "/dev/a:/b:rr",
            "/dev/a:/b:r:w",
            "/dev/a:",
            "-a/b=c",
        ] {
            assert!(device(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rules_are_three_words() {
        let rule = device_rule("c 42:* rmw").unwrap();
        assert_eq!((rule.kind, rule.major, rule.minor), ('c', Some(42), None));
        assert_eq!(rule.access, "rmw");
        assert!(device_rule("a *:* r").is_ok());
        for bad in [
            "",
            "c",
            "c 42:1",
            "c 42 rwm",
            "p 1:1 r",
            "c 1:1 x",
            "c 1:1 rr",
            "c -1:1 r",
            "c 1:1  r",
            "cc 1:1 r",
            "c 1:4294967296 r",
            "c 1:1:1 r",
            "c :1 r",
            "c +1:1 r",
        ] {
            assert!(device_rule(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn amounts_of_devices() {
        let read = |got: Result<DeviceAmount, Rejected>| got.map(|d| (d.path, d.amount)).ok();
        assert_eq!(
            read(byte_rate("/dev/sda:1mb")),
            Some(("/dev/sda".into(), 1 << 20))
        );
        assert_eq!(
            read(operation_rate("/dev/sda:10")),
            Some(("/dev/sda".into(), 10))
        );
        assert_eq!(
            read(device_weight("/dev/sda:10")),
            Some(("/dev/sda".into(), 10))
        );
        for bad in [
            "/dev/sda",
            "sda:1",
            "/dev/sda:",
            "/dev/sda:x",
            "/etc/sda:1",
            "/dev/sda:-1",
        ] {
            assert!(
                byte_rate(bad).is_err() && operation_rate(bad).is_err(),
                "{bad:?}"
            );
        }
        assert!(device_weight("/dev/sda:9").is_err() && device_weight("/dev/sda:1001").is_err());
        assert_eq!(weight("0"), Ok(0));
        assert!(weight("9").is_err() && weight("70000").is_err() && weight("-1").is_err());
    }

    #[test]
    fn graphics_cards() {
        let devices = |list: &[&str]| {
            Ok(GpuRequest::Devices(
                list.iter().map(|id| (*id).to_owned()).collect(),
            ))
        };
        assert_eq!(gpus("all"), Ok(GpuRequest::All));
        assert_eq!(gpus("2"), Ok(GpuRequest::Count(2)));
        assert_eq!(gpus("device=GPU-3a"), devices(&["GPU-3a"]));
        assert_eq!(gpus("\"device=0,1\""), devices(&["0", "1"]));
        assert_eq!(gpus("all,capabilities=utility"), Ok(GpuRequest::All));
        assert_eq!(gpus("capabilities=gpu"), Ok(GpuRequest::Count(1)));
        for bad in [
            "",
            "0",
            "-2",
            "x",
            "device=",
            "device=0,1",
            "all,all",
            "\"device=0",
            "all,",
            "size=1",
            "9999999",
        ] {
            assert!(gpus(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[a-z0-9/:=,\"* .\\-]{0,24}|\\PC{0,16}") {
            drop(device(&text));
            drop(device_rule(&text));
            drop(byte_rate(&text));
            drop(operation_rate(&text));
            drop(device_weight(&text));
            drop(gpus(&text));
        }

        #[test]
        fn what_is_taken_as_a_path_is_absolute(text in "/[a-z/:.rwm]{0,16}") {
            if let Ok(DeviceRequest::Path { host, container, access }) = device(&text) {
                prop_assert!(host.is_absolute() && container.is_absolute());
                prop_assert!(is_access(&access));
            }
        }
    }
}
