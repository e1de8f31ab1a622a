//! Regular expressions between `%`: read here, so that nothing but the language's own syntax reaches the engine.

use std::fmt::Write as _;

use super::error::{Fault, Problem};

/// The most memory that a compiled expression may take, in bytes.
///
/// It bounds the time too: a search takes at worst one step for each of its states and each byte searched.
const SIZE_LIMIT: usize = 64 * 1024;

/// A regular expression with its source.
#[derive(Debug, Clone)]
pub(super) struct Regex {
    source: String,
    engine: regex::bytes::Regex,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Regex {}

impl Regex {
    /// Compiles the text between two `%`. `start` is where it stands in the pattern, in bytes.
    pub(super) fn new(source: &str, start: usize) -> Result<Self, Fault> {
        let translated =
            Translation { chars: source.char_indices().peekable(), start, end: start + source.len() }.all()?;
        let whole = start..start + source.len();
        let engine =
            regex::bytes::RegexBuilder::new(&translated).unicode(false).size_limit(SIZE_LIMIT).build().map_err(
                |error| {
                    Fault::new(
                        Problem::Regex(match error {
                            regex::Error::CompiledTooBig(_) => "It repeats too much",
                            _ => "Its syntax is wrong",
                        }),
                        whole,
                    )
                },
            )?;
        Ok(Self { source: source.to_owned(), engine })
    }

    /// Whether the expression is found anywhere in `text`.
    pub(super) fn is_match(&self, text: &str) -> bool {
        if text.is_ascii() {
            return self.engine.is_match(text.as_bytes());
        }
        // An expression can't name a character outside ASCII, so they are all alike to it. One byte for each keeps the
        // engine small: `.` is one state instead of one for each form that a character has in UTF-8.
        let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(0xFF)).collect();
        self.engine.is_match(&bytes)
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }
}

/// Reads the language's own expressions and writes the engine's: classes are ASCII ones, `{,n}` is `{0,n}`, and what
/// has a meaning to the engine only (nested classes, `--`, flags, names of Unicode classes) is a plain character or
/// an error.
struct Translation<'p> {
    chars: std::iter::Peekable<std::str::CharIndices<'p>>,
    start: usize,
    end: usize,
}

/// One member of a bracketed class, or one character outside.
enum Atom {
    Char(char),
    /// A class in the engine's syntax, fit to stand inside brackets too.
    Class(&'static str),
}

impl Translation<'_> {
    fn all(mut self) -> Result<String, Fault> {
        let mut out = String::new();
        // Whether a quantifier may stand here.
        let mut repeatable = false;
        while let Some((at, c)) = self.next()? {
            repeatable = match c {
                '^' | '|' => {
                    out.push(c);
                    false
                }
                '$' => {
                    out.push('$');
                    false
                }
                '.' => {
                    out.push('.');
                    true
                }
                '[' => {
                    self.class(at, &mut out)?;
                    true
                }
                '*' | '+' | '?' | '{' => {
                    if !repeatable {
                        return Err(self.fault("A quantifier has nothing to repeat", at).instead(format!("\\{c}")));
                    }
                    self.quantifier(at, c, &mut out)?;
                    false
                }
                '\\' => {
                    match self.escape(at)? {
                        Atom::Char(c) => literal(c, &mut out),
                        Atom::Class(class) => out.push_str(class),
                    }
                    true
                }
                _ => {
                    literal(c, &mut out);
                    true
                }
            };
        }
        Ok(out)
    }

    /// The next character, if it is one of those that an expression may have.
    fn next(&mut self) -> Result<Option<(usize, char)>, Fault> {
        let Some((at, c)) = self.chars.next() else { return Ok(None) };
        let span = self.start + at..self.start + at + c.len_utf8();
        match c {
            '(' | ')' => Err(Fault::new(Problem::RegexGroup, span)
                .expected("alternatives on the outermost level, %one|two%, or one condition for each, joined by ||")),
            c if c.is_ascii_alphanumeric() || " _:#=@/;,-^$?[]{}|\\*+.".contains(c) => Ok(Some((at, c))),
            c => Err(Fault::new(Problem::RegexCharacter(c), span).expected(
                "letters and digits of ASCII, space, _ : # = @ / ; , - and the operators ^ $ ? [ ] { } | \\ * + .",
            )),
        }
    }

    fn fault(&self, what: &'static str, at: usize) -> Fault {
        Fault::new(Problem::Regex(what), self.start + at..self.start + at + 1)
    }

    fn missing(&self, what: &'static str) -> Fault {
        Fault::new(Problem::Regex(what), self.end..self.end)
    }

    fn quantifier(&mut self, at: usize, c: char, out: &mut String) -> Result<(), Fault> {
        if c == '{' {
            let mut inner = String::new();
            loop {
                match self.next()? {
                    Some((_, '}')) => break,
                    Some((_, c)) if c.is_ascii_digit() || c == ',' => inner.push(c),
                    Some((at, _)) => return Err(self.fault("One or two numbers go between { and }", at)),
                    None => return Err(self.missing("The closing } is missing")),
                }
            }
            let low = inner.split(',').next().unwrap_or_default();
            if inner == "," || inner.is_empty() {
                return Err(self.fault("One or two numbers go between { and }", at));
            }
            let low = if low.is_empty() { "0" } else { "" };
            let _ = write!(out, "{{{low}{inner}}}");
        } else {
            out.push(c);
        }
        // A lazy quantifier finds the same texts.
        if matches!(self.chars.peek(), Some((_, '?'))) {
            self.next()?;
        }
        Ok(())
    }

    fn class(&mut self, at: usize, out: &mut String) -> Result<(), Fault> {
        out.push('[');
        if matches!(self.chars.peek(), Some((_, '^'))) {
            self.next()?;
            out.push('^');
        }
        if matches!(self.chars.peek(), Some((_, ']'))) {
            return Err(self.fault("A class is empty", at));
        }
        loop {
            let Some((at, c)) = self.next()? else { return Err(self.missing("The closing ] of a class is missing")) };
            let low = match c {
                ']' => break,
                '\\' => self.escape(at)?,
                c => Atom::Char(c),
            };
            let low = match low {
                Atom::Char(low) => low,
                Atom::Class(class) => {
                    out.push_str(class);
                    continue;
                }
            };
            literal(low, out);
            let mut ahead = self.chars.clone();
            let range = matches!(ahead.next(), Some((_, '-'))) && !matches!(ahead.next(), Some((_, ']')) | None);
            if range {
                self.next()?;
                let high = match self.next()? {
                    Some((at, '\\')) => self.escape(at)?,
                    Some((_, c)) => Atom::Char(c),
                    None => return Err(self.missing("The closing ] of a class is missing")),
                };
                match high {
                    Atom::Char(high) if low <= high => {
                        out.push('-');
                        literal(high, out);
                    }
                    _ => return Err(self.fault("A range goes backwards or ends in a class", at)),
                }
            }
        }
        out.push(']');
        Ok(())
    }

    fn escape(&mut self, at: usize) -> Result<Atom, Fault> {
        let Some((_, c)) = self.next()? else { return Err(self.missing("A character is missing after \\")) };
        Ok(match c {
            'd' => Atom::Class("[0-9]"),
            'D' => Atom::Class("[^0-9]"),
            's' => Atom::Class(r"[ \t\n\x0B\f\r]"),
            'S' => Atom::Class(r"[^ \t\n\x0B\f\r]"),
            'w' => Atom::Class("[0-9A-Za-z_]"),
            'W' => Atom::Class("[^0-9A-Za-z_]"),
            't' => Atom::Char('\t'),
            'n' => Atom::Char('\n'),
            'r' => Atom::Char('\r'),
            'f' => Atom::Char('\x0C'),
            'x' => {
                let mut digit = || Ok::<_, Fault>(self.next()?.and_then(|(_, c)| c.to_digit(16)));
                let (Some(high), Some(low)) = (digit()?, digit()?) else {
                    return Err(self.fault("\\x is followed by two hexadecimal digits", at));
                };
                match char::from_u32(high * 16 + low) {
                    Some(c) if c.is_ascii() => Atom::Char(c),
                    _ => return Err(self.fault("\\x80 and above are outside ASCII", at)),
                }
            }
            c if c.is_ascii_alphanumeric() => {
                return Err(Fault::new(
                    Problem::Regex("It has an unknown escape"),
                    self.start + at..self.start + at + 2,
                )
                .expected("\\d \\D \\s \\S \\w \\W \\t \\n \\r \\f \\xhh, or \\ before an operator"));
            }
            c => Atom::Char(c),
        })
    }
}

// As a number, no character has a second meaning, inside a class or outside.
fn literal(c: char, out: &mut String) {
    let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str, text: &str) -> bool {
        Regex::new(source, 0).unwrap().is_match(text)
    }

    #[test]
    fn what_is_found() {
        for (source, yes, no) in [
            ("bar", &["bar", "a bar b"][..], &["ba r", "BAR"][..]),
            ("^Al.*", &["Alpha", "Al"], &["xAl", "al"]),
            ("a$|^b", &["xa", "bx"], &["ax", "xb"]),
            (r"111\.111\.111\.1[0-9]{1,2}", &["111.111.111.12"], &["111.111.111.x", "111111111.12"]),
            ("colou?r", &["color", "colour"], &["colouur"]),
            ("^x{,2}$", &["", "x", "xx"], &["xxx"]),
            ("^x{2,}$", &["xx", "xxx"], &["x"]),
            ("^x{2}$", &["xx"], &["x", "xxx"]),
            ("^x+?y*?$", &["x", "xxy"], &["y"]),
            (r"^\d\D\w\W\s\S$", &["1xa- x", "0a_é\ty"], &["١xa- x", "1xé- x", "1xa-\u{a0}x"]),
            (r"^[\d_]+$", &["1_2"], &["1a", "٣"]),
            (r"^[^\d_]+$", &["ab-é"], &["a1", "_"]),
            (r"^[\D]$", &["a", "é"], &["1"]),
            (r"^[^\D]$", &["1"], &["a"]),
            (r"^\x41\x2e$", &["A."], &["Ax"]),
            ("^[+--]$", &["+", ",", "-"], &["*", "."]),
            ("^[a-]$", &["a", "-"], &["b"]),
            ("^[-a]$", &["a", "-"], &["b"]),
            ("^[a[b]$", &["a", "[", "b"], &["]", "c"]),
            ("^[.*+?{}|$]$", &[".", "*", "{", "$", "|"], &["a", "\\"]),
            (r"^[\]\\^-]$", &["]", "\\", "^", "-"], &["a"]),
            ("^.$", &["a", "日"], &["", "ab", "\n"]),
            ("^.{300}$", &[&"日".repeat(300), &"a".repeat(300)], &[&"日".repeat(299)]),
            ("a b", &["a b"], &["ab"]),
            ("a|", &["", "x"], &[]),
            ("x-y]z}", &["x-y]z}"], &["xyz"]),
            ("#=@/;,:_", &["#=@/;,:_"], &["#"]),
            ("", &["", "x"], &[]),
        ] {
            yes.iter().for_each(|text| assert!(found(source, text), "{source} {text:?}"));
            no.iter().for_each(|text| assert!(!found(source, text), "{source} {text:?}"));
        }
    }

    #[test]
    fn what_is_refused() {
        for source in [
            "(a)",
            "a)",
            "(?i)a",
            "a!",
            "é",
            "\"a\"",
            "a<b",
            "a&b",
            "~",
            "[",
            "[a",
            "[]",
            "[^]",
            "[z-a]",
            "[a--]",
            r"[a-\d]",
            r"\",
            "*",
            "+a",
            "?",
            "a|*",
            "^*",
            "a**",
            "a++",
            "a{",
            "a{x}",
            "a{}",
            "a{,}",
            "a{2,1}",
            "{2}",
            "a{1,2,3}",
            r"\p",
            r"\1",
            r"\x4",
            r"\x80",
            r"\xg0",
            r"\Q",
            "a{99999999999999}",
            "a{60000}",
            ".{1000}.{900}",
        ] {
            assert!(Regex::new(source, 0).is_err(), "{source}");
        }
    }
}
