// SPDX-License-Identifier: BSD-2-Clause
//! posix-poll-cc as a compiler: what `configure` and `make` ask of it.
//!
//! A program that it links runs on Linux too (musl-shim/cc/entry.S), so the checks need no boot.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use super::Report;
use crate::elf::Program;
use crate::paths::Paths;
use crate::toolchain;

const MAIN: &str = "#include <stdio.h>\n#include <sys/epoll.h>\n#include \"twice.h\"\nint main(void) { int e = epoll_create1(0); printf(\"%d %d\\n\", e >= 0, twice(21)); return 7; }\n";
const TWICE: &str = "#include \"twice.h\"\nint twice(int x) { return 2 * x; }\n";

/// The calls that have an entry of their own in the shim, which entry.S replaces by Linux's one by one.
const DIRECT: &str = r#"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void)
{
    int p[2], s[2], e = epoll_create1(0);
    char b[8];
    if (e < 0 || pipe(p) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, s) != 0)
        return 1;
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = 7 };
    struct pollfd fd = { .fd = s[1], .events = POLLIN };
    printf("%d", epoll_ctl(e, EPOLL_CTL_ADD, s[1], &event));
    printf(" %d", epoll_wait(e, &event, 1, 0));
    printf(" %d", poll(&fd, 1, 0));
    printf(" %d", (int)sendto(s[0], "xyz", 3, MSG_DONTWAIT, NULL, 0));
    event.data.u64 = 0;
    printf(" %d", epoll_wait(e, &event, 1, -1));
    printf(" %d", (int)event.data.u64);
    printf(" %d", poll(&fd, 1, -1));
    printf(" %d", (int)recvfrom(s[1], b, 8, MSG_PEEK, NULL, NULL));
    printf(" %d", (int)write(p[1], "ab", 2));
    printf(" %d", (int)read(p[0], b, 8));
    printf(" %c", b[1]);
    printf(" %d", (int)read(-1, b, 8));
    printf(" %d\n", errno == EBADF);
    return 0;
}
"#;

/// Runs all checks in a scratch folder with a space-free name.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let cc = toolchain::ensure(paths)?.cc;
    let dir = paths.scratch().join("cc");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("include"))?;
    fs::create_dir_all(dir.join("lib"))?;
    fs::write(dir.join("main.c"), MAIN)?;
    fs::write(dir.join("twice.c"), TWICE)?;
    fs::write(dir.join("direct.c"), DIRECT)?;
    fs::write(dir.join("include/twice.h"), "int twice(int);\n")?;
    let bench = Bench { cc: &cc, dir: &dir };
    report.add("compile, archive, link and run on Linux", bench.link(paths));
    report.add(
        "calls with an entry of their own are Linux's on Linux",
        bench.direct(),
    );
    report.add("-E, -S and -M", bench.stages());
    report.add(
        "headers and libraries of the machine are not seen",
        bench.nothing_of_the_host(),
    );
    report.add(
        "shared objects and -pie are refused with a reason",
        bench.refusals(),
    );
    Ok(())
}

struct Bench<'a> {
    cc: &'a Path,
    dir: &'a Path,
}

impl Bench<'_> {
    fn cc(&self, args: &str) -> Result<Output> {
        self.tool(self.cc, args)
    }

    fn tool(&self, tool: &Path, args: &str) -> Result<Output> {
        let mut command = Command::new(tool);
        command.current_dir(self.dir).args(args.split_whitespace());
        command
            .output()
            .with_context(|| format!("cannot start {}", tool.display()))
    }

    /// Runs the compiler and wants it to succeed in silence.
    fn good(&self, args: &str) -> Result<String> {
        let out = self.cc(args)?;
        let words = String::from_utf8_lossy(&out.stderr);
        ensure!(
            out.status.success() && words.is_empty(),
            "posix-poll-cc {args}: {}: {words}",
            out.status
        );
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    fn link(&self, paths: &Paths) -> Result<()> {
        self.good("-O2 -Wall -Wextra -Iinclude -c main.c -o main.o")?;
        self.good("-O2 -Wall -Wextra -Iinclude -c twice.c")?;
        let ar = self.tool(
            &paths.bin().join("posix-poll-ar"),
            "rc lib/libtwice.a twice.o",
        )?;
        let ranlib = self.tool(&paths.bin().join("posix-poll-ranlib"), "lib/libtwice.a")?;
        ensure!(
            ar.status.success() && ranlib.status.success(),
            "posix-poll-ar or -ranlib fails"
        );
        self.good("-o main main.o -Llib -ltwice -lm -lpthread -static")?;
        Program::parse_ours(&fs::read(self.dir.join("main"))?)?;
        let run = self.tool(&self.dir.join("main"), "")?;
        ensure!(
            run.stdout == b"1 42\n",
            "it printed {:?}",
            String::from_utf8_lossy(&run.stdout)
        );
        ensure!(run.status.code() == Some(7), "it ended with {}", run.status);
        Ok(())
    }

    fn direct(&self) -> Result<()> {
        self.good("-O2 -Wall -Wextra -o direct direct.c")?;
        let run = self.tool(&self.dir.join("direct"), "")?;
        ensure!(
            run.stdout == b"0 0 0 3 1 7 1 3 2 2 b -1 1\n",
            "it printed {:?}, {}",
            String::from_utf8_lossy(&run.stdout),
            run.status
        );
        Ok(())
    }

    fn stages(&self) -> Result<()> {
        let text = self.good("-Iinclude -E main.c")?;
        ensure!(
            text.contains("int twice(int);"),
            "-E does not show the header"
        );
        let text = self.good("-Iinclude -S -o - twice.c")?;
        ensure!(text.contains("twice:"), "-S shows no assembly");
        let text = self.good("-Iinclude -MM main.c")?;
        ensure!(
            text.contains("main.o:") && text.contains("include/twice.h"),
            "-MM says {text:?}"
        );
        Ok(())
    }

    fn nothing_of_the_host(&self) -> Result<()> {
        let text = self.good("-Iinclude -M main.c")?;
        let foreign = text
            .split_whitespace()
            .find(|word| word.starts_with("/usr/include"));
        ensure!(foreign.is_none(), "main.c includes {foreign:?}");
        let out = self.cc("-Iinclude main.c twice.c -lresolv -lssl -o never")?;
        ensure!(!out.status.success(), "-lssl was found somewhere");
        Ok(())
    }

    fn refusals(&self) -> Result<()> {
        for args in [
            "-shared -fPIC twice.c -Iinclude -o x.so",
            "-pie -fPIE main.c twice.c -Iinclude -o x",
        ] {
            let out = self.cc(args)?;
            let words = String::from_utf8_lossy(&out.stderr);
            ensure!(
                !out.status.success() && words.contains("for this system"),
                "posix-poll-cc {args}: {words}"
            );
        }
        Ok(())
    }
}
