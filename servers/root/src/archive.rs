// SPDX-License-Identifier: BSD-2-Clause
//! The boot archive: cpio in the `newc` format.

/// One member of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Path without a leading slash.
    pub name: &'a str,
    /// Type and permission bits.
    pub mode: u32,
    /// Contents.
    pub data: &'a [u8],
}

/// What is wrong with an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// An archive in memory.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
}

const MAGIC: &[u8] = b"070701";
const HEADER: usize = 110;
const END: &str = "TRAILER!!!";

impl<'a> Archive<'a> {
    /// The archive at the start of `memory`, which may be longer; checked to its end.
    pub fn new(memory: &'a [u8]) -> Result<Archive<'a>, Malformed> {
        let (mut at, all) = (0, Archive { bytes: memory });
        loop {
            let (entry, next) = all.entry(at)?;
            at = next;
            if entry.name == END {
                let bytes = memory.get(..at).ok_or(Malformed)?;
                return Ok(Archive { bytes });
            }
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Contents of the file at `path`, with or without a leading slash.
    pub fn file(&self, path: &str) -> Option<&'a [u8]> {
        const TYPE: u32 = 0o170000;
        const REGULAR: u32 = 0o100000;
        let path = path.trim_start_matches('/');
        self.entries()
            .find(|e| e.name == path && e.mode & TYPE == REGULAR)
            .map(|e| e.data)
    }

    /// All members.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let (all, mut at) = (*self, 0);
        core::iter::from_fn(move || {
            let (entry, next) = all.entry(at).ok()?;
            at = next;
            (entry.name != END).then_some(entry)
        })
    }

    /// The member at offset `at`, and where the next one starts.
    fn entry(&self, at: usize) -> Result<(Entry<'a>, usize), Malformed> {
        let header = self.part(at, HEADER)?;
        if !header.starts_with(MAGIC) {
            return Err(Malformed);
        }
        let field = |index: usize| {
            let text = &header[6 + index * 8..][..8];
            text.iter().try_fold(0u32, |value, &digit| {
                let digit = (digit as char).to_digit(16).ok_or(Malformed)?;
                Ok(value << 4 | digit)
            })
        };
        let (mode, len, name_len) = (field(1)?, field(6)? as usize, field(11)? as usize);
        let name_at = at + HEADER;
        let name = self.part(name_at, name_len)?;
        let name = name.strip_suffix(b"\0").ok_or(Malformed)?;
        let name = core::str::from_utf8(name).map_err(|_| Malformed)?;
        let data_at = (name_at + name_len).next_multiple_of(4);
        let data = self.part(data_at, len)?;
        Ok((
            Entry { name, mode, data },
            (data_at + len).next_multiple_of(4),
        ))
    }

    fn part(&self, at: usize, len: usize) -> Result<&'a [u8], Malformed> {
        let end = at.checked_add(len).ok_or(Malformed)?;
        self.bytes.get(at..end).ok_or(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, mode, data) in entries.iter().chain(&[(END, 0, &b""[..])]) {
            let n = name.len() + 1;
            out.extend(format!("070701{:08x}{mode:08x}", 1).bytes());
            out.extend(format!("{:032x}{:08x}{:032x}{n:08x}{:08x}", 0, data.len(), 0, 0).bytes());
            out.extend(name.bytes());
            out.push(0);
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend(*data);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    #[test]
    fn finds_files_and_its_own_end() {
        let mut bytes = pack(&[
            ("bin", 0o040755, b""),
            ("bin/x", 0o100755, b"abcde"),
            ("y", 0o100644, b""),
        ]);
        let len = bytes.len();
        bytes.extend([7; 1000]);
        let archive = Archive::new(&bytes).unwrap();
        assert_eq!(archive.bytes().len(), len);
        assert_eq!(archive.file("/bin/x"), Some(&b"abcde"[..]));
        assert_eq!(archive.file("y"), Some(&b""[..]));
        assert_eq!(archive.file("bin"), None);
        assert_eq!(archive.file("z"), None);
        assert_eq!(archive.entries().count(), 3);
    }

    #[test]
    fn nonsense_is_refused() {
        let good = pack(&[("a", 0o100644, b"1234")]);
        for cut in 0..good.len() {
            assert!(Archive::new(&good[..cut]).is_err(), "cut at {cut}");
        }
        let mut bad = good.clone();
        bad[6 + 6 * 8..][..8].copy_from_slice(b"ffffffff");
        assert!(Archive::new(&bad).is_err());
        let mut bad = good;
        bad[20] = b'x';
        assert!(Archive::new(&bad).is_err());
    }
}
