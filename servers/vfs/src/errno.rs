// SPDX-License-Identifier: BSD-2-Clause
//! Linux's error numbers, as far as calls on paths answer with them.

/// An error number of Linux on x86_64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u32);

macro_rules! numbers {
    ($($name:ident $value:literal)*) => {
        /// As in errno(3), without the E.
        #[allow(missing_docs, reason = "errno(3) documents them")]
        impl Errno {
            $(pub const $name: Errno = Errno($value);)*
        }
    };
}

numbers! {
    PERM 1 NOENT 2 NXIO 6 BADF 9 AGAIN 11 NOMEM 12 ACCES 13 BUSY 16 EXIST 17 XDEV 18 NOTDIR 20 ISDIR 21 INVAL 22 NFILE 23 MFILE 24
    NOSPC 28 MLINK 31 DEADLK 35 NAMETOOLONG 36 NOLCK 37 NOSYS 38 NOTEMPTY 39 LOOP 40 OPNOTSUPP 95
}
