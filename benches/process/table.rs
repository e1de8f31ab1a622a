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

    /// Of the second function to the first, and of the version before, if that was measured third.
    pub fn ratio(&mut self, work: &str, most: f64, of: &str, times: &Times, before: bool) {
        let told = |function: usize| {
            let (one, other) = (times.seconds(function) * 1e3, times.seconds(0) * 1e3);
            format!("{:.2} × ({one:.3} ms to {other:.3} ms)", times.ratio(function, 0))
        };
        let earlier = if before { format!("; before {}", told(2)) } else { String::new() };
        self.add(work, &format!("at most {most} × {of}"), told(1) + &earlier, Some(times.ratio(1, 0) <= most));
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
