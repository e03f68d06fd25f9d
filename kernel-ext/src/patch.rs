// SPDX-License-Identifier: GPL-2.0-only
//! Reads a unified diff and applies it, strictly.
//!
//! The source that it is applied to is locked, so every hunk must fit at the
//! very line that it names: no offset, no fuzz.

use anyhow::{Context, Result, anyhow, bail, ensure};

/// The changes to one file.
#[derive(Debug)]
pub(crate) struct FilePatch<'a> {
    /// Path relative to the root of the source.
    pub path: &'a str,
    hunks: Vec<Hunk<'a>>,
}

#[derive(Debug)]
struct Hunk<'a> {
    /// Number of the first old line, from 0.
    start: usize,
    lines: Vec<Line<'a>>,
}

#[derive(Debug, Clone, Copy)]
enum Line<'a> {
    Keep(&'a str),
    Remove(&'a str),
    Add(&'a str),
}

/// Splits a diff into its files.
pub(crate) fn parse(diff: &str) -> Result<Vec<FilePatch<'_>>> {
    let mut files: Vec<FilePatch> = Vec::new();
    let mut lines = diff.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let place = || format!("line {} of the patch", number + 1);
        if let Some(path) = line.strip_prefix("--- ") {
            let next = lines.next().and_then(|(_, l)| l.strip_prefix("+++ "));
            ensure!(next == Some(path), "{}: --- and +++ differ", place());
            files.push(FilePatch {
                path,
                hunks: Vec::new(),
            });
        } else if line.starts_with("@@ ") {
            let file = files
                .last_mut()
                .with_context(|| format!("{}: a hunk before any file", place()))?;
            let (start, mut old, mut new) = header(line).with_context(place)?;
            let mut hunk = Vec::new();
            while old > 0 || new > 0 {
                let (_, line) = lines
                    .next()
                    .with_context(|| format!("{}: the hunk is cut short", place()))?;
                let line = body(line).with_context(place)?;
                let (o, n) = match line {
                    Line::Keep(_) => (1, 1),
                    Line::Remove(_) => (1, 0),
                    Line::Add(_) => (0, 1),
                };
                ensure!(o <= old && n <= new, "{}: more lines than stated", place());
                old -= o;
                new -= n;
                hunk.push(line);
            }
            file.hunks.push(Hunk { start, lines: hunk });
        } else {
            // What stands before a file's header is commentary.
            ensure!(
                files.is_empty() || line.is_empty() || line.starts_with('#'),
                "{}: expected a hunk, got '{line}'",
                place()
            );
        }
    }
    Ok(files)
}

/// `@@ -start[,count] +start[,count] @@` → first old line, old and new counts.
fn header(line: &str) -> Result<(usize, usize, usize)> {
    let range = |word: Option<&str>, sign: char| -> Result<(usize, usize)> {
        let word = word.and_then(|w| w.strip_prefix(sign));
        let (start, count) = match word {
            Some(word) => word.split_once(',').unwrap_or((word, "1")),
            None => bail!("not a hunk header: '{line}'"),
        };
        Ok((start.parse()?, count.parse()?))
    };
    let mut words = line.split(' ').skip(1);
    let (start, old) = range(words.next(), '-')?;
    let (_, new) = range(words.next(), '+')?;
    // With no old lines, the number is that of the line before.
    let start = if old == 0 {
        start
    } else {
        start.wrapping_sub(1)
    };
    Ok((start, old, new))
}

fn body(line: &str) -> Result<Line<'_>> {
    Ok(match line.split_at_checked(1) {
        // Editors strip the blank of an empty context line.
        None => Line::Keep(""),
        Some((" ", rest)) => Line::Keep(rest),
        Some(("-", rest)) => Line::Remove(rest),
        Some(("+", rest)) => Line::Add(rest),
        _ => bail!("not a line of a hunk: '{line}'"),
    })
}

impl<'a> FilePatch<'a> {
    /// The patched text of a file whose text is `old`.
    pub fn apply(&self, old: &str) -> Result<String> {
        let old: Vec<&str> = old.split_inclusive('\n').collect();
        let mut new = String::new();
        let mut at = 0;
        for hunk in &self.hunks {
            let skipped = old
                .get(at..hunk.start)
                .ok_or_else(|| anyhow!("{}: hunk outside the file", self.path))?;
            new.extend(skipped.iter().copied());
            at = hunk.start;
            for line in &hunk.lines {
                match line {
                    Line::Add(text) => {
                        new.push_str(text);
                        new.push('\n');
                    }
                    Line::Keep(text) | Line::Remove(text) => {
                        let found = old.get(at).copied().unwrap_or("");
                        ensure!(
                            found.strip_suffix('\n') == Some(text),
                            "{} line {}: the patch expects '{text}', the file has '{}'",
                            self.path,
                            at + 1,
                            found.trim_end_matches('\n')
                        );
                        if matches!(line, Line::Keep(_)) {
                            new.push_str(found);
                        }
                        at += 1;
                    }
                }
            }
        }
        new.extend(old[at..].iter().copied());
        Ok(new)
    }

    /// The lines that the patch adds.
    pub fn added(&self) -> impl Iterator<Item = &'a str> {
        let lines = self.hunks.iter().flat_map(|h| &h.lines);
        lines.filter_map(|line| match line {
            Line::Add(text) => Some(*text),
            Line::Keep(_) | Line::Remove(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "one\ntwo\nthree\nfour\n";

    fn apply(diff: &str) -> Result<String> {
        parse(diff)?[0].apply(OLD)
    }

    #[test]
    fn replaces_and_inserts() {
        let diff = "a comment\n--- f\n+++ f\n@@ -1,2 +1,2 @@ fn\n one\n-two\n+2\n@@ -4 +4,2 @@\n four\n+five\n";
        assert_eq!(apply(diff).unwrap(), "one\n2\nthree\nfour\nfive\n");
        let added: Vec<_> = parse(diff).unwrap()[0].added().collect();
        assert_eq!(added, ["2", "five"]);
    }

    #[test]
    fn inserts_without_context() {
        let diff = "--- f\n+++ f\n@@ -0,0 +1 @@\n+zero\n@@ -2,0 +4 @@\n+2.5\n";
        assert_eq!(apply(diff).unwrap(), "zero\none\ntwo\n2.5\nthree\nfour\n");
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let at = |n: usize| format!("--- f\n+++ f\n@@ -{n} +{n} @@\n-two\n+2\n");
        assert!(apply(&at(2)).is_ok());
        for wrong in [0, 1, 3, 5, 99] {
            assert!(apply(&at(wrong)).is_err(), "at {wrong}");
        }
    }

    #[test]
    fn refuses_malformed_diffs() {
        for wrong in [
            "@@ -1 +1 @@\n-one\n+1\n",
            "--- f\n+++ g\n",
            "--- f\n+++ f\n@@ nonsense @@\n",
            "--- f\n+++ f\n@@ -1,2 +1 @@\n-one\n",
            "--- f\n+++ f\n@@ -1 +1 @@\n*one\n",
            "--- f\n+++ f\n@@ -1 +1 @@\n-one\n+1\n+2\n",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
