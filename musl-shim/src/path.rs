// SPDX-License-Identifier: BSD-2-Clause
//! Paths: made absolute and plain, so that a path is a key.
//!
//! There are no symbolic links, so `..` can be resolved by text alone. Whether each component before `..` exists and is a
//! directory is not checked (Linux does): see CAVEATS.

use alloc::string::String;
use alloc::vec::Vec;

/// Longest path with its final NUL (limits.h).
pub const PATH_MAX: usize = 4096;
/// Longest component.
pub const NAME_MAX: usize = 255;

/// Why a path is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// ENOENT: it is empty.
    Empty,
    /// ENAMETOOLONG: a component or the whole is too long.
    TooLong,
}

/// A path without its leading slash, `.` or `..`; the root directory is "".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Components, joined by one slash each. Bytes that are no UTF-8 are kept.
    pub path: Vec<u8>,
    /// It ended in a slash or dot: only a directory will do.
    pub directory: bool,
}

/// Resolves `path` against the plain directory `base`.
pub fn resolve(base: &[u8], path: &[u8]) -> Result<Plain, PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.len() >= PATH_MAX {
        return Err(PathError::TooLong);
    }
    let mut out = if path[0] == b'/' {
        Vec::new()
    } else {
        base.to_vec()
    };
    let mut directory = true;
    for component in path.split(|&b| b == b'/') {
        match component {
            b"" | b"." => directory = true,
            b".." => {
                let keep = out.iter().rposition(|&b| b == b'/').unwrap_or(0);
                out.truncate(keep);
                directory = true;
            }
            name if name.len() > NAME_MAX => return Err(PathError::TooLong),
            name => {
                if !out.is_empty() {
                    out.push(b'/');
                }
                out.extend_from_slice(name);
                directory = false;
            }
        }
    }
    if out.len() + 1 >= PATH_MAX {
        return Err(PathError::TooLong);
    }
    Ok(Plain {
        path: out,
        directory,
    })
}

/// The absolute form of a plain path, for getcwd(2).
pub fn absolute(plain: &[u8]) -> String {
    let mut out = String::from("/");
    out.push_str(&String::from_utf8_lossy(plain));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, path: &str, expected: &str, directory: bool) {
        let plain = resolve(base.as_bytes(), path.as_bytes()).unwrap();
        assert_eq!(
            core::str::from_utf8(&plain.path).unwrap(),
            expected,
            "{base} + {path}"
        );
        assert_eq!(plain.directory, directory, "{base} + {path}");
    }

    #[test]
    fn resolves() {
        check("", "/", "", true);
        check("", "/srv/www/index.html", "srv/www/index.html", false);
        check("srv", "www", "srv/www", false);
        check("srv", "www/", "srv/www", true);
        check("srv/www", "..", "srv", true);
        check("srv", "../../..//./etc/./passwd", "etc/passwd", false);
        check("srv", ".", "srv", true);
        check("srv", "/a/b/../c", "a/c", false);
    }

    #[test]
    fn refuses() {
        assert_eq!(resolve(b"", b""), Err(PathError::Empty));
        assert_eq!(resolve(b"", &[b'a'; 256]), Err(PathError::TooLong));
        assert!(resolve(b"", &[b'a'; 255]).is_ok());
        assert_eq!(resolve(b"", &[b'/'; 4096]), Err(PathError::TooLong));
        assert_eq!(absolute(b"a/b"), "/a/b");
        assert_eq!(absolute(b""), "/");
    }
}
