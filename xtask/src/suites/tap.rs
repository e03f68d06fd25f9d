// SPDX-License-Identifier: BSD-2-Clause
//! Reads TAP, the Test Anything Protocol, as our C tests and root tasks print it.

use super::Report;

/// How one test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Skipped(String),
    /// With the diagnostics that followed.
    Failed(String),
}

/// A stream's results in their order, by the tests' names, and how many were planned.
pub fn results(text: &str) -> (Vec<(String, Verdict)>, Option<usize>) {
    let mut results: Vec<(String, Verdict)> = Vec::new();
    let mut planned = None;
    // Diagnostics follow the result that they explain.
    let mut explaining = false;
    for line in text.lines() {
        // The debug kernel ends its own lines with "\n\r".
        let line = line.trim_end().trim_start_matches('\r');
        if let Some(count) = line.strip_prefix("1..") {
            planned = count
                .split_whitespace()
                .next()
                .and_then(|count| count.parse::<usize>().ok());
            explaining = false;
        } else if let Some(rest) = result(line, "not ok") {
            let name = description(rest).to_owned();
            results.push((name, Verdict::Failed(String::new())));
            explaining = true;
        } else if let Some(rest) = result(line, "ok") {
            explaining = false;
            let name = description(rest);
            results.push(match name.split_once("# SKIP") {
                Some((name, why)) => (
                    name.trim().to_owned(),
                    Verdict::Skipped(why.trim().to_owned()),
                ),
                None => (name.to_owned(), Verdict::Passed),
            });
        } else if let (true, Some(words), Some((_, Verdict::Failed(why)))) = (
            explaining,
            line.trim_start().strip_prefix('#'),
            results.last_mut(),
        ) {
            if !why.is_empty() {
                why.push_str("; ");
            }
            why.push_str(words.trim());
        }
    }
    (results, planned)
}

/// Counts the results in a TAP stream; a test that was planned and not reported has failed.
pub fn parse(text: &str) -> Report {
    let (results, planned) = results(text);
    let mut report = Report::default();
    let seen = results.len();
    for (name, verdict) in results {
        match verdict {
            Verdict::Passed => report.passed += 1,
            Verdict::Skipped(why) => report.skipped.push((name, why)),
            Verdict::Failed(why) => report.failed.push((name, why)),
        }
    }
    match planned {
        None => report
            .failed
            .push(("plan".into(), "no `1..N` line was printed".into())),
        Some(planned) if planned != seen => {
            report.failed.push((
                "plan".into(),
                format!("{planned} results were planned, {seen} were printed"),
            ));
        }
        Some(_) => {}
    }
    report
}

/// What follows `word` on a result line.
fn result<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?;
    (rest.is_empty() || rest.starts_with(' ')).then_some(rest)
}

/// A result's name, without its number.
fn description(rest: &str) -> &str {
    let rest = rest
        .trim_start()
        .trim_start_matches(|digit: char| digit.is_ascii_digit())
        .trim_start();
    rest.strip_prefix("- ").unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted() {
        let report = parse(
            "noise\nTAP version 13\n1..4\nok 1 - a: b\nnot ok 2 - c\n# at x.c:3\n  # got 4\nok 3 - d # SKIP no net\n\rok\n# end\nokay\n",
        );
        assert_eq!(report.passed, 2);
        assert_eq!(report.failed, [("c".into(), "at x.c:3; got 4".into())]);
        assert_eq!(report.skipped, [("d".into(), "no net".into())]);
    }

    #[test]
    fn an_early_end_is_a_failure() {
        assert_eq!(parse("1..2\nok 1\n").failed.len(), 1);
        assert_eq!(parse("ok 1\n").failed.len(), 1);
        assert_eq!(parse("").failed.len(), 1);
        assert_eq!(parse("1..0\n").failed.len(), 0);
    }
}
