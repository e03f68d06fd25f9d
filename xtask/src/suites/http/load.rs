// SPDX-License-Identifier: BSD-2-Clause
//! Many requests and many connections.

use std::thread::sleep;
use std::time::Duration;

use super::Verdict;
use super::client::{Client, Target};

/// Requests on one kept connection in `two_thousand`.
const PER_CONNECTION: usize = 100;
/// Connections that `open_at_once` holds.
const OPEN: usize = 200;

/// Half of the requests on ten kept connections, half on one each; every file in turn, with a
/// missing one between.
pub fn two_thousand(target: &Target) -> Verdict {
    for connection in 0..10 {
        let mut client = target.connect()?;
        for request in 0..PER_CONNECTION {
            let index = connection * PER_CONNECTION + request;
            ask(&mut client, target, index).map_err(|error| at(index, &error))?;
        }
    }
    for index in 0..1000 {
        let (path, contents) = target.file(index);
        let mut client = target.connect()?;
        let mut one = || -> Verdict {
            client.get_old(path)?;
            client.expect_file(path, contents)?;
            client.expect_end()
        };
        one().map_err(|error| at(1000 + index, &error))?;
    }
    Ok(())
}

fn at(index: usize, error: &str) -> String {
    format!("request {}: {error}", index + 1)
}

/// One request on a kept connection; which, the number decides.
fn ask(client: &mut Client, target: &Target, number: usize) -> Verdict {
    if number % 17 == 16 {
        client.get("/no/such/file")?;
        return client.answer()?.expect_status("/no/such/file", 404);
    }
    let (path, contents) = target.file(number);
    client.get(path)?;
    client.expect_file(path, contents)
}

/// All are served while all are open: one after the other, backwards, and all at a time.
pub fn open_at_once(target: &Target) -> Verdict {
    let mut clients = Vec::with_capacity(OPEN);
    let name = |number: usize, error: &str| format!("connection {}: {error}", number + 1);
    for number in 0..OPEN {
        clients.push(target.connect().map_err(|error| name(number, &error))?);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        ask(client, target, number).map_err(|error| name(number, &error))?;
    }
    for (number, client) in clients.iter_mut().enumerate().rev() {
        ask(client, target, number + 1).map_err(|error| name(number, &error))?;
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let (path, _) = target.file(number);
        client.get(path).map_err(|error| name(number, &error))?;
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let (path, contents) = target.file(number);
        client
            .expect_file(path, contents)
            .map_err(|error| name(number, &error))?;
    }
    Ok(())
}

/// More requests at once than the server takes in at once.
pub fn pipelined(target: &Target) -> Verdict {
    for count in [2, 20, 300] {
        let mut client = target.connect()?;
        let mut requests = String::new();
        for number in 0..count {
            let (path, _) = target.file(number);
            requests.push_str(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        }
        client.send(requests.as_bytes())?;
        for number in 0..count {
            let (path, contents) = target.file(number);
            client
                .expect_file(path, contents)
                .map_err(|error| format!("answer {} of {count}: {error}", number + 1))?;
        }
    }
    Ok(())
}

/// The largest file to a client that does not read at first and then little by little: the
/// server must wait for space again and again, and serve others meanwhile.
pub fn slow_reader(target: &Target) -> Verdict {
    let (path, contents) = target.largest();
    let mut client = target.connect()?;
    // As often as it takes to fill all buffers on the way, several times if the file is small.
    let times = (4 << 20) / contents.len().max(1) + 1;
    let times = times.min(64);
    for _ in 0..times {
        client.get(path)?;
    }
    super::alive(target)?;
    let mut body = 0;
    for turn in 0..times {
        let name = |error: String| format!("answer {} of {times}: {error}", turn + 1);
        let answer = client.answer_to_head().map_err(name)?;
        answer.expect_status(path, 200)?;
        answer.expect_length(path, contents.len())?;
        while body < contents.len() {
            let some = client
                .read_some((contents.len() - body).min(8 << 10))
                .map_err(name)?;
            if some.is_empty() {
                return Err(name(format!("ends after {body} bytes")));
            }
            if some != contents[body..body + some.len()] {
                return Err(name(format!(
                    "wrong within {} bytes from {body}",
                    some.len()
                )));
            }
            body += some.len();
            if turn == 0 {
                // What "slowly" means.
                sleep(Duration::from_millis(2));
            }
        }
        body = 0;
    }
    Ok(())
}
