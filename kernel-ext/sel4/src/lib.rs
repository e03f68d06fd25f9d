// SPDX-License-Identifier: BSD-2-Clause
//! System calls and invocations of seL4 5.0.0 on x86_64, for both of our kernels.
//!
//! * The only crate with seL4 system calls.
//! * One binary runs on both kernels: [`set_kernel`] says which one this is, and every number that
//!   differs is looked up. What a kernel lacks is [`Error::IllegalOperation`], without a system call.
//! * No allocator, no global state but the kernel's name: the message buffer of a thread is found
//!   through its GS base, which the kernel sets.
//!
//! | module | what it holds |
//! |---|---|
//! | [`invocations`] | one function per method, generated from the interface XML |
//! | [`syscall`] | call, send, receive, signal, wait, poll, reply, yield |
//! | [`kernel`] | which kernel this is |
//! | [`types`] | capability pointers, rights, badges, errors |
//! | [`message`] | message info, received messages, the message buffer |
//! | [`bootinfo`] | what the kernel tells the root task |
//! | `meter` | what invocations cost, in measuring builds |
//! | [`fault`] | what a fault message says |
#![no_std]
#![allow(unsafe_code)]

pub mod bootinfo;
pub mod fault;
pub mod invocations;
pub mod kernel;
pub mod message;
#[cfg(feature = "meter")]
pub mod meter;
pub mod syscall;
pub mod types;

pub use bootinfo::BootInfo;
pub use invocations::*;
pub use kernel::{Kernel, ObjectType, kernel, set_kernel};
pub use message::{
    Message, MessageInfo, cap_badge, get_mr, set_cap, set_mr, set_receive_slot, user_data,
};
pub use syscall::*;
pub use types::{
    CPtr, CapData, CapRights, EndpointBadge, Error, PrioProps, UserContext, VmAttributes,
};

/// A machine word: message words, badges, addresses (`seL4_Word`).
pub type Word = u64;
