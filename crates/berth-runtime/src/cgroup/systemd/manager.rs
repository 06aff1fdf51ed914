//! The calls of systemd's manager that we need (org.freedesktop.systemd1(5)).

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustbus::message_builder::MarshalledMessage;
use rustbus::wire::ObjectPath;
use rustbus::wire::unmarshal::traits::Variant;

use super::bus::{Address, BusError, Connection, Kind, call};
use super::name::Bus;
use super::property::Property;
use crate::cgroup::error::CgroupError;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";

const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// How long a job of systemd may take, from the connection on.
const PATIENCE: Duration = Duration::from_secs(30);
/// Says that the host was booted with systemd (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

/// Replaces whatever job is queued for the unit.
const MODE: &str = "replace";

/// The empty list of units to make along with ours.
const NO_OTHERS: [(&str, Vec<(&str, Property)>); 0] = [];

/// systemd, ready to be asked.
pub(super) struct Manager {
    connection: Connection,
}

impl Manager {
    /// Connects to the system's or the caller's own systemd.
    pub(super) fn open(bus: Bus) -> Result<Self, CgroupError> {
        if !Path::new(BOOTED).is_dir() {
            return Err(CgroupError::NoSystemd {
                why: "this host was not booted with it; leave out --systemd-cgroup".to_owned(),
            });
        }
        let addresses = addresses(bus, &|name| env::var_os(name));
        Self::connect(&addresses)
    }

    /// Connects to the first address that answers.
    pub(super) fn connect(addresses: &[Address]) -> Result<Self, CgroupError> {
        let mut refusals = Vec::new();
        for address in addresses {
            match Self::reach(address) {
                Ok(manager) => return Ok(manager),
                Err(error) => refusals.push(error.to_string()),
            }
        }
        Err(CgroupError::NoSystemd {
            why: if refusals.is_empty() {
                "no address of the user's bus is known; set XDG_RUNTIME_DIR".to_owned()
            } else {
                refusals.join("; ")
            },
        })
    }

    /// Connects, and on a bus makes sure that systemd is on it: a session's own bus may be without.
    fn reach(address: &Address) -> Result<Self, BusError> {
        let mut connection = Connection::open(address, PATIENCE)?;
        if address.kind == Kind::Daemon {
            let mut message = daemon_call("NameHasOwner");
            push(message.body.push_param(SYSTEMD))?;
            let reply = connection.ask(&message)?;
            if !reply.body.parser().get::<bool>().map_err(unclear)? {
                return Err(BusError::Absent(address.path.clone()));
            }
        }
        Ok(Self { connection })
    }

    /// Starts a transient unit and waits until it runs.
    pub(super) fn start(&mut self, unit: &str, properties: &[Property]) -> Result<(), BusError> {
        self.hear_of_jobs()?;
        let mut message = manager_call("StartTransientUnit");
        push(message.body.push_param2(unit, MODE))?;
        push(message.body.push_param(as_pairs(properties)))?;
        push(message.body.push_param(NO_OTHERS.as_slice()))?;
        let asked = self.connection.ask(&message);
        let reply = match asked {
            Err(error) if error.is(UNIT_EXISTS) => {
                // A failed one of that name may be remembered; a living one stays in the way.
                self.forget(unit)?;
                self.connection.ask(&message)?
            }
            reply => reply?,
        };
        self.await_job(&reply)
    }

    /// Stops a unit and waits until it is gone; one that is not there is no error.
    pub(super) fn stop(&mut self, unit: &str) -> Result<(), BusError> {
        self.hear_of_jobs()?;
        let mut message = manager_call("StopUnit");
        push(message.body.push_param2(unit, MODE))?;
        match self.connection.ask(&message) {
            Ok(reply) => self.await_job(&reply)?,
            Err(error) if error.is(NO_SUCH_UNIT) => {}
            Err(error) => return Err(error),
        }
        self.forget(unit)
    }

    /// Changes properties of a running unit, until the next boot.
    pub(super) fn set(&mut self, unit: &str, properties: &[Property]) -> Result<(), BusError> {
        let mut message = manager_call("SetUnitProperties");
        push(message.body.push_param2(unit, true))?;
        push(message.body.push_param(as_pairs(properties)))?;
        self.connection.ask(&message).map(drop)
    }

    /// The cgroup of a running scope, from the root of systemd's hierarchy.
    pub(super) fn control_group(&mut self, unit: &str) -> Result<String, BusError> {
        let mut message = call("org.freedesktop.DBus.Properties", "Get")
            .on(format!("{MANAGER_PATH}/unit/{}", escape_path(unit)))
            .at(SYSTEMD)
            .build();
        push(
            message
                .body
                .push_param2("org.freedesktop.systemd1.Scope", "ControlGroup"),
        )?;
        let reply = self.connection.ask(&message)?;
        let value: Variant<'_, '_> = reply.body.parser().get().map_err(unclear)?;
        value.get::<&str>().map(str::to_owned).map_err(unclear)
    }

    /// Asks for the signal that ends a job. On systemd's own socket there is no daemon that would
    /// know matches, and signals come without.
    fn hear_of_jobs(&mut self) -> Result<(), BusError> {
        let mut message = daemon_call("AddMatch");
        let rule = format!("type='signal',interface='{MANAGER}',member='JobRemoved'");
        push(message.body.push_param(rule.as_str()))?;
        match self.connection.ask(&message) {
            Err(BusError::Refused { .. }) | Ok(_) => {}
            Err(error) => return Err(error),
        }
        match self.connection.ask(&manager_call("Subscribe")) {
            Err(BusError::Refused { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn forget(&mut self, unit: &str) -> Result<(), BusError> {
        let mut message = manager_call("ResetFailedUnit");
        push(message.body.push_param(unit))?;
        match self.connection.ask(&message) {
            // Not loaded any more: there is nothing to forget.
            Ok(_) | Err(BusError::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits for the end of the job that a reply names.
    fn await_job(&mut self, reply: &MarshalledMessage) -> Result<(), BusError> {
        let job: ObjectPath<&str> = reply.body.parser().get().map_err(unclear)?;
        let signal = self
            .connection
            .wait(|message| result_of(message).is_some_and(|(ended, _)| ended == job.as_ref()))?;
        match result_of(&signal) {
            Some((_, "done")) => Ok(()),
            result => Err(BusError::Job(
                result.map_or("", |(_, result)| result).to_owned(),
            )),
        }
    }
}

/// The job's path and its result, if the message is the signal JobRemoved.
fn result_of(message: &MarshalledMessage) -> Option<(String, &str)> {
    if message.dynheader.member.as_deref() != Some("JobRemoved") {
        return None;
    }
    let (_, job, _, result) = message
        .body
        .parser()
        .get4::<u32, ObjectPath<&str>, &str, &str>()
        .ok()?;
    Some((job.as_ref().to_owned(), result))
}

/// A call of the bus daemon itself.
fn daemon_call(member: &str) -> MarshalledMessage {
    call("org.freedesktop.DBus", member)
        .on("/org/freedesktop/DBus")
        .at("org.freedesktop.DBus")
        .build()
}

fn manager_call(member: &str) -> MarshalledMessage {
    call(MANAGER, member).on(MANAGER_PATH).at(SYSTEMD).build()
}

fn as_pairs(properties: &[Property]) -> Vec<(&str, &Property)> {
    properties
        .iter()
        .map(|property| (property.name.as_str(), property))
        .collect()
}

fn push(pushed: Result<(), rustbus::wire::errors::MarshalError>) -> Result<(), BusError> {
    pushed.map_err(|error| BusError::Malformed(format!("our own call: {error}")))
}

fn unclear(error: rustbus::wire::errors::UnmarshalError) -> BusError {
    BusError::Malformed(error.to_string())
}

/// How systemd writes a unit's name in an object path: what is not a letter or digit, and a
/// leading digit, as `_` and two hex digits.
fn escape_path(unit: &str) -> String {
    let mut path = String::with_capacity(unit.len() * 2);
    for (at, byte) in unit.bytes().enumerate() {
        let plain = byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit());
        if plain {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

/// Where systemd may be reached: the bus first, then its own socket, which also answers where no
/// bus daemon is installed.
fn addresses(bus: Bus, var: &dyn Fn(&str) -> Option<OsString>) -> Vec<Address> {
    let address = |path: PathBuf, kind| Address { path, kind };
    let named = |name: &str| {
        let value = var(name)?.into_string().ok()?;
        let path = value
            .strip_prefix("unix:")?
            .split([',', ';'])
            .find_map(|pair| pair.strip_prefix("path="))?;
        Some(address(PathBuf::from(path), Kind::Daemon))
    };
    match bus {
        Bus::System => [
            named("DBUS_SYSTEM_BUS_ADDRESS"),
            Some(address("/run/dbus/system_bus_socket".into(), Kind::Daemon)),
            Some(address("/run/systemd/private".into(), Kind::Direct)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Bus::User => {
            let runtime = var("XDG_RUNTIME_DIR").map(PathBuf::from);
            [
                named("DBUS_SESSION_BUS_ADDRESS"),
                runtime
                    .as_ref()
                    .map(|dir| address(dir.join("bus"), Kind::Daemon)),
                runtime
                    .as_ref()
                    .map(|dir| address(dir.join("systemd/private"), Kind::Direct)),
            ]
            .into_iter()
            .flatten()
            .collect()
        }
    }
}

#[cfg(test)]
mod tests;
