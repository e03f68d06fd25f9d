// SPDX-License-Identifier: BSD-2-Clause
//! Programs in memory: what all processes of one program share.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use root_server::elf::Elf;
use root_server::warm::Warm;
use sel4_bindings::CPtr;
use vfs_hooks::process::{LARGE_PAGE, PAGE};

use crate::contents::Contents;
use crate::memory::Memory;
use crate::objects::Result;

/// Memory that must be left for a program to get large pages: it may use a small part of one.
const PLENTY: u64 = 32 << 20;

/// A program.
pub struct Image {
    /// Its checked file.
    pub elf: Elf<'static>,
    /// The file itself, if it is not in the boot archive: then the program ends with its last process.
    contents: Option<Contents>,
    /// Pages that nobody can write, once somebody has touched them. They stay for the next process of the program.
    pages: RefCell<BTreeMap<usize, CPtr>>,
    /// 2 MiB pages of which nobody can write any part.
    large: RefCell<BTreeMap<usize, CPtr>>,
    /// Pages that processes of the program have touched first.
    warm: RefCell<Warm>,
    /// It is there for ever.
    pub stays: Cell<bool>,
}

impl Image {
    /// A program of the boot archive of which no page is loaded.
    pub fn new(elf: Elf<'static>) -> Image {
        Image::with(elf, None)
    }

    /// The same of one whose bytes are these contents.
    pub fn with(elf: Elf<'static>, contents: Option<Contents>) -> Image {
        Image {
            elf,
            contents,
            pages: RefCell::default(),
            large: RefCell::default(),
            warm: RefCell::default(),
            stays: Cell::new(false),
        }
    }

    /// Somebody has the program no longer: ends it if nobody else has it.
    pub fn release(image: Rc<Image>, memory: &mut Memory) -> Result<()> {
        let Some(image) = Rc::into_inner(image) else {
            return Ok(());
        };
        for page in image.pages.into_inner().into_values() {
            memory.free(page);
        }
        for page in image.large.into_inner().into_values() {
            memory.free_large(page);
        }
        match image.contents {
            Some(contents) => contents.end(memory),
            None => Ok(()),
        }
    }

    /// Bytes of pages that are kept for the next process.
    pub fn kept(&self) -> u64 {
        let (small, large) = (self.pages.borrow().len(), self.large.borrow().len());
        let contents = self.contents.as_ref().map_or(0, Contents::size);
        (small * PAGE + large * LARGE_PAGE + contents) as u64
    }

    /// A process has touched a page early in its life.
    pub fn touched(&self, page: usize) {
        self.warm.borrow_mut().touched(page);
    }

    /// A process has ended: perhaps one of those pages is warm no longer that are its processes' own.
    pub fn doubt(&self, own: impl Fn(usize) -> bool) {
        self.warm.borrow_mut().doubt(own);
    }

    /// Whether a process has touched it early in its life.
    pub fn is_warm(&self, page: usize) -> bool {
        self.warm.borrow().contains(page)
    }

    /// Pages that the next process is likely to touch.
    pub fn warm(&self) -> Vec<usize> {
        self.warm.borrow().iter().collect()
    }

    /// The frame of a page that nobody can write.
    pub fn shared_page(&self, memory: &mut Memory, page: usize) -> Result<CPtr> {
        let mut pages = self.pages.borrow_mut();
        if let Some(frame) = pages.get(&page) {
            return Ok(*frame);
        }
        let frame = memory.filled(|bytes| self.fill(page, bytes))?;
        pages.insert(page, frame);
        Ok(frame)
    }

    /// Frames of the 2 MiB pages of which nobody can write any part, as far as memory allows: the others are made of small pages.
    pub fn large_pages(&self, memory: &mut Memory) -> Vec<(usize, CPtr)> {
        let mut large = self.large.borrow_mut();
        for segment in self.elf.segments.iter().filter(|s| !s.writable) {
            let first = segment.memory.start & !(LARGE_PAGE - 1);
            for page in (first..segment.memory.end).step_by(LARGE_PAGE) {
                let plenty = memory.available() > PLENTY;
                if large.contains_key(&page) || self.elf.writable(page, LARGE_PAGE) || !plenty {
                    continue;
                }
                let Ok(frame) = memory.large_frame() else {
                    continue;
                };
                match memory.with_large(frame, |bytes| self.fill(page, bytes)) {
                    Ok(()) => drop(large.insert(page, frame)),
                    Err(_) => memory.free_large(frame),
                }
            }
        }
        large.iter().map(|(page, frame)| (*page, *frame)).collect()
    }

    /// Writes the contents of `page` to `bytes`, as many as that.
    pub fn fill(&self, page: usize, bytes: &mut [u8]) {
        let len = bytes.len();
        let parts = || self.elf.contents(page, len);
        if !parts().any(|(_, part)| part.len() == len) {
            bytes.fill(0);
        }
        for (offset, part) in parts() {
            bytes[offset..offset + part.len()].copy_from_slice(part);
        }
    }
}
