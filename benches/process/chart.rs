//! Line charts as SVG, readable on white and on black.

use std::fmt::Write as _;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 34.0;
const PLOT: (f64, f64) = (235.0, 140.0);
const COLOURS: [&str; 3] = ["#7f7f7f", "#d9480f", "#1c7ed6"];

pub struct Panel {
    /// What the horizontal axis counts.
    pub title: &'static str,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub name: &'static str,
    /// What is counted, and milliseconds.
    pub points: Vec<(usize, f64)>,
}

impl Line {
    pub fn new(name: &'static str) -> Self {
        Self { name, points: Vec::new() }
    }

    pub fn add(&mut self, x: usize, milliseconds: f64) {
        self.points.push((x, milliseconds));
    }
}

pub fn svg(panels: &[Panel]) -> String {
    let width = WIDTH * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"10\" fill=\"#7f7f7f\">\n<title>CPU time of an invocation in milliseconds</title>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({} 0)\">", index as f64 * WIDTH);
        panel.draw(&mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    fn draw(&self, svg: &mut String) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let most_x = points().map(|point| point.0).max().unwrap_or(1) as f64;
        let most_y = points().map(|point| point.1).fold(0.0, f64::max) * 1.05;
        let x = |value: f64| LEFT + value / most_x * PLOT.0;
        let y = |value: f64| TOP + PLOT.1 - value / most_y * PLOT.1;
        let (bottom, right) = (TOP + PLOT.1, LEFT + PLOT.0);
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"14\">CPU in ms by {}</text>", self.title);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#7f7f7f\" stroke-width=\"0.8\"/>"
        );
        for part in 0..=4 {
            let (value_x, value_y) = (most_x * f64::from(part) / 4.0, most_y * f64::from(part) / 4.0);
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{value_x:.0}</text>",
                x(value_x),
                bottom + 14.0
            );
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value_y:.1}</text>",
                LEFT - 5.0,
                y(value_y) + 3.0
            );
        }
        for (index, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let at: Vec<String> =
                line.points.iter().map(|point| format!("{:.1},{:.1}", x(point.0 as f64), y(point.1))).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>",
                at.join(" ")
            );
            let key = LEFT + 8.0;
            let _ = writeln!(
                svg,
                "<text x=\"{key}\" y=\"{}\" fill=\"{colour}\">{}</text>",
                TOP + 10.0 + 12.0 * index as f64,
                line.name
            );
        }
    }
}
