// SPDX-License-Identifier: BSD-2-Clause
//! Writes the Rust source: tables of numbers and one function per method.

use std::fmt::Write;

use anyhow::{Context, Result, bail};

use crate::layout::{self, CONTEXT_WORDS, Placed, Type};
use crate::model::{Api, Method};

/// Message words that travel in registers.
const REGISTER_WORDS: usize = 4;

/// The whole file.
pub fn file(queue: &Api, stock: &Api) -> Result<String> {
    let mut out = String::new();
    for method in &stock.methods {
        if queue.find(&method.id).is_none() {
            bail!("the queue kernel lacks {}, which stock has", method.id);
        }
    }
    labels(&mut out, queue, stock)?;
    objects(&mut out, queue, stock)?;
    for method in &queue.methods {
        stub(&mut out, method, stock.find(&method.id))
            .with_context(|| format!("method {}", method.id))?;
    }
    Ok(out)
}

fn labels(out: &mut String, queue: &Api, stock: &Api) -> Result<()> {
    writeln!(out, "/// Name and labels of every method.")?;
    writeln!(out, "pub static LABELS: &[Numbered] = &[")?;
    for method in &queue.methods {
        let absent = stock.find(&method.id).map(|m| m.label);
        numbered(out, &method.id, Some(method.label), absent)?;
    }
    writeln!(out, "];")?;
    Ok(())
}

/// Object types: the kernel numbers the general ones, then those of x86_64, then those of x86.
fn objects(out: &mut String, queue: &Api, stock: &Api) -> Result<()> {
    const QUEUE: &str = "seL4_NotificationQueueObject";
    const NAMES: [&str; 12] = [
        "seL4_UntypedObject",
        "seL4_TCBObject",
        "seL4_EndpointObject",
        "seL4_NotificationObject",
        "seL4_CapTableObject",
        QUEUE,
        "seL4_X86_PDPTObject",
        "seL4_X64_PML4Object",
        "seL4_X86_4K",
        "seL4_X86_LargePageObject",
        "seL4_X86_PageTableObject",
        "seL4_X86_PageDirectoryObject",
    ];
    let number = |api: &Api, name| {
        NAMES
            .iter()
            .filter(|n| api.has_queue() || **n != QUEUE)
            .position(|n| *n == name)
    };
    writeln!(
        out,
        "/// Name and numbers of every object type, in the order of `ObjectType`."
    )?;
    writeln!(out, "pub static OBJECTS: &[Numbered] = &[")?;
    for name in NAMES {
        numbered(out, name, number(queue, name), number(stock, name))?;
    }
    writeln!(out, "];")?;
    Ok(())
}

fn numbered(
    out: &mut String,
    name: &str,
    queue: Option<usize>,
    stock: Option<usize>,
) -> Result<()> {
    let show = |n: Option<usize>| n.map_or("ABSENT".to_string(), |n| n.to_string());
    let unset = if queue == stock {
        show(queue)
    } else {
        "ABSENT".into()
    };
    writeln!(
        out,
        "    Numbered {{ name: {name:?}, by_kernel: [{}, {}, {unset}] }},",
        show(queue),
        show(stock)
    )?;
    Ok(())
}

fn stub(out: &mut String, method: &Method, stock: Option<&Method>) -> Result<()> {
    let (caps, words, count) = layout::place(&method.inputs)?;
    let (out_caps, results, _) = layout::place(&method.outputs)?;
    if !out_caps.is_empty() {
        bail!("results that are capabilities are not supported");
    }
    let parameters = method
        .inputs
        .iter()
        .map(|p| Ok(format!("{}: {}", ident(&p.name), rust_type(&p.c_type)?)))
        .collect::<Result<Vec<_>>>()?;
    let types = results
        .iter()
        .map(|p| Ok(rust_type(&p.parameter.c_type)?.replace('&', "")))
        .collect::<Result<Vec<_>>>()?;
    // What its collection returns comes as that of a receive does, which the interface XML cannot say.
    let collects = method.id == "NotificationQueueSetBuffer";
    let returned = match types.as_slice() {
        _ if collects => "Message".into(),
        [one] => one.clone(),
        many => format!("({})", many.join(", ")),
    };
    writeln!(out, "/// Corresponds to `{}`.", method.c_name)?;
    if stock.is_none() {
        writeln!(
            out,
            "///\n/// On the stock kernel: [`Error::IllegalOperation`], without a system call."
        )?;
    }
    writeln!(
        out,
        "#[inline]\n#[allow(clippy::too_many_arguments)]\npub fn {}(service: CPtr{}{}) -> Result<{returned}, Error> {{",
        layout::snake(&method.c_name),
        if parameters.is_empty() { "" } else { ", " },
        parameters.join(", ")
    )?;
    match stock {
        Some(stock) if stock.label == method.label => {
            writeln!(out, "    let label = {};", method.label)?;
        }
        _ => writeln!(
            out,
            "    let label = choose(&[{}, {}, ABSENT])?;",
            method.label,
            stock.map_or("ABSENT".to_string(), |m| m.label.to_string())
        )?,
    }
    for (i, cap) in caps.iter().enumerate() {
        writeln!(out, "    set_cap({i}, {});", ident(&cap.name))?;
    }
    let packed = pack(&words, count);
    for (i, word) in packed.iter().enumerate().skip(REGISTER_WORDS) {
        writeln!(out, "    set_mr({i}, {word});")?;
    }
    let mut registers = packed;
    registers.resize(REGISTER_WORDS, "0".into());
    writeln!(
        out,
        "    let reply = invoke(service, MessageInfo::new(label, {}, {count}), [{}])?;",
        caps.len(),
        registers.join(", ")
    )?;
    match collects {
        true => writeln!(out, "    Ok(reply)\n}}")?,
        false => writeln!(
            out,
            "    let _mrs = reply.mrs;\n    Ok({})\n}}",
            unpack(&results)
        )?,
    }
    Ok(())
}

/// One expression for each word of the message.
fn pack(words: &[Placed], count: usize) -> Vec<String> {
    let mut parts = vec![Vec::new(); count];
    for placed in words {
        let name = ident(&placed.parameter.name);
        match &placed.ty {
            Type::Context => {
                for i in 0..CONTEXT_WORDS {
                    parts[placed.word + i].push(format!("{name}.words()[{i}]"));
                }
            }
            Type::Scalar { pack, .. } => {
                let value = pack.replace("{}", &name);
                parts[placed.word].push(match placed.shift {
                    0 => value,
                    shift => format!("(({value}) << {shift})"),
                });
            }
            Type::Cap => unreachable!("capabilities are not placed"),
        }
    }
    parts.iter().map(|p| p.join(" | ")).collect()
}

/// The value that a stub returns.
fn unpack(results: &[Placed]) -> String {
    let word = |i: usize| match i < REGISTER_WORDS {
        true => format!("_mrs[{i}]"),
        false => format!("get_mr({i})"),
    };
    let values: Vec<String> = results
        .iter()
        .map(|placed| match &placed.ty {
            Type::Context => {
                let words: Vec<_> = (0..CONTEXT_WORDS).map(|i| word(placed.word + i)).collect();
                format!("UserContext::from_words([{}])", words.join(", "))
            }
            Type::Scalar { unpack, .. } => {
                let source = match placed.shift {
                    0 => word(placed.word),
                    shift => format!("({} >> {shift})", word(placed.word)),
                };
                unpack.replace("{}", &source)
            }
            Type::Cap => unreachable!("capabilities are not placed"),
        })
        .collect();
    match values.as_slice() {
        [one] => one.clone(),
        many => format!("({})", many.join(", ")),
    }
}

fn rust_type(c_type: &str) -> Result<String> {
    Ok(match Type::of(c_type)? {
        Type::Cap => "CPtr".into(),
        Type::Scalar { rust, .. } => rust.into(),
        Type::Context => "&UserContext".into(),
    })
}

/// The parameter's name in snake case, clear of keywords.
fn ident(name: &str) -> String {
    match layout::snake(name).as_str() {
        "type" => "object_type".into(),
        other => other.to_string(),
    }
}
