//! Hears when somebody else takes our table away, or a part of it, so that it is installed anew; and
//! when Docker's chain for others is made, or loses rules, among which may be ours.
//!
//! We take rules, chains and sets away only with the whole table, and put it in place again in the
//! same transaction; so a transaction that takes any of them, and does not make the table, is
//! somebody else's, or [`super::uninstall`] with the last network: whoever hears of it looks whether
//! there should be a table. Elements come and go all the time, by us too: one that somebody else removes is
//! not noticed here, but by [`super::inspect`].

use std::os::fd::{AsFd, BorrowedFd};

use berth_sys::batch::NetlinkSocket;
use rustix::io::Errno;

use super::NftError;
use super::docker_user::{CHAIN, TABLE};
use super::read::Attributes;
use super::rules::Tag;
use super::wire::{GROUP, INET, IPV4, IPV6, chain, generation, message, rule};

/// Our table is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Somebody removed it or a part of it.
    Removed {
        /// The program and its PID, as the host's first PID namespace counts.
        by: Option<(String, u32)>,
    },
    /// Docker's chain for others was made, or a rule taken out of it: perhaps ours are not there.
    Docker,
    /// More happened than the kernel could tell: look at the table.
    Unknown,
}

/// A subscription to the changes of one network namespace's packet filter.
#[derive(Debug)]
pub struct Watch {
    socket: NetlinkSocket,
    table: String,
    /// What the transaction that is being told has done to the table so far.
    lost: bool,
}

/// What one announcement means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Made,
    Taken,
    Docker,
    End,
    Other,
}

impl Watch {
    /// Watches the table in the caller's network namespace from now on.
    ///
    /// # Errors
    /// Not permitted, or the kernel has no nf_tables.
    pub fn open(tag: &Tag) -> Result<Self, NftError> {
        let what = "watch the packet filter";
        let refused = |errno: Errno| NftError::refused(what, errno);
        let socket = NetlinkSocket::netfilter().map_err(refused)?;
        socket.subscribe(GROUP).map_err(refused)?;
        Ok(Self {
            socket,
            table: tag.table(),
            lost: false,
        })
    }

    /// Waits for the next announcements, of whichever table; says whether they were a loss of ours.
    /// poll(2) on the descriptor tells whether there are any.
    ///
    /// # Errors
    /// As recv(2).
    pub fn wait(&mut self) -> Result<Option<Loss>, NftError> {
        let mut loss = None;
        let (table, lost) = (&self.table, &mut self.lost);
        let heard = self
            .socket
            .listen(|kind, body| match step(kind, body, table) {
                Step::Made => *lost = false,
                Step::Taken => *lost = true,
                Step::Docker => loss = loss.take().or(Some(Loss::Docker)),
                Step::End if std::mem::take(lost) => {
                    loss = Some(Loss::Removed { by: author(body) })
                }
                Step::End | Step::Other => {}
            });
        match heard {
            Ok(()) => Ok(loss),
            Err(Errno::NOBUFS) => {
                self.lost = false;
                Ok(Some(Loss::Unknown))
            }
            Err(errno) => Err(NftError::refused(
                "hear of changes to the packet filter",
                errno,
            )),
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn step(kind: u16, body: &[u8], table: &str) -> Step {
    if kind == message::NEW_GENERATION {
        return Step::End;
    }
    let attributes = Attributes::of_message(body);
    // The table's name is the first attribute of all of them.
    let name = attributes.text(1);
    match body.first() {
        Some(&INET) if name == Some(table) => {}
        Some(&(IPV4 | IPV6)) if name == Some(TABLE) => return docker(kind, attributes),
        _ => return Step::Other,
    }
    match kind {
        message::NEW_TABLE => Step::Made,
        message::DELETE_TABLE
        | message::DELETE_CHAIN
        | message::DELETE_RULE
        | message::DELETE_SET => Step::Taken,
        _ => Step::Other,
    }
}

/// What is announced of the table that Docker's chain is in.
fn docker(kind: u16, attributes: Attributes<'_>) -> Step {
    let name = match kind {
        message::NEW_CHAIN => attributes.text(chain::NAME),
        message::DELETE_RULE => attributes.text(rule::CHAIN),
        _ => None,
    };
    match name {
        Some(CHAIN) => Step::Docker,
        _ => Step::Other,
    }
}

/// Who made the transaction.
fn author(body: &[u8]) -> Option<(String, u32)> {
    let attributes = Attributes::of_message(body);
    let pid = attributes.number(generation::PID)?;
    let program = attributes.text(generation::PROGRAM)?;
    Some((program.to_owned(), pid))
}
