// SPDX-License-Identifier: GPL-2.0-only
//! The C bindings: gcc takes them, and they have the kernel's numbers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use kernel_ext::{Build, Built, Kernel, Variant, build, compile_c, numbers};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels")
}

fn built(kernel: Kernel, variant: impl Into<Variant>) -> Built {
    // One process builds one thing at a time.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    build(kernel, variant, &folder(), &mut |_| ()).unwrap()
}

/// An object file of `source`, with a symbol for every stub.
fn object(built: &Built, name: &str, source: &str) -> Result<PathBuf, String> {
    let path = folder().join(format!("{name}.c"));
    fs::write(&path, source).unwrap();
    let object = path.with_extension("o");
    let Output { status, stderr, .. } = Command::new("gcc")
        .args(["-Wall", "-Werror", "-DNDEBUG", "-nostdinc", "-c"])
        .arg("-DCONFIG_LIB_SEL4_PUBLIC_SYMBOLS")
        .arg("-I")
        .arg(&built.include)
        .arg(&path)
        .arg("-o")
        .arg(&object)
        .output()
        .expect("gcc is missing: install Debian package gcc");
    match status.success() {
        true => Ok(object),
        false => Err(String::from_utf8_lossy(&stderr).into_owned()),
    }
}

/// The functions in an object file that are those of the queue.
fn queue_stubs(object: &Path) -> Vec<String> {
    let output = Command::new("nm")
        .arg("--defined-only")
        .arg(object)
        .output();
    let output = output.expect("nm is missing: install Debian package binutils");
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).unwrap();
    let names = table.lines().filter_map(|line| line.split(' ').next_back());
    let mut stubs: Vec<String> = names
        .filter_map(|name| name.strip_prefix("seL4_NotificationQueue_"))
        .map(str::to_string)
        .collect();
    stubs.sort();
    stubs
}

#[test]
fn a_c_program_compiles_and_links() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/bindings.c");
    for how in Build::ALL {
        let program = folder().join(format!("bindings-{how}"));
        compile_c(&built(Kernel::Queue, how), &source, &program).unwrap();
    }
    // It is the queue's kernel that it needs.
    let program = folder().join("bindings-stock");
    let error = compile_c(&built(Kernel::Stock, Build::Release), &source, &program);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("seL4_NotificationQueue"), "{error}");
}

#[test]
fn only_the_queue_kernel_has_the_queues_stubs() {
    let source = "#include <sel4/sel4.h>\n";
    for (kernel, stubs) in [
        (Kernel::Queue, &["Attach", "Detach", "SetBuffer"][..]),
        (Kernel::Stock, &[]),
    ] {
        let object = object(
            &built(kernel, Build::Release),
            &format!("stubs-{kernel}"),
            source,
        );
        assert_eq!(queue_stubs(&object.unwrap()), stubs, "{kernel}");
    }
}

/// The compiler compares each number of the kernel's enums with libsel4's: invocation labels,
/// system calls, object types and sizes, errors.
#[test]
fn c_bindings_have_the_kernels_numbers() {
    let variants = [
        (Kernel::Queue, Variant::from(Build::Release)),
        (Kernel::Queue, Variant::from(Build::Debug)),
        (Kernel::Queue, Variant::from(Build::Release).cores(2)),
        (Kernel::Stock, Variant::from(Build::Release)),
    ];
    for (kernel, variant) in variants {
        let built = built(kernel, variant);
        let numbers = numbers(&built).unwrap();
        let queue = numbers.contains_key("NotificationQueueAttach");
        assert_eq!(queue, kernel == Kernel::Queue);
        assert!(numbers.contains_key("nArchInvocationLabels"));
        let mut source = String::from("#include <sel4/sel4.h>\n");
        for (name, number) in &numbers {
            let prefix = if name.starts_with("Sys") { "seL4_" } else { "" };
            let number = *number as i64;
            source += &format!("_Static_assert({prefix}{name} == {number}, \"{name}\");\n");
        }
        let name = format!("numbers-{kernel}-{variant}");
        object(&built, &name, &source).unwrap();
        // And the comparison notices a wrong one.
        let label = numbers["nInvocationLabels"] as i64;
        source += &format!("_Static_assert(nInvocationLabels == {label} + 1, \"wrong\");\n");
        let error = object(&built, &name, &source).unwrap_err();
        assert!(error.contains("static assertion failed"), "{error}");
    }
}
