//! What an image says about its containers, where the user said nothing. Pure.

use berth_base::{ErrorClass, signal_number};
use berth_image::ContainerConfig;

use crate::options::Healthcheck;
use crate::{CreateOptions, EngineError};

/// Completes the options of a user by those of the image, as Docker does: the user's entrypoint
/// also takes the image's command away, variables and labels are merged, all else is the user's or
/// the image's.
pub(crate) fn complete(
    options: &CreateOptions,
    image: &ContainerConfig,
) -> Result<CreateOptions, EngineError> {
    let mut all = options.clone();
    if options.entrypoint.is_none() {
        all.entrypoint.clone_from(&image.entrypoint);
        if options.command.is_empty() {
            all.command = image.cmd.clone().unwrap_or_default();
        }
    }
    all.env = merged_env(&image.env, &options.env);
    if options.workdir.is_none() && !image.working_dir.is_empty() {
        all.workdir = Some(absolute(&image.working_dir));
    }
    if options.user.is_none() && !image.user.is_empty() {
        all.user = Some(image.user.clone());
    }
    if let (None, Some(signal)) = (options.stop_signal, &image.stop_signal) {
        let number = signal_number(signal).ok_or_else(|| {
            let text = format!(
                "the image's stop signal {signal:?} is no signal; give one with --stop-signal"
            );
            EngineError::new(ErrorClass::Invalid, text)
        })?;
        all.stop_signal = Some(number);
    }
    all.stop_timeout_s = options.stop_timeout_s.or(image.stop_timeout);
    for (key, value) in &image.labels {
        all.labels
            .entry(key.clone())
            .or_insert_with(|| value.clone());
    }
    all.exposed_ports
        .extend(image.exposed_ports.keys().cloned());
    all.exposed_ports.sort();
    all.exposed_ports.dedup();
    all.healthcheck = healthcheck(options.healthcheck.as_ref(), image);
    Ok(all)
}

/// The user's check, completed by the image's where it leaves something open.
fn healthcheck(own: Option<&Healthcheck>, image: &ContainerConfig) -> Option<Healthcheck> {
    let Some(of_image) = &image.healthcheck else {
        return own.cloned();
    };
    let mut all = own.cloned().unwrap_or_default();
    if all.test.is_empty() {
        all.test.clone_from(&of_image.test);
    }
    for (own, image) in [
        (&mut all.interval_ns, of_image.interval),
        (&mut all.timeout_ns, of_image.timeout),
        (&mut all.start_period_ns, of_image.start_period),
        (&mut all.start_interval_ns, of_image.start_interval),
    ] {
        if *own == 0 {
            *own = image;
        }
    }
    if all.retries == 0 {
        all.retries = of_image.retries;
    }
    all.shell = image.shell.clone().unwrap_or_default();
    Some(all)
}

/// The image's variables in their order, the user's over them.
fn merged_env(image: &[String], own: &[String]) -> Vec<String> {
    let key = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let mut all: Vec<String> = image.to_vec();
    for pair in own {
        let name = key(pair);
        match all.iter_mut().find(|other| key(other) == name) {
            Some(other) => other.clone_from(pair),
            None => all.push(pair.clone()),
        }
    }
    all
}

/// Images may say `srv`; Docker takes it from the root.
fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    fn image() -> ContainerConfig {
        ContainerConfig {
            user: "web".into(),
            env: words(&["PATH=/bin", "A=1", "B=2"]),
            entrypoint: Some(words(&["/entry"])),
            cmd: Some(words(&["serve"])),
            working_dir: "srv".into(),
            labels: [("a".into(), "image".into()), ("b".into(), "image".into())].into(),
            stop_signal: Some("SIGQUIT".into()),
            exposed_ports: [("80/tcp".into(), serde_json::json!({}))].into(),
            ..ContainerConfig::default()
        }
    }

    #[test]
    fn what_the_user_leaves_open_is_the_images() {
        let all = complete(&CreateOptions::default(), &image()).unwrap();
        assert_eq!(all.entrypoint, Some(words(&["/entry"])));
        assert_eq!(all.command, words(&["serve"]));
        assert_eq!(all.workdir.as_deref(), Some("/srv"));
        assert_eq!(all.user.as_deref(), Some("web"));
        assert_eq!(all.stop_signal, Some(3));
        assert_eq!(all.exposed_ports, words(&["80/tcp"]));
    }

    #[test]
    fn what_the_user_says_wins() {
        let own = CreateOptions {
            entrypoint: Some(words(&["sh"])),
            env: words(&["B=3", "C=4"]),
            workdir: Some("/".into()),
            user: Some("0".into()),
            stop_signal: Some(9),
            labels: [("a".into(), "own".into())].into(),
            ..CreateOptions::default()
        };
        let all = complete(&own, &image()).unwrap();
        assert_eq!(all.entrypoint, Some(words(&["sh"])));
        assert!(
            all.command.is_empty(),
            "the image's command went with its entrypoint"
        );
        assert_eq!(all.env, words(&["PATH=/bin", "A=1", "B=3", "C=4"]));
        assert_eq!(all.user.as_deref(), Some("0"));
        assert_eq!(all.stop_signal, Some(9));
        let labels: Vec<&str> = all.labels.values().map(String::as_str).collect();
        assert_eq!(labels, ["own", "image"]);
    }

    #[test]
    fn a_command_goes_to_the_images_entrypoint() {
        let own = CreateOptions {
            command: words(&["test"]),
            ..CreateOptions::default()
        };
        let all = complete(&own, &image()).unwrap();
        assert_eq!(all.entrypoint, Some(words(&["/entry"])));
        assert_eq!(all.command, words(&["test"]));
        // An empty entrypoint takes the image's away.
        let own = CreateOptions {
            entrypoint: Some(Vec::new()),
            command: words(&["test"]),
            ..CreateOptions::default()
        };
        let all = complete(&own, &image()).unwrap();
        assert_eq!(all.entrypoint, Some(Vec::new()));
    }

    #[test]
    fn a_senseless_stop_signal_is_named() {
        let image = ContainerConfig {
            stop_signal: Some("SIGFOO".into()),
            ..ContainerConfig::default()
        };
        let error = complete(&CreateOptions::default(), &image).unwrap_err();
        insta::assert_snapshot!(error, @r#"the image's stop signal "SIGFOO" is no signal; give one with --stop-signal"#);
    }
}
