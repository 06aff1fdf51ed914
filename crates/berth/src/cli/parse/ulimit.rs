//! `--ulimit NAME=SOFT[:HARD]`.

use berth_engine::Ulimit;

use super::Rejected;
use super::nearest::nearest;

/// The resources of getrlimit(2), without the prefix `RLIMIT_`.
const NAMES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads `nofile=1024:2048`; a missing hard limit is the soft one, -1 is unlimited.
pub(crate) fn ulimit(text: &str) -> Result<Ulimit, Rejected> {
    let (name, values) = text
        .split_once('=')
        .ok_or_else(|| Rejected::new("give NAME=SOFT[:HARD], such as nofile=1024:2048"))?;
    let name = name.to_ascii_lowercase();
    if !NAMES.contains(&name.as_str()) {
        let next = match nearest(&name, NAMES) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("the limits are {}", NAMES.join(", ")),
        };
        return Err(Rejected::new(format!(
            "no limit is called {name:?}; {next}"
        )));
    }
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (limit(soft)?, limit(hard)?);
    if soft > hard {
        return Err(Rejected::new(format!(
            "the soft limit {} is above the hard limit {}; lower the first or raise the second",
            show(soft),
            show(hard)
        )));
    }
    Ok(Ulimit { name, soft, hard })
}

fn limit(text: &str) -> Result<u64, Rejected> {
    if text == "-1" || text == "unlimited" {
        return Ok(u64::MAX);
    }
    text.parse()
        .map_err(|_| Rejected::new("a limit is a number, or -1 for unlimited"))
}

fn show(limit: u64) -> String {
    if limit == u64::MAX {
        "-1".to_owned()
    } else {
        limit.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, u64, u64), String> {
        ulimit(text)
            .map(|u| (u.name, u.soft, u.hard))
            .map_err(|e| e.0)
    }

    #[test]
    fn soft_and_hard() {
        assert_eq!(read("nofile=1024:2048"), Ok(("nofile".into(), 1024, 2048)));
        assert_eq!(read("NPROC=5"), Ok(("nproc".into(), 5, 5)));
        assert_eq!(read("core=0:-1"), Ok(("core".into(), 0, u64::MAX)));
        assert_eq!(
            read("memlock=-1"),
            Ok(("memlock".into(), u64::MAX, u64::MAX))
        );
    }

    #[test]
    fn refusals_say_what_to_do() {
        insta::assert_snapshot!(read("nofiles=1").unwrap_err(), @r#"no limit is called "nofiles"; did you mean nofile?"#);
        insta::assert_snapshot!(read("nofile=20:10").unwrap_err(), @"the soft limit 20 is above the hard limit 10; lower the first or raise the second");
        insta::assert_snapshot!(read("nofile=-1:10").unwrap_err(), @"the soft limit -1 is above the hard limit 10; lower the first or raise the second");
        insta::assert_snapshot!(read("nofile").unwrap_err(), @"give NAME=SOFT[:HARD], such as nofile=1024:2048");
        insta::assert_snapshot!(read("nofile=a").unwrap_err(), @"a limit is a number, or -1 for unlimited");
        assert!(read("nofile=1:").is_err());
    }
}
