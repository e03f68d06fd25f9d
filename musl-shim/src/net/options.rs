// SPDX-License-Identifier: BSD-2-Clause
//! Socket options that are values to keep. What depends on the socket's state (SO_ERROR, SO_ACCEPTCONN) is the socket's affair.

use crate::errno::Errno;

use crate::abi::*;
use crate::clock::SECOND;

/// Buffer sizes are fixed; this is the smallest that SO_SNDBUF and SO_RCVBUF can report.
const LEAST_BUFFER: i32 = 4608;
/// The largest (net.core.wmem_max's default).
const MOST_BUFFER: i32 = 212_992;
/// MSS of Ethernet without options.
pub const SEGMENT: i32 = 1460;

/// The kept options of one socket.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// SO_REUSEADDR.
    pub reuse: bool,
    /// SO_KEEPALIVE.
    pub keep_alive: bool,
    /// TCP_NODELAY.
    pub no_delay: bool,
    /// SO_LINGER; only a time of zero has an effect: closing resets.
    pub linger: Linger,
    /// SO_RCVTIMEO in nanoseconds, 0 for none.
    pub receive_timeout: u64,
    /// SO_SNDTIMEO in nanoseconds, 0 for none.
    pub send_timeout: u64,
    send_buffer: i32,
    receive_buffer: i32,
    low_water: i32,
    /// SO_REUSEPORT.
    pub reuse_port: bool,
    oob_inline: bool,
    dont_route: bool,
    broadcast: bool,
    cork: bool,
    quick_ack: bool,
    keep_idle: i32,
    keep_interval: i32,
    keep_count: i32,
    defer_accept: i32,
    user_timeout: i32,
    fast_open: i32,
}

impl Options {
    /// Linux's defaults, with buffers of `send` and `receive` bytes.
    pub const fn new(send: i32, receive: i32) -> Options {
        Options {
            reuse: false,
            keep_alive: false,
            no_delay: false,
            linger: Linger {
                l_onoff: 0,
                l_linger: 0,
            },
            receive_timeout: 0,
            send_timeout: 0,
            send_buffer: send,
            receive_buffer: receive,
            low_water: 1,
            reuse_port: false,
            oob_inline: false,
            dont_route: false,
            broadcast: false,
            cork: false,
            quick_ack: true,
            keep_idle: 7200,
            keep_interval: 75,
            keep_count: 9,
            defer_accept: 0,
            user_timeout: 0,
            fast_open: 0,
        }
    }

    /// Closing is to reset the connection.
    pub fn aborts(&self) -> bool {
        self.linger.l_onoff != 0 && self.linger.l_linger == 0
    }

    /// The switch behind an option that is on or off.
    fn switch(&mut self, level: u32, name: u32) -> Option<&mut bool> {
        Some(match (level, name) {
            (SOL_SOCKET, SO_REUSEADDR) => &mut self.reuse,
            (SOL_SOCKET, SO_KEEPALIVE) => &mut self.keep_alive,
            (SOL_SOCKET, SO_REUSEPORT) => &mut self.reuse_port,
            (SOL_SOCKET, SO_OOBINLINE) => &mut self.oob_inline,
            (SOL_SOCKET, SO_DONTROUTE) => &mut self.dont_route,
            (SOL_SOCKET, SO_BROADCAST) => &mut self.broadcast,
            (IPPROTO_TCP, TCP_NODELAY) => &mut self.no_delay,
            (IPPROTO_TCP, TCP_CORK) => &mut self.cork,
            (IPPROTO_TCP, TCP_QUICKACK) => &mut self.quick_ack,
            _ => return None,
        })
    }

    /// The number behind an option that is kept without effect, and its allowed values.
    fn number(
        &mut self,
        level: u32,
        name: u32,
    ) -> Option<(&mut i32, core::ops::RangeInclusive<i32>)> {
        Some(match (level, name) {
            (IPPROTO_TCP, TCP_KEEPIDLE) => (&mut self.keep_idle, 1..=32767),
            (IPPROTO_TCP, TCP_KEEPINTVL) => (&mut self.keep_interval, 1..=32767),
            (IPPROTO_TCP, TCP_KEEPCNT) => (&mut self.keep_count, 1..=127),
            (IPPROTO_TCP, TCP_DEFER_ACCEPT) => (&mut self.defer_accept, 0..=i32::MAX),
            (IPPROTO_TCP, TCP_USER_TIMEOUT) => (&mut self.user_timeout, 0..=i32::MAX),
            (IPPROTO_TCP, TCP_FASTOPEN) => (&mut self.fast_open, 0..=i32::MAX),
            (SOL_SOCKET, SO_RCVLOWAT) => (&mut self.low_water, i32::MIN..=i32::MAX),
            _ => return None,
        })
    }

    /// setsockopt(2) of an option whose value is an int.
    pub fn set(&mut self, level: u32, name: u32, value: i32) -> Result<(), Errno> {
        if let Some(switch) = self.switch(level, name) {
            *switch = value != 0;
            return Ok(());
        }
        if let Some((number, allowed)) = self.number(level, name) {
            if !allowed.contains(&value) {
                return Err(Errno::EINVAL);
            }
            *number = value;
            return Ok(());
        }
        match (level, name) {
            // Linux keeps twice of what is asked for.
            (SOL_SOCKET, SO_SNDBUF | SO_RCVBUF) => {
                let kept = value.clamp(0, MOST_BUFFER) * 2;
                let kept = kept.max(LEAST_BUFFER);
                if name == SO_SNDBUF {
                    self.send_buffer = kept;
                } else {
                    self.receive_buffer = kept;
                }
                Ok(())
            }
            (IPPROTO_TCP, TCP_MAXSEG) => Ok(()),
            // Type of service, time to live and the like: they do not reach the wire.
            (IPPROTO_IP, _) => Ok(()),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// getsockopt(2) of an option whose value is an int.
    pub fn get(&mut self, level: u32, name: u32) -> Result<i32, Errno> {
        if let Some(switch) = self.switch(level, name) {
            return Ok(i32::from(*switch));
        }
        if let Some((number, _)) = self.number(level, name) {
            return Ok(*number);
        }
        match (level, name) {
            (SOL_SOCKET, SO_SNDBUF) => Ok(self.send_buffer),
            (SOL_SOCKET, SO_RCVBUF) => Ok(self.receive_buffer),
            (SOL_SOCKET, SO_SNDLOWAT) => Ok(1),
            (SOL_SOCKET, SO_TYPE) => Ok(SOCK_STREAM as i32),
            (IPPROTO_TCP, TCP_MAXSEG) => Ok(SEGMENT),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// SO_RCVTIMEO, SO_SNDTIMEO.
    pub fn timeout(&mut self, name: u32) -> Option<&mut u64> {
        match name {
            SO_RCVTIMEO => Some(&mut self.receive_timeout),
            SO_SNDTIMEO => Some(&mut self.send_timeout),
            _ => None,
        }
    }
}

/// Nanoseconds of a timeout option; EDOM as Linux has it for microseconds that are none.
pub fn timeout_from(time: &Timeval) -> Result<u64, Errno> {
    if !(0..1_000_000).contains(&time.tv_usec) {
        return Err(Errno::EDOM);
    }
    // A negative time means not to wait at all: the shortest there is.
    let seconds = match u64::try_from(time.tv_sec) {
        Ok(seconds) => seconds,
        Err(_) => return Ok(1),
    };
    Ok(seconds
        .saturating_mul(SECOND)
        .saturating_add(time.tv_usec as u64 * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_set() {
        let mut options = Options::new(16_384, 131_072);
        for (level, name, value) in [
            (SOL_SOCKET, SO_REUSEADDR, 1),
            (IPPROTO_TCP, TCP_NODELAY, 1),
            (IPPROTO_TCP, TCP_KEEPIDLE, 60),
        ] {
            options.set(level, name, value).unwrap();
            assert_eq!(options.get(level, name), Ok(value));
        }
        options.set(SOL_SOCKET, SO_SNDBUF, 10_000).unwrap();
        assert_eq!(options.get(SOL_SOCKET, SO_SNDBUF), Ok(20_000));
        assert_eq!(options.get(SOL_SOCKET, SO_RCVBUF), Ok(131_072));
        assert_eq!(options.set(IPPROTO_TCP, TCP_KEEPCNT, 0), Err(Errno::EINVAL));
        assert_eq!(options.set(SOL_SOCKET, SO_TYPE, 1), Err(Errno::ENOPROTOOPT));
    }

    #[test]
    fn timeouts() {
        let time = |tv_sec, tv_usec| timeout_from(&Timeval { tv_sec, tv_usec });
        assert_eq!(time(1, 500), Ok(SECOND + 500_000));
        assert_eq!(time(0, 1_000_000), Err(Errno::EDOM));
        assert_eq!(time(-1, 0), Ok(1));
    }
}
