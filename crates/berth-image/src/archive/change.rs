//! Instructions that change a configuration, in the words of a Dockerfile: `--change` of import and
//! commit.

use std::collections::BTreeMap;

use berth_base::signal_number;
use serde_json::json;

use super::words::{self, Variables};
use crate::ImageError;
use crate::config::{ContainerConfig, HealthConfig};

/// A `RUN` or `CMD` as a line of text is executed by this.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Instructions in their order, not yet applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    all: Vec<(Instruction, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instruction {
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Onbuild,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

const INSTRUCTIONS: [(&str, Instruction); 11] = [
    ("CMD", Instruction::Cmd),
    ("ENTRYPOINT", Instruction::Entrypoint),
    ("ENV", Instruction::Env),
    ("EXPOSE", Instruction::Expose),
    ("HEALTHCHECK", Instruction::Healthcheck),
    ("LABEL", Instruction::Label),
    ("ONBUILD", Instruction::Onbuild),
    ("STOPSIGNAL", Instruction::Stopsignal),
    ("USER", Instruction::User),
    ("VOLUME", Instruction::Volume),
    ("WORKDIR", Instruction::Workdir),
];

impl Changes {
    /// Reads instructions; a text may hold several, one a line.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, ImageError> {
        let mut all = Vec::new();
        let lines = texts.iter().flat_map(|text| text.as_ref().lines());
        for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let known = INSTRUCTIONS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(word));
            let Some((_, instruction)) = known else {
                let names = INSTRUCTIONS.map(|(name, _)| name).join(", ");
                return Err(refused(line, &format!("changes begin with one of {names}")));
            };
            if rest.trim().is_empty() {
                return Err(refused(line, "nothing follows the instruction"));
            }
            all.push((*instruction, rest.trim().to_owned()));
        }
        Ok(Self { all })
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Changes a configuration. Variables are those of its environment, as it is by then.
    pub fn apply(&self, config: &mut ContainerConfig) -> Result<(), ImageError> {
        let mut has_cmd = false;
        for (instruction, text) in &self.all {
            let done = match instruction {
                Instruction::Cmd => {
                    has_cmd = true;
                    config.cmd = Some(command(config, text));
                    Ok(())
                }
                Instruction::Entrypoint => {
                    config.entrypoint = Some(command(config, text));
                    // What was the command is no argument of another entrypoint.
                    if !has_cmd {
                        config.cmd = None;
                    }
                    Ok(())
                }
                Instruction::Env => env(config, text),
                Instruction::Expose => expose(config, text),
                Instruction::Healthcheck => healthcheck(config, text),
                Instruction::Label => label(config, text),
                Instruction::Onbuild => onbuild(config, text),
                Instruction::Stopsignal => stop_signal(config, text),
                Instruction::User => expanded(config, text).map(|user| config.user = user),
                Instruction::Volume => volume(config, text),
                Instruction::Workdir => workdir(config, text),
            };
            done.map_err(|why| refused(&format!("{} {text}", name_of(*instruction)), &why))?;
        }
        Ok(())
    }
}

fn name_of(instruction: Instruction) -> &'static str {
    let found = INSTRUCTIONS.iter().find(|(_, known)| *known == instruction);
    found.map_or("", |(name, _)| name)
}

fn refused(line: &str, why: &str) -> ImageError {
    ImageError::malformed(format!("the change {line:?}"), why)
}

/// A list in JSON, or a line for the shell.
fn command(config: &ContainerConfig, text: &str) -> Vec<String> {
    if let Some(list) = json_list(text) {
        return list;
    }
    let shell = config.shell.clone();
    let mut words = shell.unwrap_or_else(|| SHELL.map(str::to_owned).to_vec());
    words.push(text.to_owned());
    words
}

fn json_list(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

fn lookup(config: &ContainerConfig) -> impl Fn(&str) -> Option<String> + use<> {
    let pairs = config.env.iter().filter_map(|pair| pair.split_once('='));
    let all: BTreeMap<String, String> = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    move |name| all.get(name).cloned()
}

fn expanded(config: &ContainerConfig, text: &str) -> Result<String, String> {
    words::expand(text, &lookup(config))
}

fn split(config: &ContainerConfig, text: &str) -> Result<Vec<String>, String> {
    let variables = lookup(config);
    words::split(text, &variables as &Variables<'_>)
}

/// `NAME=VALUE ...`, or the old `NAME VALUE`.
fn pairs(config: &ContainerConfig, text: &str) -> Result<Vec<(String, String)>, String> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) = text
            .split_once(char::is_whitespace)
            .ok_or("write NAME=VALUE")?;
        return Ok(vec![(name.to_owned(), expanded(config, value.trim())?)]);
    }
    let words = split(config, text)?;
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) | None => Err(format!("{word:?} is not NAME=VALUE")),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        })
        .collect()
}

fn env(config: &mut ContainerConfig, text: &str) -> Result<(), String> {
    for (name, value) in pairs(config, text)? {
        let pair = format!("{name}={value}");
        let begin = format!("{name}=");
        match config
            .env
            .iter_mut()
            .find(|known| known.starts_with(&begin))
        {
            Some(known) => *known = pair,
            None => config.env.push(pair),
        }
    }
    Ok(())
}

fn label(config: &mut ContainerConfig, text: &str) -> Result<(), String> {
    let all = pairs(config, text)?;
    config.labels.extend(all);
    Ok(())
}

/// `PORT[-PORT][/PROTOCOL] ...`
fn expose(config: &mut ContainerConfig, text: &str) -> Result<(), String> {
    for word in split(config, text)? {
        let wrong = || format!("{word:?} is not PORT[-PORT][/tcp|udp|sctp]");
        let (ports, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
            return Err(wrong());
        }
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let (Some(first), Some(last)) = (port(first), port(last)) else {
            return Err(wrong());
        };
        if first > last {
            return Err(wrong());
        }
        for port in first..=last {
            let key = format!("{port}/{protocol}");
            config.exposed_ports.insert(key, json!({}));
        }
    }
    Ok(())
}

fn volume(config: &mut ContainerConfig, text: &str) -> Result<(), String> {
    let paths = match json_list(text) {
        Some(list) => list,
        None => split(config, text)?,
    };
    for path in paths {
        if path.trim().is_empty() {
            return Err("a volume needs a path".to_owned());
        }
        config.volumes.insert(path, json!({}));
    }
    Ok(())
}

/// A relative folder is below the one before.
fn workdir(config: &mut ContainerConfig, text: &str) -> Result<(), String> {
    let text = expanded(config, text)?;
    let whole = match text.starts_with('/') {
        true => text,
        false => format!("{}/{text}", config.working_dir),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    config.working_dir = format!("/{}", parts.join("/"));
    Ok(())
}

fn stop_signal(config: &mut ContainerConfig, text: &str) -> Result<(), String> {
    let signal = expanded(config, text)?;
    if signal_number(&signal).is_none() {
        return Err(format!("{signal:?} is no signal"));
    }
    config.stop_signal = Some(signal);
    Ok(())
}

fn onbuild(config: &mut ContainerConfig, text: &str) -> Result<(), String> {
    let first = text.split_whitespace().next().unwrap_or_default();
    let refused = ["ONBUILD", "FROM", "MAINTAINER"];
    if refused.iter().any(|name| name.eq_ignore_ascii_case(first)) {
        return Err(format!("{first} makes no sense after ONBUILD"));
    }
    config
        .on_build
        .get_or_insert_with(Vec::new)
        .push(text.to_owned());
    Ok(())
}

/// `NONE`, or `[--interval=T] [--timeout=T] [--start-period=T] [--retries=N] CMD command`.
fn healthcheck(config: &mut ContainerConfig, text: &str) -> Result<(), String> {
    let mut health = HealthConfig::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        rest = after.trim_start();
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        match name {
            "interval" => health.interval = nanoseconds(value)?,
            "timeout" => health.timeout = nanoseconds(value)?,
            "start-period" => health.start_period = nanoseconds(value)?,
            "retries" => {
                let wrong = || format!("--retries={value} is no number");
                health.retries = value.parse().map_err(|_| wrong())?;
            }
            _ => return Err(format!("the flag --{name} is not known")),
        }
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    health.test = if kind.eq_ignore_ascii_case("NONE") && command.is_empty() && rest == text {
        vec!["NONE".to_owned()]
    } else if kind.eq_ignore_ascii_case("CMD") && !command.is_empty() {
        match json_list(command) {
            Some(list) => [vec!["CMD".to_owned()], list].concat(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        }
    } else {
        return Err("write NONE, or CMD and a command".to_owned());
    };
    config.healthcheck = Some(health);
    Ok(())
}

/// Go's durations: `1m30s`, `500ms`, `1.5h`.
fn nanoseconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no time, such as 30s or 1m30s");
    let mut rest = text;
    let mut total: u64 = 0;
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = |c: char| !(c.is_ascii_digit() || c == '.');
        let (number, after) = rest.split_at(rest.find(digits).ok_or_else(wrong)?);
        let next = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after.split_at(next.unwrap_or(after.len()));
        rest = after;
        let unit: u64 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let mut nanoseconds = match whole {
            "" if !part.is_empty() => 0,
            whole => whole.parse::<u64>().map_err(|_| wrong())?,
        };
        nanoseconds = nanoseconds.checked_mul(unit).ok_or_else(wrong)?;
        let mut scale = unit;
        for digit in part.chars() {
            scale /= 10;
            let digit = digit.to_digit(10).ok_or_else(wrong)?;
            nanoseconds = nanoseconds.saturating_add(u64::from(digit) * scale);
        }
        total = total.checked_add(nanoseconds).ok_or_else(wrong)?;
    }
    Ok(total)
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
