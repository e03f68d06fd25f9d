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

/// Runs all checks in a scratch folder with a space-free name.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let cc = toolchain::ensure(paths)?.cc;
    let dir = paths.scratch().join("cc");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("include"))?;
    fs::create_dir_all(dir.join("lib"))?;
    fs::write(dir.join("main.c"), MAIN)?;
    fs::write(dir.join("twice.c"), TWICE)?;
    fs::write(dir.join("include/twice.h"), "int twice(int);\n")?;
    let bench = Bench { cc: &cc, dir: &dir };
    report.add("compile, archive, link and run on Linux", bench.link(paths));
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
