// SPDX-License-Identifier: BSD-2-Clause
//! Reads TAP, the Test Anything Protocol, as our C tests and root tasks print it.

use super::Report;

/// Counts the results in a TAP stream; a test that was planned and not reported has failed.
pub fn parse(text: &str) -> Report {
    let mut report = Report::default();
    let mut planned = None;
    let mut seen = 0;
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
            seen += 1;
            report
                .failed
                .push((description(rest).to_owned(), String::new()));
            explaining = true;
        } else if let Some(rest) = result(line, "ok") {
            seen += 1;
            explaining = false;
            let name = description(rest);
            match name.split_once("# SKIP") {
                Some((name, why)) => report
                    .skipped
                    .push((name.trim().to_owned(), why.trim().to_owned())),
                None => report.passed += 1,
            }
        } else if let (true, Some(words), Some((_, why))) = (
            explaining,
            line.trim_start().strip_prefix('#'),
            report.failed.last_mut(),
        ) {
            if !why.is_empty() {
                why.push_str("; ");
            }
            why.push_str(words.trim());
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
