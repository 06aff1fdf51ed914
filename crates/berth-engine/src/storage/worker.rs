//! The worker's side: root of a user namespace, for one piece of work.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use berth_base::ErrorClass;
use rustix::mount::MountPropagationFlags;

use super::own::{DressUpper, HasFolder, ReadAccounts};
use super::work::{
    CopyUpTree, ListChanges, PackLayer, PackRoot, RemoveTrees, SettleLayer, UnpackLayer, Work,
};
use super::{Answer, MAPPED, READY};
use crate::EngineError;
use crate::copy::CopyJob;

/// CLONE_NEWUSER | CLONE_NEWNS (clone(2)).
const NAMESPACES: u64 = 0x1000_0000 | 0x0002_0000;

/// `berth internal storage NAME`: makes its namespaces, waits for its ids and the work, does it.
///
/// The process must have one thread. What it has to say, whatever goes wrong included, is a line on
/// standard error; standard output is the stream of data of the work, such as a tar, be it read or
/// written. Work that enters the namespaces of others (`cp`) gets none here.
pub fn storage_worker(name: &str) {
    let answer = match prepare(name).and_then(|work| perform(name, &work)) {
        Ok(value) => Answer::Done(value),
        Err(error) => Answer::Failed {
            class: error.class,
            message: match error.hint {
                Some(hint) => format!("{}; {hint}", error.message),
                None => error.message,
            },
        },
    };
    let text = serde_json::to_string(&answer).unwrap_or_default();
    // Nobody listens any more: there is nobody to tell.
    drop(writeln!(io::stderr(), "{text}"));
}

fn prepare(name: &str) -> Result<Vec<u8>, EngineError> {
    let denied = |what: &str, e: io::Error| {
        let text = format!("cannot {what}: {e}; unprivileged user namespaces must be allowed");
        EngineError::new(ErrorClass::Denied, text)
    };
    let is_apart = name == CopyJob::NAME;
    if !is_apart {
        berth_sys::unshare_namespaces(NAMESPACES)
            .map_err(|e| denied("make a user namespace", e.into()))?;
    }
    let told = writeln!(io::stderr(), "{READY}");
    told.map_err(|e| denied("answer", e))?;
    let mut work = Vec::new();
    io::stdin()
        .read_to_end(&mut work)
        .map_err(|e| denied("read the work", e))?;
    if is_apart {
        return Ok(work);
    }
    // by path: our own mount namespace, so that nothing mounted here is seen elsewhere
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(|e| denied("keep mounts to itself", e.into()))?;
    Ok(work)
}

fn perform(name: &str, work: &[u8]) -> Result<serde_json::Value, EngineError> {
    match name.strip_prefix(MAPPED).unwrap_or(name) {
        CopyJob::NAME => run::<CopyJob>(work),
        CopyUpTree::NAME => run::<CopyUpTree>(work),
        DressUpper::NAME => run::<DressUpper>(work),
        HasFolder::NAME => run::<HasFolder>(work),
        ListChanges::NAME => run::<ListChanges>(work),
        PackLayer::NAME => run::<PackLayer>(work),
        PackRoot::NAME => run::<PackRoot>(work),
        ReadAccounts::NAME => run::<ReadAccounts>(work),
        RemoveTrees::NAME => run::<RemoveTrees>(work),
        SettleLayer::NAME => run::<SettleLayer>(work),
        UnpackLayer::NAME => run::<UnpackLayer>(work),
        _ => Err(EngineError::new(
            ErrorClass::Invalid,
            format!("there is no work called {name:?}"),
        )),
    }
}

fn run<W: Work>(work: &[u8]) -> Result<serde_json::Value, EngineError> {
    let internal = |e: serde_json::Error| EngineError::new(ErrorClass::Internal, e.to_string());
    let work: W = serde_json::from_slice(work).map_err(internal)?;
    let out = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|e| EngineError::new(ErrorClass::Internal, format!("cannot write data: {e}")))?;
    serde_json::to_value(work.perform_to(&out.into())?).map_err(internal)
}
