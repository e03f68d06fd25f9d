// SPDX-License-Identifier: GPL-2.0-only
//! Writes the source of a kernel into a new folder: `export-source
//! queue|stock|fast FOLDER`.

use std::path::Path;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().context("usage: export-source KERNEL FOLDER");
    let (kernel, folder) = (next()?.parse()?, next()?);
    kernel_ext::export(kernel, Path::new(&folder))
}
