// SPDX-License-Identifier: BSD-2-Clause
//! Generates the invocations from the interface XML of both kernels.
//!
//! Every number that differs between the kernels becomes a table indexed by the kernel at run
//! time, so that one binary runs on both.

mod emit;
mod layout;
mod model;

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};
use model::Api;

fn main() -> Result<()> {
    let queue = read(kernel_ext::Kernel::Queue)?;
    let stock = read(kernel_ext::Kernel::Stock)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is set by cargo")?);
    let path = out.join("generated.rs");
    fs::write(&path, emit::file(&queue, &stock)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("cargo::rerun-if-changed=build");
    Ok(())
}

fn read(kernel: kernel_ext::Kernel) -> Result<Api> {
    let name = kernel.to_string();
    let xml = kernel_ext::interface(kernel)
        .with_context(|| format!("no interface files of the {name} kernel"))?;
    // Labels count through the three files in this order.
    Api::parse(&[&xml.sel4, &xml.sel4_arch, &xml.arch])
        .with_context(|| format!("interface files of the {name} kernel"))
}
