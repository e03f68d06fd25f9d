// SPDX-License-Identifier: BSD-2-Clause
//! Programs: files that become processes. Those of the boot archive are kept once they have run.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use root_server::archive::{Archive, Entry};
use root_server::config::Net;
use root_server::elf::{Elf, Refusal};
use root_server::errno;
use root_server::stack::Start;
use sel4_bindings::*;
use vfs_hooks::facts::name_of;
use vfs_hooks::process::{self, INFO_MAGIC, LARGE_PAGE, PAGE};
use vfs_hooks::spawn::Block;

use crate::clock::Clock;
use crate::image::Image;
use crate::memory::{Memory, can_remember};
use crate::objects::Result;
use crate::process::{Process, needs};
use crate::space::PROGRAM;

/// Version of the ABI between programs and this system.
pub const ABI: u32 = 2;

/// What all programs are made of.
pub struct Programs {
    /// The boot archive, by path without a leading slash.
    files: BTreeMap<&'static str, Entry<'static>>,
    archive: Archive<'static>,
    /// Programs that have run.
    images: RefCell<BTreeMap<Vec<u8>, Rc<Image>>>,
    /// It, for all programs to see.
    frames: Vec<CPtr>,
    /// Addresses, if there is a network.
    pub net: Option<Net>,
    /// Programs whose calls are traced, as boot.cfg has it.
    pub traced: String,
}

/// Why a program is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such file.
    NotFound,
    /// It is a directory, or not marked as executable.
    NotExecutable,
    /// The file is not the caller's to execute.
    NotHeld,
    /// It is no program.
    Elf(Refusal),
    /// It was linked for another version of this system, or without its linker script.
    Abi(Option<u32>),
    /// Arguments and environment are too long.
    TooLong,
    /// So many bytes are missing.
    Memory(u64),
    /// The kernel said no.
    Kernel(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Kernel(error)
    }
}

impl Refused {
    /// For the process that wanted to start it.
    pub fn errno(self) -> u64 {
        match self {
            Refused::NotFound => errno::ENOENT,
            Refused::NotExecutable => errno::EACCES,
            Refused::NotHeld => errno::EBADF,
            Refused::Elf(_) | Refused::Abi(_) => errno::ENOEXEC,
            Refused::TooLong => errno::E2BIG,
            Refused::Memory(_) | Refused::Kernel(_) => errno::ENOMEM,
        }
    }
}

/// The program that these bytes are.
pub fn checked(bytes: &'static [u8]) -> core::result::Result<Elf<'static>, Refused> {
    let elf = Elf::parse(bytes, PROGRAM).map_err(Refused::Elf)?;
    match elf.abi == Some(ABI) {
        true => Ok(elf),
        false => Err(Refused::Abi(elf.abi)),
    }
}

impl Programs {
    /// The programs of `archive`, of which `frames` hold a copy.
    pub fn new(
        archive: Archive<'static>,
        frames: Vec<CPtr>,
        net: Option<Net>,
        traced: String,
    ) -> Programs {
        let files = archive.entries().map(|entry| (entry.name, entry)).collect();
        Programs {
            files,
            archive,
            images: RefCell::default(),
            frames,
            net,
            traced,
        }
    }

    /// The boot archive.
    pub fn archive_bytes(&self) -> &'static [u8] {
        self.archive.bytes()
    }

    /// The contents of an executable file.
    pub fn file(&self, path: &[u8]) -> core::result::Result<&'static [u8], Refused> {
        const TYPE: u32 = 0o170000;
        const REGULAR: u32 = 0o100000;
        let path = core::str::from_utf8(path).map_err(|_| Refused::NotFound)?;
        let entry = self.files.get(path.trim_start_matches('/'));
        let entry = entry.ok_or(Refused::NotFound)?;
        match entry.mode & TYPE == REGULAR && entry.mode & 0o111 != 0 {
            true => Ok(entry.data),
            false => Err(Refused::NotExecutable),
        }
    }

    /// The program that a file of the boot archive holds.
    pub fn image(&self, path: &[u8]) -> core::result::Result<Rc<Image>, Refused> {
        if let Some(image) = self.images.borrow().get(path) {
            return Ok(image.clone());
        }
        let image = Rc::new(Image::new(checked(self.file(path)?)?));
        let mut images = self.images.borrow_mut();
        // Under as many names as it has files: paths come from processes, which could make up others for ever.
        if images.len() < self.files.len() {
            image.stays.set(true);
            images.insert(path.to_vec(), image.clone());
        }
        Ok(image)
    }

    /// How many programs have run, and bytes of their pages that are kept.
    pub fn kept(&self) -> (usize, u64) {
        let images = self.images.borrow();
        (
            images.len(),
            images.values().map(|image| image.kept()).sum(),
        )
    }

    /// A process with number `number` that is ready to start, and how many bytes of its stack are used.
    pub fn load(
        &self,
        memory: &mut Memory,
        clock: &Clock,
        endpoint: CPtr,
        number: usize,
        block: &Block,
        image: Rc<Image>,
    ) -> core::result::Result<(Process, usize), Refused> {
        let elf = &image.elf;
        let random = random(clock.realtime_base, number as u64);
        let inherited = (process::STACK_TOP - block.inheritance.len()) & !15;
        let name = match block.name {
            [] => block.path,
            name => name,
        };
        let start = Start {
            args: &block.args,
            env: &block.env,
            path: name,
            headers: elf.headers,
            header_count: elf.header_count,
            entry: elf.entry,
            random: ((random[2] as u128) << 64 | random[3] as u128).to_le_bytes(),
        };
        let mut stack = start.bytes(inherited);
        if stack.len() > LARGE_PAGE {
            return Err(Refused::TooLong);
        }
        let used = stack.len();
        stack.extend_from_slice(block.inheritance);
        let used = used + (process::STACK_TOP - inherited);
        stack.resize(used, 0);
        let wanted = needs(elf, stack.len());
        if wanted > memory.available() {
            return Err(Refused::Memory(wanted - memory.available()));
        }
        if !can_remember(wanted as usize / PAGE) {
            return Err(Refused::Kernel(Error::NotEnoughMemory));
        }
        let path = alloc::string::String::from_utf8_lossy(block.path);
        let mut process = Process::new(memory, number, &path, image, endpoint)?;
        process.strings = start.strings(inherited);
        process.set_name(name_of(name));
        self.inform(&mut process, clock, memory.objects.total());
        let inheritance = match block.inheritance.len() {
            0 => [0; 2],
            len => [inherited as u64, len as u64],
        };
        process.write_info(|info| info.inheritance = inheritance);
        let loaded = process
            .load(memory, &stack)
            .and_then(|()| self.show_archive(memory, &mut process))
            .and_then(|()| process.warm_up(memory));
        match loaded {
            Ok(()) => Ok((process, used)),
            Err(error) => {
                process.discard(memory)?;
                Err(error.into())
            }
        }
    }

    /// Fills the information page.
    pub fn inform(&self, process: &mut Process, clock: &Clock, total: u64) {
        let archive = self.archive.bytes().len() as u64;
        let net = self.net.unwrap_or_default();
        let number = process.number;
        let traced = self.traces(&process.path);
        process.write_info(|info| {
            info.magic = INFO_MAGIC;
            info.queue_kernel = (kernel() == Some(Kernel::Queue)) as u32;
            info.process = number as u32;
            info.tsc_base = clock.tsc_base;
            info.tsc_scale = clock.tsc_scale;
            info.realtime_base = clock.realtime_base;
            info.archive_len = archive;
            info.random = random(clock.realtime_base, number as u64);
            info.address = net.address;
            info.prefix = net.prefix;
            info.gateway = net.gateway;
            info.nic = u32::MAX;
            info.memory = total;
            info.traced = traced.into();
        });
    }

    /// Whether a program's calls are traced.
    fn traces(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        match &self.traced[..] {
            "" => false,
            "*" => true,
            wanted => wanted == path || wanted == name,
        }
    }

    /// Maps the boot archive, read-only.
    pub fn show_archive(&self, memory: &mut Memory, process: &mut Process) -> Result<()> {
        for (i, frame) in self.frames.iter().enumerate() {
            let address = process::ARCHIVE + i * LARGE_PAGE;
            if process.space.has_large_page(address) {
                continue;
            }
            process
                .space
                .borrow_large(memory, *frame, address, CapRights::READ)?;
        }
        Ok(())
    }
}

/// Numbers that differ from boot to boot and from process to process. Not cryptographic: they come from the date and the
/// time-stamp counter.
fn random(date: u64, number: u64) -> [u64; 4] {
    let mut state = date ^ rdtsc().rotate_left(32) ^ number << 48;
    // SplitMix64 (Steele, Lea, Flood 2014).
    [(); 4].map(|()| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}
