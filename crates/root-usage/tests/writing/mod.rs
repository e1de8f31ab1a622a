//! JSON, written in many ways.

use std::fmt::Write as _;

use serde_json::Value;

/// How a document is written, a choice after the other. All zeros is how CloudWatch Logs writes.
#[derive(Debug, Clone)]
pub struct Style {
    pub choices: Vec<u8>,
    pub at: usize,
}

impl Style {
    pub fn usual() -> Self {
        Self { choices: vec![0], at: 0 }
    }

    pub fn below(&mut self, end: u8) -> u8 {
        self.at = (self.at + 1) % self.choices.len();
        self.choices[self.at] % end
    }

    pub fn space(&mut self, out: &mut String) {
        out.push_str(["", "", "", "", "", " ", "\n", "\t \r"][usize::from(self.below(8))]);
    }

    pub fn string(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            let short = match c {
                '"' => Some('"'),
                '\\' => Some('\\'),
                '/' if self.below(2) == 1 => Some('/'),
                '\n' => Some('n'),
                '\t' => Some('t'),
                '\r' => Some('r'),
                '\u{8}' => Some('b'),
                '\u{c}' => Some('f'),
                _ => None,
            };
            let mut units = [0; 2];
            match (self.below(16), short) {
                (15, _) => c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
                (14, _) => c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04X}"))),
                (_, Some(short)) => out.extend(['\\', short]),
                (_, None) if c < ' ' => drop(write!(out, "\\u{:04x}", u32::from(c))),
                _ => out.push(c),
            }
        }
        out.push('"');
    }

    pub fn fields<T>(
        &mut self,
        fields: &[(&str, T)],
        out: &mut String,
        mut value: impl FnMut(&mut Self, &T, &mut String),
    ) {
        let turn = usize::from(self.below(8)) % fields.len().max(1);
        out.push('{');
        for index in 0..fields.len() {
            let (name, field) = &fields[(index + turn) % fields.len()];
            if index > 0 {
                out.push(',');
            }
            self.space(out);
            self.string(name, out);
            self.space(out);
            out.push(':');
            self.space(out);
            value(self, field, out);
            self.space(out);
        }
        out.push('}');
    }

    pub fn json(&mut self, json: &Value, out: &mut String) {
        match json {
            Value::Object(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
                self.fields(&fields, out, |style, value, out| style.json(value, out));
            }
            Value::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    self.space(out);
                    self.json(item, out);
                    self.space(out);
                }
                out.push(']');
            }
            Value::String(text) => self.string(text, out),
            other => drop(write!(out, "{other}")),
        }
    }
}
