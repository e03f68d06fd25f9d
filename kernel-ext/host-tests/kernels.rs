// SPDX-License-Identifier: GPL-2.0-only
//! Both kernels, built: what must differ between them, and what must not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kernel_ext::{Build, Built, Kernel, build, numbers};
use sel4_bindings::invocations::{LABELS, OBJECTS};
use sel4_bindings::kernel::Numbered;

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels")
}

/// A kernel, built once for all tests here.
fn built(kernel: Kernel, how: Build) -> &'static Built {
    static BUILT: [OnceLock<Built>; 6] = [const { OnceLock::new() }; 6];
    let index = kernel as usize * 2 + how as usize;
    BUILT[index].get_or_init(|| build(kernel, how, &cache(), &mut |_| ()).unwrap())
}

fn objdump(built: &Built, args: &[&str]) -> String {
    let output = Command::new("objdump")
        .args(args)
        .arg(&built.elf)
        .output()
        .expect("objdump is missing: install Debian package binutils");
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Names of what lies in the kernel, by address.
fn symbols(built: &Built) -> BTreeMap<u64, String> {
    let table = objdump(built, &["-t"]);
    let mut symbols = BTreeMap::new();
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let (Some(address), Some(name)) = (words.first(), words.last())
            && words.len() >= 5
            && let Ok(address) = u64::from_str_radix(address, 16)
            && !name.starts_with('.')
        {
            symbols.insert(address, name.to_string());
        }
    }
    symbols
}

/// Instructions of a function, with names in the place of addresses.
fn instructions(built: &Built, function: &str) -> Vec<String> {
    let symbols = symbols(built);
    let end = symbols.keys().next_back().copied().unwrap_or(0);
    let named = |address: u64| match symbols.range(..=address).next_back() {
        Some((start, name)) if address < end => format!("<{name}+{:#x}>", address - start),
        // Not an address: a mask, say.
        _ => format!("{address:#x}"),
    };
    let text = objdump(
        built,
        &[
            "-d",
            "--no-show-raw-insn",
            &format!("--disassemble={function}"),
        ],
    );
    let mut instructions = Vec::new();
    for line in text.lines() {
        let Some((address, instruction)) = line.split_once(":\t") else {
            continue;
        };
        if u64::from_str_radix(address.trim(), 16).is_err() {
            continue;
        }
        // What follows `#` or `<` is the disassembler's own naming.
        let (instruction, comment) = instruction.split_once('#').unwrap_or((instruction, ""));
        let instruction = instruction.split('<').next().unwrap_or("").trim_end();
        let words = instruction.split_inclusive([' ', ',', '(', ')', '$', '*']);
        let mut text: String = words.map(|word| name_address(word, &named)).collect();
        if let Some(start) = text.find("(%rip)") {
            // Relative to the instruction: the comment has the address.
            let address = comment.split_whitespace().next().unwrap_or("");
            let address = u64::from_str_radix(address, 16).expect("no address in the comment");
            let operand = text[..start].rfind([' ', ',', '*']).map_or(0, |i| i + 1);
            text.replace_range(operand..start, &named(address));
        }
        instructions.push(text);
    }
    instructions
}

/// Where the kernel's own memory begins.
const KERNEL: u64 = 0xffff_ffff_8000_0000;

/// An address in the kernel, as one word of an operand, replaced by a name. As a
/// displacement it is a negative number, and a jump's target has no `0x`.
fn name_address(word: &str, named: &dyn Fn(u64) -> String) -> String {
    let number = word.trim_end_matches([' ', ',', '(', ')', '$', '*']);
    let tail = &word[number.len()..];
    let (digits, negative) = match number.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (number, false),
    };
    let hex = u64::from_str_radix(digits.trim_start_matches("0x"), 16);
    match hex {
        Ok(value) if negative && value.wrapping_neg() >= KERNEL => {
            named(value.wrapping_neg()) + tail
        }
        Ok(value) if !negative && value >= KERNEL => named(value) + tail,
        _ => word.to_string(),
    }
}

#[test]
fn fast_path_is_untouched() {
    for function in ["fastpath_call", "fastpath_reply_recv"] {
        let [queue, stock] = Kernel::ALL.map(|k| instructions(built(k, Build::Release), function));
        assert!(
            stock.len() > 50,
            "{function}: only {} instructions",
            stock.len()
        );
        for (i, (q, s)) in queue.iter().zip(&stock).enumerate() {
            assert_eq!(q, s, "{function}, instruction {i}");
        }
        assert_eq!(queue.len(), stock.len(), "{function}");
    }
}

/// The kernel with the optional fast path has the same one for calls: gcc may lay it out in another way, not
/// in a longer one. `kernel-costs` counts what is executed.
#[test]
fn optional_fast_path_makes_that_of_calls_no_longer() {
    for function in ["fastpath_call", "fastpath_reply_recv"] {
        let [fast, stock] =
            [Kernel::Fast, Kernel::Stock].map(|k| instructions(built(k, Build::Release), function));
        assert!(fast.len() > 50 && fast.len() <= stock.len(), "{function}");
    }
    let there = |kernel| {
        symbols(built(kernel, Build::Release))
            .values()
            .any(|name| name == "fastpath_signal")
    };
    assert!(there(Kernel::Fast) && !there(Kernel::Queue));
}

#[test]
fn bindings_have_the_kernels_numbers() {
    for (kernel, bound) in [
        (Kernel::Queue, sel4_bindings::Kernel::Queue),
        (Kernel::Fast, sel4_bindings::Kernel::Queue),
        (Kernel::Stock, sel4_bindings::Kernel::Stock),
    ] {
        let numbers = numbers(built(kernel, Build::Release)).unwrap();
        let check = |thing: &Numbered| {
            let true_number = numbers.get(thing.name).copied();
            assert_eq!(thing.on(bound), true_number, "{} on {kernel}", thing.name);
        };
        LABELS.iter().for_each(check);
        OBJECTS.iter().for_each(check);
        let labels = LABELS.iter().filter(|l| l.on(bound).is_some()).count() as u64;
        assert_eq!(labels + 1, numbers["nArchInvocationLabels"], "{kernel}");
        let objects = OBJECTS.iter().filter(|o| o.on(bound).is_some()).count() as u64;
        assert_eq!(objects, numbers["seL4_ObjectTypeCount"], "{kernel}");
    }
}

#[test]
fn numbers_of_the_queue_kernel() {
    let queue = numbers(built(Kernel::Queue, Build::Release)).unwrap();
    let stock = numbers(built(Kernel::Stock, Build::Release)).unwrap();
    assert_eq!(queue["SysCall"] as i64, -1);
    assert_eq!(
        (
            queue["seL4_NotificationBits"],
            stock["seL4_NotificationBits"]
        ),
        (6, 5)
    );
    assert_eq!(queue["seL4_NotificationQueueBits"], 7);
    assert!(!stock.keys().any(|name| name.contains("Queue")));
    let debug = numbers(built(Kernel::Queue, Build::Debug)).unwrap();
    assert!(
        debug
            .iter()
            .filter(|(k, _)| !k.starts_with("SysDebug"))
            .eq(&queue)
    );
}

#[test]
fn changes_bring_no_warnings() {
    for how in Build::ALL {
        let [queue, stock, fast] = [Kernel::Queue, Kernel::Stock, Kernel::Fast].map(|kernel| {
            let text = fs::read_to_string(built(kernel, how).dir.join("warnings.txt")).unwrap();
            // Lines of existing files are moved by the hooks.
            let warnings = text.lines().filter_map(|l| l.split_once(": warning: "));
            warnings
                .map(|(_, what)| what.to_string())
                .collect::<Vec<_>>()
        });
        assert_eq!(queue, stock, "{how}");
        assert_eq!(fast, stock, "{how}, fast");
    }
}

#[test]
fn builds_are_reproducible() {
    // Elsewhere, under another name of another length.
    let elsewhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels-once-more");
    if elsewhere.exists() {
        fs::remove_dir_all(&elsewhere).unwrap();
    }
    let mut steps = 0;
    let again = build(Kernel::Queue, Build::Debug, &elsewhere, &mut |_| steps += 1).unwrap();
    assert_eq!(steps, 1);
    let first = built(Kernel::Queue, Build::Debug);
    for (a, b) in [(&first.elf, &again.elf), (&first.elf32, &again.elf32)] {
        assert!(
            fs::read(a).unwrap() == fs::read(b).unwrap(),
            "{} differs",
            a.display()
        );
    }
    build(Kernel::Queue, Build::Debug, &elsewhere, &mut |_| steps += 1).unwrap();
    assert_eq!(steps, 1, "the second time it is found");
    let rest = fs::read_dir(&elsewhere).unwrap().count();
    assert_eq!(rest, 1, "nothing is left behind");
    let text = fs::read(&again.elf).unwrap();
    let path = elsewhere.as_os_str().as_encoded_bytes();
    assert!(
        !text.windows(path.len()).any(|w| w == path),
        "a path of this machine is in it"
    );
}

#[test]
fn only_debug_kernels_print() {
    for kernel in Kernel::ALL {
        let prints = |how| {
            symbols(built(kernel, how))
                .values()
                .any(|name| name == "putConsoleChar")
        };
        assert!(prints(Build::Debug) && !prints(Build::Release), "{kernel}");
    }
}

/// See STACK_ALIGNMENT in compile.rs: otherwise two interrupts at one kernel exit overwrite what lies below the stack.
#[test]
fn the_kernel_stack_is_aligned_to_its_size() {
    for kernel in Kernel::ALL {
        for how in Build::ALL {
            let symbols = symbols(built(kernel, how));
            let stack = symbols
                .iter()
                .find(|(_, name)| *name == "kernel_stack_alloc");
            let (address, _) = stack.expect("the kernel has a stack");
            assert_eq!(address % 4096, 0, "{kernel}: {address:#x}");
        }
    }
}

#[test]
fn builds_at_the_same_time_do_not_spoil_each_other() {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels-at-once");
    if cache.exists() {
        fs::remove_dir_all(&cache).unwrap();
    }
    let build = || build(Kernel::Stock, Build::Release, &cache, &mut |_| ()).unwrap();
    std::thread::scope(|scope| {
        let builds = [(); 3].map(|()| scope.spawn(build));
        for made in builds.map(|thread| thread.join().unwrap()) {
            let reference = built(Kernel::Stock, Build::Release);
            assert_eq!(
                fs::read(&made.elf32).unwrap(),
                fs::read(&reference.elf32).unwrap()
            );
        }
    });
    let left: Vec<_> = fs::read_dir(&cache).unwrap().collect();
    assert_eq!(left.len(), 1, "only the build itself is left");
}
