//! The pseudo terminal of a container's own devpts.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::ioctl_tiocsctty;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::Context;
use super::root::attach;
use crate::plan::{Slot, Step};
use crate::wire;

pub(super) fn perform(step: &Step, cx: &mut Context<'_>) -> Result<(), Errno> {
    match step {
        Step::OpenTerminal {
            devpts,
            rows,
            columns,
        } => open_terminal(cx, *devpts, *rows, *columns),
        Step::BindConsole { dev } => bind_console(cx, *dev),
        _ => Err(Errno::NOSYS),
    }
}

/// Opens master and slave from the devpts we mounted ourselves, takes the slave as controlling
/// terminal and sends the master to the stage. No path is looked up for the slave: TIOCGPTPEER
/// (CVE-2025-52565).
fn open_terminal(cx: &mut Context<'_>, devpts: Slot, rows: u16, columns: u16) -> Result<(), Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = openat(cx.get(devpts)?, c"ptmx", flags, Mode::empty())?;
    unlockpt(&master)?;
    let slave = peer(&master)?;
    if rows != 0 && columns != 0 {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&slave, size)?;
    }
    ioctl_tiocsctty(&slave)?;
    send_descriptor(cx.stage, wire::TERMINAL, master.as_fd())?;
    cx.terminal = Some(slave);
    Ok(())
}

/// The slave side of a pty master.
pub(crate) fn peer(master: &OwnedFd) -> Result<OwnedFd, Errno> {
    ioctl_tiocgptpeer(
        master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )
}

/// Binds the slave over /dev/console.
fn bind_console(cx: &Context<'_>, dev: Slot) -> Result<(), Errno> {
    let slave = cx.terminal.as_ref().ok_or(Errno::BADF)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let clone = open_tree(slave, c"", flags)?;
    let create = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let console = openat(cx.get(dev)?, c"console", create, Mode::from_raw_mode(0o600))?;
    attach(clone.as_fd(), console.as_fd())
}

/// Sends one byte and one descriptor over a socket.
pub(crate) fn send_descriptor(
    socket: BorrowedFd<'_>,
    kind: u8,
    descriptor: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    sendmsg(
        socket,
        &[IoSlice::new(&[kind])],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .map(drop)
}
