// SPDX-License-Identifier: BSD-2-Clause
//! What can be seen of a guest from outside.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use super::{Bench, Reaped, counters};

/// Says what the time is, in nanoseconds, for each line that it reads.
pub const CLOCK: &str = r#"
#include <stdio.h>
#include <time.h>
int main(void)
{
	char line[16];
	puts("up");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		printf("%lld%09ld\n", (long long)now.tv_sec, now.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
"#;
/// argv[1] messages to another process and back, by a pair of sockets of type argv[2], two pipes (0) or a TCP connection (-1), each waited for by epoll.
pub const ECHOES: &str = r#"
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
static int tcp(int *pair)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int lis = socket(AF_INET, SOCK_STREAM, 0);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	return listen(lis, 1) || getsockname(lis, (void *)&a, &len)
		|| connect(pair[0], (void *)&a, len) || (pair[1] = accept(lis, NULL, NULL)) < 0;
}
static int turn(int in, int out, int ep, int sends)
{
	char text[64] = "x";
	struct epoll_event event;
	if (sends && write(out, text, sizeof text) != sizeof text) return 0;
	if (epoll_wait(ep, &event, 1, -1) != 1) return 0;
	if (read(in, text, sizeof text) != sizeof text) return 0;
	return sends || write(out, text, sizeof text) == sizeof text;
}
int main(int argc, char **argv)
{
	int pair[2], back[2], ep, child, in, out;
	long n = atol(argv[1]);
	int kind = atoi(argv[2]);
	if (kind < 0 ? tcp(pair) : kind ? socketpair(AF_UNIX, kind, 0, pair) : pipe(pair) || pipe(back)) return 1;
	if ((child = fork()) < 0) return 2;
	if (kind) {
		in = out = pair[child == 0];
		close(pair[child != 0]);
	} else {
		in = child ? back[0] : pair[0];
		out = child ? pair[1] : back[1];
		close(child ? back[1] : pair[1]);
		close(child ? pair[0] : back[0]);
	}
	ep = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	if (epoll_ctl(ep, EPOLL_CTL_ADD, in, &event)) return 3;
	for (long i = 0; i < n; i++) if (!turn(in, out, ep, child != 0)) return 4;
	return 0;
}
"#;
/// Some calls, of two processes, one of which waits for the other.
pub const CALLS: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
	int p[2], status;
	char text[64];
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = 7 }, got[4];
	if (pipe2(p, O_CLOEXEC)) return 1;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event)) return 2;
	pid_t child = fork();
	if (child == 0) {
		for (int i = 0; i < 50; i++) sched_yield();
		write(p[1], "hello\n", 6);
		_exit(3);
	}
	if (epoll_wait(ep, got, 4, -1) != 1) return 4;
	if (read(p[0], text, sizeof text) != 6) return 5;
	if (waitpid(child, &status, 0) != child) return 6;
	if (open("/no\"ne", O_RDWR) != -1) return 7;
	return 0;
}
"#;
/// How far apart the two clocks may run in the first seconds: their counters are compared for 10 ms.
const DRIFT: i128 = 20_000_000;

fn host_time() -> Result<i128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as i128)
}

impl Bench {
    /// What the root server answers, requests and faults, does not grow with the messages, on both kernels. Who of the two is first at their start and end decides over
    /// a handful of requests.
    pub(super) fn no_server_runs(&self) -> Result<()> {
        const START_AND_END: u32 = 50;
        /// Enough for each page of a ring to have been touched: that is a fault, once.
        const FEW: u32 = 3000;
        const TCP: i32 = -1;
        const STREAM: i32 = 1;
        const SEQPACKET: i32 = 5;
        const PIPES: i32 = 0;
        let pairs = [
            ("queue", STREAM),
            ("stock", SEQPACKET),
            ("queue", PIPES),
            ("stock", PIPES),
            ("queue", TCP),
        ];
        for (kernel, kind) in pairs {
            let served = |n: u32| {
                let program = format!("--kernel {kernel} echoes.c {n} {kind}");
                let [served, _] = self.counters(&program, ["served", "processes"])?;
                served.parse::<u32>().context("served is no number")
            };
            let (few, many) = (served(FEW)?, served(3 * FEW)?);
            ensure!(
                many < few + START_AND_END,
                "{few} requests and faults became {many}, on the {kernel} kernel, kind {kind}"
            );
        }
        Ok(())
    }

    /// The guest's time lies between the host's before the question and after the answer, but for what it says that it may be behind.
    pub(super) fn clock(&self) -> Result<()> {
        for kernel in ["queue", "stock"] {
            self.clock_on(kernel)?;
        }
        Ok(())
    }

    fn clock_on(&self, kernel: &str) -> Result<()> {
        let args = format!("run --no-net --stats --kernel {kernel} --timeout 120 clock.c");
        let (mut command, _) = self.command(&args);
        let mut child = Reaped(command.stdin(Stdio::piped()).spawn()?);
        let mut input = child.0.stdin.take().context("no stdin")?;
        let mut lines = BufReader::new(child.0.stdout.take().context("no stdout")?).lines();
        let mut next = || lines.next().context("it ended")?.context("no line");
        ensure!(next()? == "up", "it did not come up");
        let mut seen = Vec::new();
        for _ in 0..3 {
            let before = host_time()?;
            input.write_all(b"?\n")?;
            let guest: i128 = next()?.parse().context("no number")?;
            seen.push((before, guest, host_time()?));
        }
        drop(input);
        let mut words = String::new();
        let mut stderr = child.0.stderr.take().context("no stderr")?;
        stderr.read_to_string(&mut words)?;
        let status = child.0.wait()?;
        ensure!(status.success(), "{status}: {words}");
        let [behind] = counters(&words, ["clock_behind"])?;
        let behind: i128 = behind.parse().context("not a number of nanoseconds")?;
        for (before, guest, after) in seen {
            ensure!(
                (before - behind - DRIFT..=after + DRIFT).contains(&guest),
                "{guest} is not between {before} and {after}, {} ms apart; {behind} ns behind",
                (after - before) / 1_000_000
            );
        }
        Ok(())
    }

    /// `--trace`: calls of all processes with their arguments and results, who blocks and what wakes it; `--trace=PROGRAM`: of others nothing.
    pub(super) fn trace(&self) -> Result<()> {
        for (kernel, woken) in [
            ("queue", "<woken by fd 3>"),
            ("stock", "<woken by badge bits 0x"),
        ] {
            let args = format!("run --no-net --kernel {kernel} --timeout 120 --trace calls.c");
            let out = self.driver(&args, b"")?;
            let words = String::from_utf8_lossy(&out.stderr);
            ensure!(out.status.success(), "{}: {words}", out.status);
            ensure!(
                out.stdout.is_empty(),
                "the console is not the program's own"
            );
            let forked = words.split(" 1/0 fork() = ").nth(1).context("no fork")?;
            let child = forked.split_whitespace().next().context("no child")?;
            let parents: &[&str] = &[
                "pipe2([3, 4], O_CLOEXEC) = 0",
                "epoll_create1(O_CLOEXEC) = 5",
                "epoll_ctl(5, EPOLL_CTL_ADD, 3, {EPOLLIN|EPOLLET, 7}) = 0",
                "epoll_wait(5, 0x",
                ", 4, -1) <blocked>",
                woken,
                "epoll_wait(5, [{EPOLLIN, 7}], 4, -1) = 1",
                "read(3, \"hello\\n\", 64) = 6",
                &format!("wait4({child}, [768], 0, NULL) = {child}"),
                "open(\"/no\\\"ne\", O_RDWR|O_LARGEFILE, 0) = -1 ENOENT",
                "exit_group(0) = ?",
            ];
            in_order(&words, "1/0", parents)?;
            let childs: &[&str] = &[
                "fork() = 0",
                "sched_yield() = 0",
                "write(4, \"hello\\n\", 6) = 6",
                "exit_group(3) = ?",
            ];
            in_order(&words, &format!("{child}/0"), childs)?;
        }
        let out = self.driver("run --no-net --timeout 120 --trace=other calls.c", b"")?;
        let words = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{}: {words}", out.status);
        ensure!(!words.contains("epoll_"), "{words}");
        Ok(())
    }
}

/// The lines of a thread contain these words, in this order, and their times do not go back.
fn in_order(trace: &str, thread: &str, wanted: &[&str]) -> Result<()> {
    let mut wanted = wanted.iter().peekable();
    let mut last = 0.0;
    for line in trace.lines() {
        let Some((time, what)) = line.strip_prefix('[').and_then(|l| l.split_once("] ")) else {
            continue;
        };
        let Some(mut what) = what.strip_prefix(thread).and_then(|l| l.strip_prefix(' ')) else {
            continue;
        };
        let time: f64 = time.trim().parse().context("no time")?;
        ensure!(time >= last, "time went back at {line}");
        last = time;
        while let Some(at) = wanted.peek().and_then(|words| what.find(**words)) {
            let words = wanted.next().map_or(0, |words| words.len());
            what = &what[at + words..];
        }
    }
    let missing = wanted.next();
    ensure!(missing.is_none(), "no {missing:?} of {thread} in {trace}");
    Ok(())
}
