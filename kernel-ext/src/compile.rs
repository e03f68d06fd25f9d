// SPDX-License-Identifier: GPL-2.0-only
//! Builds a kernel, or finds it in the cache.
//!
//! The kernel is one translation unit (all C files in one), as its own build
//! makes it. Every path in a command is relative to the folder of the build, so
//! the same input gives the same bytes wherever that folder is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::client;
use crate::config;
use crate::headers;
use crate::interface::Interface;
use crate::kernel::{Build, Kernel, Variant};
use crate::mutants::Mutant;
use crate::numbers;
use crate::source;
use crate::tools::{self, Tool};
use crate::tree::Tree;

/// A kernel that is built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The folder of the build: the kernels, the sources that went into them
    /// and what the compiler said.
    pub dir: PathBuf,
    /// The kernel, a 64-bit ELF with symbols.
    pub elf: PathBuf,
    /// The same as a 32-bit ELF, which is what QEMU's `-kernel` boots.
    pub elf32: PathBuf,
    /// The folder of headers for C programs of this kernel: `<sel4/sel4.h>`, for gcc.
    pub include: PathBuf,
}

/// Part of the cache's key: what this crate does with the sources.
const RECIPE: [&str; 5] = [
    include_str!("client.rs"),
    include_str!("compile.rs"),
    include_str!("config.rs"),
    include_str!("headers.rs"),
    include_str!("numbers.rs"),
];

const INCLUDE_FOLDERS: [&str; 6] = [
    "include",
    "include/arch/x86",
    "include/arch/x86/arch/64",
    "include/plat/pc99",
    "include/plat/pc99/plat/64",
    "include/64",
];

/// Bit-field descriptions, and the headers that are made of them.
const BITFIELDS: [(&str, &str); 3] = [
    (
        "include/64/mode/api/shared_types.bf",
        "mode/api/shared_types_gen.h",
    ),
    (
        "include/arch/x86/arch/object/structures.bf",
        "arch/object/structures_gen.h",
    ),
    (
        "include/plat/pc99/plat/64/plat_mode/machine/hardware.bf",
        "plat_mode/machine/hardware_gen.h",
    ),
];

/// Folders whose C files, not those of their subfolders, are compiled.
const SOURCE_FOLDERS: [&str; 16] = [
    "src",
    "src/api",
    "src/fastpath",
    "src/kernel",
    "src/machine",
    "src/model",
    "src/object",
    "src/arch/x86",
    "src/arch/x86/api",
    "src/arch/x86/kernel",
    "src/arch/x86/machine",
    "src/arch/x86/model",
    "src/arch/x86/object",
    "src/plat/pc99/machine",
    "src/smp",
    "src/config",
];

/// Those of 64-bit x86, with subfolders.
const SOURCE_FOLDER_64: &str = "src/arch/x86/64/";

const ASSEMBLER: [&str; 4] = [
    "src/arch/x86/multiboot.S",
    "src/arch/x86/64/machine_asm.S",
    "src/arch/x86/64/traps.S",
    "src/arch/x86/64/head.S",
];

const LINKER_SCRIPT: &str = "src/plat/pc99/linker.lds";

/// Two of these are for gcc 12: it makes `memset` a call to itself without
/// `-fno-tree-loop-distribute-patterns`, and warns of every device register in
/// the first page without `--param=min-pagesize=0`.
const C_FLAGS: &str = "-std=c99 -m64 -O2 -nostdlib -nostdinc -ffreestanding \
    -fno-asynchronous-unwind-tables -fno-pic -fno-pie -fno-stack-protector \
    -mno-mmx -mno-sse -mno-sse2 -mno-3dnow -mno-red-zone -mcmodel=kernel \
    -fcf-protection=none -fno-tree-loop-distribute-patterns --param=min-pagesize=0 -fstack-usage \
    -Wall -Wstrict-prototypes -Wmissing-prototypes -Wnested-externs \
    -Wmissing-declarations -Wundef -Wpointer-arith -Wno-nonnull";

const LINK_FLAGS: &str = "-nostdlib -static -no-pie -Wl,--build-id=none \
    -Wl,-z,noexecstack,--no-warn-rwx-segments -Wl,-T,linker.lds_pp -Wl,-n";

/// Builds `kernel`, or finds it under `cache_dir`, and tells `log` of each
/// step that takes time. Several threads and processes may build the same one at once.
///
/// `variant` is a [`Build`] for one core, or a [`Variant`].
pub fn build(
    kernel: Kernel,
    variant: impl Into<Variant>,
    cache_dir: &Path,
    log: &mut dyn FnMut(&str),
) -> Result<Built> {
    build_tree(&Tree::new(kernel)?, kernel, variant.into(), cache_dir, log)
}

/// The queue kernel, or the fast one if that has the place, broken in one place; the same otherwise.
pub fn build_mutant(
    mutant: &Mutant,
    build: Build,
    cache_dir: &Path,
    log: &mut dyn FnMut(&str),
) -> Result<Built> {
    let mut tree = Tree::new(mutant.kernel())?;
    tree.mutate(mutant)?;
    build_tree(&tree, mutant.kernel(), build.into(), cache_dir, log)
}

fn build_tree(
    tree: &Tree,
    kernel: Kernel,
    variant: Variant,
    cache_dir: &Path,
    log: &mut dyn FnMut(&str),
) -> Result<Built> {
    let versions = tools::versions()?;
    let key = key(tree, variant, &versions);
    let name = format!("{kernel}-{variant}-{}", &key[..16]);
    let dir = cache_dir.join(&name);
    let built = Built {
        elf: dir.join("kernel.elf"),
        elf32: dir.join("kernel32.elf"),
        include: dir.join(client::FOLDER),
        dir,
    };
    // The folder appears by a rename when all is in it.
    if built.dir.is_dir() {
        return Ok(built);
    }
    log(&format!("building the {kernel} kernel ({variant})"));
    // Threads of one process, such as tests, each have their own.
    static BUILDS: AtomicUsize = AtomicUsize::new(0);
    let nth = BUILDS.fetch_add(1, Ordering::Relaxed);
    let work = cache_dir.join(format!(".{name}.{}.{nth}", process::id()));
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot clear {}", work.display()))?;
    }
    fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    let work = work.canonicalize()?;
    let result = Workshop {
        tree,
        variant,
        dir: &work,
    }
    .run()
    .with_context(|| format!("the {kernel} kernel ({variant}) does not build"));
    let renamed = result.and_then(|()| match fs::rename(&work, &built.dir) {
        // Somebody else was faster.
        Err(_) if built.elf32.is_file() => Ok(()),
        other => other.with_context(|| format!("cannot create {}", built.dir.display())),
    });
    if work.exists() {
        // A left-over folder is only waste: report the build's own result.
        let _ = fs::remove_dir_all(&work);
    }
    renamed?;
    Ok(built)
}

/// Stands before the sources, of which no byte changes. `restore_user_context` rounds the stack pointer down to the stack's size, but 5.0.0
/// aligns the stack on x86_64 to 16 bytes only. Two interrupts pending at one kernel exit then make the
/// kernel run on whatever lies below its stack: the interrupt descriptor table, here.
const STACK_ALIGNMENT: &str =
    "extern char kernel_stack_alloc[1][4096] __attribute__((aligned(4096)));\n";

/// Hash of everything that a build depends on.
fn key(tree: &Tree, variant: Variant, versions: &str) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    RECIPE.iter().for_each(|text| add(text));
    add(&variant.to_string());
    add(versions);
    add(source::DIGEST);
    for (path, text) in tree.changed() {
        add(path);
        add(text);
    }
    format!("{:x}", hash.finalize())
}

/// One build, in a folder of its own.
struct Workshop<'a> {
    tree: &'a Tree,
    variant: Variant,
    dir: &'a Path,
}

impl Workshop<'_> {
    fn run(&self) -> Result<()> {
        self.copy_sources()?;
        self.generate_headers()?;
        self.generate_bitfields()?;
        self.compile()?;
        self.link()?;
        client::write_headers(self.tree, self.variant, self.dir)?;
        numbers::write(self.dir, &self.preprocessor())
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        write(&self.dir.join(path), text)
    }

    fn tool(&self, name: &str) -> Tool {
        Tool::new(name, self.dir)
    }

    /// `-D` and `-I` flags. The generated headers come first: the published
    /// source carries an `autoconf.h` of another configuration.
    fn preprocessor(&self) -> Vec<String> {
        let mut flags = config::defines(self.variant.build);
        flags.push("-Igen".into());
        flags.extend(INCLUDE_FOLDERS.map(|folder| format!("-Isource/{folder}")));
        flags
    }

    fn copy_sources(&self) -> Result<()> {
        for path in self.tree.files(&["include", "src"])? {
            self.write(&format!("source/{path}"), &self.tree.read(&path)?)?;
        }
        Ok(())
    }

    fn generate_headers(&self) -> Result<()> {
        self.write("gen/autoconf.h", &config::autoconf(self.variant))?;
        let syscalls = headers::syscalls(&self.tree.read("include/api/syscall.xml")?)?;
        let invocations = headers::invocations(&Interface::of(self.tree)?)?;
        for (path, text) in invocations.into_iter().chain([syscalls]) {
            self.write(&format!("gen/{path}"), &text)?;
        }
        Ok(())
    }

    /// Runs the kernel's own generator on a bare Python: of the two packages
    /// that it imports, one comes with the locked source and of the other it
    /// uses one name.
    fn generate_bitfields(&self) -> Result<()> {
        for name in ["bitfield_gen.py", "lex.py", "umm.py"] {
            let text = self.tree.read(&format!("tools/{name}"))?;
            self.write(&format!("tools/{name}"), &text)?;
        }
        let yacc = source::source()?.join("../tools/yacc.py");
        let yacc = fs::read_to_string(&yacc).context("cannot read the source's tools/yacc.py")?;
        self.write("tools/ply/yacc.py", &yacc)?;
        self.write("tools/ply/__init__.py", "")?;
        self.write("tools/six/__init__.py", "")?;
        self.write("tools/six/moves.py", "from builtins import range\n")?;
        for (source, header) in BITFIELDS {
            let description = self
                .tool("cpp")
                .arg("-nostdinc")
                .args(self.preprocessor())
                .arg("-P")
                .arg(format!("source/{source}"))
                .text()?;
            let expanded = format!("gen/{}", header.replace("_gen.h", ".pbf"));
            self.write(&expanded, &description)?;
            self.tool("python3")
                .words("-B -E -s tools/bitfield_gen.py")
                .args([expanded, format!("gen/{header}")])
                .run()?;
        }
        Ok(())
    }

    fn compile(&self) -> Result<()> {
        let mut all = STACK_ALIGNMENT
            .replace("[1]", &format!("[{}]", self.variant.cores))
            .to_string();
        for path in self.c_sources()? {
            all += &format!("#line 1 \"{path}\"\n{}", self.tree.read(&path)?);
        }
        self.write("kernel_all.c", &all)?;
        // Debug information names the folder in which the compiler ran.
        let debug = match self.variant.build {
            Build::Debug => vec![
                "-ggdb".to_string(),
                format!("-ffile-prefix-map={}=.", self.dir.display()),
            ],
            Build::Release => vec![],
        };
        let compiled = self
            .tool("gcc")
            .words(C_FLAGS)
            // The kernel for several cores counts bits, and links no library that could.
            .words(if self.variant.cores > 1 {
                "-mpopcnt"
            } else {
                ""
            })
            .args(debug)
            .args(self.preprocessor())
            .words("-c kernel_all.c -o kernel.o")
            .run()?;
        self.write("warnings.txt", &String::from_utf8_lossy(&compiled.stderr))?;
        for path in ASSEMBLER {
            self.tool("gcc")
                .words("-m64 -Wa,--64 -nostdinc -D__ASSEMBLER__")
                .args(self.preprocessor())
                .arg("-c")
                .arg(format!("source/{path}"))
                .args(["-o", &object(path)])
                .run()?;
        }
        Ok(())
    }

    /// The C files of this machine, sorted, as the kernel's build has them.
    fn c_sources(&self) -> Result<Vec<String>> {
        let chosen = |path: &String| {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            path.ends_with(".c")
                && (SOURCE_FOLDERS.contains(&folder) || path.starts_with(SOURCE_FOLDER_64))
        };
        let mut sources = Vec::from_iter(self.tree.files(&["src"])?.into_iter().filter(chosen));
        if self.variant.build == Build::Release {
            // It describes the system's state on the serial line.
            sources.retain(|path| path != "src/arch/x86/machine/capdl.c");
        }
        Ok(sources)
    }

    fn link(&self) -> Result<()> {
        let script = self
            .tool("cpp")
            .arg("-nostdinc")
            .args(self.preprocessor())
            .words("-P -x c")
            .arg(format!("source/{LINKER_SCRIPT}"))
            .text()?;
        self.write("linker.lds_pp", &script)?;
        self.tool("gcc")
            .words(LINK_FLAGS)
            .words("-o kernel.elf kernel.o")
            .args(ASSEMBLER.map(object))
            .run()?;
        self.tool("objcopy")
            .words("-O elf32-i386 kernel.elf kernel32.elf")
            .run()?;
        Ok(())
    }
}

/// `src/arch/x86/64/head.S` → `head.o`.
fn object(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.replace(".S", ".o")
}

/// Writes a file and creates the folders that it needs.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let make = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)
    };
    make().with_context(|| format!("cannot write {}", path.display()))
}
