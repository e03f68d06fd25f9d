// SPDX-License-Identifier: BSD-2-Clause
//! A server's answer to one request.

use super::Verdict;

/// An answer: its head, and its body once that is read.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// What Content-Length says.
    pub length: usize,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The status must be this one.
    pub fn expect_status(&self, what: &str, status: u16) -> Verdict {
        if self.status == status {
            return Ok(());
        }
        Err(format!(
            "{what}: status {} instead of {status}",
            self.status
        ))
    }

    /// The announced length must be this one.
    pub fn expect_length(&self, what: &str, length: usize) -> Verdict {
        if self.length == length {
            return Ok(());
        }
        Err(format!(
            "{what}: Content-Length {} instead of {length}",
            self.length
        ))
    }

    /// Status and length of an answer's head; `None` if it is not well-formed.
    pub fn parse_head(head: &str) -> Option<Self> {
        let mut lines = head.strip_suffix("\r\n\r\n")?.split("\r\n");
        let mut first = lines.next()?.splitn(3, ' ');
        if !matches!(first.next()?, "HTTP/1.0" | "HTTP/1.1") {
            return None;
        }
        let status = first.next().filter(|text| text.len() == 3)?.parse().ok()?;
        first.next()?;
        let mut length = None;
        for line in lines {
            let (name, value) = line.split_once(':')?;
            if name.is_empty() || name.contains(' ') {
                return None;
            }
            if name.eq_ignore_ascii_case("Content-Length") {
                let value = value.trim().parse().ok()?;
                if length.replace(value).is_some() {
                    return None;
                }
            }
        }
        Some(Self {
            status,
            length: length?,
            body: Vec::new(),
        })
    }
}
