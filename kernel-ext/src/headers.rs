// SPDX-License-Identifier: GPL-2.0-only
//! The headers that are generated from XML: invocation labels and system-call
//! numbers. The kernel's own generators for them need a template package that
//! Debian does not have.

use anyhow::{Context, Result, ensure};

use crate::interface::{Interface, tags};

/// A generated header: its path below the folder of generated files, and its text.
pub(crate) type Header = (&'static str, String);

/// The three headers of invocation labels. Each numbers on from the one before.
pub(crate) fn invocations(interface: &Interface) -> Result<[Header; 3]> {
    let paths = [
        "api/invocation.h",
        "arch/api/sel4_invocation.h",
        "arch/api/invocation.h",
    ];
    chain(interface, paths)
}

/// The same labels for libsel4, whose first header includes the others.
pub(crate) fn client_invocations(interface: &Interface) -> Result<[Header; 3]> {
    let paths = [
        "sel4/invocation.h",
        "sel4/sel4_arch/invocation.h",
        "sel4/arch/invocation.h",
    ];
    let mut headers = chain(interface, paths)?;
    for (_, text) in &mut headers {
        // The kernel's own files include it first; a program's need not.
        text.insert_str(0, "#include <autoconf.h>\n");
    }
    headers[0].1 += "#include <sel4/arch/invocation.h>\n";
    Ok(headers)
}

fn chain(interface: &Interface, paths: [&'static str; 3]) -> Result<[Header; 3]> {
    let [all, sel4_arch, arch] = paths;
    let ends = [
        "nInvocationLabels",
        "nSeL4ArchInvocationLabels",
        "nArchInvocationLabels",
    ];
    Ok([
        (
            all,
            labels(&interface.sel4, "", "InvalidInvocation", ends[0], "")?,
        ),
        (
            sel4_arch,
            labels(&interface.sel4_arch, all, "", ends[1], ends[0])?,
        ),
        (
            arch,
            labels(&interface.arch, sel4_arch, "", ends[2], ends[1])?,
        ),
    ])
}

/// One enum with the methods of `xml`, from `first` or from the value `from`,
/// to `end`.
fn labels(xml: &str, include: &str, first: &str, end: &str, from: &str) -> Result<String> {
    let mut text = guard(end);
    if !include.is_empty() {
        text += &format!("#include <{include}>\n");
    }
    // The first enumerator alone has a value.
    let mut value = match from {
        "" => String::new(),
        _ => format!(" = {from}"),
    };
    let tag = end.trim_start_matches('n');
    text += &format!("enum {tag} {{\n");
    if !first.is_empty() {
        text += &format!("    {first},\n");
    }
    for method in tags(xml)?.iter().filter(|t| t.name() == "method") {
        let label = method.attribute("id").context("a method without an id")?;
        let value = std::mem::take(&mut value);
        match method.attribute("condition") {
            Some(condition) => {
                ensure!(value.is_empty(), "{label}: the first label has a condition");
                text += &format!("#if {condition}\n    {label},\n#endif\n");
            }
            None => text += &format!("    {label}{value},\n"),
        }
    }
    text += &format!("    {end}{value}\n}};\n#endif\n");
    Ok(text)
}

/// The header of system-call numbers. (The assembler names that the kernel's
/// own generator also makes are used on ARM only.)
pub(crate) fn syscalls(xml: &str) -> Result<Header> {
    let Syscalls {
        enumerators,
        names,
        last_api,
    } = Syscalls::read(xml, "Sys")?;
    let text = guard("ARCH_API_SYSCALL")
        + &format!("#define SYSCALL_MAX (-1)\n#define SYSCALL_MIN ({last_api})\n")
        + &format!("#ifndef __ASSEMBLER__\nenum syscall {{\n{enumerators}}};\n")
        + "typedef word_t syscall_t;\n"
        + "#ifdef CONFIG_DEBUG_BUILD\n"
        + &format!("static char *syscall_names[] UNUSED = {{\n{names}}};\n#endif\n#endif\n")
        + "#endif\n";
    Ok(("arch/api/syscall.h", text))
}

/// The same numbers for libsel4.
pub(crate) fn client_syscalls(xml: &str) -> Result<Header> {
    let enumerators = Syscalls::read(xml, "seL4_Sys")?.enumerators;
    let text = guard("LIBSEL4_SYSCALL")
        + "#include <autoconf.h>\n#include <sel4/macros.h>\n"
        + &format!("typedef enum {{\n{enumerators}    SEL4_FORCE_LONG_ENUM(seL4_Syscall_ID)\n")
        + "} seL4_Syscall_ID;\n#endif\n";
    Ok(("sel4/syscall.h", text))
}

struct Syscalls {
    /// Lines of an enum.
    enumerators: String,
    /// Lines of an array of those of every kernel.
    names: String,
    /// The last number that every kernel has.
    last_api: i32,
}

impl Syscalls {
    /// The enumerators' names begin with `prefix`.
    fn read(xml: &str, prefix: &str) -> Result<Syscalls> {
        let mut enumerators = String::new();
        let mut names = String::new();
        let mut conditional = false;
        let mut in_api = true;
        let mut last_api = 0;
        let mut number = 0;
        for tag in tags(xml)? {
            match tag.name() {
                "debug" => in_api = false,
                "config" => {
                    if std::mem::take(&mut conditional) {
                        enumerators += "#endif\n";
                    }
                    if let Some(condition) = tag.attribute("condition") {
                        ensure!(!in_api, "a system call of every kernel has a condition");
                        enumerators += &format!("#if {condition}\n");
                        conditional = true;
                    }
                }
                "syscall" => {
                    let name = tag.attribute("name").context("a syscall without a name")?;
                    number -= 1;
                    enumerators += &format!("    {prefix}{name} = {number},\n");
                    if in_api {
                        last_api = number;
                        names += &format!("    [{}] = \"{name}\",\n", -number);
                    }
                }
                _ => {}
            }
        }
        if conditional {
            enumerators += "#endif\n";
        }
        Ok(Syscalls {
            enumerators,
            names,
            last_api,
        })
    }
}

fn guard(name: &str) -> String {
    let name = name.to_uppercase();
    format!("/* Generated from XML by kernel-ext. */\n#ifndef __{name}_H\n#define __{name}_H\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_continue_and_keep_conditions() {
        let interface = Interface {
            sel4: "<api><method id=\"A\"/><method id=\"B\" condition=\"defined(X)\"/></api>".into(),
            sel4_arch: "<api><method id=\"C\"></method></api>".into(),
            arch: "<api></api>".into(),
        };
        let [(_, a), (_, b), (_, c)] = invocations(&interface).unwrap();
        assert!(a.contains("    InvalidInvocation,\n    A,\n#if defined(X)\n    B,\n#endif\n"));
        assert!(b.contains("    C = nInvocationLabels,\n    nSeL4ArchInvocationLabels\n"));
        assert!(c.contains("    nArchInvocationLabels = nSeL4ArchInvocationLabels\n"));
    }

    #[test]
    fn syscalls_count_down() {
        let xml = "<s><api><config><syscall name=\"Call\"/><syscall name=\"NBSend\"/></config></api>\
                   <debug><config condition=\"defined D\"><syscall name=\"Halt\"/></config></debug></s>";
        let (_, text) = syscalls(xml).unwrap();
        assert!(text.contains("#define SYSCALL_MIN (-2)\n"));
        assert!(text.contains("#if defined D\n    SysHalt = -3,\n#endif\n"));
    }
}
