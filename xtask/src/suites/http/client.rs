// SPDX-License-Identifier: BSD-2-Clause
//! One HTTP client: sends bytes, and reads answers strictly.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::Verdict;
use super::answer::Answer;

/// How long an answer may take. Only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest head of an answer.
const HEAD_MAX: usize = 16 << 10;

/// The server, and what it serves.
pub struct Target<'a> {
    address: SocketAddr,
    files: &'a [(String, Vec<u8>)],
}

impl<'a> Target<'a> {
    /// A server at `address`; `files` must not be empty.
    pub fn new(address: SocketAddr, files: &'a [(String, Vec<u8>)]) -> Self {
        assert!(!files.is_empty(), "there are no files to ask for");
        Self { address, files }
    }

    /// All files: URL path, contents.
    pub fn files(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.files
            .iter()
            .map(|(path, contents)| (path.as_str(), contents.as_slice()))
    }

    /// One of them; any number will do.
    pub fn file(&self, index: usize) -> (&'a str, &'a [u8]) {
        let (path, contents) = &self.files[index % self.files.len()];
        (path, contents)
    }

    /// The largest of them.
    pub fn largest(&self) -> (&'a str, &'a [u8]) {
        self.files()
            .max_by_key(|(_, contents)| contents.len())
            .expect("there are files")
    }

    /// Opens a connection.
    pub fn connect(&self) -> Result<Client<TcpStream>, String> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)
            .map_err(|error| format!("cannot connect to {}: {error}", self.address))?;
        let set = || -> std::io::Result<()> {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))
        };
        set().map_err(|error| format!("cannot set up a connection: {error}"))?;
        Ok(Client::over(stream))
    }
}

/// One connection to the server.
pub struct Client<S = TcpStream> {
    stream: S,
    unread: Vec<u8>,
}

impl<S: Read + Write> Client<S> {
    /// A client that talks over `stream`.
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> Verdict {
        self.stream
            .write_all(bytes)
            .map_err(|error| format!("cannot send: {error}"))
    }

    /// Sends bytes to a server that may answer and hang up before it has them all.
    pub fn send_unless_closed(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Asks for a file; the connection stays open.
    pub fn get(&mut self, path: &str) -> Verdict {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }

    /// Asks for a file in the old way: the server closes behind it.
    pub fn get_old(&mut self, path: &str) -> Verdict {
        self.send(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
    }

    /// Reads the answer to a GET.
    pub fn answer(&mut self) -> Result<Answer, String> {
        let mut answer = self.answer_to_head()?;
        while self.unread.len() < answer.length {
            if self.read_more()? == 0 {
                let (got, want) = (self.unread.len(), answer.length);
                return Err(format!(
                    "the connection ends after {got} of {want} bytes of the body"
                ));
            }
        }
        answer.body = self.unread.drain(..answer.length).collect();
        Ok(answer)
    }

    /// Reads the answer to a HEAD: no body follows.
    pub fn answer_to_head(&mut self) -> Result<Answer, String> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if self.unread.len() > HEAD_MAX {
                return Err(format!("no end of the head in {} bytes", self.unread.len()));
            }
            if self.read_more()? == 0 {
                let start = String::from_utf8_lossy(&self.unread).into_owned();
                return Err(format!("the connection ends in the head: {start:?}"));
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8(head).map_err(|_| "the head is not text".to_owned())?;
        Answer::parse_head(&head).ok_or_else(|| format!("not the head of an answer: {head:?}"))
    }

    /// Reads an answer and compares it with the file that it must be.
    pub fn expect_file(&mut self, path: &str, contents: &[u8]) -> Verdict {
        let answer = self.answer().map_err(|error| format!("{path}: {error}"))?;
        answer.expect_status(path, 200)?;
        answer.expect_length(path, contents.len())?;
        let wrong = answer
            .body
            .iter()
            .zip(contents)
            .position(|(got, want)| got != want);
        match wrong {
            None => Ok(()),
            Some(at) => Err(format!(
                "{path}: byte {at} of {} is {:#04x} instead of {:#04x}",
                contents.len(),
                answer.body[at],
                contents[at]
            )),
        }
    }

    /// The server must have nothing more to say, and have ended its side.
    pub fn expect_end(&mut self) -> Verdict {
        if self.read_more()? == 0 && self.unread.is_empty() {
            return Ok(());
        }
        let more = String::from_utf8_lossy(&self.unread[..self.unread.len().min(80)]).into_owned();
        Err(format!(
            "{} bytes behind the last answer: {more:?}",
            self.unread.len()
        ))
    }

    /// Reads until the server ends its side or resets the connection, at most `limit` bytes.
    pub fn rest(&mut self, limit: usize) -> Result<Vec<u8>, String> {
        while self.unread.len() < limit {
            match self.read_more() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.contains("reset") => break,
                Err(error) => return Err(error),
            }
        }
        Ok(std::mem::take(&mut self.unread))
    }

    /// Reads at most `limit` bytes of what comes, whatever it is.
    pub fn read_some(&mut self, limit: usize) -> Result<Vec<u8>, String> {
        if self.unread.is_empty() {
            self.read_more()?;
        }
        let size = self.unread.len().min(limit);
        Ok(self.unread.drain(..size).collect())
    }

    fn read_more(&mut self) -> Result<usize, String> {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(size) => {
                    self.unread.extend_from_slice(&buffer[..size]);
                    return Ok(size);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Err("the connection was reset".to_owned());
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Err(format!("nothing came in {} s", PATIENCE.as_secs()));
                }
                Err(error) => return Err(format!("cannot read: {error}")),
            }
        }
    }
}

impl Client<TcpStream> {
    /// Ends this side; the server's may go on.
    pub fn end(&self) -> Verdict {
        self.stream
            .shutdown(Shutdown::Write)
            .map_err(|error| format!("cannot end: {error}"))
    }

    /// Hangs up with an answer unread, which resets the connection.
    pub fn reset(self) -> Verdict {
        let mut one = [0];
        // The reset needs something that came and was not read.
        match self.stream.peek(&mut one) {
            Ok(1) => Ok(()),
            Ok(_) => Err("the server ended a connection that was to be reset".to_owned()),
            Err(error) => Err(format!("no answer to a request: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says one thing.
    struct Script(&'static [u8]);

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            // A few bytes at a time: answers do not come in whole.
            let size = self.0.len().min(buffer.len()).min(7);
            buffer[..size].copy_from_slice(&self.0[..size]);
            self.0 = &self.0[size..];
            Ok(size)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn served(answer: &'static [u8]) -> Verdict {
        let mut client = Client::over(Script(answer));
        client.get("/x")?;
        client.expect_file("/x", b"hello")?;
        client.expect_end()
    }

    fn refused(answer: &'static [u8], why: &str) {
        let error = served(answer).expect_err("was taken");
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }

    #[test]
    fn the_right_answer_is_taken() {
        served(b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello").unwrap();
    }

    #[test]
    fn a_wrong_byte_is_seen() {
        refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellO",
            "byte 4 of 5",
        );
    }

    #[test]
    fn a_wrong_length_or_status_is_seen() {
        refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell",
            "Content-Length 4",
        );
        refused(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
            "status 404",
        );
    }

    #[test]
    fn too_little_and_too_much_are_seen() {
        refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
            "after 3 of 5",
        );
        refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellohello",
            "behind the last",
        );
        refused(b"HTTP/1.1 200 OK\r\nContent-", "ends in the head");
    }

    #[test]
    fn heads_that_are_none_are_seen() {
        refused(b"HTTP/1.1 200 OK\r\n\r\nhello", "not the head");
        refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            "not the head",
        );
        refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello",
            "not the head",
        );
        refused(
            b"ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "not the head",
        );
    }

    #[test]
    fn answers_behind_each_other_are_told_apart() {
        let two = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb";
        let mut client = Client::over(Script(two));
        client.expect_file("/a", b"a").unwrap();
        client.expect_file("/b", b"b").unwrap();
        client.expect_end().unwrap();
    }
}
