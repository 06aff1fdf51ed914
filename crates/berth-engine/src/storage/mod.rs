//! Work on files that belong to many users: the layers of images, containers and volumes.
//!
//! Root does it in this process. A user cannot: in an image's layer the files of its uid 1000 are
//! those of a sub-id. So a user's engine executes itself, as `berth internal storage`, which makes
//! a user and a mount namespace; the engine maps the user's ids and sub-ids there, always the same
//! ones ([`store_ids`]), and sends the work as one line of JSON. The worker trusts its caller: it
//! can do nothing that the user could not.

mod holes;
mod own;
mod work;
mod worker;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use berth_base::{ErrorClass, HostPid};
use serde::{Deserialize, Serialize};

use crate::spec::IdMappings;
use crate::subid::{IdKind, SubIds, map_caller, whole_range};
use crate::{Engine, EngineError, facts};

pub(crate) use own::{DressUpper, HasFolder, ReadAccounts};
pub(crate) use work::{
    CopyUpTree, ListChanges, PackLayer, PackRoot, RemoveTrees, SettleLayer, UnpackLayer, Work,
    is_rootless, real, stack, unpack_options,
};
pub use worker::storage_worker;

/// What the worker says first, when its namespaces exist.
const READY: &str = "ready";
/// Before the name of work that can begin in either user namespace.
const MAPPED: &str = "mapped-";

/// The answer of a worker.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Done(serde_json::Value),
    Failed { class: ErrorClass, message: String },
}

/// Which user namespace a worker begins in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    /// The caller's own: it may enter others.
    Caller,
    /// A new one with the ids of the user's store.
    Mapped,
}

impl Engine {
    /// Lets the worker remove what a user may not.
    pub(crate) fn remove_by_worker(&self) {
        if !facts::is_rootless() {
            return;
        }
        let engine = self.clone();
        berth_persist::on_foreign_files(move |path| {
            // The worker itself, where a file is not even one of the sub-ids.
            if !facts::is_rootless() {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            let paths = vec![path.to_owned()];
            let removed = engine.storage(&RemoveTrees { paths });
            removed.map_err(|e| io::Error::other(e.message))
        });
    }

    /// Does a piece of work, in a user namespace where the caller is not root.
    pub(crate) fn storage<W: Work>(&self, work: &W) -> Result<W::Done, EngineError> {
        if !facts::is_rootless() {
            // by path: nothing is written to it
            let nowhere = File::open("/dev/null").map_err(|e| broken(e.to_string()))?;
            return work.perform_to(&nowhere);
        }
        let answer = self.ask_worker(W::NAME, &work, Stdio::null())?;
        serde_json::from_value(answer)
            .map_err(|e| broken(format!("its answer makes no sense: {e}")))
    }

    /// As [`Self::storage`] for work that does no harm where it fails: most images need no worker
    /// for it.
    pub(crate) fn storage_if_need_be<W: Work>(&self, work: &W) -> Result<W::Done, EngineError> {
        if facts::is_rootless()
            // by path: nothing is written to it
            && let Ok(nowhere) = File::open("/dev/null")
            && let Ok(done) = work.perform_to(&nowhere)
        {
            return Ok(done);
        }
        self.storage(work)
    }

    /// As [`Self::storage`] for work that writes data: it goes to `out`.
    pub(crate) fn storage_to<W: Work>(&self, work: &W, out: File) -> Result<W::Done, EngineError> {
        if !facts::is_rootless() {
            return work.perform_to(&out);
        }
        let answer = self.ask_worker(W::NAME, &work, Stdio::from(out))?;
        serde_json::from_value(answer)
            .map_err(|e| broken(format!("its answer makes no sense: {e}")))
    }

    /// Does a piece of work in a process of its own, which root has as well. `data` is the stream
    /// that it reads or writes.
    pub(crate) fn storage_apart<W: Work>(
        &self,
        work: &W,
        users: Users,
        data: Option<OwnedFd>,
    ) -> Result<W::Done, EngineError> {
        let data = data.map_or_else(Stdio::null, Stdio::from);
        let answer = match users {
            Users::Caller => self.ask(W::NAME, work, data, None)?,
            Users::Mapped => self.ask_worker(&format!("{MAPPED}{}", W::NAME), work, data)?,
        };
        serde_json::from_value(answer)
            .map_err(|e| broken(format!("its answer makes no sense: {e}")))
    }

    fn ask_worker(
        &self,
        name: &str,
        work: &impl Serialize,
        out: Stdio,
    ) -> Result<serde_json::Value, EngineError> {
        self.ask(name, work, out, Some(&store_ids()))
    }

    fn ask(
        &self,
        name: &str,
        work: &impl Serialize,
        out: Stdio,
        ids: Option<&IdMappings>,
    ) -> Result<serde_json::Value, EngineError> {
        // by path: our own program
        let mut child = Command::new(&self.config().engine_binary)
            .args(["internal", "storage", name])
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| broken(format!("it cannot be executed: {e}")))?;
        let result = converse(&mut child, work, ids);
        // Without an answer it has ended, or its input is closed, which ends it.
        drop(child.stdin.take());
        let status = child.wait().map_err(|e| broken(e.to_string()))?;
        match result {
            Ok(Answer::Done(value)) => Ok(value),
            Ok(Answer::Failed { class, message }) => Err(EngineError::new(class, message)),
            Err(error) if status.success() => Err(error),
            Err(error) => Err(broken(format!("{error} ({status})"))),
        }
    }
}

/// Waits for the worker, maps its ids where it has new ones, sends the work and reads the answer.
fn converse(
    child: &mut Child,
    work: &impl Serialize,
    ids: Option<&IdMappings>,
) -> Result<Answer, EngineError> {
    let missing = || broken("its pipes are gone".into());
    let mut output = BufReader::new(child.stderr.take().ok_or_else(missing)?);
    let mut line = String::new();
    let mut read = |line: &mut String| {
        line.clear();
        output
            .read_line(line)
            .map_err(|e| broken(format!("it cannot be heard: {e}")))
    };
    read(&mut line)?;
    if line.trim_end() != READY {
        return serde_json::from_str(&line)
            .map_err(|_| broken("it could not make a user namespace".into()));
    }
    let pid = HostPid::new(child.id()).ok_or_else(missing)?;
    if let Some(ids) = ids {
        berth_runtime::mapping::write_maps(pid, &triples(&ids.uid), &triples(&ids.gid))
            .map_err(|failure| EngineError::new(failure.class, failure.message))?;
    }
    let mut text = serde_json::to_vec(work).map_err(|e| broken(e.to_string()))?;
    text.push(b'\n');
    let mut input = child.stdin.take().ok_or_else(missing)?;
    input
        .write_all(&text)
        .map_err(|e| broken(format!("it cannot be told: {e}")))?;
    drop(input);
    read(&mut line)?;
    serde_json::from_str(&line).map_err(|_| broken("it ended without an answer".into()))
}

/// Why the files of images all become the caller's; `None` where they do not.
pub(crate) fn single_id() -> Option<String> {
    let ids = store_ids();
    if !facts::is_rootless() || (ids.uid.len() > 1 && ids.gid.len() > 1) {
        return None;
    }
    let uid = rustix::process::geteuid().as_raw();
    let name = facts::login_name(uid).unwrap_or_else(|| uid.to_string());
    let (lacking, remedy) = match facts::has_newidmap() {
        true => (
            "/etc/subuid and /etc/subgid give you no ids",
            format!(
                "add some with \"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}\""
            ),
        ),
        false => (
            "newuidmap and newgidmap are not installed",
            "install them (package uidmap or shadow-utils)".to_owned(),
        ),
    };
    Some(format!(
        "{lacking}: all files of images become yours, and a container has one user, root; {remedy}, then remove the image and fetch it again"
    ))
}

/// The ids of a user's store: its own as root, its first range of sub-ids behind that. Containers
/// made from images run with the same, since nothing but root can shift ids at a mount.
pub(crate) fn store_ids() -> IdMappings {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    let number = uid.to_string();
    let name = facts::login_name(uid);
    let owners: Vec<&str> = std::iter::once(number.as_str())
        .chain(name.as_deref())
        .collect();
    let (uids, gids) = (SubIds::read(IdKind::Uid), SubIds::read(IdKind::Gid));
    let ranges = facts::has_newidmap()
        .then(|| whole_range(&uids, &owners).zip(whole_range(&gids, &owners)))
        .flatten();
    let (uids, gids) = ranges.unzip();
    IdMappings {
        uid: map_caller(uid, uids),
        gid: map_caller(gid, gids),
    }
}

fn triples(map: &[crate::subid::IdMap]) -> Vec<(u32, u32, u32)> {
    map.iter().map(|m| (m.inside, m.outside, m.size)).collect()
}

fn broken(why: String) -> EngineError {
    let text = format!("the storage worker failed: {why}");
    EngineError::new(ErrorClass::Internal, text)
}
