// SPDX-License-Identifier: BSD-2-Clause
//! Holding a port: at the root server by a channel, at the net server if others can see it, and in this process's table for connections within it.
//!
//! Without channels (host mode) the table is all there is.

use alloc::vec::Vec;

use vfs_hooks::channel::READER;
use vfs_hooks::wire::{PORT_BLOCK, net};

use crate::errno::Errno;
use crate::files::channel::Kept;
use crate::net::address::{Address, is_loopback};
use crate::net::ports::{Hold, Ports};
use crate::platform::channels;
use crate::platform::net::{self as server, ask_net, has_net, unbind};
use crate::shared::Shared;

static PORTS: Shared<Ports> = Shared::new(Ports::new());
/// Ports for connections within this process that none has.
static FREE: Shared<Vec<u16>> = Shared::new(Vec::new());

/// Times that the net server is asked for a port that nobody in this machine has.
const TRIES: usize = 100;

/// What setsockopt(2) said of sharing a port.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reuse {
    /// SO_REUSEADDR.
    pub address: bool,
    /// SO_REUSEPORT.
    pub port: bool,
}

impl Reuse {
    fn bits(self) -> u64 {
        u64::from(self.address) | u64::from(self.port) << 1
    }
}

/// A port that a socket holds; give it back with [`Binding::release`].
#[derive(Debug)]
pub struct Binding {
    local: Address,
    reuse: Reuse,
    /// In the table of this process.
    hold: Option<Hold>,
    /// Of [`FREE`], in this process.
    leased: bool,
    /// Reserved at the net server by this process and not yet used there.
    reserved: bool,
    /// The channel that holds it at the root server.
    pub kept: Option<Kept>,
}

/// A port at the root server and, if `network` says so, at the net server.
fn claim(channel: usize, wanted: Address, reuse: Reuse, network: bool) -> Result<u16, Errno> {
    let bits = reuse.bits();
    let at_net = |port: u16| ask_net(net::BIND, [wanted.ip.into(), port.into(), bits]);
    let here = |port| channels::port_bind(channel, Address { port, ..wanted }.word() | bits << 48);
    if !network || wanted.port != 0 {
        let port = here(wanted.port)?;
        if network {
            at_net(port)?;
        }
        return Ok(port);
    }
    for _ in 0..TRIES {
        let [port, ..] = at_net(0)?;
        match here(port as u16) {
            Err(Errno::EADDRINUSE) => unbind(port as u16),
            Err(errno) => {
                unbind(port as u16);
                return Err(errno);
            }
            Ok(port) => return Ok(port),
        }
    }
    Err(Errno::EADDRINUSE)
}

impl Binding {
    /// bind(2): the address with its port chosen, and the hold on it.
    pub fn new(wanted: Address, reuse: Reuse) -> Result<(Address, Binding), Errno> {
        if wanted.ip != 0 && !is_loopback(wanted.ip) && wanted.ip != server::address() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        // Connections within this process hold ports, too.
        let conflicts = PORTS
            .lock()
            .conflicts(wanted.port, wanted.ip, reuse.address);
        if wanted.port != 0 && conflicts {
            return Err(Errno::EADDRINUSE);
        }
        let network = has_net() && !is_loopback(wanted.ip);
        let (port, kept, hold) = match channels::create(1) {
            Ok(channel) => {
                let kept = Kept::new(channel, READER);
                (claim(channel, wanted, reuse, network)?, Some(kept), None)
            }
            Err(Errno::ENOSYS) => {
                let mut ports = PORTS.lock();
                let port = match wanted.port {
                    0 => ports.choose().ok_or(Errno::EADDRINUSE)?,
                    port => port,
                };
                let hold = Hold {
                    address: wanted.ip,
                    reuse: reuse.address,
                    listening: false,
                };
                ports.add(port, hold);
                (port, None, Some(hold))
            }
            Err(_) => return Err(Errno::ENOBUFS),
        };
        let local = Address { port, ..wanted };
        let binding = Binding {
            local,
            reuse,
            hold,
            leased: false,
            reserved: network && kept.is_some(),
            kept,
        };
        Ok((local, binding))
    }

    /// A hold that another process has passed on.
    pub fn inherited(local: Address, kept: Kept) -> Binding {
        Binding {
            local,
            reuse: Reuse::default(),
            hold: None,
            leased: false,
            reserved: false,
            kept: Some(kept),
        }
    }

    /// The hold of a connection within this process on its own port: no second listener may come there without SO_REUSEADDR.
    pub fn of_connection(local: Address, reuse: bool) -> Binding {
        let hold = Hold {
            address: local.ip,
            reuse,
            listening: false,
        };
        PORTS.lock().add(local.port, hold);
        Binding {
            local,
            reuse: Reuse::default(),
            hold: Some(hold),
            leased: false,
            reserved: false,
            kept: None,
        }
    }

    /// A port of its own for the client's end of a connection within this process. `None`: there is none.
    pub fn ephemeral(ip: u32) -> Option<(Address, Binding)> {
        let port = free_port()?;
        let local = Address { ip, port };
        let binding = Binding::of_connection(local, false);
        Some((
            local,
            Binding {
                leased: true,
                ..binding
            },
        ))
    }

    /// EADDRINUSE if somebody listens here already; else this does. Whether the net server is to listen too.
    pub fn listen(&mut self) -> Result<bool, Errno> {
        let Some(hold) = &mut self.hold else {
            return self.reserve();
        };
        let mut ports = PORTS.lock();
        if ports.is_listened_on(self.local.port, hold.address) {
            return Err(Errno::EADDRINUSE);
        }
        ports.remove(self.local.port, *hold);
        hold.listening = true;
        ports.add(self.local.port, *hold);
        Ok(false)
    }

    /// Whether others can see the port; then it is this process's at the net server, also if another process has bound it.
    fn reserve(&mut self) -> Result<bool, Errno> {
        let network = has_net() && !is_loopback(self.local.ip);
        if network && !self.reserved {
            let words = [
                self.local.ip.into(),
                self.local.port.into(),
                self.reuse.bits(),
            ];
            ask_net(net::BIND, words)?;
            self.reserved = true;
        }
        Ok(network)
    }

    /// Nobody listens here after all.
    pub fn unlisten(&mut self) {
        if let Some(hold) = &mut self.hold {
            let mut ports = PORTS.lock();
            ports.remove(self.local.port, *hold);
            hold.listening = false;
            ports.add(self.local.port, *hold);
        }
    }

    /// The port as the net server has reserved it for us, 0 if it has not.
    pub fn reserved_port(&self) -> u16 {
        if self.reserved { self.local.port } else { 0 }
    }

    /// The net server uses the port now, and frees it by itself.
    pub fn used(&mut self) {
        self.reserved = false;
    }

    /// Its connection is another process's, too: the port is not to be given to another one.
    pub fn handed_on(&mut self) {
        self.leased = false;
    }

    /// In the child after fork(2): what the net server has reserved is the parent's.
    pub fn after_fork(&mut self) {
        self.reserved = false;
        self.leased = false;
    }

    /// Gives the port back.
    pub fn release(self) {
        if let Some(hold) = self.hold {
            PORTS.lock().remove(self.local.port, hold);
        }
        if self.leased {
            FREE.lock().push(self.local.port);
        }
        if self.reserved {
            unbind(self.local.port);
        }
    }
}

fn free_port() -> Option<u16> {
    if let Some(port) = FREE.lock().pop() {
        return Some(port);
    }
    match channels::port_lease() {
        Ok(first) => {
            let mut free = FREE.lock();
            free.extend((first..first.checked_add(PORT_BLOCK)?).rev());
            free.pop()
        }
        Err(Errno::ENOSYS) => PORTS.lock().choose(),
        Err(_) => None,
    }
}

/// In the child after fork(2): free ports are the parent's.
pub fn after_fork() {
    FREE.lock().clear();
}
