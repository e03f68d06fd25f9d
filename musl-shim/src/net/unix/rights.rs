// SPDX-License-Identifier: BSD-2-Clause
//! Open files that go with a message (SCM_RIGHTS), and a datagram's sender.
//!
//! A file goes as what it takes to open it again ([`Heir`](crate::inherit::Heir)), in the record of the message. The channels that it needs are handed over to the
//! carrying channel at the root server, which gives them to whoever receives the message, or drops them when nobody can any more.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::errno::Errno;
use crate::files::channel::drop_unheld;
use crate::files::{OpenFile, reopen};
use crate::inherit::{self, Description};
use crate::net::unix::UnixSocket;
use crate::net::unix::name::Name;
use crate::platform::channels;

/// Most files in a message (SCM_MAX_FD).
pub const MOST_FILES: usize = 253;

/// Channels that are on their way; they come back if nobody says that they have gone.
#[derive(Debug)]
pub struct Flight {
    carrier: usize,
    /// The side that receives.
    to: usize,
    words: Vec<u32>,
}

impl Flight {
    /// The message went: the channels are the receiver's.
    pub fn landed(mut self) {
        self.words.clear();
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        for word in &self.words {
            // A sender may take back what it sent.
            if channels::take(self.carrier, self.to, *word).is_ok() {
                drop_unheld(*word);
            }
        }
    }
}

/// Hands files over to the channel of which the receiver has side `to`; what the message must carry. EINVAL: a file cannot be passed.
pub fn send(
    files: &[Rc<OpenFile>],
    sender: &Name,
    (carrier, to): (usize, usize),
) -> Result<(Flight, Vec<u8>), Errno> {
    let mut flight = Flight {
        carrier,
        to,
        words: Vec::new(),
    };
    let mut descriptions = Vec::new();
    for file in files {
        // It would need all that it watches.
        if file.file.epoll().is_some() {
            return Err(Errno::EINVAL);
        }
        let heir = file.file.inherit()?.ok_or(Errno::EINVAL)?;
        for word in heir.channels() {
            channels::send(carrier, to, word)?;
            flight.words.push(word);
        }
        file.share_flags(false);
        let flags = file.flags();
        descriptions.push(Description { flags, heir });
    }
    let bytes = inherit::write_message(&sender.0, &descriptions);
    match bytes.len() {
        0..=vfs_hooks::channel_socket::MOST_CONTROL => Ok((flight, bytes)),
        _ => Err(Errno::EMSGSIZE),
    }
}

/// What a datagram from a socket of this name carries.
pub fn name_only(sender: &Name) -> Vec<u8> {
    match sender.is_empty() {
        true => Vec::new(),
        false => inherit::write_message(&sender.0, &[]),
    }
}

/// What came with a message: the sender's name, and files. What the sender did not really hand over is not there.
pub fn open(socket: &UnixSocket, control: &[u8]) -> (Name, Vec<Rc<OpenFile>>) {
    let read = inherit::read_message(control);
    let (Some((name, descriptions)), Some((carrier, to))) = (read, socket.receiving_end()) else {
        return Default::default();
    };
    let mut files = Vec::new();
    for description in descriptions.iter().take(MOST_FILES) {
        let words: Vec<u32> = description.heir.channels().collect();
        let taken = words
            .iter()
            .take_while(|word| channels::take(carrier, to, **word).is_ok())
            .count();
        if taken == words.len() {
            files.extend(reopen(description));
        }
        // Those that no file holds by now.
        words[..taken].iter().for_each(|word| drop_unheld(*word));
    }
    (Name(name), files)
}

/// Nobody wants what came with a message.
pub fn discard(socket: &UnixSocket, control: &[u8]) {
    if !control.is_empty() {
        drop(open(socket, control));
    }
}
