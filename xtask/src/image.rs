// SPDX-License-Identifier: BSD-2-Clause
//! The boot image: the root server's ELF with the boot archive as one more segment.
//!
//! The kernel loads the root task's segments and nothing else, so the archive becomes
//! one, at the page above the last: that is `_end` rounded up, where the root server looks.

use anyhow::{Context, Result};

use crate::elf::{HEADER, PT_LOAD, Program, SEGMENT};

const PAGE: usize = 4096;
const READ: u32 = 4;

/// What the root server is to do, in `boot.cfg`.
#[derive(Clone, Debug, Default)]
pub struct BootConfig {
    records: Vec<u8>,
}

impl BootConfig {
    /// Adds `key=value`; every record ends with a NUL, so a value may hold anything else.
    pub fn set(&mut self, key: &str, value: &[u8]) -> Result<&mut Self> {
        if value.contains(&0) {
            anyhow::bail!("an argument contains a NUL byte");
        }
        self.records.extend_from_slice(key.as_bytes());
        self.records.push(b'=');
        self.records.extend_from_slice(value);
        self.records.push(0);
        Ok(self)
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.records.clone()
    }
}

/// Appends `archive` to the ELF `root` as a read-only segment.
pub fn append(root: &[u8], archive: &[u8]) -> Result<Vec<u8>> {
    let program = Program::parse(root).context("the root server's ELF")?;
    let address = program.end().next_multiple_of(PAGE as u64);
    let mut image = root.to_vec();
    image.resize(image.len().next_multiple_of(PAGE), 0);
    let offset = image.len() as u64;
    image.extend_from_slice(archive);
    image.resize(image.len().next_multiple_of(8), 0);

    // The table of program headers moves to the end of the file, where it can grow.
    let old = u64::from_le_bytes(root[32..40].try_into()?) as usize;
    let count = program.segments.len();
    let table = image.len() as u64;
    image.extend_from_slice(&root[old..old + count * SEGMENT]);
    let size = archive.len() as u64;
    image.extend_from_slice(&PT_LOAD.to_le_bytes());
    image.extend_from_slice(&READ.to_le_bytes());
    // Offset, virtual and physical address (the kernel wants them equal), both sizes, alignment.
    for word in [offset, address, address, size, size, PAGE as u64] {
        image.extend_from_slice(&word.to_le_bytes());
    }
    debug_assert!(image.len() > HEADER);
    image[32..40].copy_from_slice(&table.to_le_bytes());
    image[56..58].copy_from_slice(&u16::try_from(count + 1)?.to_le_bytes());
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::sample;

    #[test]
    fn the_archive_becomes_the_last_segment() {
        let image = append(&sample(), b"archive").unwrap();
        let program = Program::parse(&image).unwrap();
        let last = program.segments.last().unwrap();
        assert_eq!(
            (last.kind, last.address, last.memory_size),
            (PT_LOAD, 0x40_2000, 7)
        );
        assert_eq!(last.offset % PAGE as u64, 0);
        let start = last.offset as usize;
        assert_eq!(&image[start..start + 7], b"archive");
        assert_eq!(
            program.segments.len(),
            3,
            "the old segments are still there"
        );
        assert_eq!(
            &image[HEADER + 2 * SEGMENT..0x200],
            &sample()[HEADER + 2 * SEGMENT..]
        );
    }

    #[test]
    fn records_end_with_nul() {
        let mut config = BootConfig::default();
        config
            .set("kernel", b"queue")
            .unwrap()
            .set("arg", b"a\nb")
            .unwrap();
        assert_eq!(config.bytes(), b"kernel=queue\0arg=a\nb\0");
        assert!(config.set("arg", b"a\0b").is_err());
    }
}
