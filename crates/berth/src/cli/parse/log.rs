//! `--log-driver` and `--log-opt`.

use berth_base::state::LogDriver;
use berth_engine::LOG_OPTIONS;

use super::Rejected;
use super::nearest::nearest;

/// Reads the name of a log driver.
pub(crate) fn log_driver(text: &str) -> Result<LogDriver, Rejected> {
    LogDriver::from_name(text).ok_or_else(|| {
        let names = LogDriver::ALL.map(LogDriver::as_str);
        let known = names.join(", ");
        Rejected::new(match nearest(text, names) {
            Some(near) => format!("did you mean {near}? the log drivers are {known}"),
            None => format!("the log drivers are {known}"),
        })
    })
}

/// Reads `KEY=VALUE`; whether a driver takes the value is the engine's to say.
pub(crate) fn log_option(text: &str) -> Result<(String, String), Rejected> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| Rejected::new("give KEY=VALUE, such as max-size=10m"))?;
    option_name(key)?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Accepts the name of an option.
pub(crate) fn option_name(key: &str) -> Result<(), Rejected> {
    if LOG_OPTIONS.contains(&key) {
        return Ok(());
    }
    let known = LOG_OPTIONS.join(", ");
    Err(Rejected::new(match nearest(key, LOG_OPTIONS) {
        Some(near) => format!("there is no log option {key}; did you mean {near}?"),
        None => format!("there is no log option {key}; there are {known}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named() {
        assert_eq!(log_driver("local"), Ok(LogDriver::Local));
        assert_eq!(
            log_driver("json").unwrap_err().0,
            "did you mean json-file? the log drivers are json-file, local, journald, none"
        );
        assert_eq!(
            log_driver("syslog").unwrap_err().0,
            "the log drivers are json-file, local, journald, none"
        );
        assert_eq!(
            log_option("max-sise=1").unwrap_err().0,
            "there is no log option max-sise; did you mean max-size?"
        );
        assert_eq!(log_option("tag=a=b"), Ok(("tag".into(), "a=b".into())));
        assert!(log_option("tag").is_err());
    }
}
