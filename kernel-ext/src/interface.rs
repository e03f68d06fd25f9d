// SPDX-License-Identifier: GPL-2.0-only
//! The interface of a kernel: the XML from which labels and stubs are made.

use anyhow::{Result, bail, ensure};

use crate::kernel::Kernel;
use crate::tree::Tree;

const SEL4: &str = "libsel4/include/interfaces/sel4.xml";
const SEL4_ARCH: &str = "libsel4/sel4_arch_include/x86_64/interfaces/sel4arch.xml";
const ARCH: &str = "libsel4/arch_include/x86/interfaces/sel4arch.xml";

/// The files, in the order in which labels are numbered.
pub(crate) const FILES: [&str; 3] = [SEL4, SEL4_ARCH, ARCH];

/// The three interface XML texts, in the order in which labels are numbered.
#[derive(Clone, Debug)]
pub struct Interface {
    /// What all architectures have.
    pub sel4: String,
    /// What x86_64 adds.
    pub sel4_arch: String,
    /// What x86 adds.
    pub arch: String,
}

/// The interface XML of `kernel`.
pub fn interface(kernel: Kernel) -> Result<Interface> {
    Interface::of(&Tree::new(kernel)?)
}

impl Interface {
    pub(crate) fn of(tree: &Tree) -> Result<Interface> {
        Ok(Interface {
            sel4: tree.read(SEL4)?,
            sel4_arch: tree.read(SEL4_ARCH)?,
            arch: tree.read(ARCH)?,
        })
    }
}

/// The start tags of an XML text, in order. Enough for the kernel's files,
/// which have no CDATA and no `>` but in attributes; comments are skipped.
pub(crate) fn tags(xml: &str) -> Result<Vec<Tag<'_>>> {
    let mut tags = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            let Some(end) = comment.find("-->") else {
                bail!("a comment of the XML has no end");
            };
            rest = &comment[end..];
            continue;
        }
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let Some(end) = end else {
            bail!("a tag of the XML has no end");
        };
        let text = rest[1..end].trim_end_matches('/');
        if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            tags.push(Tag { text });
        }
        rest = &rest[end..];
    }
    ensure!(!tags.is_empty(), "the XML has no tags");
    Ok(tags)
}

/// A start tag: its name and attributes.
pub(crate) struct Tag<'a> {
    text: &'a str,
}

impl Tag<'_> {
    pub fn name(&self) -> &str {
        self.text.split_whitespace().next().unwrap_or("")
    }

    pub fn attribute(&self, name: &str) -> Option<String> {
        let mut rest = &self.text[self.name().len()..];
        loop {
            let (key, after) = rest.split_once('=')?;
            let (value, next) = after.trim_start().strip_prefix('"')?.split_once('"')?;
            if key.trim() == name {
                return Some(
                    value
                        .replace("&gt;", ">")
                        .replace("&lt;", "<")
                        .replace("&quot;", "\"")
                        .replace("&amp;", "&"),
                );
            }
            rest = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_queue_kernel_has_the_queue() {
        let queue = interface(Kernel::Queue).unwrap();
        let stock = interface(Kernel::Stock).unwrap();
        assert!(queue.sel4.contains("NotificationQueueAttach"));
        assert!(!stock.sel4.contains("NotificationQueue"));
        assert_eq!(queue.sel4_arch, stock.sel4_arch);
        assert_eq!(queue.arch, stock.arch);
    }

    #[test]
    fn tags_and_attributes() {
        let xml = "<?xml?><!-- <no/> --><api a=\"x>y\"><m id = \"1\"\n c=\"A &gt; 1\"/></api>";
        let tags = tags(xml).unwrap();
        assert_eq!(tags.len(), 2);
        assert_eq!(tags[0].attribute("a").unwrap(), "x>y");
        assert_eq!(tags[1].name(), "m");
        assert_eq!(tags[1].attribute("id").unwrap(), "1");
        assert_eq!(tags[1].attribute("c").unwrap(), "A > 1");
        assert_eq!(tags[1].attribute("d"), None);
    }
}
