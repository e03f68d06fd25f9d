// SPDX-License-Identifier: GPL-2.0-only
//! Labels and object numbers as the compiler sees them in a kernel's headers.
//!
//! They come from the enums that the kernel was compiled with, not from the XML,
//! so they can tell whether generated bindings are right.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::compile::{self, Built};
use crate::tools::Tool;

/// Headers whose enumerators are listed.
const HEADERS: &str = "#include <autoconf.h>
#include <arch/api/syscall.h>
#include <arch/api/invocation.h>
#include <api/objecttype.h>
#include <mode/api/objecttype.h>
#include <arch/api/objecttype.h>
#include <api/errors.h>
";

/// Macros that are listed where they are defined.
const MACROS: [&str; 5] = [
    "seL4_TCBBits",
    "seL4_EndpointBits",
    "seL4_NotificationBits",
    "seL4_NotificationQueueBits",
    "seL4_SlotBits",
];

const FILE: &str = "numbers.tsv";

/// Invocation labels (`TCBSuspend`), object types (`seL4_TCBObject`), error
/// codes (`seL4_RangeError`), system calls (`SysCall`, as two's complement) and
/// object sizes (`seL4_TCBBits`) of a built kernel.
pub fn numbers(built: &Built) -> Result<BTreeMap<String, u64>> {
    let path = built.dir.join(FILE);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .map(|line| {
            let (name, value) = line.split_once('\t').context("a line without a tab")?;
            Ok((name.to_string(), value.parse::<i64>()? as u64))
        })
        .collect::<Result<_>>()
        .with_context(|| format!("{} is damaged", path.display()))
}

/// Evaluates the numbers with the compiler and writes them down.
pub(crate) fn write(dir: &Path, preprocessor: &[String]) -> Result<()> {
    compile::write(&dir.join("names.c"), HEADERS)?;
    let text = Tool::new("cpp", dir)
        .args(preprocessor)
        .words("-nostdinc -P names.c")
        .text()?;
    let mut probe = format!("#include <types.h>\n{HEADERS}#include <api/constants.h>\n");
    probe += "#define NUMBER(n) __asm__(\"#number \" #n \" %c0\" : : \"i\" (n))\n";
    probe += "void numbers(void);\nvoid numbers(void)\n{\n";
    for name in enumerators(&text) {
        probe += &format!("    NUMBER({name});\n");
    }
    for name in MACROS {
        probe += &format!("#ifdef {name}\n    NUMBER({name});\n#endif\n");
    }
    probe += "}\n";
    compile::write(&dir.join("numbers.c"), &probe)?;
    let assembler = Tool::new("gcc", dir)
        .args(preprocessor)
        .words("-std=gnu99 -w -nostdinc -ffreestanding -S numbers.c -o -")
        .text()?;
    let mut table = String::new();
    for line in assembler.lines() {
        if let Some((name, value)) = line
            .trim()
            .strip_prefix("#number ")
            .and_then(|l| l.split_once(' '))
        {
            table += &format!("{name}\t{value}\n");
        }
    }
    compile::write(&dir.join(FILE), &table)
}

/// The names in every `enum { ... }` of a preprocessed text.
fn enumerators(text: &str) -> BTreeSet<&str> {
    let bodies = text
        .split("enum ")
        .skip(1)
        .filter_map(|rest| rest.split_once('{')?.1.split_once('}'));
    bodies
        .flat_map(|(body, _)| body.split(','))
        .map(|item| item.split('=').next().unwrap_or("").trim())
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enumerators_of_every_enum() {
        let text = "typedef enum a { X = 1,\n Y,\n} a_t; int z; enum { Z }; ";
        assert_eq!(Vec::from_iter(enumerators(text)), ["X", "Y", "Z"]);
    }
}
