// SPDX-License-Identifier: BSD-2-Clause
//! `cargo xtask run`: boot a program, with its console as ours and its status as ours.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use kernel_ext::Kernel;

use crate::archive;
use crate::forward::{self, Forward, Protocol};
use crate::init::{self, INIT};
use crate::keys::{self, Keys};
use crate::paths::Paths;
use crate::process::say;
use crate::program::{self, Chosen, DEMO};
use crate::qemu::{Event, Guest};
use crate::quit::Quit;
use crate::system::{self, MEMORY, Setup};

/// Exit status when the driver or the system fails rather than the program.
const FAILED: u8 = 125;
/// Exit status after the timeout.
const TIMED_OUT: u8 = 124;
/// How long QEMU may take to stop once the program has ended.
const GRACE: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
The program's console is stdin and stdout, and its exit status is this command's: 128 plus the
signal's number if a fault ended it, 124 after the timeout, 125 if the system could not be run.
Ctrl-\\ prints a table of the guest's processes. Ctrl-C ends it all, until a program reads from the terminal, if stdin and
stdout are one: from then on keys are the program's (Ctrl-C is its SIGINT), and Ctrl-A and then x ends it all.

Examples:
  cargo xtask run                                     # the demo: a web server, at http://127.0.0.1:8080/
  cargo xtask run hello.c one two                     # compile a C file and run it with two arguments
  cargo xtask run --forward 2000:80 --file www=/srv/www httpd -p 80 -r /srv/www
  cargo xtask run --init LIST                         # LIST: lines such as `./server.c -p 7 &` and `./client.c`
  cargo xtask run --kernel stock --icount --timeout 60 bench.c
  cargo xtask run --trace=redis-server redis          # each call of that program, and who wakes it

--trace prints lines such as
  [   1.234567] 3/1 epoll_wait(4, [{EPOLLIN, 5}], 64, -1) = 1
with the guest's CLOCK_MONOTONIC, process and thread (the first is 0). A call has its line when it returns; one that
blocks has another when it does (<blocked>), and what wakes it is said (<woken by fd 5>). Strings are cut after 32 bytes.

--stats prints counters, of the first program:
  calls            system calls that C code made: function calls, answered in the process
  server_calls     requests to servers (IPC) among what they did
  waits            times that a thread blocked
  collects, entries, handoffs   collections of queues, entries that they brought, cookies that waiters were handed
  badge_wakes      wake-ups by a badge bit (unmodified kernel)
  channel_calls, signals        calls on what processes share, and watches there that were signalled for them: the difference
                   are signals that nobody waited for, and calls that found nothing to do
  doorbells, doorbells_saved    signals to the net server, and those that it did not need
  queues, watches, kernel_entries   queues and watch slots there are; entries that the kernel wrote to queues
and of the system:
  served           requests and faults that the root server answered
  free, slots, processes        bytes of memory, capability slots in use, processes
  clock_behind     nanoseconds by which the guest's clock may be behind the host's; with --icount it is not set by it
  busy             instructions of all that is not idling, if they were metered";

/// Run a program on seL4 in QEMU.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// seL4 with the notification queue, as published, or with the queue and the optional fast path of signals
    #[arg(long, default_value = "queue", value_name = "queue|stock|fast")]
    kernel: Kernel,
    /// Lead a port of the host, on 127.0.0.1 unless ADDR is given, to a port of the guest
    #[arg(long, value_name = "[udp:][ADDR:]HOSTPORT:GUESTPORT")]
    forward: Vec<Forward>,
    /// Put a file, or all files of a folder, into the guest
    #[arg(long, value_name = "HOST=GUEST", value_parser = parse_file)]
    file: Vec<(PathBuf, String)>,
    /// Count instructions: rdtsc in the guest counts those executed, the same in each run
    #[arg(long)]
    icount: bool,
    /// Memory of the machine
    #[arg(long, value_name = "MiB", default_value_t = MEMORY, value_parser = clap::value_parser!(u32).range(64..=16384))]
    mem: u32,
    /// Give up after so long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    timeout: Option<u64>,
    /// Run without a network card and net server
    #[arg(long, conflicts_with = "forward")]
    no_net: bool,
    /// Print the system's counters when the program ends
    #[arg(long)]
    stats: bool,
    /// Print each call of all programs, or of one, and each time that it blocks or is woken, in strace's form
    #[arg(long, value_name = "PROGRAM", num_args = 0..=1, require_equals = true, default_missing_value = "*")]
    trace: Option<String>,
    /// Run the programs of a list, and say of each how it ended: a line with program and arguments for each
    #[arg(long, value_name = "LIST", conflicts_with = "program")]
    init: Option<PathBuf>,
    /// A program made by posix-poll-cc, a .c file, or the name of a port; the demo if there is none
    program: Option<String>,
    /// The program's arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

fn parse_file(text: &str) -> Result<(PathBuf, String)> {
    match text.split_once('=') {
        Some((host, guest)) if !host.is_empty() && guest.starts_with('/') => {
            Ok((host.into(), guest.to_owned()))
        }
        _ => bail!("HOST=GUEST is wanted, with GUEST starting at /"),
    }
}

/// Runs it; the driver's own failures have a status of their own.
pub fn run(paths: &Paths, args: &Args) -> Result<ExitCode> {
    match run_inner(paths, args) {
        Ok(status) => Ok(ExitCode::from(status)),
        Err(error) => {
            say(&format!("{error:#}"));
            Ok(ExitCode::from(FAILED))
        }
    }
}

fn run_inner(paths: &Paths, args: &Args) -> Result<u8> {
    let name = match (&args.program, &args.init) {
        (Some(name), _) => name,
        (None, Some(_)) => INIT,
        (None, None) => DEMO,
    };
    let chosen = program::choose(paths, name)?;
    let mut setup = Setup {
        kernel: args.kernel,
        args: args.args.clone(),
        programs: Vec::new(),
        texts: Vec::new(),
        files: args.file.clone(),
        forwards: args.forward.clone(),
        network: !args.no_net,
        icount: args.icount,
        memory: args.mem,
        stats: args.stats,
        trace: args.trace.clone(),
        terminal: keys::is_manned(),
        meter: false,
        below: false,
        spawn_meter: false,
    };
    if let Chosen::Port(port) = &chosen {
        setup.files.extend(port.files());
        if setup.args.is_empty() {
            setup.args = port.args();
        }
        if setup.forwards.is_empty() && setup.network {
            setup.forwards = port.forwards()?;
        }
    }
    if let Some(list) = &args.init {
        init::read(paths, list, &mut setup)?;
    }
    // What can be seen to be wrong is said before anything is built.
    forward::check_free(&setup.forwards)?;
    for (host, guest) in &setup.files {
        for (_, guest) in program::expand(host, guest)? {
            archive::normal(&guest)?;
        }
    }
    let ready = chosen.make(paths)?;
    let machine = system::prepare(paths, &setup, &ready)?;
    // Once more: building may have taken minutes.
    forward::check_free(&setup.forwards)?;
    let deadline = args
        .timeout
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let quit = Quit::hold()?;
    let mut guest = Guest::boot(paths, &machine, io::stdout())?;
    quit.print_processes(guest.control()?);
    watch(
        &mut guest,
        &setup.forwards,
        name == DEMO,
        deadline,
        args.timeout,
    )
}

/// Follows the guest to its end; returns the program's status.
fn watch(
    guest: &mut Guest,
    forwards: &[Forward],
    web: bool,
    deadline: Option<Instant>,
    seconds: Option<u64>,
) -> Result<u8> {
    let mut input = Some(guest.console()?);
    let (keys, manned) = (Keys::default(), keys::is_manned());
    loop {
        let event = guest.next(deadline)?;
        // The root server speaks first when its serial lines are set up: not before that
        // may anything be typed, or the set-up would throw it away.
        if let Some(console) = input.take() {
            let keys = keys.clone();
            std::thread::spawn(move || keys.type_stdin(console, manned));
        }
        match event {
            // A line of the trace begins with the time.
            Event::Log(line) if line.starts_with('[') => eprintln!("{line}"),
            Event::Log(line) => eprintln!("[guest] {line}"),
            Event::Stats(stats) => {
                let pairs: Vec<String> = stats
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                eprintln!("[guest] stats {}", pairs.join(" "));
            }
            Event::Terminal => {
                keys.give();
                say(
                    "Ctrl-A and then x ends the machine; all other keys but Ctrl-\\ are the program's",
                );
            }
            Event::Listening(port) => {
                for forward in forwards
                    .iter()
                    .filter(|f| f.protocol == Protocol::Tcp && f.guest == port)
                {
                    say(&if web {
                        format!("serving http://{}/", forward.host)
                    } else {
                        format!("guest port {port} is open at {}", forward.host)
                    });
                }
            }
            Event::Exit(status) => {
                // What it wrote last is still on its way until QEMU has stopped.
                let end = Instant::now() + GRACE;
                while !matches!(guest.next(Some(end))?, Event::Stopped(_) | Event::Late) {}
                guest.stop();
                return Ok(status);
            }
            Event::ConsoleClosed => bail!("nobody reads the program's output any more"),
            Event::Late => {
                guest.stop();
                say(&format!(
                    "stopped after the timeout of {} s",
                    seconds.unwrap_or_default()
                ));
                return Ok(TIMED_OUT);
            }
            Event::Stopped(code) => {
                let complaints = guest.complaints();
                let code = code.map_or_else(
                    || "killed".to_owned(),
                    |code| format!("QEMU's status {code}"),
                );
                if complaints.is_empty() {
                    bail!("the machine stopped before the program had ended ({code})");
                }
                bail!("the machine stopped before the program had ended ({code}): {complaints}");
            }
        }
    }
}
