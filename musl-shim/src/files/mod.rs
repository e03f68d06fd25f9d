// SPDX-License-Identifier: BSD-2-Clause
//! Open files: what every kind of file does, and the process's fd table.
//!
//! Reads and writes here never block: EAGAIN says that they would. The call decides what comes of it (see [`crate::calls`]).

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use libposix_poll::InstanceId;
use vfs_hooks::source::{SourceId, Sources};
use vfs_hooks::sync::{AtomicU32, Ordering};

use crate::errno::Errno;
use crate::files::position::Position;
use crate::inherit::{Description, Heir, Inheritance, watches};

use crate::abi::*;
use crate::fd_table::{FdTable, Numbered};
use crate::net::socket::Socket;
use crate::net::udp::UdpSocket;
use crate::net::unix::{self, UnixSocket};
use crate::shared::Shared;
use crate::{platform, poller};

pub mod archive_file;
pub mod channel;
pub mod device;
pub mod directory;
pub mod epoll;
pub mod eventfd;
pub mod fifo;
pub mod inotify;
pub mod locks;
pub mod lookup;
pub mod path_file;
pub mod pidfd;
pub mod pipe;
pub mod position;
pub mod regular;
pub mod shared_file;
pub mod signalfd;
mod stat;
pub mod terminal;
pub mod timerfd;
pub mod tree;

pub use stat::{character_stat, empty_stat};

/// st_dev of the tree.
const TREE_DEVICE: u64 = 1;
/// st_dev of what has no place in the tree.
const ANONYMOUS_DEVICE: u64 = 2;
/// st_blksize everywhere.
pub const BLOCK: i64 = 4096;

/// What can be mapped.
#[derive(Clone, Debug)]
pub enum Mappable {
    /// Zeroed memory.
    Zero,
    /// A copy of these bytes.
    Bytes(&'static [u8]),
    /// A file in memory.
    File(Rc<shared_file::SharedFile>),
}

/// A kind of file. Each default is what Linux answers for a kind that cannot do it.
#[allow(unused_variables, reason = "the defaults ignore their arguments")]
pub trait File {
    /// Takes bytes. EAGAIN: none now.
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Takes all that it holds, as much as there is room for, a semaphore's whole count, too: it goes on elsewhere.
    #[cfg(all(feature = "host", not(any(test, feature = "library"))))]
    fn drain(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.read(buffer)
    }

    /// Takes bytes at a position.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> Result<usize, Errno> {
        Err(Errno::ESPIPE)
    }

    /// Whether there is such a thing as writing to it; EINVAL otherwise, whatever is written.
    fn can_write(&self) -> bool {
        true
    }

    /// Puts bytes; fewer than all means that the rest would block. EAGAIN: none now.
    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// Puts bytes at a position.
    fn write_at(&self, bytes: &[u8], position: u64) -> Result<usize, Errno> {
        Err(Errno::ESPIPE)
    }

    /// Puts bytes at the end (O_APPEND), and moves the position there if `moves`.
    fn append(&self, bytes: &[u8], moves: bool) -> Result<usize, Errno> {
        self.write(bytes)
    }

    /// Puts bytes in packets (O_DIRECT of a pipe).
    fn write_packets(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.write(bytes)
    }

    /// Whether a read may end with a packet, of which it drops the rest.
    fn has_packets(&self) -> bool {
        false
    }

    /// ftruncate(2).
    fn truncate(&self, size: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// fallocate(2), of a range that is not empty.
    fn allocate(&self, mode: u32, start: u64, len: u64) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }

    /// Its inode number, if it is in the tree.
    fn inode(&self) -> Option<u64> {
        None
    }

    /// The channel by which all processes that have this open file description know it; `None`: nobody can have locks of it.
    fn description(&self) -> Option<Result<u32, Errno>> {
        None
    }

    /// The instance, if it is one of inotify(7).
    fn inotify(&self) -> Option<&inotify::Inotify> {
        None
    }

    /// Whether another process has the same open file description.
    fn is_elsewhere(&self) -> bool {
        false
    }

    /// Its path, if it is in /proc.
    fn proc_path(&self) -> Option<Vec<u8>> {
        None
    }

    /// The file opened again, at its start, if that makes a difference.
    fn again(&self, flags: u32) -> Option<Rc<OpenFile>> {
        None
    }

    /// lseek(2).
    fn seek(&self, offset: i64, whence: usize) -> Result<u64, Errno> {
        Err(Errno::ESPIPE)
    }

    /// fstat(2).
    fn stat(&self) -> Stat {
        Stat {
            st_mode: 0o600,
            ..empty_stat()
        }
    }

    /// ioctl(2) beyond what all files have.
    fn ioctl(&self, request: u32, argument: usize) -> Result<usize, Errno> {
        Err(Errno::ENOTTY)
    }

    /// FIONREAD.
    fn bytes_to_read(&self) -> Option<usize> {
        None
    }

    /// Whether a write of more than it takes is complete all the same (eventfd).
    fn writes_records(&self) -> bool {
        false
    }

    /// Whether a read takes eight bytes or none, however they are spread (eventfd, timerfd).
    fn reads_records(&self) -> bool {
        false
    }

    /// Whether a vectored write must go in one piece if it is short.
    fn gathers(&self) -> bool {
        false
    }

    /// Looks at bytes that a read would take, of a pipe. EAGAIN: none now.
    fn peek(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// How many bytes a pipe takes now whatever comes before; EPIPE if nobody will read them.
    fn pipe_room(&self) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    /// What both ends of a pipe have in common, and no other pipe.
    fn pipe_identity(&self) -> Option<usize> {
        None
    }

    /// F_GETPIPE_SZ.
    fn pipe_size(&self) -> Option<usize> {
        None
    }

    /// What can be watched: one source for each open file, which ends with it. None: always ready, and refused by epoll.
    fn source(&self) -> SourceId {
        SourceId::NONE
    }

    /// The timer, if it is one; EINVAL otherwise.
    fn timer(&self) -> Option<&timerfd::TimerFile> {
        None
    }

    /// Whether it is a socket: one of the three below.
    fn is_socket(&self) -> bool {
        false
    }

    /// The socket, if it is one of AF_INET; ENOTSOCK otherwise.
    fn socket(&self) -> Option<&Socket> {
        None
    }

    /// The socket, if it is one of AF_UNIX.
    fn unix(&self) -> Option<&UnixSocket> {
        None
    }

    /// The socket, if it is one of UDP.
    fn udp(&self) -> Option<&UdpSocket> {
        None
    }

    /// The epoll instance, if it is one.
    fn epoll(&self) -> Option<InstanceId> {
        None
    }

    /// Host mode: what Linux is to know of it.
    #[cfg(all(feature = "host", not(any(test, feature = "library"))))]
    fn real(&self) -> Option<&dyn crate::platform::Real> {
        None
    }

    /// What mmap(2) maps.
    fn mappable(&self) -> Result<Mappable, Errno> {
        Err(Errno::ENODEV)
    }

    /// The inode number, if it is a directory.
    fn directory(&self) -> Option<u64> {
        None
    }

    /// The signals, if it is a signalfd; EINVAL otherwise.
    fn signals(&self) -> Option<&signalfd::SignalFile> {
        None
    }

    /// The process's id, if it is a pidfd.
    fn pid(&self) -> Option<usize> {
        None
    }

    /// Where its status flags are once other processes have it as well: a side of a channel that stands for this open file alone.
    fn flags_side(&self) -> Option<(usize, usize)> {
        None
    }

    /// Moves its state to where another process can have it as well: before fork(2).
    fn share(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// What a program that this one starts opens in its place; `None`: nothing, EINVAL: it must not be passed on.
    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        Ok(None)
    }

    /// getdents64(2).
    fn read_entries(&self, address: usize, len: usize) -> Result<usize, Errno> {
        Err(Errno::ENOTDIR)
    }
}

/// An open file description: what duplicates of an fd share.
pub struct OpenFile {
    /// The file's source: what names it to the event core.
    source: SourceId,
    /// Access mode and status flags (O_*).
    flags: Cell<u32>,
    /// Its kind cannot be written to.
    unwritable: bool,
    /// Those that F_SETFL changes, once other processes have it as well; of a side that the file holds.
    shared: Cell<Option<&'static AtomicU32>>,
    /// The file itself. In a box: what it is and where it lies are two loads, whatever its alignment.
    pub file: Box<dyn File>,
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenFile({:#o})", self.flags.get())
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        inotify::closing(&*self.file, self.flags.get());
        // Closed for good: nobody watches it any longer.
        if self.source != SourceId::NONE {
            poller::core().close(self.source);
        }
    }
}

/// Flags that F_SETFL can change of any file.
const SETTABLE: u32 = O_APPEND | O_NONBLOCK;

impl OpenFile {
    /// Opens `file` with access mode and status of `flags`.
    pub fn new(file: impl File + 'static, flags: u32) -> Rc<OpenFile> {
        let kept = O_ACCMODE | settable(&file) | O_DIRECTORY | O_LARGEFILE | O_PATH;
        Rc::new(OpenFile {
            source: file.source(),
            flags: Cell::new(flags & kept),
            unwritable: !file.can_write(),
            shared: Cell::new(None),
            file: Box::new(file),
        })
    }
}

/// Flags that F_SETFL can change. Of O_DIRECT pipes alone make anything: packets.
fn settable(file: &dyn File) -> u32 {
    match file.pipe_size() {
        None => SETTABLE,
        Some(_) => SETTABLE | O_DIRECT,
    }
}

impl OpenFile {
    /// Its source, [`SourceId::NONE`] if it cannot be watched.
    #[inline]
    pub fn source(&self) -> SourceId {
        self.source
    }

    /// O_RDONLY, O_WRONLY or O_RDWR.
    #[inline]
    pub fn access(&self) -> u32 {
        self.flags.get() & O_ACCMODE
    }

    /// What F_GETFL says.
    #[inline]
    pub fn flags(&self) -> u32 {
        match self.shared.get() {
            None => self.flags.get(),
            Some(shared) => {
                // What the others wrote there is theirs to claim, but for other flags than these.
                let flags = shared.load(Ordering::Relaxed) & (SETTABLE | O_DIRECT);
                self.flags.get() & !(SETTABLE | O_DIRECT) | flags
            }
        }
    }

    /// F_SETFL.
    pub fn set_flags(&self, flags: u32) {
        let settable = settable(&*self.file);
        let flags = self.flags() & !settable | flags & settable;
        match self.shared.get() {
            None => self.flags.set(flags),
            Some(shared) => shared.store(flags, Ordering::Relaxed),
        }
    }

    /// After its state has moved to where other processes have it: its flags are there, too. `inherited`: they are so already.
    pub fn share_flags(&self, inherited: bool) {
        if self.shared.get().is_some() {
            return;
        }
        if let Some((channel, side)) = self.file.flags_side() {
            let shared = &platform::channels::header(channel).sides[side].flags;
            if !inherited {
                shared.store(self.flags.get(), Ordering::Relaxed);
            }
            self.shared.set(Some(shared));
        }
    }

    /// O_NONBLOCK.
    #[inline]
    pub fn is_nonblocking(&self) -> bool {
        self.flags() & O_NONBLOCK != 0
    }

    /// EBADF unless it is open for reading.
    #[inline]
    pub fn for_reading(&self) -> Result<(), Errno> {
        if self.access() == O_WRONLY {
            Err(Errno::EBADF)
        } else {
            Ok(())
        }
    }

    /// EBADF unless it is open for writing, EINVAL if its kind cannot be written to.
    #[inline]
    pub fn for_writing(&self) -> Result<(), Errno> {
        if self.access() == O_RDONLY {
            Err(Errno::EBADF)
        } else if self.unwritable {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    }
}

impl Numbered for Rc<OpenFile> {
    fn number(&self) -> u32 {
        self.source.number()
    }
}

static FILES: Shared<FdTable<Rc<OpenFile>>> = Shared::new(FdTable::new());
static DIRECTORY: Shared<u64> = Shared::new(vfs_hooks::vfs::ROOT);

/// Opens the standard files.
pub fn start() {
    let terminal = OpenFile::new(terminal::Terminal::new(), O_RDWR);
    for fd in platform::STANDARD_FILES {
        FILES.lock().replace(fd, terminal.clone(), false);
    }
}

/// What it takes to open it again, opened again. `None`: it makes no sense.
pub fn reopen(description: &Description) -> Option<Rc<OpenFile>> {
    let file = reopened(description)?;
    file.share_flags(true);
    Some(file)
}

fn reopened(description: &Description) -> Option<Rc<OpenFile>> {
    let flags = description.flags;
    Some(match &description.heir {
        Heir::Terminal(channel) => {
            let state = Position::inherited(*channel);
            OpenFile::new(terminal::Terminal::with(state), flags)
        }
        Heir::Device(number) => OpenFile::new(*device::Device::ALL.get(*number as usize)?, flags),
        Heir::Archived(attributes, channel) => {
            let position = Position::inherited(*channel);
            OpenFile::new(archive_file::Regular::at(*attributes, position), flags)
        }
        Heir::File(number, inode, channel) => {
            let position = Position::inherited(*channel);
            OpenFile::new(regular::Regular::at(*number, *inode, position), flags)
        }
        Heir::Directory(inode, channel) => {
            let position = Position::inherited(*channel);
            OpenFile::new(directory::Directory::at(*inode, position), flags)
        }
        Heir::Epoll => OpenFile::new(epoll::EpollFile::new(), flags),
        Heir::Path(inode) => OpenFile::new(path_file::PathFile::new(*inode), flags),
        Heir::Inotify(channel) => inotify::inherited(*channel, flags),
        Heir::Proc(path, channel) => crate::proc::file::inherited(path, *channel, flags)?,
        Heir::Process(channel, pid) => pidfd::inherited(*channel, *pid, flags),
        Heir::Unix(passed) => unix::heir::inherited(passed, flags)?,
        Heir::Tcp(passed) => crate::net::heir::inherited(passed, flags)?,
        Heir::Udp(word, bits) => UdpSocket::inherited(*word, *bits, flags)?,
        Heir::Pipe(channel, side) => pipe::inherited(*channel, *side, flags)?,
        Heir::Timer(channel, real) => timerfd::TimerFile::inherited(*channel, *real, flags),
        Heir::Fifo(place, inode, since, shared) => {
            fifo::inherited(*place, *inode, *since, *shared, flags)?
        }
        Heir::Signals(channel) => signalfd::SignalFile::inherited(*channel, flags),
        Heir::Event(channel, semaphore) => {
            eventfd::EventFile::inherited(*channel, *semaphore, flags)
        }
    })
}

/// In place of the standard files: what the program that started this one left.
pub fn inherit(inheritance: &Inheritance) {
    // The standard files that were opened are dropped when the table is no longer borrowed.
    let opened = core::mem::take(&mut *FILES.lock());
    drop(opened);
    let files: Vec<_> = inheritance.descriptions.iter().map(reopen).collect();
    for (fd, index) in &inheritance.fds {
        if let Some(Some(file)) = files.get(*index) {
            FILES.lock().replace(*fd, file.clone(), false);
        }
    }
    watches::put_back(&inheritance.watches, &files);
    set_working_directory(inheritance.legacy.directory);
}

/// Before fork(2): what is open moves to where the child can have it too.
pub fn share() -> Result<(), Errno> {
    let files: Vec<Rc<OpenFile>> = FILES.lock().iter().map(|(_, file)| file.clone()).collect();
    files.iter().try_for_each(|file| {
        file.file.share()?;
        file.share_flags(false);
        Ok(())
    })
}

/// In the child after fork(2): what the parent has at the net server is not the child's.
pub fn after_fork() {
    let files: Vec<Rc<OpenFile>> = FILES.lock().iter().map(|(_, file)| file.clone()).collect();
    let sockets = files.iter().filter_map(|file| file.file.socket());
    sockets.for_each(Socket::after_fork);
    crate::net::bind::after_fork();
}

/// The working directory's inode number.
pub fn working_directory() -> u64 {
    *DIRECTORY.lock()
}

/// Sets the working directory.
pub fn set_working_directory(inode: u64) {
    *DIRECTORY.lock() = inode;
}

/// The fd table, for what the functions here do not cover. Nothing may be dropped while it is borrowed: a file's end can come back here.
pub fn table() -> crate::shared::Guard<'static, FdTable<Rc<OpenFile>>> {
    FILES.lock()
}

/// The open file of an fd, as an argument of a call.
#[inline]
pub fn get(fd: usize) -> Result<Rc<OpenFile>, Errno> {
    // Only the low 32 bits of an int argument count.
    FILES
        .lock()
        .get(fd as u32 as usize)
        .cloned()
        .ok_or(Errno::EBADF)
}

pub use crate::platform::{install, install_pair};

/// Closes an fd.
pub fn close(fd: usize) -> Result<(), Errno> {
    let file = FILES.lock().remove(fd as u32 as usize);
    let file = file.ok_or(Errno::EBADF)?;
    locks::closing(&file);
    // Dropped here, when the table is no longer borrowed.
    drop(file);
    Ok(())
}

/// Before the process's end, if somebody wants to know what it closes.
pub fn close_all() {
    let all = core::mem::take(&mut *FILES.lock());
    drop(all);
}
