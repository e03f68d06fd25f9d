// SPDX-License-Identifier: BSD-2-Clause
//! What a guest finds outside: a port of this host that sends back what it gets, by TCP and UDP.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

/// How long a thread waits before it looks whether all is over.
const LOOK: Duration = Duration::from_millis(100);
/// Ports that are tried until both protocols have the same.
const TRIES: usize = 20;

/// Sends back until it is dropped.
pub struct Outside {
    /// The port, of both protocols.
    pub port: u16,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Outside {
    /// Begins.
    pub fn open() -> Result<Outside> {
        let (listener, socket) = (0..TRIES)
            .find_map(|_| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
                let port = listener.local_addr().ok()?.port();
                Some((listener, UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?))
            })
            .context("no port for an echo")?;
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        socket.set_read_timeout(Some(LOOK))?;
        let over = Arc::new(AtomicBool::new(false));
        let (first, second) = (over.clone(), over.clone());
        let threads = vec![
            std::thread::spawn(move || streams(&listener, &first)),
            std::thread::spawn(move || datagrams(&socket, &second)),
        ];
        Ok(Outside {
            port,
            over,
            threads,
        })
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn streams(listener: &TcpListener, over: &Arc<AtomicBool>) {
    let mut threads = Vec::new();
    while !over.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let over = over.clone();
                threads.push(std::thread::spawn(move || send_back(stream, &over)));
            }
            Err(_) => std::thread::sleep(LOOK / 10),
        }
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// Until the other side has no more; what breaks is its own affair.
fn send_back(mut stream: TcpStream, over: &AtomicBool) {
    let timed = |stream: &TcpStream| {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(LOOK))
    };
    let mut bytes = [0; 16384];
    if timed(&stream).is_err() {
        return;
    }
    while !over.load(Ordering::Relaxed) {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(n) if stream.write_all(&bytes[..n]).is_err() => return,
            Ok(_) => {}
            Err(error) if is_late(error.kind()) => {}
            Err(_) => return,
        }
    }
}

fn datagrams(socket: &UdpSocket, over: &AtomicBool) {
    let mut bytes = [0; 65536];
    while !over.load(Ordering::Relaxed) {
        if let Ok((n, from)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(&bytes[..n], from);
        }
    }
}

fn is_late(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
