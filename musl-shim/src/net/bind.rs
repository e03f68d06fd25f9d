// SPDX-License-Identifier: BSD-2-Clause
//! Holding a port: in this process's table, and at the net server if others can see it.

use vfs_hooks::wire::net;

use crate::errno::Errno;
use crate::net::address::{Address, is_loopback};
use crate::net::ports::{Hold, Ports};
use crate::platform::net::{self as server, ask_net, has_net, unbind};
use crate::shared::Shared;

static PORTS: Shared<Ports> = Shared::new(Ports::new());

/// A port that a socket holds; give it back with [`Binding::release`].
#[derive(Debug)]
pub struct Binding {
    port: u16,
    hold: Hold,
    /// Reserved at the net server and not yet used there.
    reserved: bool,
}

impl Binding {
    /// bind(2): the address with its port chosen, and the hold on it.
    pub fn new(wanted: Address, reuse: bool) -> Result<(Address, Binding), Errno> {
        if wanted.ip != 0 && !is_loopback(wanted.ip) && wanted.ip != server::address() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let mut ports = PORTS.lock();
        if wanted.port != 0 && ports.conflicts(wanted.port, wanted.ip, reuse) {
            return Err(Errno::EADDRINUSE);
        }
        let reserved = has_net() && !is_loopback(wanted.ip);
        let port = if reserved {
            let [port, ..] = ask_net(
                net::BIND,
                [wanted.ip.into(), wanted.port.into(), reuse.into()],
            )?;
            port as u16
        } else if wanted.port != 0 {
            wanted.port
        } else {
            ports.choose().ok_or(Errno::EADDRINUSE)?
        };
        let hold = Hold {
            address: wanted.ip,
            reuse,
            listening: false,
        };
        ports.add(port, hold);
        Ok((
            Address { port, ..wanted },
            Binding {
                port,
                hold,
                reserved,
            },
        ))
    }

    /// A connection's hold on its own port: no second listener may come there without SO_REUSEADDR.
    pub fn of_connection(local: Address, reuse: bool) -> Binding {
        let hold = Hold {
            address: local.ip,
            reuse,
            listening: false,
        };
        PORTS.lock().add(local.port, hold);
        Binding {
            port: local.port,
            hold,
            reserved: false,
        }
    }

    /// A port of its own for the client's end of a connection within this process.
    pub fn ephemeral(ip: u32) -> Result<(Address, Binding), Errno> {
        let port = PORTS.lock().choose().ok_or(Errno::EADDRNOTAVAIL)?;
        let local = Address { ip, port };
        Ok((local, Binding::of_connection(local, false)))
    }

    /// EADDRINUSE if somebody listens here already; else this does. Whether the net server is to listen too.
    pub fn listen(&mut self) -> Result<bool, Errno> {
        let mut ports = PORTS.lock();
        if ports.is_listened_on(self.port, self.hold.address) {
            return Err(Errno::EADDRINUSE);
        }
        ports.remove(self.port, self.hold);
        self.hold.listening = true;
        ports.add(self.port, self.hold);
        Ok(self.reserved)
    }

    /// The net server refused to listen.
    pub fn unlisten(&mut self) {
        let mut ports = PORTS.lock();
        ports.remove(self.port, self.hold);
        self.hold.listening = false;
        ports.add(self.port, self.hold);
    }

    /// The port as the net server has reserved it for us, 0 if it has not.
    pub fn reserved_port(&self) -> u16 {
        if self.reserved { self.port } else { 0 }
    }

    /// The net server uses the port now, and frees it by itself.
    pub fn used(&mut self) {
        self.reserved = false;
    }

    /// Gives the port back.
    pub fn release(self) {
        PORTS.lock().remove(self.port, self.hold);
        if self.reserved {
            unbind(self.port);
        }
    }
}
