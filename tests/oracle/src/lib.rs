// SPDX-License-Identifier: BSD-2-Clause
//! Random programs of system calls, each run on Linux and on ours: the answers must be equal.
//!
//! A program is a list of calls on variables that hold fds ([`op`]), readable as text ([`text`]). It runs on two [`subject`]s in the same way
//! ([`run`]): by number and arguments, on real memory, so that checks of arguments, their order, and every byte written are compared too. Ours is
//! the shim as a library, by the same dispatch that C programs reach.
//!
//! | module | what it holds |
//! |---|---|
//! | `op`, `names`, `text` | the language; its words; reading and printing it |
//! | `choices`, `generate` | programs from a seed or from bytes |
//! | `subject`, `memory`, `run` | Linux and ours; the memory that calls see; running one program on one of them |
//! | `waiting`, `meanwhile` | waits without a timeout; the second thread, which makes something happen during one |
//! | `compare`, `deviations` | when two answers are equal; where they may differ, and why |
//! | `pair`, `shrink` | both sides beside each other; the least program that still differs |
//!
//! **The rule for order.** Events of `epoll_wait` are compared in order, all of them. Linux promises round robin (epoll_wait(2)); what it does is a
//! list in the order in which watches became ready, to whose tail a level-triggered one goes when it is reported, and that is the same in
//! every run of a program of one thread. Programs cannot rely on more, so where ours may differ in order is in [`deviations`].

pub mod choices;
pub mod compare;
pub mod deviations;
pub mod generate;
pub mod meanwhile;
pub mod memory;
pub mod names;
pub mod op;
pub mod pair;
pub mod run;
pub mod shrink;
pub mod subject;
pub mod text;
pub mod waiting;
