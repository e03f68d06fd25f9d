// SPDX-License-Identifier: BSD-2-Clause
//! A whole system, ready to boot: kernel, servers, program and files in one machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use kernel_ext::{Build, Built, Kernel, Variant};

use crate::archive::Archive;
use crate::forward::Forward;
use crate::image::{self, BootConfig};
use crate::paths::Paths;
use crate::process::say;
use crate::program::{Ready, expand};
use crate::qemu::Machine;
use crate::{deb, guest};

/// Address, prefix and gateway of the guest on QEMU's user network.
const NETWORK: &str = "10.0.2.15/24,10.0.2.2";

/// What the kernel, the servers and the program's stack and heaps take besides the program, in MiB.
const RESERVE: u64 = 48;

/// Memory unless the user says otherwise, in MiB.
pub const MEMORY: u32 = 512;

/// What to run, and how.
pub struct Setup {
    /// The kernel.
    pub kernel: Kernel,
    /// Arguments of the program, without its name.
    pub args: Vec<String>,
    /// Programs besides the first, for it to start.
    pub programs: Vec<Ready>,
    /// Contents and guest path of files that are not the host's.
    pub texts: Vec<(Vec<u8>, String)>,
    /// Host file or folder, guest path.
    pub files: Vec<(PathBuf, String)>,
    /// Ports of the host that lead to the guest.
    pub forwards: Vec<Forward>,
    /// Give the guest a network.
    pub network: bool,
    /// Count instructions.
    pub icount: bool,
    /// Memory in MiB.
    pub memory: u32,
    /// Let the root server print its counters when the program ends.
    pub stats: bool,
    /// The program whose calls are traced; `*`: all.
    pub trace: Option<String>,
    /// Somebody sits at the console.
    pub terminal: bool,
    /// Let it count what is not idling, too.
    pub meter: bool,
    /// Let the program interrupt all that it starts, between any two instructions.
    pub below: bool,
    /// Build it so that it logs what starting each process costs.
    pub spawn_meter: bool,
}

impl Setup {
    /// The least that runs: no files, no forwards.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            args: Vec::new(),
            programs: Vec::new(),
            texts: Vec::new(),
            files: Vec::new(),
            forwards: Vec::new(),
            network: true,
            icount: false,
            memory: MEMORY,
            stats: false,
            trace: None,
            meter: false,
            terminal: false,
            below: false,
            spawn_meter: false,
        }
    }
}

/// Builds what is missing and packs the machine.
pub fn prepare(paths: &Paths, setup: &Setup, program: &Ready) -> Result<Machine> {
    let mut archive = Archive::default();
    archive.file("boot.cfg", boot_config(setup, program)?)?;
    // What daemons look for on Linux: this system uses large pages where it likes, and never for what mmap(2) gives.
    let pages = b"always madvise [never]\n".to_vec();
    archive.file("sys/kernel/mm/transparent_hugepage/enabled", pages)?;
    for program in std::iter::once(program).chain(&setup.programs) {
        let path = format!("/bin/{}", program.name);
        archive.program(&path, program.bytes.clone())?;
        for link in &program.links {
            archive.link(link, &path)?;
        }
    }
    for (bytes, guest) in &setup.texts {
        archive.file(guest, bytes.clone())?;
    }
    for (host, guest) in &setup.files {
        for (host, guest) in expand(host, guest)? {
            let bytes =
                fs::read(&host).with_context(|| format!("cannot read {}", host.display()))?;
            archive.file(&guest, bytes)?;
        }
    }
    check_memory(setup, program, archive.finish()?.len() as u64)?;

    deb::install(paths, deb::QEMU)?;
    let kernel = kernel(paths, setup.kernel, Build::Release)?;
    let features: &[&str] = match setup.spawn_meter {
        true => &["root-server/spawn-meter"],
        false => &[],
    };
    let servers = guest::build(
        paths,
        &["root-server", "net-server", "vfs-server"],
        features,
    )?;
    let read = |name: &str| {
        let path = servers.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    archive.program("sbin/net-server", read("net-server")?)?;
    archive.program("sbin/vfs-server", read("vfs-server")?)?;
    Ok(Machine {
        kernel: kernel.elf32,
        image: image::append(&read("root-server")?, &archive.finish()?)?,
        memory: setup.memory,
        cores: 1,
        icount: setup.icount,
        network: setup.network,
        plugin: None,
        forwards: setup.forwards.clone(),
    })
}

/// A kernel, built if it is not in the cache.
pub fn kernel(paths: &Paths, kernel: Kernel, variant: impl Into<Variant>) -> Result<Built> {
    deb::install(paths, deb::KERNEL)?;
    kernel_ext::build(kernel, variant, &paths.cache().join("kernel"), &mut say)
}

fn boot_config(setup: &Setup, program: &Ready) -> Result<Vec<u8>> {
    let mut config = BootConfig::default();
    let path = format!("/bin/{}", program.name);
    // The fast kernel is used as the queue kernel is.
    let kernel = match setup.kernel {
        Kernel::Queue | Kernel::Fast => Kernel::Queue,
        Kernel::Stock => Kernel::Stock,
    };
    config.set("kernel", kernel.to_string().as_bytes())?;
    config.set("program", path.as_bytes())?;
    config.set("arg", path.as_bytes())?;
    for arg in &setup.args {
        config.set("arg", arg.as_bytes())?;
    }
    if setup.network {
        config.set("net", NETWORK.as_bytes())?;
    }
    if setup.stats {
        config.set("stats", b"1")?;
    }
    if setup.terminal {
        config.set("terminal", b"1")?;
    }
    if setup.below {
        config.set("below", b"1")?;
    }
    if let Some(program) = &setup.trace {
        config.set("trace", program.as_bytes())?;
    }
    if setup.meter {
        config.set("meter", b"1")?;
    }
    // Counted instructions are to be the same in each run: nothing of the host's time gets in.
    if !setup.icount {
        config.set("ask_time", b"1")?;
    }
    Ok(config.bytes())
}

/// Refuses at once what the root server would refuse after booting.
fn check_memory(setup: &Setup, program: &Ready, archive: u64) -> Result<()> {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let needed = mib(program.memory) + mib(archive) + RESERVE;
    if needed > u64::from(setup.memory) {
        bail!(
            "{} needs {} MiB of memory, with its files and the system {needed} MiB, and the machine has {}: give it more with --mem",
            program.name,
            mib(program.memory),
            setup.memory
        );
    }
    Ok(())
}
