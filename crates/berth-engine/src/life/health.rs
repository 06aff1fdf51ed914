//! Probes of health: what was asked for, completed by Docker's defaults, as data for the monitor.

use berth_base::ErrorClass;
use berth_base::state::HealthProbe;
use berth_runtime::exec_request::ExecRequest;
use oci_spec::runtime::Spec;

use crate::options::{HealthAction, Healthcheck};
use crate::{Container, CreateOptions, Engine, EngineError};

const INTERVAL_NS: u64 = 30_000_000_000;
const TIMEOUT_NS: u64 = 30_000_000_000;
const START_INTERVAL_NS: u64 = 5_000_000_000;
const RETRIES: u32 = 3;
/// The shortest that Docker takes.
const SHORTEST_NS: u64 = 1_000_000;
/// What runs the line of a `CMD-SHELL`, unless the image says otherwise.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Whether a container has a probe.
pub(crate) fn is_probed(options: &CreateOptions) -> bool {
    options.healthcheck.as_ref().and_then(argv).is_some()
}

/// What is executed; `None` where nothing is.
fn argv(check: &Healthcheck) -> Option<Vec<String>> {
    match check.test.split_first() {
        Some((kind, words)) if kind == "CMD" && !words.is_empty() => Some(words.to_vec()),
        Some((kind, [line, ..])) if kind == "CMD-SHELL" => {
            let mut words = match check.shell.is_empty() {
                true => SHELL.map(str::to_owned).to_vec(),
                false => check.shell.clone(),
            };
            words.push(line.clone());
            Some(words)
        }
        _ => None,
    }
}

/// Refuses what makes no sense.
pub(crate) fn check(options: &CreateOptions) -> Result<(), EngineError> {
    let Some(check) = &options.healthcheck else {
        return Ok(());
    };
    let invalid = |text: String| Err(EngineError::new(ErrorClass::Invalid, text));
    match check.test.first().map(String::as_str) {
        None | Some("NONE" | "CMD" | "CMD-SHELL") => {}
        Some(other) => {
            return invalid(format!(
                "a health check of kind {other:?} is not known, only CMD, CMD-SHELL and NONE; give one with --health-cmd, or --no-healthcheck"
            ));
        }
    }
    for (what, span) in [
        ("interval", check.interval_ns),
        ("timeout", check.timeout_ns),
        ("start period", check.start_period_ns),
        ("start interval", check.start_interval_ns),
    ] {
        if (1..SHORTEST_NS).contains(&span) {
            return invalid(format!(
                "the {what} of the health check is shorter than 1ms; give 1ms or more, or 0 for the default"
            ));
        }
    }
    if check.test.iter().any(|word| word.contains('\0')) {
        return invalid("the health command holds a NUL byte; no program can be given one".into());
    }
    Ok(())
}

/// What the monitor of a container is to probe; nothing where it has no check.
pub(crate) fn probe(
    engine: &Engine,
    container: &Container,
    spec: &Spec,
) -> Result<Option<HealthProbe>, EngineError> {
    let check = container.create.options.healthcheck.as_ref();
    let Some((check, argv)) = check.and_then(|check| Some((check, argv(check)?))) else {
        return Ok(None);
    };
    let request = serde_json::to_string(&request(spec, argv)).map_err(|e| {
        let text = format!("cannot encode the health probe: {e}");
        EngineError::new(ErrorClass::Internal, text)
    })?;
    let or = |given: u64, default: u64| match given {
        0 => default,
        given => given,
    };
    let millis = |nanos: u64| (nanos / 1_000_000).max(1);
    Ok(Some(HealthProbe {
        request,
        interval_ms: millis(or(check.interval_ns, INTERVAL_NS)),
        timeout_ms: millis(or(check.timeout_ns, TIMEOUT_NS)),
        start_period_ms: check.start_period_ns / 1_000_000,
        start_interval_ms: millis(or(check.start_interval_ns, START_INTERVAL_NS)),
        retries: match check.retries {
            0 => RETRIES,
            retries => retries,
        },
        on_unhealthy: match check.on_failure {
            HealthAction::None => Vec::new(),
            _ => engine.internal_command(&["unhealthy", container.id.as_str()]),
        },
    }))
}

/// The process of a probe: the container's own, with other arguments and no terminal.
fn request(spec: &Spec, argv: Vec<String>) -> ExecRequest {
    let mut process = spec.process().clone().unwrap_or_default();
    process
        .set_terminal(Some(false))
        .set_console_size(None)
        .set_args(Some(argv));
    let linux = spec.linux().as_ref();
    ExecRequest {
        process,
        detach: false,
        stdin: false,
        seccomp: linux.is_some_and(|linux| linux.seccomp().is_some()),
        size: (0, 0),
        user: None,
        ends_with_client: false,
        id: None,
    }
}

impl Engine {
    /// Does what is to be done with a container whose probes have failed too often (`berth internal
    /// unhealthy ID`, executed by its monitor): nothing, where it is well again or over.
    pub fn unhealthy(&self, id: &berth_base::ContainerId) -> Result<(), EngineError> {
        let container = self.inspect(id)?;
        let is_unhealthy = container
            .health
            .as_ref()
            .is_some_and(|health| health.status == berth_base::state::HealthStatus::Unhealthy);
        if !container.status.is_live() || !is_unhealthy {
            return Ok(());
        }
        let check = container.create.options.healthcheck.as_ref();
        let nobody_hears = &mut |_: &str| {};
        match check.map(|check| check.on_failure).unwrap_or_default() {
            HealthAction::None => Ok(()),
            // An end by itself: its restart policy decides what follows.
            HealthAction::Kill => self.kill_by_us(id),
            HealthAction::Stop => self.stop(id, &crate::StopOptions::default(), nobody_hears),
            HealthAction::Restart => {
                let options = crate::StopOptions::default();
                self.restart(id, &options, nobody_hears).map(drop)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(words: &[&str]) -> Healthcheck {
        Healthcheck {
            test: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Healthcheck::default()
        }
    }

    #[test]
    fn what_is_executed() {
        let words = |list: &[&str]| argv(&test(list)).unwrap_or_default().join("|");
        assert_eq!(words(&["CMD", "a", "b"]), "a|b");
        assert_eq!(words(&["CMD-SHELL", "a b"]), "/bin/sh|-c|a b");
        assert_eq!(argv(&test(&["NONE"])), None);
        assert_eq!(argv(&test(&["CMD"])), None);
        assert_eq!(argv(&test(&[])), None);
        let mut own = test(&["CMD-SHELL", "a"]);
        own.shell = vec!["/bin/bash".into(), "-ec".into()];
        assert_eq!(argv(&own).unwrap_or_default().join("|"), "/bin/bash|-ec|a");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |check: Healthcheck| {
            let options = CreateOptions {
                healthcheck: Some(check),
                ..CreateOptions::default()
            };
            super::check(&options).unwrap_err().message
        };
        insta::assert_snapshot!(refused(test(&["PING"])), @r#"a health check of kind "PING" is not known, only CMD, CMD-SHELL and NONE; give one with --health-cmd, or --no-healthcheck"#);
        let short = Healthcheck {
            timeout_ns: 10,
            ..test(&["CMD", "true"])
        };
        insta::assert_snapshot!(refused(short), @"the timeout of the health check is shorter than 1ms; give 1ms or more, or 0 for the default");
    }
}
