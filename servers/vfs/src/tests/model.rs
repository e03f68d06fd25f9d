// SPDX-License-Identifier: BSD-2-Clause
//! The same operations here and in a directory of Linux: equal answers, equal trees. Linux is the model.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;
use std::{format, println};

use vfs_hooks::sync::Ordering;
use vfs_hooks::vfs::{Attributes, FILE, NO_FOLLOW};

use super::{Fake, Random, server};
use crate::errno::Errno;
use crate::open::{Found, flag};
use crate::server::Server;
use crate::tree::{DIRECTORY, Inode, TYPE};

/// Directories above the one that is used: links with `..` in them never get further up.
const DEPTH: usize = 64;
const OPERATIONS: usize = 60_000;

/// What an operation came to, in a form that both sides have.
type Answer = Result<String, i32>;

/// A directory of Linux's.
struct Linux {
    top: PathBuf,
    at: PathBuf,
}

impl Drop for Linux {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.top);
    }
}

fn linux<T>(result: io::Result<T>, show: impl FnOnce(T) -> String) -> Answer {
    match result {
        Ok(value) => Ok(show(value)),
        Err(error) => Err(error.raw_os_error().unwrap_or(-1)),
    }
}

fn ours<T>(result: Result<T, Errno>, show: impl FnOnce(T) -> String) -> Answer {
    match result {
        Ok(value) => Ok(show(value)),
        Err(Errno(errno)) => Err(errno as i32),
    }
}

fn nothing<T>(_: T) -> String {
    String::new()
}

/// Of a directory the length is each system's own.
fn shown(mode: u32, links: u64, size: u64) -> String {
    let size = if mode & TYPE == DIRECTORY { 0 } else { size };
    format!("{mode:o} {links} {size}")
}

fn attributes(found: Found) -> Attributes {
    match found {
        Found::Inode(attributes) => attributes,
        Found::Local(_) => panic!("no path leads to /proc"),
    }
}

struct Both {
    server: Server<Fake>,
    base: Inode,
    linux: Linux,
    now: u64,
}

impl Both {
    fn new() -> Both {
        let shm = Path::new("/dev/shm");
        let folder = if shm.is_dir() {
            shm.into()
        } else {
            std::env::temp_dir()
        };
        let top = folder.join(format!("vfs-model-{}", std::process::id()));
        let mut linux = Linux {
            at: top.clone(),
            top,
        };
        fs::create_dir(&linux.top).expect("a directory for the model");
        let mut server = server();
        let mut base = server.tree.root();
        for _ in 0..DEPTH {
            base = server.insert_directory(base, b"m", 0o755, 1).unwrap();
            linux.at.push("m");
            fs::create_dir(&linux.at).unwrap();
        }
        Both {
            server,
            base,
            linux,
            now: 1,
        }
    }

    fn on_linux(&self, path: &str) -> PathBuf {
        // By hand: `join` drops what it takes for needless.
        let mut whole = self.linux.at.as_os_str().as_bytes().to_vec();
        whole.push(b'/');
        whole.extend_from_slice(path.as_bytes());
        PathBuf::from(OsStr::from_bytes(&whole))
    }

    /// Opens for writing and, if that worked, gives the file `size` bytes.
    fn open(&mut self, path: &str, flags: u32, mode: u32, size: u64) -> [Answer; 2] {
        let access = flags & flag::ACCESS;
        let theirs = OpenOptions::new()
            .read(access != flag::WRITE_ONLY)
            .write(access != flag::READ_ONLY)
            .custom_flags((flags & !flag::ACCESS) as i32)
            .mode(mode)
            .open(self.on_linux(path));
        let theirs = theirs.and_then(|file| {
            if access != flag::READ_ONLY {
                file.set_len(size)?;
            }
            Ok(())
        });
        let found = self
            .server
            .open(1, (self.base, path.as_bytes()), flags, mode, self.now);
        let ours = ours(found, |found| {
            let place = attributes(found).place;
            if access != flag::READ_ONLY && place & FILE != 0 {
                let header = crate::Files::header(&self.server.files, place as u32);
                header.size.store(size, Ordering::Relaxed);
            }
            String::new()
        });
        [linux(theirs, nothing), ours]
    }

    fn step(&mut self, random: &mut Random) -> (String, [Answer; 2]) {
        self.now += 1;
        let (first, second) = (path(random), path(random));
        let (a, b) = (
            (self.base, first.as_bytes()),
            (self.base, second.as_bytes()),
        );
        let (la, lb) = (self.on_linux(&first), self.on_linux(&second));
        let now = self.now;
        let mode = [0o755, 0o700, 0o750][random.below(3)];
        let server = &mut self.server;
        match random.below(14) {
            0 => {
                let made = DirBuilder::new().mode(mode).create(la);
                let answers = [
                    linux(made, nothing),
                    ours(server.mkdir(a, mode, now), nothing),
                ];
                (format!("mkdir {first}"), answers)
            }
            1 => {
                let answers = [
                    linux(fs::remove_dir(la), nothing),
                    ours(server.rmdir(a, now), nothing),
                ];
                (format!("rmdir {first}"), answers)
            }
            2 | 3 => {
                let answers = [
                    linux(fs::remove_file(la), nothing),
                    ours(server.unlink(a, now), nothing),
                ];
                (format!("unlink {first}"), answers)
            }
            4 | 5 => {
                let answers = [
                    linux(fs::rename(la, lb), nothing),
                    ours(server.rename(a, b, 0, now), nothing),
                ];
                (format!("rename {first} {second}"), answers)
            }
            6 => {
                let from = server.find_inode(a, NO_FOLLOW);
                let linked = from.and_then(|from| server.link(from, b, now));
                let answers = [linux(fs::hard_link(la, lb), nothing), ours(linked, nothing)];
                (format!("link {first} {second}"), answers)
            }
            7 => {
                let target = ["a", "b", "c", "a/b", "../a", ".", "b/", ".."][random.below(8)];
                let made = server.symlink(target.as_bytes(), a, now);
                let answers = [linux(symlink(target, la), nothing), ours(made, nothing)];
                (format!("symlink {target} {first}"), answers)
            }
            8 => {
                let read = server.readlink(a, 0).map(<[u8]>::to_vec);
                let show = |target: Vec<u8>| String::from_utf8(target).unwrap();
                let theirs = fs::read_link(la).map(|t| t.as_os_str().as_bytes().to_vec());
                (
                    format!("readlink {first}"),
                    [linux(theirs, show), ours(read, show)],
                )
            }
            9 => {
                let changed = fs::set_permissions(la, fs::Permissions::from_mode(mode));
                let answers = [
                    linux(changed, nothing),
                    ours(server.chmod(a, 0, mode, now), nothing),
                ];
                (format!("chmod {mode:o} {first}"), answers)
            }
            10 => {
                let follow = random.below(2) == 0;
                let theirs = if follow {
                    fs::metadata(la)
                } else {
                    fs::symlink_metadata(la)
                };
                let flags = if follow { 0 } else { NO_FOLLOW };
                let found = server.lookup(a, flags).map(attributes);
                let answers = [
                    linux(theirs, |m| shown(m.mode(), m.nlink(), m.size())),
                    ours(found, |a| shown(a.mode, a.links.into(), a.size)),
                ];
                (format!("stat {first} (follow: {follow})"), answers)
            }
            _ => {
                let bits = [
                    flag::CREATE,
                    flag::EXCLUSIVE | flag::CREATE,
                    flag::NO_FOLLOW,
                    flag::NO_FOLLOW | flag::CREATE,
                    flag::TRUNCATE,
                    flag::DIRECTORY,
                    0,
                ][random.below(7)];
                // Linux's O_TRUNC without O_CREAT is left to those that write.
                let access = 1 + random.below(2) as u32;
                let access = if bits == flag::DIRECTORY { 0 } else { access };
                let answers = self.open(&first, bits | access, mode & 0o666 | 0o600, now % 100);
                (format!("open {first} {:#o}", bits | access), answers)
            }
        }
    }

    /// All of a directory of both, and what is below it.
    fn compare(&self, directory: Inode, path: &Path) {
        let mut theirs: Vec<(Vec<u8>, String)> = fs::read_dir(path)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let m = fs::symlink_metadata(entry.path()).unwrap();
                let name = entry.file_name().as_bytes().to_vec();
                (name, shown(m.mode(), m.nlink(), m.size()))
            })
            .collect();
        let (names, _) = self.server.tree.directory(directory).unwrap();
        let mut ours: Vec<(Vec<u8>, String)> = names
            .from(0)
            .map(|(_, name, inode)| {
                let a = self.server.attributes(inode).unwrap();
                (name.to_vec(), shown(a.mode, a.links.into(), a.size))
            })
            .collect();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs, "in {}", path.display());
        for (_, name, inode) in names.from(0) {
            if self.server.tree.get(inode).unwrap().is_directory() {
                self.compare(inode, &path.join(OsStr::from_bytes(name)));
            }
        }
    }
}

/// Up to four names out of few, so that they meet.
fn path(random: &mut Random) -> String {
    let names = ["a", "b", "c", "d", ".", ".."];
    let mut path = String::new();
    for i in 0..1 + random.below(4) {
        if i > 0 {
            path.push('/');
        }
        let most = if random.below(4) == 0 { names.len() } else { 4 };
        path.push_str(names[random.below(most)]);
    }
    if random.below(8) == 0 {
        path.push('/');
    }
    path
}

#[test]
fn random_operations_answer_as_linux_does() {
    let mut both = Both::new();
    let mut random = Random(20);
    let (mut done, mut refused) = (0, 0);
    for number in 0..OPERATIONS {
        let (what, [theirs, ours]) = both.step(&mut random);
        assert_eq!(ours, theirs, "operation {number}: {what}");
        match theirs {
            Ok(_) => done += 1,
            Err(_) => refused += 1,
        }
        both.server.files.process_ended(1);
        both.server.sweep();
        if number % 200 == 0 {
            both.compare(both.base, &both.linux.at);
        }
    }
    println!("{done} done, {refused} refused");
    assert!(done > OPERATIONS / 10 && refused > OPERATIONS / 10);
}
