// SPDX-License-Identifier: BSD-2-Clause
//! Symbolic links of /proc, of which some lead where no path does (proc(5)).

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use vfs_hooks::facts::Text;
use vfs_hooks::vfs::{ROOT as TREE_ROOT, label};

use super::Entry;
use crate::abi::{S_IFCHR, S_IFIFO, S_IFSOCK};
use crate::errno::Errno;
use crate::files::tree::{self, TYPE};
use crate::files::{OpenFile, get, working_directory};
use crate::platform::{processes, vfs};
use crate::process::pid;

/// Names of those in /proc itself.
pub const ROOT: [&str; 3] = ["self", "thread-self", "mounts"];
/// Names of those of a process.
pub const PROCESS: [&str; 3] = ["exe", "cwd", "root"];

/// A link.
#[derive(Clone, Copy)]
pub enum Link {
    /// To the reader.
    Own,
    /// To the reader's thread.
    OwnThread,
    /// To the reader's mounts.
    Mounts,
    /// To a process's program.
    Program(usize),
    /// To its working directory.
    WorkingDirectory(usize),
    /// To its root directory.
    RootDirectory(usize),
    /// To an open file of the reader.
    Fd(usize),
}

/// Where a path leads.
pub enum Target {
    /// Something of /proc.
    Entry(Entry),
    /// An open file.
    Open(Rc<OpenFile>),
    /// On in the tree: from this directory.
    Tree(u64, Vec<u8>),
}

/// A link in /proc itself.
pub fn of_root(name: &str) -> Option<Link> {
    match name {
        "self" => Some(Link::Own),
        "thread-self" => Some(Link::OwnThread),
        "mounts" => Some(Link::Mounts),
        _ => None,
    }
}

/// A link of a process's directory.
pub fn of_process(pid: usize, name: &str) -> Option<Link> {
    match name {
        "exe" => Some(Link::Program(pid)),
        "cwd" => Some(Link::WorkingDirectory(pid)),
        "root" => Some(Link::RootDirectory(pid)),
        _ => None,
    }
}

impl Link {
    /// The process whose directory it stands for.
    pub fn process(self) -> Option<usize> {
        matches!(self, Link::Own).then(pid)
    }

    /// Its path below /proc.
    pub fn path(self) -> String {
        match self {
            Link::Own => "self".into(),
            Link::OwnThread => "thread-self".into(),
            Link::Mounts => "mounts".into(),
            Link::Program(pid) => format!("{pid}/exe"),
            Link::WorkingDirectory(pid) => format!("{pid}/cwd"),
            Link::RootDirectory(pid) => format!("{pid}/root"),
            Link::Fd(fd) => format!("{}/fd/{fd}", pid()),
        }
    }

    /// What readlink(2) says.
    pub fn text(self) -> Result<Vec<u8>, Errno> {
        Ok(match self {
            Link::Own => format!("{}", pid()).into_bytes(),
            Link::OwnThread => {
                let thread = crate::threads::own_id();
                format!("{}/task/{thread}", pid()).into_bytes()
            }
            Link::Mounts => b"self/mounts".to_vec(),
            Link::Program(of) => processes::text(of, Text::Path)?,
            Link::WorkingDirectory(of) if of == pid() => tree::path(working_directory())?,
            // Where others are only they know.
            Link::WorkingDirectory(_) => return Err(Errno::EACCES),
            Link::RootDirectory(_) => b"/".to_vec(),
            Link::Fd(fd) => name(&*get(fd).map_err(|_| Errno::ENOENT)?),
        })
    }

    /// Where it leads, and `rest` from there.
    pub fn follow(self, rest: &str) -> Result<Target, Errno> {
        let rest = rest.as_bytes();
        let from = |directory: u64| {
            let path: &[u8] = if rest.is_empty() { b"." } else { rest };
            Target::Tree(directory, path.to_vec())
        };
        let path = match self {
            Link::Fd(fd) if rest.is_empty() => {
                return Ok(Target::Open(get(fd).map_err(|_| Errno::ENOENT)?));
            }
            Link::Fd(fd) => {
                let file = get(fd).map_err(|_| Errno::ENOENT)?;
                let directory = file.file.directory().ok_or(Errno::ENOTDIR)?;
                return Ok(from(directory));
            }
            Link::WorkingDirectory(of) if of == pid() => {
                return Ok(from(working_directory()));
            }
            Link::Own | Link::OwnThread | Link::Mounts => {
                let mut path = self.text()?;
                if !rest.is_empty() {
                    path.push(b'/');
                    path.extend_from_slice(rest);
                }
                return super::find(&path, true);
            }
            Link::RootDirectory(_) => return Ok(from(TREE_ROOT)),
            Link::Program(_) | Link::WorkingDirectory(_) => self.text()?,
        };
        match rest {
            [] => Ok(Target::Tree(TREE_ROOT, path)),
            _ => Err(Errno::ENOTDIR),
        }
    }
}

/// Character devices by number, as the tree has them.
const DEVICES: [(u64, &[u8]); 8] = [
    (1 << 8 | 3, b"/dev/null"),
    (1 << 8 | 5, b"/dev/zero"),
    (1 << 8 | 7, b"/dev/full"),
    (1 << 8 | 8, b"/dev/random"),
    (1 << 8 | 9, b"/dev/urandom"),
    (5 << 8, b"/dev/tty"),
    (5 << 8 | 1, b"/dev/console"),
    (4 << 8 | 64, b"/dev/ttyS0"),
];

/// What an open file is called: a path that it has now, or what it is.
fn name(file: &OpenFile) -> Vec<u8> {
    let (stat, kind) = (file.file.stat(), &file.file);
    if let Some(inode) = kind.inode() {
        let answer = vfs::ask(label::NAME, [inode, 0, 0], [b"", b""]);
        return answer.map_or_else(|_| b" (deleted)".to_vec(), |reply| reply.string);
    }
    if let Some(path) = kind.proc_path() {
        return path;
    }
    let device = DEVICES.iter().find(|(number, _)| *number == stat.st_rdev);
    let anonymous = |what: &str| format!("anon_inode:[{what}]").into_bytes();
    match stat.st_mode & TYPE {
        S_IFIFO => format!("pipe:[{}]", stat.st_ino).into_bytes(),
        S_IFSOCK => format!("socket:[{}]", stat.st_ino).into_bytes(),
        S_IFCHR if let Some((_, path)) = device => path.to_vec(),
        _ if kind.inotify().is_some() => b"anon_inode:inotify".to_vec(),
        _ if kind.epoll().is_some() => anonymous("eventpoll"),
        _ if kind.timer().is_some() => anonymous("timerfd"),
        _ if kind.signals().is_some() => anonymous("signalfd"),
        _ if kind.pid().is_some() => anonymous("pidfd"),
        _ => anonymous("eventfd"),
    }
}
