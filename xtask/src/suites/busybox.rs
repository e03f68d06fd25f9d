// SPDX-License-Identifier: BSD-2-Clause
//! busybox: scripts of its shell, whose answers are those of the same busybox on Linux; servers for clients outside; from init; and typed on the console.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use kernel_ext::Kernel;

use super::guest::{Outcome, boot_typed};
use super::service::{Service, forward_to};
use super::{HUNG, Report, demo};
use crate::forward::{Forward, Protocol};
use crate::init::{self, INIT};
use crate::paths::Paths;
use crate::port::Port;
use crate::program::{self, DEMO};
use crate::system::{self, Setup};

mod outside;

/// tests/busybox/NAME.sh are the scripts, NAME.out what they say.
const AREAS: &[&str] = &["shell", "pipes", "jobs", "files", "text", "procs", "net"];
/// Where the guest has them.
const TESTS: &str = "/test";
/// What is typed; the prompts and the echo come between the answers.
const TYPED: &[u8] = b"echo $((6 * 7)) answers\ncd /tmp; echo data > f; cat f | tr a-z A-Z\nfor i in 1 2; do\necho loop $i\ndone\nexit 5\n";

/// Woken by the notification queue.
pub fn on_queue(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Queue, report)
}

/// Woken by badge bits.
pub fn on_stock(paths: &Paths, report: &mut Report) -> Result<()> {
    run(paths, Kernel::Stock, report)
}

fn run(paths: &Paths, kernel: Kernel, report: &mut Report) -> Result<()> {
    let guest = Guest { paths, kernel };
    guest.scripts(report)?;
    guest.outside(report)?;
    report.add("init runs pipelines, and says how they ended", guest.init());
    report.add("what is typed on the console is run", guest.typed());
    Ok(())
}

struct Guest<'a> {
    paths: &'a Paths,
    kernel: Kernel,
}

impl Guest<'_> {
    fn boot(&self, name: &str, mut setup: Setup, typed: &[u8]) -> Result<Outcome> {
        setup.network = false;
        setup.files.push(self.tests());
        let ready = program::choose(self.paths, name)?.make(self.paths)?;
        let machine = system::prepare(self.paths, &setup, &ready)?;
        boot_typed(self.paths, &machine, HUNG, typed)
    }

    fn tests(&self) -> (PathBuf, String) {
        (self.paths.root.join("tests/busybox"), TESTS.to_owned())
    }

    fn port(&self, name: &str) -> Result<Port> {
        Port::find(self.paths, name)?.with_context(|| format!("there is no port {name}"))
    }

    /// `busybox sh -c SCRIPT`.
    fn shell(&self, arguments: &[&str], typed: &[u8]) -> Result<(Outcome, String)> {
        let mut setup = Setup::new(self.kernel);
        setup.args = arguments.iter().map(|&word| word.to_owned()).collect();
        setup.files = self.port("busybox")?.files();
        let outcome = self.boot("busybox", setup, typed)?;
        let text = String::from_utf8_lossy(&outcome.console).into_owned();
        Ok((outcome, text))
    }

    /// Each check of tests/busybox.
    fn scripts(&self, report: &mut Report) -> Result<()> {
        let mut arguments = vec!["sh", "/test/run.sh"];
        arguments.extend(AREAS);
        let (outcome, text) = self.shell(&arguments, b"")?;
        let got = sections(&text);
        for area in AREAS {
            let file = self.paths.root.join(format!("tests/busybox/{area}.out"));
            let answers = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            for (name, want) in sections(&answers) {
                report.add(&name, same(got.get(&name), &want));
            }
        }
        report.add(
            "the shell ends well",
            match outcome.status {
                Some(0) => Ok(()),
                other => Err(anyhow::anyhow!("{other:?}: {}", outcome.log.join("; "))),
            },
        );
        Ok(())
    }

    /// Servers that init starts, for clients of this machine.
    fn outside(&self, report: &mut Report) -> Result<()> {
        let page = self.port(DEMO)?;
        let files = demo::served(&page)?;
        let mut setup = Setup::new(self.kernel);
        setup.files = page.files();
        setup.files.push(self.tests());
        let (streams, datagrams) = outside::ports();
        let mut places = BTreeMap::new();
        let forwards = streams.into_iter().map(|port| (port, forward_to(port)));
        let others = datagrams.into_iter();
        let others = others.map(|port| (port, forward_datagrams_to(port)));
        for (port, forward) in forwards.chain(others) {
            let (forward, at) = forward?;
            setup.forwards.push(forward);
            places.insert(port, at);
        }
        self.list(&mut setup, "busybox sh /test/serve.sh /srv/www\n")?;
        let ready = program::choose(self.paths, INIT)?.make(self.paths)?;
        let mut service = Service::boot(self.paths, &setup, &ready, None, outside::WEB)?;
        outside::check(&|port| places[&port], &files, report);
        service.stats()?;
        report.add("the servers still run", service.end());
        Ok(())
    }

    /// Has init run these lines.
    fn list(&self, setup: &mut Setup, lines: &str) -> Result<()> {
        let list = self.paths.scratch().join("busybox-init");
        fs::create_dir_all(self.paths.scratch())?;
        fs::write(&list, lines)?;
        init::read(self.paths, &list, setup)
    }

    fn init(&self) -> Result<()> {
        let mut setup = Setup::new(self.kernel);
        self.list(
            &mut setup,
            "busybox sh -c 'echo one two | tr a-z A-Z | rev'\n/bin/sh -c 'seq 1 100 | grep 9 | wc -l; exit 4'\n/usr/bin/basename /x/three\n/bin/busybox false\n",
        )?;
        let outcome = self.boot(INIT, setup, b"")?;
        let text = String::from_utf8_lossy(&outcome.console);
        let want = "OWT ENO\ninit: /bin/busybox exited with 0\n19\ninit: /bin/sh exited with 4\nthree\ninit: /usr/bin/basename exited with 0\ninit: /bin/busybox exited with 1\n";
        ensure!(text == want, "{text:?}: {}", outcome.log.join("; "));
        ensure!(
            outcome.status == Some(1),
            "init ended: {:?}",
            outcome.status
        );
        Ok(())
    }

    fn typed(&self) -> Result<()> {
        let (outcome, text) = self.shell(&["sh"], TYPED)?;
        let mut rest = text.as_str();
        for answer in ["42 answers", "DATA", "loop 1", "loop 2"] {
            let at = rest.find(&format!("{answer}\n"));
            let at = at.with_context(|| format!("no {answer:?} in {text:?}"))?;
            rest = &rest[at + answer.len()..];
        }
        ensure!(outcome.status == Some(5), "it ended: {:?}", outcome.status);
        Ok(())
    }
}

/// As [`forward_to`], for datagrams.
fn forward_datagrams_to(guest: u16) -> Result<(Forward, SocketAddr)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let SocketAddr::V4(host) = socket.local_addr()? else {
        bail!("no IPv4 address");
    };
    let forward = Forward {
        protocol: Protocol::Udp,
        host,
        guest,
    };
    Ok((forward, host.into()))
}

/// Output by check: a line `# AREA/NAME` begins each.
fn sections(text: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(next) = line.strip_prefix("# ") {
            name = next.split(" ended: ").next().unwrap_or(next).to_owned();
            found.insert(name.clone(), String::new());
        }
        let section = found.entry(name.clone()).or_default();
        section.push_str(line);
        section.push('\n');
    }
    found
}

/// An error shows the first line that differs.
fn same(got: Option<&String>, want: &str) -> Result<()> {
    let got = got.context("it has not run")?;
    if got == want {
        return Ok(());
    }
    let (mut ours, mut linux) = (got.lines(), want.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (our, its) = (ours.next(), linux.next());
        ensure!(our == its, "line {number}: {our:?}, Linux: {its:?}");
        ensure!(our.is_some(), "the ends of the lines differ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_by_check() {
        let text = "noise\n# a/x\n1\n# a/y\n2\n3\n# a ended: 0\n";
        let found = sections(text);
        assert_eq!(found["a/y"], "# a/y\n2\n3\n");
        assert_eq!(found["a"], "# a ended: 0\n");
        assert!(same(found.get("a/x"), "# a/x\n1\n").is_ok());
        let wrong = same(found.get("a/y"), "# a/y\n2\n4\n").unwrap_err();
        assert_eq!(wrong.to_string(), "line 3: Some(\"3\"), Linux: Some(\"4\")");
        assert!(same(found.get("a/z"), "").is_err());
    }
}
