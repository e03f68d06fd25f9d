// SPDX-License-Identifier: BSD-2-Clause
//! /proc (proc(5)): what a path below it names. The texts are made when they are read, in the process that reads; what they say of other processes
//! the root server tells.
//!
//! | module | what it holds |
//! |---|---|
//! | `system` | files that are the system's |
//! | `process` | files that are a process's |
//! | `maps` | the reader's own memory |
//! | `file` | open files and directories |

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use vfs_hooks::facts::Facts;

use crate::abi::{S_IFLNK, Stat};
use crate::errno::Errno;
use crate::files::tree::{DIRECTORY, REGULAR};
use crate::files::{self, empty_stat};
use crate::platform::processes;
use crate::process::pid;
use crate::threads;

pub mod file;
mod links;
mod maps;
mod process;
mod system;

pub use links::Target;

/// st_dev of what is here.
const DEVICE: u64 = 3;

/// A file of the system's: its path below /proc, and what is in it.
pub struct SystemFile {
    path: &'static str,
    write: fn(&mut String),
}

/// A file of a process's: its name, permissions, and what is in it.
pub struct ProcessFile {
    name: &'static str,
    mode: u32,
    write: fn(&Facts, &mut Vec<u8>) -> Result<(), Errno>,
    /// Of the reader alone.
    own: bool,
    /// Of threads, too.
    of_threads: bool,
}

/// What a path names.
#[derive(Clone, Copy)]
pub enum Entry {
    /// /proc itself.
    Root,
    /// A directory of the system's files, by its path.
    Directory(&'static str),
    /// A file of the system's.
    System(&'static SystemFile),
    /// A symbolic link in /proc itself.
    Link(links::Link),
    /// A process.
    Process(usize),
    /// Its threads, or one of them.
    Tasks(usize),
    /// See above.
    Task(usize, usize),
    /// A file of a process or of one of its threads.
    File(usize, Option<usize>, &'static ProcessFile),
    /// The reader's fds, one of them, and the same as texts.
    Fds,
    /// See above.
    Fd(usize),
    /// See above.
    FdInfos,
    /// See above.
    FdInfo(usize),
}

/// The parts of a path, without those that change nothing.
fn parts(path: &[u8]) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    for part in core::str::from_utf8(path).ok()?.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts)
}

/// A number as the names of directories have it.
fn number(text: &str) -> Option<usize> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| plain && (text == "0" || !text.starts_with('0')))
}

/// What the path below /proc names, and what follows if a symbolic link comes before its end. ENOENT, ENOTDIR.
fn entry(parts: &[&str]) -> Result<(Entry, usize), Errno> {
    let Some(first) = parts.first() else {
        return Ok((Entry::Root, 0));
    };
    if let Some(link) = links::of_root(first) {
        // What is behind `self` is looked up as if its number stood there.
        return match (link.process(), parts.len()) {
            (Some(pid), 2..) => entry_of(pid, parts),
            _ => Ok((Entry::Link(link), 1)),
        };
    }
    if let Some(pid) = number(first) {
        return entry_of(pid, parts);
    }
    let path = parts.join("/");
    if let Some(file) = system::FILES.iter().find(|file| file.path == path) {
        return Ok((Entry::System(file), parts.len()));
    }
    if let Some(directory) = system::directory(&path) {
        return Ok((Entry::Directory(directory), parts.len()));
    }
    let below = |file: &SystemFile| {
        let rest = path.strip_prefix(file.path);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    match system::FILES.iter().any(below) {
        true => Err(Errno::ENOTDIR),
        false => Err(Errno::ENOENT),
    }
}

/// Likewise, of a process.
fn entry_of(pid: usize, parts: &[&str]) -> Result<(Entry, usize), Errno> {
    processes::facts(pid).map_err(|_| Errno::ENOENT)?;
    let own = pid == crate::process::pid();
    let file = |name: &str, thread: Option<usize>| {
        let mut files = process::FILES.iter();
        files.find(|file| {
            file.name == name && (own || !file.own) && (thread.is_none() || file.of_threads)
        })
    };
    let found = match parts[1..] {
        [] => Entry::Process(pid),
        ["task"] => Entry::Tasks(pid),
        ["task", thread, ref rest @ ..] => {
            let thread = number(thread).ok_or(Errno::ENOENT)?;
            if !threads_of(pid).contains(&thread) {
                return Err(Errno::ENOENT);
            }
            match *rest {
                [] => Entry::Task(pid, thread),
                [name] => {
                    let file = file(name, Some(thread)).ok_or(Errno::ENOENT)?;
                    Entry::File(pid, Some(thread), file)
                }
                _ => return Err(Errno::ENOENT),
            }
        }
        ["fd"] if own => Entry::Fds,
        ["fdinfo"] if own => Entry::FdInfos,
        ["fd", fd, ..] if own => {
            let fd = open_fd(fd)?;
            return Ok((Entry::Fd(fd), 3));
        }
        ["fdinfo", fd] if own => Entry::FdInfo(open_fd(fd)?),
        [name, ..] => match (links::of_process(pid, name), file(name, None)) {
            (Some(link), _) => return Ok((Entry::Link(link), 2)),
            (None, Some(_)) if parts.len() > 2 => return Err(Errno::ENOTDIR),
            (None, Some(file)) => Entry::File(pid, None, file),
            (None, None) => return Err(Errno::ENOENT),
        },
    };
    Ok((found, parts.len()))
}

fn open_fd(name: &str) -> Result<usize, Errno> {
    let fd = number(name).ok_or(Errno::ENOENT)?;
    files::get(fd).map_err(|_| Errno::ENOENT)?;
    Ok(fd)
}

/// Ids of a process's threads, as far as the reader knows them.
fn threads_of(of: usize) -> Vec<usize> {
    if of != pid() {
        return Vec::from([of]);
    }
    threads::alive().map(threads::id).collect()
}

/// What the rest of a path behind `/proc` leads to. `follow`: a symbolic link at its end, too.
pub fn find(rest: &[u8], follow: bool) -> Result<Target, Errno> {
    let all = parts(rest).ok_or(Errno::ENOENT)?;
    let slash = rest.ends_with(b"/");
    let (entry, used) = entry(&all)?;
    let link = match entry {
        Entry::Link(link) => link,
        Entry::Fd(fd) => links::Link::Fd(fd),
        Entry::Root
        | Entry::Directory(_)
        | Entry::Process(_)
        | Entry::Tasks(_)
        | Entry::Task(..)
        | Entry::Fds
        | Entry::FdInfos => return Ok(Target::Entry(entry)),
        _ if slash => return Err(Errno::ENOTDIR),
        _ => return Ok(Target::Entry(entry)),
    };
    if used == all.len() && !follow && !slash {
        return Ok(Target::Entry(entry));
    }
    link.follow(&all[used..].join("/"))
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

impl Entry {
    /// Its path below /proc.
    pub fn path(&self) -> String {
        match self {
            Entry::Root => String::new(),
            Entry::Directory(path) => (*path).into(),
            Entry::System(file) => file.path.into(),
            Entry::Link(link) => link.path(),
            Entry::Process(pid) => format!("{pid}"),
            Entry::Tasks(pid) => format!("{pid}/task"),
            Entry::Task(pid, thread) => format!("{pid}/task/{thread}"),
            Entry::File(pid, None, file) => format!("{pid}/{}", file.name),
            Entry::File(pid, Some(thread), file) => format!("{pid}/task/{thread}/{}", file.name),
            Entry::Fds => format!("{}/fd", pid()),
            Entry::Fd(fd) => format!("{}/fd/{fd}", pid()),
            Entry::FdInfos => format!("{}/fdinfo", pid()),
            Entry::FdInfo(fd) => format!("{}/fdinfo/{fd}", pid()),
        }
    }

    /// st_mode.
    fn mode(&self) -> u32 {
        match self {
            Entry::Root
            | Entry::Directory(_)
            | Entry::Process(_)
            | Entry::Tasks(_)
            | Entry::Task(..) => DIRECTORY | 0o555,
            Entry::Fds | Entry::FdInfos => DIRECTORY | 0o500,
            Entry::System(_) => REGULAR | 0o444,
            Entry::FdInfo(_) => REGULAR | 0o400,
            Entry::File(_, _, file) => REGULAR | file.mode,
            Entry::Link(_) => S_IFLNK | 0o777,
            Entry::Fd(_) => S_IFLNK | 0o700,
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.mode() & crate::files::tree::TYPE == DIRECTORY
    }

    /// Its inode number in the tree, if paths can start at it: only those of /proc itself do.
    pub fn directory(&self) -> Option<u64> {
        match self {
            Entry::Root => files::tree::proc().ok(),
            _ => None,
        }
    }

    /// What stat(2) says.
    pub fn stat(&self) -> Stat {
        let now = crate::clock::timespec(crate::clock::realtime());
        Stat {
            st_dev: DEVICE,
            st_ino: inode(&self.path()),
            st_mode: self.mode(),
            st_nlink: if self.is_directory() { 2 } else { 1 },
            st_atime: now,
            st_mtime: now,
            st_ctime: now,
            ..empty_stat()
        }
    }

    /// What a symbolic link says; EINVAL: it is none.
    pub fn target(&self) -> Result<Vec<u8>, Errno> {
        match self {
            Entry::Link(link) => link.text(),
            Entry::Fd(fd) => links::Link::Fd(*fd).text(),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Names in a directory, with their types as readdir(3) has them.
    fn names(&self) -> Vec<(String, u8)> {
        const DT_DIR: u8 = 4;
        const DT_REG: u8 = 8;
        const DT_LNK: u8 = 10;
        let mut names = Vec::from([(".".into(), DT_DIR), ("..".into(), DT_DIR)]);
        match self {
            Entry::Root => {
                names.extend(links::ROOT.iter().map(|name| ((*name).into(), DT_LNK)));
                names.extend(system::names(""));
                names.extend(
                    processes::all()
                        .into_iter()
                        .map(|pid| (format!("{pid}"), DT_DIR)),
                );
            }
            Entry::Directory(path) => names.extend(system::names(path)),
            Entry::Process(of) => {
                let own = *of == pid();
                let files = process::FILES.iter().filter(|file| own || !file.own);
                names.extend(files.map(|file| (file.name.into(), DT_REG)));
                names.extend(links::PROCESS.iter().map(|name| ((*name).into(), DT_LNK)));
                names.push(("task".into(), DT_DIR));
                if own {
                    names.extend(["fd", "fdinfo"].map(|name| (name.into(), DT_DIR)));
                }
            }
            Entry::Tasks(of) => {
                let threads = threads_of(*of);
                names.extend(threads.iter().map(|id| (format!("{id}"), DT_DIR)));
            }
            Entry::Task(..) => {
                let files = process::FILES.iter().filter(|file| file.of_threads);
                names.extend(files.map(|file| (file.name.into(), DT_REG)));
            }
            Entry::Fds | Entry::FdInfos => {
                let kind = if matches!(self, Entry::Fds) {
                    DT_LNK
                } else {
                    DT_REG
                };
                let table = files::table();
                names.extend(table.iter().map(|(fd, _)| (format!("{fd}"), kind)));
            }
            _ => {}
        }
        names
    }

    /// What is in a file.
    fn contents(&self) -> Result<Vec<u8>, Errno> {
        let mut text = String::new();
        match self {
            Entry::System(file) => (file.write)(&mut text),
            Entry::FdInfo(fd) => process::write_fd(*fd, &mut text)?,
            Entry::File(of, thread, file) => {
                let mut facts = processes::facts(*of)?;
                if let Some(thread) = thread {
                    facts.pid = *thread as u64;
                }
                let mut bytes = Vec::new();
                (file.write)(&facts, &mut bytes)?;
                return Ok(bytes);
            }
            _ => return Err(Errno::EISDIR),
        }
        Ok(text.into_bytes())
    }
}

/// An inode number for a path: the same each time (FNV-1a).
fn inode(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
