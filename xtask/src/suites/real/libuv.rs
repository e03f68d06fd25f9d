// SPDX-License-Identifier: BSD-2-Clause
//! libuv's own tests. They refuse to run as root, so root runs them as `nobody`, in a folder that `nobody` can use.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::network::NOBODY;
use super::{Program, Report, compile_all, tail};
use crate::digest::files_below;
use crate::paths::Paths;
use crate::process::{run_logged, say};
use crate::suites::tap;

/// Of src/unix, what its CMakeLists.txt takes for Linux.
const UNIX: &[&str] = &[
    "async",
    "core",
    "dl",
    "epoll",
    "fs",
    "getaddrinfo",
    "getnameinfo",
    "linux-core",
    "linux-inotify",
    "linux-syscalls",
    "loop",
    "loop-watcher",
    "pipe",
    "poll",
    "process",
    "procfs-exepath",
    "proctitle",
    "random-devurandom",
    "random-getrandom",
    "random-sysctl-linux",
    "signal",
    "stream",
    "tcp",
    "thread",
    "tty",
    "udp",
];
const FLAGS: &[&str] = &[
    "-O2",
    "-g",
    "-Iinclude",
    "-Isrc",
    "-Itest",
    "-D_FILE_OFFSET_BITS=64",
    "-D_LARGEFILE_SOURCE",
    "-D_GNU_SOURCE",
    "-D_POSIX_C_SOURCE=200112",
];

/// Compiles and runs them.
pub fn run(paths: &Paths, report: &mut Report) -> Result<()> {
    let program = Program::prepare(paths, "libuv")?;
    say("compiling libuv");
    let binary = compile(&program)?;
    // Not below the checkout, which `nobody` may not be allowed to enter.
    let place = std::env::temp_dir().join(format!("posix-poll-libuv-{}", std::process::id()));
    let result = copy(&program, &binary, &place).and_then(|()| {
        let mut command = Command::new(place.join("uv_run_tests_a"));
        command.current_dir(&place);
        program.test(command, 10, true)
    });
    let _ = fs::remove_dir_all(&place);
    let (text, ended_well) = result?;
    let mut found = tap::parse(&text);
    if !ended_well && found.failed.is_empty() {
        found.failed.push(("end".into(), tail(&text)));
    }
    program.excuse(&mut found);
    report.absorb("libuv", found);
    Ok(())
}

fn compile(program: &Program) -> Result<PathBuf> {
    let dir = &program.tree.dir;
    let flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
    let in_folder = |folder: &Path, wanted: &dyn Fn(&str) -> bool| -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            if path.extension().is_some_and(|e| e == "c") && wanted(&stem) {
                files.push(path.clone());
            }
        }
        files.sort();
        Ok(files)
    };
    let mut library = in_folder(&dir.join("src"), &|_| true)?;
    library.extend(in_folder(&dir.join("src/unix"), &|name| {
        UNIX.contains(&name)
    })?);
    let tests = in_folder(&dir.join("test"), &|name| {
        !(name.starts_with("benchmark-")
            || ["run-benchmarks", "runner-win", "dns-server"].contains(&name))
    })?;
    let objects = dir.join("objects");
    let library = compile_all(&program.tree.cc, &flags, dir, &library, &objects)?;
    let tests = compile_all(&program.tree.cc, &flags, dir, &tests, &objects)?;
    // An archive: some tests bring their own copies of the library's internal functions.
    let archive = objects.join("libuv_a.a");
    let _ = fs::remove_file(&archive);
    let mut ar = Command::new("ar");
    ar.arg("rcs").arg(&archive).args(&library);
    run_logged("ar", &mut ar, &program.tree.log)?;
    let binary = objects.join("uv_run_tests_a");
    let mut link = Command::new(&program.tree.cc);
    link.arg("-o")
        .arg(&binary)
        .args(&tests)
        .arg(&archive)
        .args(["-lpthread", "-lm"]);
    run_logged("linking libuv's tests", &mut link, &program.tree.log)?;
    Ok(binary)
}

/// The program and the files that its tests read, in a folder of `nobody`'s.
fn copy(program: &Program, binary: &Path, place: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(place);
    let put = |from: &Path, to: PathBuf| -> Result<()> {
        if let Some(dir) = to.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::copy(from, &to).with_context(|| format!("cannot make {}", to.display()))?;
        Ok(())
    };
    put(binary, place.join("uv_run_tests_a"))?;
    for file in files_below(&program.tree.dir.join("test/fixtures"))? {
        let name = file.strip_prefix(&program.tree.dir).unwrap_or(&file);
        put(&file, place.join(name))?;
    }
    // SAFETY: geteuid takes nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        let folders = ["", "test", "test/fixtures"].map(|folder| place.join(folder));
        for path in folders.into_iter().chain(files_below(place)?) {
            chown(&path, Some(NOBODY), Some(NOBODY))?;
        }
    }
    Ok(())
}
