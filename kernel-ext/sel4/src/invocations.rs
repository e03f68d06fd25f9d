// SPDX-License-Identifier: BSD-2-Clause
//! One function per method of the kernel's objects.
//!
//! Names are libsel4's in snake case (`seL4_CNode_Mint` is [`cnode_mint`]), arguments are those of the interface
//! XML in its order after the capability that is invoked, results are returned. See the seL4 5.0.0 manual for what they do.

use crate::kernel::{ABSENT, Numbered, choose};
use crate::syscall::invoke;
use crate::{
    CPtr, CapData, CapRights, Error, Message, MessageInfo, PrioProps, UserContext, VmAttributes,
    Word, get_mr, set_cap, set_mr,
};

include!(concat!(env!("OUT_DIR"), "/generated.rs"));
