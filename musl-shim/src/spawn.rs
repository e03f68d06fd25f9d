// SPDX-License-Identifier: BSD-2-Clause
//! posix_spawn and execve: what the new program is to have is put together here, in the old one; the root server starts it.
//!
//! posix_spawn is one request, without a copy of this process in between: the file actions work on a copy of the fd table, of which the new
//! program gets what can be passed on.

use alloc::rc::Rc;
use alloc::vec::Vec;

use vfs_hooks::spawn::{Block, MAX_BLOCK, NEW_SESSION, SET_GROUP};
use vfs_hooks::vfs::{EMPTY_PATH, FILE, ROOT};

use crate::abi::{O_EXECUTE, O_RDONLY};
use crate::errno::Errno;
use crate::fd_table::FdTable;
use crate::files::lookup::{self, Node};
use crate::files::shared_file::SharedFile;
use crate::files::tree::{self, At, Found, PATH_MAX, REGULAR, TYPE, archived};
use crate::files::{self, Mappable, OpenFile, locks};
use crate::inherit::{self, Legacy};
use crate::platform::children;
use crate::{alarms, limits, process, signal, user};

/// Bytes at a script's start among which its interpreter must be named (BINPRM_BUF_SIZE).
const LONGEST_LINE: usize = 256;
/// Scripts that are interpreted by scripts (execve(2)).
const MAX_INTERPRETERS: usize = 4;

/// musl's list of file actions (`src/process/fdop.h` of 1.2.3), the last one first.
#[repr(C)]
#[derive(Clone, Copy)]
struct FileAction {
    next: u64,
    previous: u64,
    command: i32,
    fd: i32,
    source: i32,
    flags: i32,
    mode: u32,
}

// SAFETY: integers only, without padding that anybody reads.
unsafe impl crate::abi::Plain for FileAction {}

// Commands of the same file.
const CLOSE: i32 = 1;
const DUP2: i32 = 2;
const OPEN: i32 = 3;
const CHDIR: i32 = 4;
const FCHDIR: i32 = 5;
/// Offset of the path in an action.
const ACTION_PATH: usize = core::mem::offset_of!(FileAction, mode) + 4;

/// What the overlay's posix_spawn passes.
#[repr(C)]
#[derive(Clone, Copy)]
struct Request {
    path: u64,
    args: u64,
    env: u64,
    /// The last file action, or 0.
    actions: u64,
    /// POSIX_SPAWN_*.
    flags: i32,
    group: i32,
    /// Signals to be set to their default.
    default: u64,
    mask: u64,
}

// SAFETY: integers only, without padding.
unsafe impl crate::abi::Plain for Request {}

// <spawn.h>
const SPAWN_SETPGROUP: i32 = 2;
const SPAWN_SETSIGDEF: i32 = 4;
const SPAWN_SETSIGMASK: i32 = 8;
const SPAWN_SETSID: i32 = 128;

/// What a program is to have from its start.
struct Heritage {
    files: FdTable<Rc<OpenFile>>,
    directory: u64,
    mask: u64,
    ignored: u64,
    pending: u64,
    alarm: [u64; 2],
    /// The process keeps its locks.
    stays: bool,
}

impl Heritage {
    fn own() -> Heritage {
        Heritage {
            files: files::table().clone(),
            directory: files::working_directory(),
            mask: signal::mask(),
            ignored: signal::ignored(),
            pending: 0,
            alarm: [0; 2],
            stays: false,
        }
    }

    fn get(&self, fd: i32) -> Result<Rc<OpenFile>, Errno> {
        let fd = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.files.get(fd).cloned().ok_or(Errno::EBADF)
    }

    fn at<'a>(&self, path: &'a [u8]) -> At<'a> {
        let base = match path.first() {
            Some(b'/') => ROOT,
            _ => self.directory,
        };
        At { base, path }
    }

    /// A path from the root.
    fn absolute(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        match path.first() {
            Some(b'/') => Ok(path.to_vec()),
            _ => Ok([&tree::path(self.directory)?[..], b"/", path].concat()),
        }
    }

    fn put(&mut self, fd: i32, file: Rc<OpenFile>) -> Result<(), Errno> {
        match usize::try_from(fd) {
            Ok(fd) if fd < process::file_limit() => {
                self.files.replace(fd, file, false);
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    fn act(&mut self, action: &FileAction, at: usize) -> Result<(), Errno> {
        let path = || user::string(at + ACTION_PATH, PATH_MAX - 1);
        match action.command {
            // Closing what is not open is no error (posix_spawn_file_actions_addclose(3)).
            CLOSE => {
                if let Ok(fd) = usize::try_from(action.fd) {
                    self.files.remove(fd);
                }
                Ok(())
            }
            DUP2 => {
                let file = self.get(action.source)?;
                self.put(action.fd, file)
            }
            OPEN => {
                let mode = action.mode & !process::umask();
                let file = lookup::open(self.at(path()?), action.flags as u32, mode)?;
                self.put(action.fd, file)
            }
            CHDIR => {
                let found = lookup::find(self.at(path()?), 0)?;
                self.directory = found.directory().ok_or(Errno::ENOTDIR)?;
                Ok(())
            }
            FCHDIR => {
                let file = self.get(action.fd)?;
                self.directory = file.file.directory().ok_or(Errno::ENOTDIR)?;
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// The inheritance, and the channels in it.
    fn bytes(&mut self) -> Result<(Vec<u8>, Vec<u32>), Errno> {
        let closing: Vec<usize> = self.files.closing().collect();
        let mut inodes = Vec::new();
        for fd in closing {
            let file = self.files.remove(fd);
            inodes.extend(file.and_then(|file| file.file.inode()));
        }
        let locks = match self.stays {
            true => locks::legacy(&inodes),
            false => Vec::new(),
        };
        let legacy = Legacy {
            directory: self.directory,
            umask: process::umask(),
            mask: self.mask,
            ignored: self.ignored,
            pending: self.pending,
            alarm: self.alarm,
            limits: core::array::from_fn(process::rlimit),
            locks,
        };
        inherit::write(&self.files, &legacy)
    }
}

/// The strings of an array that ends with a null pointer.
fn strings<'a>(mut address: usize, room: &mut usize) -> Result<Vec<&'a [u8]>, Errno> {
    let mut strings = Vec::new();
    // Linux takes a null array for an empty one.
    if address == 0 {
        return Ok(strings);
    }
    loop {
        let string = user::read::<u64>(address)? as usize;
        if string == 0 {
            return Ok(strings);
        }
        let string = user::string(string, MAX_BLOCK).map_err(|errno| match errno {
            Errno::ENAMETOOLONG => Errno::E2BIG,
            other => other,
        })?;
        *room = room.checked_sub(string.len() + 16).ok_or(Errno::E2BIG)?;
        strings.push(string);
        address += 8;
    }
}

/// A program file, and arguments that come before those after argv\[0\]: a script's interpreter has some.
struct Program {
    path: Vec<u8>,
    /// The file, unless it is in the boot archive.
    file: Option<Rc<SharedFile>>,
    /// In place of argv\[0\], if it is a script.
    before: Vec<Vec<u8>>,
}

/// A file to be executed.
enum Executable {
    /// In the boot archive, by whose names the root server knows programs.
    Archived(Vec<u8>, &'static [u8]),
    /// In memory.
    File(Rc<SharedFile>),
}

impl Executable {
    fn find(at: At) -> Result<Executable, Errno> {
        let (open, attributes, name) = match lookup::find(at, 0)? {
            Node::Entry(attributes, name) => (None, attributes, name),
            // An open file by its name in /proc.
            Node::Open(file) => {
                let inode = At::inode(file.file.inode().ok_or(Errno::EACCES)?);
                match inode.find(EMPTY_PATH)? {
                    Found::Inode(attributes, name) => (Some(file), attributes, name),
                    Found::Local(_) => return Err(Errno::EACCES),
                }
            }
            _ => return Err(Errno::EACCES),
        };
        if attributes.mode & TYPE != REGULAR || attributes.mode & 0o111 == 0 {
            return Err(Errno::EACCES);
        }
        if !name.is_empty() {
            return Ok(Executable::Archived(name, archived(&attributes)));
        }
        if attributes.place & FILE == 0 {
            // It never had contents.
            return Err(Errno::ENOEXEC);
        }
        let file = match open {
            Some(file) => file,
            None => lookup::open(at, O_RDONLY | O_EXECUTE, 0)?,
        };
        match file.file.mappable() {
            Ok(Mappable::File(file)) => Ok(Executable::File(file)),
            _ => Err(Errno::ENOEXEC),
        }
    }

    /// Its first bytes, as many as there are.
    fn start(&self, start: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Executable::Archived(_, bytes) => {
                let n = bytes.len().min(start.len());
                start[..n].copy_from_slice(&bytes[..n]);
                Ok(n)
            }
            Executable::File(file) => file.read(0, start),
        }
    }
}

/// What a script's first line says.
struct Line<'a> {
    interpreter: &'a [u8],
    /// Empty: there is none.
    argument: &'a [u8],
}

/// The line of a script that starts with these bytes; `None`: it is none. ENOEXEC: nobody can interpret it.
fn line(start: &[u8]) -> Result<Option<Line<'_>>, Errno> {
    let Some(line) = start.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let end = line.iter().position(|b| *b == b'\n');
    // Behind a line that ends nothing counts; one that does not is taken as it is.
    let line = match end {
        Some(end) => line[..end].trim_ascii(),
        None => line.trim_ascii_start(),
    };
    let blank = line.iter().position(|b| *b == b' ' || *b == b'\t');
    if blank.is_none() && end.is_none() && start.len() == LONGEST_LINE {
        // Its name goes on.
        return Err(Errno::ENOEXEC);
    }
    let (interpreter, argument) = line.split_at(blank.unwrap_or(line.len()));
    match interpreter {
        [] => Err(Errno::ENOEXEC),
        _ => Ok(Some(Line {
            interpreter,
            argument: argument.trim_ascii_start(),
        })),
    }
}

/// Finds the file to run (execve(2), Interpreter scripts).
fn program(heritage: &Heritage, name: &[u8]) -> Result<Program, Errno> {
    let mut before: Vec<Vec<u8>> = Vec::new();
    let mut name = name.to_vec();
    for _ in 0..=MAX_INTERPRETERS {
        let executable = Executable::find(heritage.at(&name))?;
        let mut start = [0; LONGEST_LINE];
        let n = executable.start(&mut start)?;
        let Some(Line {
            interpreter,
            argument,
        }) = line(&start[..n])?
        else {
            let (path, file) = match executable {
                Executable::Archived(archive_name, _) => ([b"/", &archive_name[..]].concat(), None),
                Executable::File(file) => (heritage.absolute(&name)?, Some(file)),
            };
            return Ok(Program { path, file, before });
        };
        // The script takes the place of argv[0] of what it was run as.
        if before.is_empty() {
            before.push(name);
        } else {
            before[0] = name;
        }
        if !argument.is_empty() {
            before.insert(0, argument.to_vec());
        }
        before.insert(0, interpreter.to_vec());
        name = interpreter.to_vec();
    }
    Err(Errno::ELOOP)
}

/// Starts what `path` names, with what `heritage` says.
fn start<R>(
    heritage: &mut Heritage,
    path: usize,
    args: usize,
    env: usize,
    (flags, group): (u64, u32),
    request: impl FnOnce(&Block) -> R,
) -> Result<R, Errno> {
    let mut room = MAX_BLOCK / 2;
    let name = user::string(path, PATH_MAX - 1)?;
    let program = program(heritage, name)?;
    let given = strings(args, &mut room)?;
    let env = strings(env, &mut room)?;
    let mut args: Vec<&[u8]> = program.before.iter().map(|a| &a[..]).collect();
    let skip = usize::from(!args.is_empty()).min(given.len());
    args.extend(&given[skip..]);
    let (inheritance, channels) = heritage.bytes()?;
    Ok(request(&Block {
        flags,
        group,
        channels,
        file: program.file.as_ref().map(|file| file.number()),
        path: &program.path,
        name,
        args,
        env,
        inheritance: &inheritance,
    }))
}

/// musl's `posix_spawn`, in the overlay: the child's process id, or a negated errno.
#[cfg(not(any(test, feature = "library")))]
#[unsafe(no_mangle)]
extern "C" fn __sys_spawn(request: usize) -> isize {
    crate::deliver::enter();
    let result = crate::shared::locked(|| spawn(request));
    crate::deliver::leave();
    match result {
        Ok(pid) => pid as isize,
        Err(errno) => -(errno.raw() as isize),
    }
}

/// posix_spawn(3): the child's process id.
#[cfg_attr(any(test, feature = "library"), allow(dead_code))]
fn spawn(request: usize) -> Result<usize, Errno> {
    children::supported()?;
    limits::another_task()?;
    let request: Request = user::read(request)?;
    let mut heritage = Heritage::own();
    let mut flags = (0, 0);
    if request.flags & SPAWN_SETPGROUP != 0 {
        flags = (SET_GROUP, request.group as u32);
    }
    if request.flags & SPAWN_SETSID != 0 {
        flags.0 |= NEW_SESSION;
    }
    if request.flags & SPAWN_SETSIGDEF != 0 {
        heritage.ignored &= !request.default;
    }
    if request.flags & SPAWN_SETSIGMASK != 0 {
        heritage.mask = request.mask;
    }
    // The list starts with the last action; the first one is done first.
    let mut actions = Vec::new();
    let mut at = request.actions as usize;
    while at != 0 {
        let action: FileAction = user::read(at)?;
        actions.push((action, at));
        at = action.next as usize;
    }
    for (action, at) in actions.iter().rev() {
        heritage.act(action, *at)?;
    }
    start(
        &mut heritage,
        request.path as usize,
        request.args as usize,
        request.env as usize,
        flags,
        children::spawn,
    )?
}

/// execve(2): returns only if it did not work.
pub fn exec(path: usize, args: usize, env: usize) -> Errno {
    let mut heritage = Heritage::own();
    heritage.pending = signal::pending();
    heritage.alarm = alarms::legacy();
    heritage.stays = true;
    match start(&mut heritage, path, args, env, (0, 0), children::exec) {
        Ok(errno) | Err(errno) => errno,
    }
}
