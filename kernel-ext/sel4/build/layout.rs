// SPDX-License-Identifier: BSD-2-Clause
//! How arguments are packed into message words, and their types in Rust.

use anyhow::{Context, Result, bail};

use crate::model::Parameter;

/// What a C type of the interface is in Rust.
pub enum Type {
    /// A capability: travels in the capability area, not in a word.
    Cap,
    /// Fits in a word: its Rust type, its size in bits.
    Scalar {
        rust: &'static str,
        bits: usize,
        /// Expression that makes a word, `{}` being the variable.
        pack: &'static str,
        /// Expression that makes the value, `{}` being the word.
        unpack: &'static str,
    },
    /// The user context: one word for each register.
    Context,
}

/// Registers in a user context.
pub const CONTEXT_WORDS: usize = 19;
const WORD_BITS: usize = 64;

impl Type {
    pub fn of(c_type: &str) -> Result<Type> {
        let scalar = |rust, bits, pack, unpack| Type::Scalar {
            rust,
            bits,
            pack,
            unpack,
        };
        Ok(match c_type {
            "int" => scalar("i32", 32, "{} as u32 as Word", "{} as i32"),
            "seL4_Uint8" => scalar("u8", 8, "{} as Word", "{} as u8"),
            "seL4_Uint16" => scalar("u16", 16, "{} as Word", "{} as u16"),
            "seL4_Uint32" => scalar("u32", 32, "{} as Word", "{} as u32"),
            "seL4_Word" => scalar("Word", 64, "{}", "{}"),
            "seL4_Bool" => scalar("bool", 1, "{} as Word", "{} & 1 != 0"),
            "seL4_CapData_t" => scalar("CapData", 64, "{}.word()", "CapData({})"),
            "seL4_PrioProps_t" => scalar("PrioProps", 64, "{}.word()", ""),
            "seL4_CapRights_t" => scalar("CapRights", 64, "{}.word()", ""),
            "seL4_X86_VMAttributes" => scalar("VmAttributes", 64, "{}.word()", ""),
            "seL4_UserContext" => Type::Context,
            "seL4_CPtr" | "seL4_CNode" | "seL4_IRQHandler" | "seL4_IRQControl" | "seL4_TCB"
            | "seL4_Untyped" | "seL4_DomainSet" => Type::Cap,
            name if name.starts_with("seL4_X86_") || name.starts_with("seL4_X64_") => Type::Cap,
            _ => bail!("type {c_type} is not known: add it to build/layout.rs"),
        })
    }

    /// Size in the message.
    fn bits(&self) -> usize {
        match self {
            Type::Cap => 0,
            Type::Scalar { bits, .. } => *bits,
            Type::Context => CONTEXT_WORDS * WORD_BITS,
        }
    }
}

/// A parameter with its place in the message.
pub struct Placed<'a> {
    pub parameter: &'a Parameter,
    pub ty: Type,
    pub word: usize,
    pub shift: usize,
}

/// Splits the parameters into capabilities and placed words; also the number of words.
pub fn place(parameters: &[Parameter]) -> Result<(Vec<&Parameter>, Vec<Placed<'_>>, usize)> {
    let (mut caps, mut words, mut used) = (Vec::new(), Vec::new(), 0usize);
    for parameter in parameters {
        let ty =
            Type::of(&parameter.c_type).with_context(|| format!("parameter {}", parameter.name))?;
        let bits = ty.bits();
        if bits == 0 {
            caps.push(parameter);
            continue;
        }
        // Aligned to its own size, at most to a word.
        used = used.next_multiple_of(bits.min(WORD_BITS));
        words.push(Placed {
            parameter,
            ty,
            word: used / WORD_BITS,
            shift: used % WORD_BITS,
        });
        used += bits;
    }
    Ok((caps, words, used.div_ceil(WORD_BITS)))
}

/// `seL4_X86_ASIDPool_Assign` as `x86_asid_pool_assign`.
pub fn snake(c_name: &str) -> String {
    let name = c_name.strip_prefix("seL4_").unwrap_or(c_name);
    // One word in our language.
    let name = name.replace("CNode", "Cnode");
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let previous = i.checked_sub(1).map(|p| chars[p]);
        let next = chars.get(i + 1);
        let starts_word = c.is_ascii_uppercase()
            && previous.is_some_and(|p| {
                p.is_ascii_lowercase()
                    || (p.is_ascii_uppercase() && next.is_some_and(|n| n.is_ascii_lowercase()))
            });
        if starts_word {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
