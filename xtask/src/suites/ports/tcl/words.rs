// SPDX-License-Identifier: BSD-2-Clause
//! What the tests of a file have said.

/// The line after which failures are listed once more.
const END: &str = "The End";

/// How a line begins that says that a file broke off.
pub const BROKE_OFF: &str = "[exception]: ";

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// How many tests passed.
    pub passed: usize,
    /// Those that failed, and why.
    pub failed: Vec<(String, String)>,
    /// Those that were not run, and why.
    pub skipped: Vec<(String, String)>,
    /// The file was run to its end.
    pub ended: bool,
    /// How long that took.
    pub seconds: u64,
}

impl Words {
    /// Lines are `[ok]: NAME (N ms)`, `[ignore]: NAME: WHY`, `[err]: NAME in FILE` with the reason below, `[exception]: WHAT`, `[TIMEOUT]: ` with the reason below.
    pub fn parse(text: &str) -> Words {
        let mut words = Words::default();
        let (mut at_end, mut broke_off) = (false, false);
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            at_end |= line.trim() == END;
            if at_end && !line.starts_with(BROKE_OFF) {
                continue;
            }
            let Some((kind, rest)) = line.split_once("]: ") else {
                continue;
            };
            match kind {
                "[ok" => words.passed += 1,
                "[ignore" | "[skip" => {
                    let (name, why) = rest.rsplit_once(": ").unwrap_or((rest, "left out"));
                    words.skipped.push((name.to_owned(), why.to_owned()));
                }
                "[err" | "[exception" | "[TIMEOUT" => {
                    broke_off |= kind != "[err";
                    let name = rest.split(" in tests/").next().unwrap_or(rest);
                    let why = lines.peek().copied().unwrap_or_default();
                    let place = rest[name.len()..].trim_start();
                    words
                        .failed
                        .push((name.to_owned(), format!("{place}: {why}")));
                }
                _ => {}
            }
        }
        words.ended = at_end && !broke_off;
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_understood() {
        let text = "[ok]: SET and GET (1 ms)\n[ignore]: large memory flag: tags\n[err]: A B in tests/unit/x.tcl\nExpected 1\n[ok]: C: d (0 ms)\n                   The End\n*** [err]: A B in tests/unit/x.tcl\n[err]: A B in tests/unit/x.tcl\n";
        let found = Words::parse(text);
        assert_eq!((found.passed, found.skipped.len()), (2, 1));
        let want = (
            "A B".to_owned(),
            "in tests/unit/x.tcl: Expected 1".to_owned(),
        );
        assert_eq!(found.failed, [want]);
        assert!(found.ended);
    }

    #[test]
    fn a_file_that_broke_off_has_not_ended() {
        let thrown = Words::parse("[ok]: A (1 ms)\n[exception]: Executing test client: ERR x.\n");
        assert_eq!((thrown.failed.len(), thrown.ended), (1, false));
        let hung = Words::parse(
            "[TIMEOUT]: clients state report follows.\nsock1 => (IN PROGRESS) A\n\n      The End\n",
        );
        assert_eq!((hung.failed.len(), hung.ended), (1, false));
        assert!(hung.failed[0].1.contains("IN PROGRESS"));
        let silent = Words::parse("[ok]: A (1 ms)\n      The End\n[exception]: no answer\n");
        assert_eq!((silent.failed.len(), silent.ended), (1, false));
    }
}
