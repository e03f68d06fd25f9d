// SPDX-License-Identifier: BSD-2-Clause
//! Error numbers, as Linux has them on x86_64 (errno(3)).

/// An error number; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident = $value:literal, $meaning:literal;)*) => {
        impl Errno { $(#[doc = $meaning] pub const $name: Errno = Errno($value);)* }
    };
}

errnos! {
    PERM = 1, "The file cannot be watched.";
    NOENT = 2, "Not registered.";
    INTR = 4, "A signal came first.";
    BADF = 9, "Not an open file descriptor.";
    AGAIN = 11, "It would block.";
    NOMEM = 12, "No memory, or no more watch slots.";
    FAULT = 14, "Bad address.";
    EXIST = 17, "Registered already.";
    INVAL = 22, "Invalid argument.";
    MFILE = 24, "Too many open files.";
    NOSPC = 28, "No room for another watch.";
    NOSYS = 38, "Not to be had here.";
    LOOP = 40, "Epoll instances would form a cycle, or a chain of more than five.";
}
