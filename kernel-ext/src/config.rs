// SPDX-License-Identifier: GPL-2.0-only
//! The configuration, the same for both kernels.

use crate::kernel::{Build, Variant};

/// What every build has. Without a value: 1.
const OPTIONS: &[&str] = &[
    // What machine: x86_64, legacy-free interrupt controllers.
    "HAVE_FPU",
    "WORD_SIZE 64",
    "ARCH_X86",
    "ARCH_X86_64",
    "X86_64",
    "PLAT_PC99",
    "KERNEL_MASTER",
    "CACHE_LN_SZ 64",
    "IRQ_IOAPIC",
    "MAX_NUM_IOAPIC 1",
    "XAPIC",
    "SYSCALL",
    "FXSAVE",
    "XSAVE_SIZE 512",
    // Not FSGSBASE_INST: any `-cpu` will do, and a user's own `wrfsbase` would
    // be lost at the next thread switch.
    "FSGSBASE_MSR",
    "MULTIBOOT_GRAPHICS_MODE_NONE",
    // How much of everything.
    "ROOT_CNODE_SIZE_BITS 16",
    "TIMER_TICK_MS 2",
    "TIME_SLICE 5",
    "RETYPE_FAN_OUT_LIMIT 256",
    "MAX_NUM_WORK_UNITS_PER_PREEMPTION 100",
    "MAX_NUM_BOOTINFO_UNTYPED_CAPS 166",
    "NUM_DOMAINS 1",
    "NUM_PRIORITIES 256",
    "KERNEL_STACK_BITS 12",
    "FPU_MAX_RESTORES_SINCE_SWITCH 64",
    // How it is compiled.
    "FASTPATH",
    "OPTIMISATION_O2",
    "NO_BENCHMARKS",
];

/// What a debug build has on top.
const DEBUG_OPTIONS: &[&str] = &[
    "DEBUG_BUILD",
    "PRINTING",
    "IRQ_REPORTING",
    "USER_STACK_TRACE_LENGTH 16",
];

/// Macros given on the command line, as the kernel's own build does.
const DEFINES: &[&str] = &[
    "HAVE_AUTOCONF",
    "ARCH_X86",
    "X86_64",
    "__KERNEL_64__",
    "KERNEL_64=y",
    "__X86_64__=y",
    "FASTPATH",
];

const DEBUG_DEFINES: &[&str] = &["DEBUG", "ASSERT"];

/// The text of `autoconf.h`.
pub(crate) fn autoconf(variant: Variant) -> String {
    let mut text = String::from("#ifndef AUTOCONF_H\n#define AUTOCONF_H\n");
    text += &format!("#define CONFIG_MAX_NUM_NODES {}\n", variant.cores);
    for option in pick(variant.build, OPTIONS, DEBUG_OPTIONS) {
        let (name, value) = option.split_once(' ').unwrap_or((option, "1"));
        text += &format!("#define CONFIG_{name} {value}\n");
    }
    text += "#endif\n";
    text
}

/// The `-D` flags.
pub(crate) fn defines(build: Build) -> Vec<String> {
    pick(build, DEFINES, DEBUG_DEFINES)
        .map(|name| format!("-D{name}"))
        .collect()
}

fn pick<'a>(build: Build, all: &'a [&str], debug: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let more = match build {
        Build::Release => &[],
        Build::Debug => debug,
    };
    all.iter().chain(more).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debug_prints() {
        let [release, debug] = [Build::Release, Build::Debug].map(Variant::from);
        assert!(!autoconf(release).contains("PRINTING"));
        assert!(autoconf(debug).contains("#define CONFIG_PRINTING 1\n"));
        assert!(autoconf(release).contains("#define CONFIG_TIME_SLICE 5\n"));
        assert!(autoconf(release).contains("#define CONFIG_MAX_NUM_NODES 1\n"));
        assert!(autoconf(release.cores(2)).contains("#define CONFIG_MAX_NUM_NODES 2\n"));
    }
}
