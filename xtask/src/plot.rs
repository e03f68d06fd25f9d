// SPDX-License-Identifier: BSD-2-Clause
//! Plots as SVG: lines over two logarithmic axes, each line named at its end.

use std::fmt::Write as _;

/// A line.
pub struct Line {
    /// Its name.
    pub name: String,
    /// x, y; both above 0; x ascending.
    pub points: Vec<(f64, f64)>,
    /// Drawn thicker than the others.
    pub main: bool,
}

/// A plot.
pub struct Plot {
    /// Above it.
    pub title: String,
    /// Below it.
    pub x: String,
    /// Beside it.
    pub y: String,
    /// The lines.
    pub lines: Vec<Line>,
}

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 500.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 630.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 440.0;
/// Height of a name.
const NAME: f64 = 17.0;
/// Told apart by people who see colours differently as well; with the dashes, also in print.
const COLOURS: &[&str] = &[
    "#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7f3c8d",
    "#888888", "#e6550d", "#2f4b7c", "#665191",
];
const DASHES: &[&str] = &["", "7 3", "2 3", "9 3 2 3"];

/// A range of an axis, as powers of ten.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Of these values, drawn between two coordinates.
    fn new(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Axis {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10();
        let high = values.fold(0.0, f64::max).log10();
        let margin = ((high - low) * 0.05).max(0.05);
        let (low, high) = (low - margin, high + margin);
        Axis {
            low,
            high,
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.log10() - self.low) / (self.high - self.low);
        self.from + part * (self.to - self.from)
    }

    /// Where to put marks: at powers of ten, and between if there are few.
    fn marks(&self) -> Vec<f64> {
        let steps: &[f64] = match self.high - self.low {
            span if span < 1.5 => &[1.0, 2.0, 3.0, 5.0, 7.0],
            span if span < 3.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let powers = self.low.floor() as i32..=self.high.ceil() as i32;
        let marks = powers.flat_map(|p| steps.iter().map(move |s| s * 10f64.powi(p)));
        let inside = |mark: &f64| (self.low..=self.high).contains(&mark.log10());
        marks.filter(inside).collect()
    }
}

impl Plot {
    /// The file's text.
    pub fn svg(&self) -> String {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::new(points.clone().map(|p| p.0), LEFT, RIGHT);
        let y = Axis::new(points.map(|p| p.1), BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        let middle = (LEFT + RIGHT) / 2.0;
        text(
            &mut svg,
            (LEFT, 26.0),
            "start",
            "font-size=\"16\"",
            &self.title,
        );
        text(&mut svg, (middle, HEIGHT - 16.0), "middle", "", &self.x);
        let turned = format!("transform=\"rotate(-90 18 {0})\"", (TOP + BOTTOM) / 2.0);
        text(
            &mut svg,
            (18.0, (TOP + BOTTOM) / 2.0),
            "middle",
            &turned,
            &self.y,
        );
        for mark in x.marks() {
            let at = x.at(mark);
            rule(&mut svg, (at, TOP), (at, BOTTOM));
            text(&mut svg, (at, BOTTOM + 20.0), "middle", "", &number(mark));
        }
        for mark in y.marks() {
            let at = y.at(mark);
            rule(&mut svg, (LEFT, at), (RIGHT, at));
            text(&mut svg, (LEFT - 8.0, at + 4.5), "end", "", &number(mark));
        }
        for (index, line) in self.lines.iter().enumerate() {
            self.line(&mut svg, index, line, &x, &y);
        }
        self.names(&mut svg, &y);
        svg.push_str("</svg>\n");
        svg
    }

    fn line(&self, svg: &mut String, index: usize, line: &Line, x: &Axis, y: &Axis) {
        let (colour, dash) = style(index);
        let width = if line.main { 3.5 } else { 1.8 };
        let at = |p: &(f64, f64)| format!("{:.1},{:.1}", x.at(p.0), y.at(p.1));
        let path: Vec<String> = line.points.iter().map(at).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dash}\"/>",
            path.join(" ")
        );
        for point in &line.points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{width}\" fill=\"{colour}\"/>",
                x.at(point.0),
                y.at(point.1)
            );
        }
    }

    /// The names, in the order of the lines' ends, none on top of another; a thin line leads to each.
    fn names(&self, svg: &mut String, y: &Axis) {
        let ends = self.lines.iter().enumerate().filter_map(|(index, line)| {
            let end = line.points.last()?;
            Some((y.at(end.1), end.1, index))
        });
        let mut ends: Vec<(f64, f64, usize)> = ends.collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        // From the top, each below the one before; then from the bottom, to stay on the plot.
        let mut at: Vec<f64> = ends.iter().map(|end| end.0).collect();
        for i in 1..at.len() {
            at[i] = at[i].max(at[i - 1] + NAME);
        }
        let mut limit = BOTTOM + 6.0;
        for place in at.iter_mut().rev() {
            *place = place.min(limit);
            limit = *place - NAME;
        }
        for ((end, value, index), place) in ends.into_iter().zip(at) {
            let (colour, _) = style(index);
            let line = &self.lines[index];
            let weight = if line.main { "bold" } else { "normal" };
            let _ = writeln!(
                svg,
                "<polyline points=\"{:.1},{end:.1} {:.1},{place:.1}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"0.7\"/>",
                RIGHT - 10.0,
                RIGHT + 22.0
            );
            let fill = format!("fill=\"{colour}\" font-weight=\"{weight}\"");
            let name = format!("{} {}", line.name, number(value.round()));
            text(svg, (RIGHT + 26.0, place + 4.5), "start", &fill, &name);
        }
    }
}

fn style(index: usize) -> (&'static str, &'static str) {
    (COLOURS[index % COLOURS.len()], DASHES[index % DASHES.len()])
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#dddddd\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, more: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" {more}>{words}</text>",
        at.0, at.1
    );
}

/// With commas between thousands.
pub fn number(value: f64) -> String {
    if value < 1.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!(number(1.0), "1");
        assert_eq!(number(999.6), "1,000");
        assert_eq!(number(1234567.0), "1,234,567");
    }

    #[test]
    fn names_do_not_cover_each_other_and_stay_inside() {
        let line = |y: f64| Line {
            name: format!("l{y}"),
            points: vec![(1.0, y), (10.0, y)],
            main: false,
        };
        let plot = Plot {
            title: "a < b".into(),
            x: "x".into(),
            y: "y".into(),
            lines: vec![line(100.0), line(100.5), line(101.0), line(2000.0)],
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b"));
        let mut places: Vec<f64> = svg
            .lines()
            .filter(|line| line.contains("font-weight"))
            .filter_map(|line| line.split("y=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        places.sort_by(f64::total_cmp);
        assert_eq!(places.len(), 4);
        assert!(
            places
                .windows(2)
                .all(|pair| pair[1] - pair[0] >= NAME - 0.1)
        );
        assert!(
            places
                .iter()
                .all(|place| *place > TOP && *place < BOTTOM + 12.0)
        );
    }
}
