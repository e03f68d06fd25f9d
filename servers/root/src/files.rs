// SPDX-License-Identifier: BSD-2-Clause
//! Shared files (`vfs_hooks::file`): headers, pages, holders. Which of them a path names is the VFS server's business.
//!
//! A page lives as long as the file or a mapping of it ([`Memory::share`]): so a mapping outlives its fd, as mmap(2) wants it, and no frame is used
//! again while somebody has it mapped.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use root_server::errno;
use sel4_bindings::*;
use vfs_hooks::file::{FILES, Header, MOST, MOST_PAGES, PASSED, address};
use vfs_hooks::process::{PAGE, badge, notice};
use vfs_hooks::sync::Ordering;

use crate::contents::{self, Contents};
use crate::memory::{Memory, can_remember};
use crate::objects::Result;
use crate::process::Process;
use crate::programs::Refused;
use crate::system::System;

/// Most pages that one FILE_MAP maps.
const MOST_MAPPED: usize = MOST_PAGES;

/// A file.
pub struct SharedFile {
    page: CPtr,
    /// Where the root server sees the header.
    header: usize,
    /// Pages that there are, by number.
    pages: BTreeMap<u32, CPtr>,
    holders: BTreeSet<usize>,
    /// How often it is on its way to another process.
    flights: u32,
}

/// All of them.
#[derive(Default)]
pub struct SharedFiles {
    files: Vec<Option<Box<SharedFile>>>,
    /// Numbers that were used and are free.
    free: Vec<u32>,
    /// Pages of all files.
    pages: usize,
    /// How many there may be.
    limit: usize,
}

impl SharedFile {
    fn header(&self) -> &Header {
        // SAFETY: the view is mapped while the file lives; the header consists of atomics.
        unsafe { &*(self.header as *const Header) }
    }

    /// Makes `process` a holder.
    fn add(&mut self, memory: &mut Memory, process: &mut Process, number: usize) -> Result<()> {
        if !self.holders.contains(&process.number) {
            self.show(memory, process, number)?;
            self.holders.insert(process.number);
        }
        self.count();
        Ok(())
    }

    fn show(&self, memory: &mut Memory, process: &mut Process, number: usize) -> Result<()> {
        process
            .space
            .borrow(memory, self.page, address(number), 3)?;
        process.files.insert(number as u32);
        Ok(())
    }

    /// Whether nobody holds it, nor will by what is on its way.
    fn is_unheld(&self) -> bool {
        self.holders.is_empty() && self.flights == 0
    }

    /// Process `number` holds it no longer, and has its lock no longer; nor has one that does not hold it.
    fn remove(&mut self, number: usize) {
        self.header().recover(number as u32);
        self.holders.remove(&number);
        let holds = |owner: u32| self.holders.contains(&(owner as usize));
        self.header().recover_from_strangers(holds);
        self.count();
    }

    fn count(&self) {
        let holders = self.holders.len() as u32;
        self.header().holders.store(holders, Ordering::Release);
    }

    fn count_pages(&self) {
        let pages = self.pages.len() as u32;
        self.header().pages.store(pages, Ordering::Release);
    }
}

impl SharedFiles {
    /// Files that together may have `limit` pages.
    pub fn new(limit: usize) -> SharedFiles {
        SharedFiles {
            limit,
            files: Vec::with_capacity(MOST),
            ..SharedFiles::default()
        }
    }

    /// How many there are, and their pages.
    pub fn count(&self) -> (usize, usize) {
        (self.files.iter().flatten().count(), self.pages)
    }

    fn get(&mut self, number: u64) -> Option<&mut SharedFile> {
        self.files.get_mut(number as usize)?.as_deref_mut()
    }

    /// A file that somebody holds is on its way to another process.
    pub fn fly(&mut self, number: u32) {
        if let Some(file) = self.get(number.into()) {
            file.flights += 1;
        }
    }

    /// It has arrived, or nobody will take it. Whether nobody holds it now.
    pub fn land(&mut self, number: u32) -> bool {
        let Some(file) = self.get(number.into()) else {
            return false;
        };
        file.flights -= 1;
        file.is_unheld()
    }

    fn end(&mut self, memory: &mut Memory, number: usize) {
        if let Some(file) = self.files.get_mut(number).and_then(Option::take) {
            self.free.push(number as u32);
            self.pages -= file.pages.len();
            for page in file.pages.into_values() {
                memory.unshare(page);
            }
            memory.free(file.page);
        }
    }

    /// A copy of what a file contains that `process` holds, to be executed.
    pub fn contents(
        &self,
        memory: &mut Memory,
        process: usize,
        number: u32,
    ) -> core::result::Result<Contents, Refused> {
        let file = self.files.get(number as usize).and_then(Option::as_ref);
        let file = file.filter(|file| file.holders.contains(&process));
        let file = file.ok_or(Refused::NotHeld)?;
        let len = file.header().size();
        if len > contents::MOST as u64 || !memory.has_room(len as usize / PAGE + 1) {
            return Err(Refused::Memory(len));
        }
        let page = |page: u32| file.pages.get(&page).copied();
        Ok(Contents::new(memory, len as usize, page)?)
    }

    /// The page, made if it is not there. ENOSPC, ENOMEM.
    fn page(
        &mut self,
        memory: &mut Memory,
        number: u64,
        page: u32,
    ) -> core::result::Result<CPtr, u64> {
        let full = self.pages >= self.limit;
        let file = self.get(number).ok_or(errno::EINVAL)?;
        if let Some(frame) = file.pages.get(&page) {
            return Ok(*frame);
        }
        if full {
            return Err(errno::ENOSPC);
        }
        let frame = match memory.has_room(1).then(|| memory.frame()) {
            Some(Ok(frame)) => frame,
            _ => return Err(errno::ENOMEM),
        };
        memory.share(frame);
        file.pages.insert(page, frame);
        file.count_pages();
        self.pages += 1;
        Ok(frame)
    }
}

impl System {
    /// FILE_CREATE.
    pub fn file_create(
        &mut self,
        number: usize,
        [offset, len, holder]: [u64; 3],
    ) -> core::result::Result<u64, u64> {
        if number != badge::VFS_SERVER {
            return Err(errno::EPERM);
        }
        let archive = self.programs.archive_bytes();
        let end = offset.checked_add(len).ok_or(errno::EINVAL)?;
        let bytes = archive
            .get(offset as usize..end as usize)
            .ok_or(errno::EINVAL)?;
        if !self.processes.contains_key(&(holder as usize)) {
            return Err(errno::ESRCH);
        }
        let memory = &mut self.memory;
        if !memory.has_room(bytes.len() / PAGE + 2) {
            return Err(errno::ENOMEM);
        }
        let files = &mut self.files;
        let free = files.free.last().map(|file| *file as usize);
        let file = free.unwrap_or(files.files.len());
        if file >= MOST {
            return Err(errno::ENFILE);
        }
        let page = memory.frame().map_err(|_| errno::ENOMEM)?;
        let Ok(header) = memory.lens(page) else {
            memory.free(page);
            return Err(errno::ENOMEM);
        };
        let made = SharedFile {
            page,
            header,
            pages: BTreeMap::new(),
            holders: BTreeSet::new(),
            flights: 0,
        };
        match files.files.get_mut(file) {
            Some(free) => {
                *free = Some(Box::new(made));
                files.free.pop();
            }
            None => files.files.push(Some(Box::new(made))),
        }
        let furnished = self.furnish(file, bytes, holder as usize);
        if let Err(errno) = furnished {
            self.forget(file);
            return Err(errno);
        }
        Ok(file as u64)
    }

    /// Copies contents into a new file and shows it to the VFS server and its holder.
    fn furnish(
        &mut self,
        number: usize,
        bytes: &[u8],
        holder: usize,
    ) -> core::result::Result<(), u64> {
        let (files, memory) = (&mut self.files, &mut self.memory);
        for (page, part) in bytes.chunks(PAGE).enumerate() {
            let frame = files.page(memory, number as u64, page as u32)?;
            let copied = memory.with(frame, |to| to[..part.len()].copy_from_slice(part));
            copied.map_err(|_| errno::ENOMEM)?;
        }
        let file = files.get(number as u64).ok_or(errno::EINVAL)?;
        let size = bytes.len() as u64;
        file.header().size.store(size, Ordering::Release);
        let server = self
            .processes
            .get_mut(&badge::VFS_SERVER)
            .ok_or(errno::ENOSYS)?;
        let shown = server
            .space
            .borrow(memory, file.page, address(number), 3)
            .map_err(|_| errno::ENOMEM);
        shown?;
        let process = self.processes.get_mut(&holder).ok_or(errno::ESRCH)?;
        file.add(memory, process, number).map_err(|_| errno::ENOMEM)
    }

    /// Gives back a file that nobody holds.
    fn forget(&mut self, number: usize) {
        if let Some(server) = self.processes.get_mut(&badge::VFS_SERVER) {
            let at = address(number);
            server.space.withdraw(&mut self.memory, at..at + PAGE);
        }
        self.files.end(&mut self.memory, number);
    }

    /// FILE_GRANT. Answers with an errno.
    pub fn file_grant(&mut self, number: usize, file: u64, holder: u64) -> u64 {
        if number != badge::VFS_SERVER {
            return errno::EPERM;
        }
        let Some(process) = self.processes.get_mut(&(holder as usize)) else {
            return errno::ESRCH;
        };
        match self.files.get(file) {
            None => errno::EINVAL,
            Some(found) => match found.add(&mut self.memory, process, file as usize) {
                Ok(()) => errno::OK,
                Err(_) => errno::ENOMEM,
            },
        }
    }

    /// FILE_END. Answers with an errno.
    pub fn file_end(&mut self, number: usize, file: u64) -> u64 {
        if number != badge::VFS_SERVER {
            return errno::EPERM;
        }
        match self.files.get(file) {
            None => errno::EINVAL,
            Some(found) if !found.is_unheld() => errno::EAGAIN,
            Some(_) => {
                self.forget(file as usize);
                errno::OK
            }
        }
    }

    /// FILE_DROP. Answers with an errno.
    pub fn file_drop(&mut self, number: usize, file: u64) -> u64 {
        let Some(found) = self.files.get(file) else {
            return errno::EINVAL;
        };
        if !found.holders.contains(&number) {
            return errno::EINVAL;
        }
        found.remove(number);
        let unheld = found.is_unheld();
        if let Some(process) = self.processes.get_mut(&number) {
            let at = address(file as usize);
            process.space.withdraw(&mut self.memory, at..at + PAGE);
            process.files.remove(&(file as u32));
        }
        if unheld {
            self.signal_vfs();
        }
        errno::OK
    }

    /// Has the VFS server look for files that nobody holds any longer, and ask for owners of locks that have ended.
    pub fn signal_vfs(&self) {
        if let Some(signal) = self.vfs_signal {
            nb_signal(signal);
        }
    }

    /// A process has ended that held these files.
    pub fn files_ended(&mut self, number: usize, held: BTreeSet<u32>) {
        let mut unheld = false;
        for file in held {
            if let Some(found) = self.files.get(file.into()) {
                found.remove(number);
                unheld |= found.is_unheld();
            }
        }
        if unheld {
            self.signal_vfs();
        }
    }

    /// FILE_MAP. Answers with an errno.
    pub fn file_map(&mut self, number: usize, [file, pages, start]: [u64; 3]) -> u64 {
        let (file, prot) = (file & 0xffff_ffff, file >> 32);
        let (first, count) = (pages as u32 as usize, (pages >> 32) as usize);
        let held = self.files.get(file);
        if held.is_none_or(|file| !file.holders.contains(&number))
            || first.saturating_add(count) > MOST_PAGES
            || count > MOST_MAPPED
        {
            return errno::EINVAL;
        }
        if !self.may_have(number, count) {
            return errno::ENOMEM;
        }
        let memory = &mut self.memory;
        let Some(process) = self.processes.get_mut(&number) else {
            return errno::EPERM;
        };
        let len = (count * PAGE) as u64;
        if !process.space.may_map(start, len, prot) {
            return errno::EINVAL;
        }
        // Pages that are not there yet are asked for one by one.
        if !memory.has_room(count / 512) || !can_remember(count) {
            return errno::ENOMEM;
        }
        let start = start as usize;
        for i in 0..count {
            let address = start + i * PAGE;
            let page = self.files.page(memory, file, (first + i) as u32);
            let mapped = page.and_then(|frame| {
                let mapped = process.space.share(memory, frame, address, prot);
                mapped.map_err(|_| errno::ENOMEM)
            });
            if let Err(errno) = mapped {
                process.space.drop_pages(memory, &(start..address));
                return errno;
            }
        }
        errno::OK
    }

    /// FILE_TRIM. Answers with an errno.
    pub fn file_trim(&mut self, number: usize, file: u64, first: u64) -> u64 {
        let (memory, files) = (&mut self.memory, &mut self.files);
        let Some(found) = files.get(file) else {
            return errno::EINVAL;
        };
        if !found.holders.contains(&number) {
            return errno::EINVAL;
        }
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        let all: Vec<(u32, CPtr)> = found.pages.range(first..).map(|(n, f)| (*n, *f)).collect();
        let mut given_back = 0;
        for (page, frame) in all {
            match memory.is_shared(frame) {
                // Somebody has it mapped and is to see zeroes there.
                true => {
                    if let Ok(at) = memory.lens(frame) {
                        // SAFETY: the page is mapped there read-write, and nothing of the root server refers to it; the processes that
                        // have it mapped do not run meanwhile.
                        unsafe { (at as *mut u8).write_bytes(0, PAGE) };
                    }
                }
                false => {
                    found.pages.remove(&page);
                    memory.unshare(frame);
                    given_back += 1;
                }
            }
        }
        found.count_pages();
        files.pages -= given_back;
        errno::OK
    }

    /// FILE_USAGE.
    pub fn file_usage(&self) -> [u64; 2] {
        let free = self.memory.available() / PAGE as u64;
        let used = self.files.pages as u64;
        [(self.files.limit as u64).min(used + free), used]
    }

    /// All files of a process, as words for SPAWN's channels.
    pub fn files_of(&self, number: usize) -> Vec<u32> {
        let process = self.processes.get(&number);
        let files = process.into_iter().flat_map(|process| &process.files);
        files.map(|file| PASSED | file).collect()
    }

    /// Whether a process holds the file that a word of SPAWN's channels names.
    pub fn holds_file(&self, number: usize, word: u32) -> bool {
        let process = self.processes.get(&number);
        process.is_some_and(|process| process.files.contains(&(word & !PASSED)))
    }

    /// Makes a process a holder of a file that is on its way.
    pub fn give_file(&mut self, number: usize, file: u32) -> core::result::Result<(), u64> {
        let process = self.processes.get_mut(&number).ok_or(errno::EPERM)?;
        let found = self.files.get(file.into()).ok_or(errno::EBADF)?;
        found
            .add(&mut self.memory, process, file as usize)
            .map_err(|_| errno::ENOMEM)
    }

    /// Gives `process`, which is being made, a file that `parent` holds.
    pub fn pass_file(
        &mut self,
        parent: usize,
        process: &mut Process,
        word: u32,
    ) -> core::result::Result<(), u64> {
        let file = u64::from(word & !PASSED);
        match self.files.get(file) {
            Some(found) if found.holders.contains(&parent) => found
                .add(&mut self.memory, process, file as usize)
                .map_err(|_| errno::ENOMEM),
            _ => Err(errno::EBADF),
        }
    }

    /// `process` takes the place of one of the same number, which held `held` and passes on some of it.
    pub fn keep_files(
        &mut self,
        process: &mut Process,
        held: BTreeSet<u32>,
        passed: &[u32],
    ) -> Result<()> {
        let mut result = Ok(());
        let (kept, dropped): (BTreeSet<u32>, BTreeSet<u32>) = held
            .into_iter()
            .partition(|file| passed.contains(&(PASSED | file)));
        for file in kept {
            if let Some(found) = self.files.get(file.into()) {
                found.header().recover(process.number as u32);
                let shown = found.show(&mut self.memory, process, file as usize);
                result = result.and(shown);
            }
        }
        self.files_ended(process.number, dropped);
        result
    }

    /// What the VFS server signals by: a send capability to its own notification.
    pub fn vfs_signal(memory: &mut Memory, server: &Process) -> Result<CPtr> {
        let badge = CapData::notification(notice::UNHELD);
        memory
            .objects
            .mint(server.notification.whole, CapRights::WRITE, badge)
    }
}

/// Whether an address is that of a file's header.
pub fn is_header(address: usize) -> bool {
    (FILES..FILES + MOST * PAGE).contains(&address)
}
