// SPDX-License-Identifier: BSD-2-Clause
//! The driver's own promises, checked from outside: it is run as a user runs it.
//!
//! Every run carries a token in its environment, which QEMU inherits: a process that
//! still has it after the driver has ended was left behind.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Report, listing};
use crate::paths::Paths;

mod seeing;

/// Environment variable that marks the processes of one run.
const TOKEN: &str = "XTASK_TEST_RUN";
/// How long a killed process may take to vanish.
const VANISH: Duration = Duration::from_secs(20);

/// Every byte but ^D, which ends the input; then a line without an end.
const ECHO: &str = r#"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char all[256 + 4], in[64];
	int n = 0, got;
	for (int i = 0; i < 256; i++) all[n++] = (char)i;
	memcpy(all + n, "\r\n\n", 3);
	write(1, all, n + 3);
	while ((got = read(0, in, sizeof in)) > 0) write(1, in, got);
	for (int i = 1; i < argc; i++) printf("<%s>", argv[i]);
	return 42;
}
"#;
const FAULT: &str = "int main(void) { *(volatile int *)8 = 1; return 0; }\n";
const FOREVER: &str =
    "#include <unistd.h>\nint main(void) { write(1, \"up\\n\", 3); for (;;) pause(); }\n";
const THREE: &str = "int main(void) { return 3; }\n";
/// argv[1] children in four kinds: one exits, one is killed, one faults, one is a copy. Faults are rare, since each is a line in the log.
const FAMILY: &str = r#"
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static int spawn(char *self, char *how)
{
	char *args[] = { self, "-", how, 0 };
	pid_t pid;
	int status;
	if (posix_spawn(&pid, self, 0, 0, args, environ)) exit(3);
	if (*how == 's') kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid) exit(4);
	return status;
}
int main(int argc, char **argv)
{
	if (argc > 2) {
		if (*argv[2] == 's') for (;;) pause();
		if (*argv[2] == 'f') *(volatile int *)8 = 1;
		return 7;
	}
	for (int i = atoi(argv[1]); i > 0; i--) {
		int status;
		switch (i % 3) {
		case 0:
			if (spawn(argv[0], "s") != SIGKILL) return 1;
			break;
		case 1:
			if (i % 100 == 1 ? spawn(argv[0], "f") != SIGSEGV : spawn(argv[0], "e") != 7 << 8) return 1;
			break;
		case 2:
			if (!fork()) _exit(9);
			if (wait(&status) <= 0 || status != 9 << 8) return 2;
		}
	}
	return 0;
}
"#;
/// Children that send the root server requests made up at random, by the kernel's own call, until they have sent all or one of them was their end. EXIT, output, FORK and KILL
/// are left out, and the requests of threads: they do what they say. Then an ordinary child must still do its work, and free memory must be what it was.
const GARBAGE: &str = r#"
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static unsigned long seed;
static unsigned long rnd(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed >> 33;
}
static unsigned long word(void)
{
	static char here[8192];
	switch (rnd() % 8) {
	case 0: return rnd() << 33 | rnd() << 2;
	case 1: return (unsigned long)-1 - rnd() % 4;
	case 2: return (unsigned long)here & ~4095ul;
	case 3: return rnd() % 64 * 4096;
	case 4: return 0x1000000000 + rnd() % 64 * 4096;
	case 5: return 0;
	default: return rnd() % 8;
	}
}
static void send(unsigned long label)
{
	register unsigned long a __asm__("r10") = word(), b __asm__("r8") = word(), c __asm__("r9") = word(), d __asm__("r15") = word();
	unsigned long cap = 1, info = label << 12 | rnd() % 8;
	__asm__ volatile("mov %%rsp, %%rbx\n\tsyscall\n\tmov %%rbx, %%rsp"
		: "+D"(cap), "+S"(info), "+r"(a), "+r"(b), "+r"(c), "+r"(d)
		: "d"(-1l) : "rcx", "r11", "rbx", "memory");
}
static int run(char *self, char *how)
{
	char *args[] = { self, how, 0 };
	pid_t pid;
	int status;
	if (posix_spawn(&pid, self, 0, 0, args, environ)) return -1;
	return waitpid(pid, &status, 0) == pid ? status : -2;
}
int main(int argc, char **argv)
{
	if (argc > 1 && argv[1][0] == 'e') return 7;
	if (argc > 1) {
		seed = strtoul(argv[1], 0, 10);
		for (int i = 0; i < 3000; i++) {
			unsigned long label = rnd() % 33;
			if (label != 1 && label != 2 && label != 12 && label != 17 && label != 19) send(label);
		}
		return 0;
	}
	unsigned long before = 0;
	for (int i = 0; i < 24; i++) {
		char number[16];
		snprintf(number, sizeof number, "%d", i);
		if (run(argv[0], number) < 0) return 2;
		if (run(argv[0], "e") != 7 << 8) return 3;
		struct sysinfo info;
		sysinfo(&info);
		if (i == 3) before = info.freeram;
		printf("%d: %lu\n", i, info.freeram);
		if (i > 3 && info.freeram != before) return 4;
	}
	return 42;
}
"#;
const HUGE: &str = "char huge[1u << 30];\nint main(void) { return huge[5]; }\n";

/// Runs all checks.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let dir = paths.scratch().join("driver");
    fs::create_dir_all(&dir)?;
    for (name, text) in [
        ("echo.c", ECHO),
        ("fault.c", FAULT),
        ("forever.c", FOREVER),
        ("huge.c", HUGE),
        ("three.c", THREE),
        ("family.c", FAMILY),
        ("echoes.c", seeing::ECHOES),
        ("garbage.c", GARBAGE),
        ("clock.c", seeing::CLOCK),
        ("calls.c", seeing::CALLS),
    ] {
        fs::write(dir.join(name), text)?;
    }
    fs::write(dir.join("broken.c"), "int main(void) { return }\n")?;
    fs::write(dir.join("text"), "#!/bin/sh\n")?;
    fs::write(dir.join("arm"), arm_elf())?;
    let bench = Bench {
        root: paths.root.clone(),
        dir,
        exe: std::env::current_exe().context("where is this program?")?,
    };

    report.add(
        "a bad flag",
        bench.refuses("run --no-such-flag", "--no-such-flag"),
    );
    report.add(
        "a bad value",
        bench.refuses("run --mem lots echo.c", "lots"),
    );
    report.add(
        "a bad forward",
        bench.refuses("run --forward 80 echo.c", "HOSTPORT"),
    );
    report.add(
        "an unknown kernel",
        bench.refuses("run --kernel linux echo.c", "linux"),
    );
    report.add(
        "a missing program",
        bench.refuses("run ./missing", "there is no file ./missing"),
    );
    report.add(
        "neither file nor port",
        bench.refuses("run nothing-of-that-name", "neither a file nor a port"),
    );
    report.add("a folder", bench.refuses("run ./", "is a folder"));
    report.add(
        "a missing --file",
        bench.refuses("run --file missing=/x echo.c", "there is no file missing"),
    );
    report.add(
        "a --file outside",
        bench.refuses("run --file text=/../x echo.c", ".."),
    );
    report.add(
        "a C file that does not compile",
        bench.refuses("run broken.c", "does not compile"),
    );
    report.add(
        "a text file",
        bench.refuses("run text", "is not an ELF program"),
    );
    report.add(
        "another machine's program",
        bench.refuses("run arm", "another machine"),
    );
    report.add(
        "a dynamic program",
        bench.refuses("run /bin/true", "dynamic"),
    );
    report.add("a static program that is not ours", bench.foreign_static());
    report.add(
        "a program larger than memory",
        bench.refuses("run huge.c", "--mem"),
    );
    report.add("a port in use", bench.port_in_use());
    report.add(
        "console, arguments and status are the program's own",
        bench.echo(),
    );
    report.add("a fault has a status and a report", bench.fault());
    report.add(
        "init runs a list and says how each program ended",
        bench.init(),
    );
    report.add(
        "a thousand processes leave as much memory and as many capabilities as a few",
        bench.nothing_is_lost(),
    );
    report.add(
        "a process that sends nonsense to the root server hurts only itself",
        bench.garbage(),
    );
    report.add(
        "no server runs while two processes talk by a pair of sockets or pipes",
        bench.no_server_runs(),
    );
    let forever = bench.command("run --no-net --timeout 120 forever.c").0;
    report.add(
        "Ctrl-\\ prints a table of the processes, and the guest goes on",
        listing::on_quit(forever, "/bin/forever"),
    );
    report.add("the guest's clock is the host's", bench.clock());
    report.add(
        "a trace tells calls, who blocks, and what wakes",
        bench.trace(),
    );
    report.add("the timeout", bench.timeout());
    report.add("QEMU ends with a driver that is killed", bench.killed());
    report.add(
        "the demo says where it is and serves its page",
        bench.demo(),
    );
    Ok(())
}

struct Bench {
    root: PathBuf,
    dir: PathBuf,
    exe: PathBuf,
}

impl Bench {
    fn command(&self, args: &str) -> (Command, String) {
        let token = format!("{}-{args}", std::process::id());
        let mut command = Command::new(&self.exe);
        command
            .current_dir(&self.dir)
            .args(args.split_whitespace())
            .env(TOKEN, &token);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        (command, token)
    }

    /// Runs the driver to its end and makes sure that nothing of it is left.
    fn driver(&self, args: &str, input: &[u8]) -> Result<Output> {
        let (mut command, token) = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start the driver")?;
        // A driver that refuses at once may not read it: that is no error.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
        let out = child.wait_with_output()?;
        let left = alive(&token);
        ensure!(left.is_empty(), "processes are left behind: {left:?}");
        Ok(out)
    }

    /// The driver fails and says why in few lines, one of which contains `why`; stdout stays empty.
    fn refuses(&self, args: &str, why: &str) -> Result<()> {
        let out = self.driver(args, b"")?;
        let words = String::from_utf8_lossy(&out.stderr);
        ensure!(!out.status.success(), "it succeeded");
        ensure!(out.stdout.is_empty(), "it wrote to stdout");
        ensure!(words.contains(why), "it says {words:?}, not {why:?}");
        ensure!(!words.contains("panicked"), "it panicked: {words}");
        Ok(())
    }

    fn foreign_static(&self) -> Result<()> {
        fs::write(self.dir.join("foreign.c"), "int main(void) { return 0; }\n")?;
        let mut gcc = Command::new("gcc");
        let made = gcc
            .current_dir(&self.dir)
            .args(["-static", "-no-pie", "-o", "foreign", "foreign.c"])
            .output()?;
        ensure!(
            made.status.success(),
            "gcc: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        self.refuses("run foreign", "not made by posix-poll-cc")
    }

    fn port_in_use(&self) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        self.refuses(
            &format!("run --forward {port}:80 echo.c"),
            &format!("127.0.0.1:{port} is in use"),
        )
    }

    fn echo(&self) -> Result<()> {
        let out = self.driver("run --no-net --timeout 120 echo.c one two", b"typed\nlast")?;
        let mut want: Vec<u8> = (0..=255).collect();
        want.extend_from_slice(b"\r\n\ntyped\nlast<one><two>");
        let words = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.code() == Some(42), "{}: {words}", out.status);
        ensure!(
            out.stdout == want,
            "stdout is {:?}: {words}",
            String::from_utf8_lossy(&out.stdout)
        );
        Ok(())
    }

    fn fault(&self) -> Result<()> {
        let out = self.driver("run --no-net --timeout 120 fault.c", b"")?;
        let words = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.code() == Some(139), "{}: {words}", out.status);
        ensure!(words.contains("main+"), "no symbol in {words:?}");
        Ok(())
    }

    fn init(&self) -> Result<()> {
        let list =
            "# a comment\nthree.c &\n\nfault.c\necho.c 'two words' # and another\n/bin/none\n";
        fs::write(self.dir.join("list"), list)?;
        let out = self.driver("run --no-net --timeout 120 --init list", b"")?;
        let words = String::from_utf8_lossy(&out.stderr);
        let console = String::from_utf8_lossy(&out.stdout);
        ensure!(out.status.code() == Some(1), "{}: {words}", out.status);
        for line in [
            "init: /bin/three exited with 3\n",
            "init: /bin/fault was ended by signal 11 (Segmentation fault)\n",
            "<two words>init: /bin/echo exited with 42\n",
            "init: cannot start /bin/none: No such file or directory\n",
        ] {
            ensure!(
                console.contains(line),
                "no {line:?} in {console:?}: {words}"
            );
        }
        fs::write(self.dir.join("list"), "three.c\nmissing.c\n")?;
        self.refuses("run --no-net --init list", "list, line 2")
    }

    fn garbage(&self) -> Result<()> {
        let out = self.driver("run --no-net --timeout 300 garbage.c", b"")?;
        let words = String::from_utf8_lossy(&out.stderr);
        let console = String::from_utf8_lossy(&out.stdout);
        ensure!(
            out.status.code() == Some(42),
            "{}: {console} {words}",
            out.status
        );
        Ok(())
    }

    /// What the counters of these names say at the end of a program.
    fn counters(&self, program: &str, names: [&str; 2]) -> Result<[String; 2]> {
        let args = format!("run --no-net --stats --timeout 400 {program}");
        let out = self.driver(&args, b"")?;
        let words = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.code() == Some(0), "{}: {words}", out.status);
        counters(&words, names)
    }

    /// Free memory and used capability slots at the end, after so many children.
    fn after_children(&self, children: usize) -> Result<[String; 2]> {
        self.counters(&format!("family.c {children}"), ["free", "slots"])
    }

    fn nothing_is_lost(&self) -> Result<()> {
        let (few, many) = (self.after_children(12)?, self.after_children(1002)?);
        ensure!(few == many, "(free, slots): {few:?} became {many:?}");
        Ok(())
    }

    fn timeout(&self) -> Result<()> {
        let out = self.driver("run --no-net --timeout 5 forever.c", b"")?;
        let words = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.code() == Some(124), "{}: {words}", out.status);
        ensure!(
            out.stdout == b"up\n",
            "stdout is {:?}: {words}",
            String::from_utf8_lossy(&out.stdout)
        );
        Ok(())
    }

    fn killed(&self) -> Result<()> {
        let (mut command, token) = self.command("run --no-net --timeout 120 forever.c");
        let mut child = Reaped(command.spawn().context("cannot start the driver")?);
        let mut up = [0; 3];
        let mut stdout = child.0.stdout.take().context("no stdout")?;
        stdout
            .read_exact(&mut up)
            .context("the program did not come up")?;
        ensure!(
            !alive(&token).is_empty(),
            "the token is not inherited: this check sees nothing"
        );
        child.0.kill()?;
        child.0.wait()?;
        vanished(&token)
    }

    /// `run` without PROGRAM: the URL on stderr, the page behind it.
    fn demo(&self) -> Result<()> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (mut command, token) =
            self.command(&format!("run --timeout 120 --forward {port}:8080"));
        let mut child = Reaped(command.spawn().context("cannot start the driver")?);
        let url = format!("http://127.0.0.1:{port}/");
        let mut words = BufReader::new(child.0.stderr.take().context("no stderr")?).lines();
        let serving = words
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.ends_with(&url));
        ensure!(serving, "it never said that it serves {url}");
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(VANISH))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        child.0.kill()?;
        child.0.wait()?;
        let page = fs::read(self.root.join("ports/httpd/www/index.html"))?;
        ensure!(
            answer.starts_with(b"HTTP/1.") && answer.ends_with(&page),
            "it serves something else"
        );
        vanished(&token)
    }
}

/// The values of these counters in the driver's words.
fn counters<const N: usize>(words: &str, names: [&str; N]) -> Result<[String; N]> {
    let mut values = [const { String::new() }; N];
    for (value, name) in values.iter_mut().zip(names) {
        let at = words.split(&format!(" {name}=")).nth(1);
        *value = at
            .and_then(|rest| rest.split_whitespace().next())
            .map(str::to_owned)
            .with_context(|| format!("no {name} in {words}"))?;
    }
    Ok(values)
}

/// Waits until the processes of a driver that was killed are gone.
fn vanished(token: &str) -> Result<()> {
    let end = Instant::now() + VANISH;
    while !alive(token).is_empty() {
        ensure!(Instant::now() < end, "QEMU still runs: {:?}", alive(token));
        std::thread::yield_now();
    }
    Ok(())
}

/// A child that does not outlive the check.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Numbers of the processes that carry a token.
fn alive(token: &str) -> Vec<String> {
    let mark = format!("{TOKEN}={token}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The header of a program for 64-bit ARM.
fn arm_elf() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16] = 2;
    bytes[18] = 183;
    bytes
}
