//! The table of goals and results.

use crate::Times;

struct Row {
    work: String,
    goal: String,
    result: String,
    met: Option<bool>,
}

#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    pub fn add(&mut self, work: &str, goal: &str, result: String, met: Option<bool>) {
        self.0.push(Row { work: work.to_owned(), goal: goal.to_owned(), result, met });
    }

    pub fn ratio(&mut self, work: &str, most: f64, of: &str, times: &Times, to: usize, function: usize) {
        let ratio = times.ratio(function, to);
        let (one, other) = (times.seconds(function) * 1e3, times.seconds(to) * 1e3);
        let result = format!("{ratio:.2} × ({one:.3} ms to {other:.3} ms)");
        self.add(work, &format!("at most {most} × {of}"), result, Some(ratio <= most));
    }

    pub fn print(&self) {
        println!("| work | goal | result | met |\n| --- | --- | --- | --- |");
        for Row { work, goal, result, met } in &self.0 {
            let met = met.map_or("", |met| if met { "yes" } else { "**no**" });
            println!("| {work} | {goal} | {result} | {met} |");
        }
        println!();
    }
}
