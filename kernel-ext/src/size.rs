// SPDX-License-Identifier: GPL-2.0-only
//! How large the kernel change is, and how large it may be.
//!
//! Counted are lines of code: neither blank nor only comment. The interface XML
//! and the bit-field blocks are counted apart, and so is the optional fast path;
//! libsel4's copies of two kernel headers count as headers.

use std::fmt;

use anyhow::{Result, ensure};

use crate::patch;
use crate::tree::{FAST_FILES, FAST_HOOKS, HOOKS, NEW_FILES};

/// Most lines in all C files and headers together.
pub const LIMIT: usize = 500;
/// Most lines in existing ones.
pub const LIMIT_EXISTING: usize = 120;

/// Lines of code that the kernel change adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// In new C files and headers.
    pub new: usize,
    /// In existing C files, headers and makefiles.
    pub existing: usize,
    /// In the interface XML.
    pub xml: usize,
    /// In bit-field descriptions.
    pub bitfields: usize,
}

/// Counts the change as it is in this crate.
pub fn size() -> Result<Size> {
    count(&NEW_FILES, HOOKS)
}

/// Counts the optional fast path, which comes on top.
pub fn fast_size() -> Result<Size> {
    count(&FAST_FILES, FAST_HOOKS)
}

fn count(files: &[(&str, &str)], hooks: &str) -> Result<Size> {
    let mut size = Size {
        new: files.iter().map(|(_, text)| code_lines(text.lines())).sum(),
        existing: 0,
        xml: 0,
        bitfields: 0,
    };
    for file in patch::parse(hooks)? {
        let lines = code_lines(file.added());
        match file.path.rsplit_once('.') {
            Some((_, "xml")) => size.xml += lines,
            Some((_, "bf")) => size.bitfields += lines,
            _ => size.existing += lines,
        }
    }
    Ok(size)
}

impl Size {
    /// An error if the change is larger than it may be.
    pub fn check(&self) -> Result<()> {
        let all = self.new + self.existing;
        ensure!(
            all < LIMIT,
            "the kernel change has {all} lines, {LIMIT} or more"
        );
        ensure!(
            self.existing < LIMIT_EXISTING,
            "the kernel change adds {} lines to existing files, {LIMIT_EXISTING} or more",
            self.existing
        );
        Ok(())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lines in new files and {} in existing ones (limits: {LIMIT} in all, \
             {LIMIT_EXISTING} in existing ones); apart from that {} of interface XML \
             and {} of bit fields",
            self.new, self.existing, self.xml, self.bitfields
        )
    }
}

/// Lines that are neither blank nor only comment. Comments begin and end at the
/// ends of lines, or stand behind code.
fn code_lines<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let mut in_comment = false;
    let mut count = 0;
    for line in lines.map(str::trim) {
        let starts = line.starts_with("/*");
        if !(line.is_empty() || in_comment || starts || line.starts_with("--")) {
            count += 1;
        }
        if line.contains("/*") {
            in_comment = true;
        }
        if line.contains("*/") {
            in_comment = false;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_limits() {
        let size = size().unwrap();
        println!("{size}");
        let fast = fast_size().unwrap();
        println!("the optional fast path: {fast}");
        assert!(fast.new > 100 && fast.existing > 5);
        size.check().unwrap();
        assert!(size.new > 300 && size.existing > 50 && size.xml > 10 && size.bitfields > 10);
    }

    #[test]
    fn comments_and_blanks_do_not_count() {
        let text = "/* a\n b\n */\n\nint x; /* c */\n -- bf\n/* d */\nint y; /* e\n f */\n}\n";
        assert_eq!(code_lines(text.lines()), 3);
    }

    #[test]
    fn too_large_is_an_error() {
        let size = Size {
            new: 400,
            existing: 99,
            xml: 900,
            bitfields: 900,
        };
        size.check().unwrap();
        assert!(Size { new: 401, ..size }.check().is_err());
        assert!(
            Size {
                new: 0,
                existing: 120,
                ..size
            }
            .check()
            .is_err()
        );
    }
}
