// SPDX-License-Identifier: BSD-2-Clause
//! Linux's figures, beside which ours are shown.

use std::collections::BTreeMap;

use super::{head, row};
use crate::plot::number;

/// Linux's figures, from the project's baseline.
const LINUX: &str = include_str!("../../../bench/linux-xproc.tsv");

/// What Linux needs, without the release of the producers.
pub fn table(text: &mut String) {
    let fields = LINUX
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let key = (fields.next()?, fields.next()?);
            let numbers: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
            Some((key, numbers))
        });
    let rows: BTreeMap<(&str, &str), Vec<f64>> = fields.collect();
    let cases = [("k1", "63"), ("k1", "256"), ("kall", "63"), ("kall", "256")];
    let heads = cases.map(|(batch, processes)| match batch {
        "k1" => format!("1 per wake, P = {processes}"),
        _ => format!("all P = {processes} per wake"),
    });
    let title = "Linux 6.1, a pipe from each of P processes: instructions per event, as it is / SCHED_BATCH";
    head(text, title, &heads);
    let ways = [
        ("direct", "epoll in the consumer"),
        ("broker", "a broker"),
        ("brokerv", "a broker, in bulk"),
        ("thread_per_source", "a thread for each pipe"),
    ];
    for (way, name) in ways {
        let cells = cases.map(|(batch, processes)| {
            let find = |what| {
                rows.get(&(format!("xdeliver.{what}.{batch}").as_str(), processes))
                    .cloned()
            };
            let (total, release) = (find(way)?, find("release")?);
            let each = total
                .iter()
                .zip(&release)
                .map(|(total, release)| number(total - release));
            Some(each.collect::<Vec<_>>().join(" / "))
        });
        row(text, name, cells.into_iter());
    }
    text.push('\n');
}
