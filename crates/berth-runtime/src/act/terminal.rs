//! The pseudo terminal of a container's own devpts.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::ioctl_tiocsctty;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::Context;
use super::path::open_target;
use super::root::attach;
use crate::plan::{Links, Slot, Step, TargetKind};
use crate::wire;

pub(super) fn perform(step: &Step, cx: &mut Context<'_>) -> Result<(), Errno> {
    match step {
        Step::OpenTerminal {
            devpts,
            rows,
            columns,
        } => open_terminal(cx, *devpts, *rows, *columns),
        Step::OpenDevpts { slot } => {
            let devpts = open_devpts(cx.root()?)?;
            cx.put(*slot, devpts)
        }
        Step::BindConsole { dev } => {
            let console = console_in(cx.get(*dev)?)?;
            bind_console(cx, console.as_fd())
        }
        Step::PlaceConsole => {
            let path = c"/dev/console";
            // A link that the image or a neighbour put there would lead the terminal, and with it
            // whoever opens that file, to a place of their choice (CVE-2025-52565).
            let console = open_target(cx.root()?, path, TargetKind::File, Links::Refused)?;
            bind_console(cx, console.as_fd())
        }
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

/// /dev/pts of the root, for reading; ENODEV when it is no devpts.
fn open_devpts(root: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat2(root, c"dev/pts", flags, Mode::empty(), resolve)?;
    if fstatfs(&folder)?.f_type == DEVPTS_SUPER_MAGIC {
        Ok(folder)
    } else {
        Err(Errno::NODEV)
    }
}

/// The file `console` of a /dev that we made; a device of the spec may have the name already.
fn console_in(dev: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let create = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    match openat(dev, c"console", create, Mode::from_raw_mode(0o600)) {
        Err(Errno::EXIST) => {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(dev, c"console", flags, Mode::empty())
        }
        other => other,
    }
}

/// Binds the slave over /dev/console.
fn bind_console(cx: &Context<'_>, console: BorrowedFd<'_>) -> Result<(), Errno> {
    let slave = cx.terminal.as_ref().ok_or(Errno::BADF)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let clone = open_tree(slave, c"", flags)?;
    attach(clone.as_fd(), console)
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
