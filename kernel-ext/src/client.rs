// SPDX-License-Identifier: GPL-2.0-only
//! The C bindings of a kernel: libsel4's headers, with those that are generated
//! from the interface XML and the bit-field descriptions.
//!
//! libsel4's own generators make the stubs and the bit fields. Those of the
//! labels and system-call numbers need a package that Debian does not have, so
//! they are made here, as the kernel's are.

use std::path::Path;

use anyhow::{Context, Result};

use crate::compile::{Built, write};
use crate::config;
use crate::headers;
use crate::interface::{self, Interface};
use crate::kernel::Variant;
use crate::tools::Tool;
use crate::tree::Tree;

/// Folder of the headers, below that of the build.
pub(crate) const FOLDER: &str = "include";

/// Folders of libsel4 whose headers are put together in one.
const HEADERS: [&str; 4] = [
    "libsel4/include",
    "libsel4/arch_include/x86",
    "libsel4/sel4_arch_include/x86_64",
    "libsel4/sel4_plat_include/pc99",
];

/// Bit-field descriptions of libsel4, and the headers that are made of them.
const BITFIELDS: [(&str, &str); 3] = [
    ("libsel4/include/sel4/types_64.bf", "sel4/types_gen.h"),
    (
        "libsel4/include/sel4/shared_types_64.bf",
        "sel4/shared_types_gen.h",
    ),
    (
        "libsel4/sel4_arch_include/x86_64/sel4/sel4_arch/types.bf",
        "sel4/sel4_arch/types_gen.h",
    ),
];

/// A description that others include.
const SHARED: &str = "libsel4/arch_include/x86/sel4/arch/shared_types.bf";

const STUB_GENERATOR: &str = "libsel4/tools/syscall_stub_gen.py";

/// Stubs are inline functions unless the program wants symbols.
const INLINE: &str = "#ifndef CONFIG_LIB_SEL4_PUBLIC_SYMBOLS
#define CONFIG_LIB_SEL4_INLINE_INVOCATIONS 1
#endif
";

/// Compiles a C file against the headers of a kernel and links it, alone, to a
/// program that begins at `_start`. Any warning is an error.
pub fn compile_c(built: &Built, source: &Path, program: &Path) -> Result<()> {
    Tool::new("gcc", &built.dir)
        .words("-m64 -O2 -Wall -Wextra -Werror -DNDEBUG -nostdinc -I")
        .arg(&built.include)
        .words("-ffreestanding -fno-stack-protector -fcf-protection=none -fno-pic -mno-red-zone")
        .words("-nostdlib -static -no-pie -e _start -Wl,--build-id=none,-z,noexecstack")
        .arg(source)
        .arg("-o")
        .arg(program)
        .run()?;
    Ok(())
}

/// Writes the headers for C programs of this kernel into folder `include` of
/// `dir`, in which `tools/bitfield_gen.py` must be ready to run.
pub(crate) fn write_headers(tree: &Tree, variant: Variant, dir: &Path) -> Result<()> {
    let save = |path: &str, text: &str| write(&dir.join(FOLDER).join(path), text);
    for folder in HEADERS {
        for path in tree.files(&[folder])? {
            if path.ends_with(".h") {
                save(&path[folder.len() + 1..], &tree.read(&path)?)?;
            }
        }
    }
    save("autoconf.h", &(config::autoconf(variant) + INLINE))?;
    let syscalls = headers::client_syscalls(&tree.read("include/api/syscall.xml")?)?;
    let invocations = headers::client_invocations(&Interface::of(tree)?)?;
    for (path, text) in invocations.into_iter().chain([syscalls]) {
        save(path, &text)?;
    }
    bitfields(tree, dir)?;
    stubs(tree, dir)
}

fn bitfields(tree: &Tree, dir: &Path) -> Result<()> {
    write(
        &dir.join("client/sel4/arch/shared_types.bf"),
        &tree.read(SHARED)?,
    )?;
    for (source, header) in BITFIELDS {
        let name = header.replace('/', "_");
        let description = format!("client/{name}.bf");
        write(&dir.join(&description), &tree.read(source)?)?;
        let text = Tool::new("cpp", dir)
            .words("-nostdinc -P -Iinclude -Iclient")
            .arg(&description)
            .text()?;
        let expanded = format!("client/{name}.pbf");
        write(&dir.join(&expanded), &text)?;
        Tool::new("python3", dir)
            .words("-B -E -s tools/bitfield_gen.py --environment libsel4")
            .args([expanded, format!("{FOLDER}/{header}")])
            .run()?;
    }
    Ok(())
}

fn stubs(tree: &Tree, dir: &Path) -> Result<()> {
    write(
        &dir.join("tools/syscall_stub_gen.py"),
        &tree.read(STUB_GENERATOR)?,
    )?;
    let mut xml = Vec::new();
    for source in interface::FILES {
        let copy = format!("client/{source}");
        write(&dir.join(&copy), &tree.read(source)?)?;
        xml.push(copy);
    }
    let parent = dir.join(FOLDER).join("interfaces");
    std::fs::create_dir_all(&parent)
        .with_context(|| format!("cannot create {}", parent.display()))?;
    Tool::new("python3", dir)
        .words("-B -E -s tools/syscall_stub_gen.py -a x86_64 -w 64")
        .args(["-o", &format!("{FOLDER}/interfaces/sel4_client.h")])
        .args(xml)
        .run()?;
    Ok(())
}
