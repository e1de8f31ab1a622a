//! Text to tokens.

use std::ops::Range;

use super::error::{Fault, Problem};
use super::regex::Regex;
use super::selector::{Segment, Selector, is_name_char};

/// A piece of a pattern. A selector is one token: no white space may stand in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    BraceOpen,
    BraceClose,
    BracketOpen,
    BracketClose,
    And,
    Or,
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`
    Operator(&'static str),
    /// `!` before something else than `=`.
    Bang,
    Selector(Selector),
    /// A keyword, a number or an unquoted value.
    Word(String),
    /// What stood in double quotes, without its escapes.
    Quoted(String),
    Regex(Regex),
    End,
}

pub(super) struct Lexer<'p> {
    pattern: &'p str,
    at: usize,
}

/// White space of the language.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

/// Whether `c` may stand in an unquoted value.
pub(super) fn is_bare(c: char) -> bool {
    is_name_char(c) || matches!(c, '.' | '+' | '*')
}

const CURLY_QUOTES: &str = "“”„‟«»″‘’‚‛′";

/// Whether a term that has a wrong character goes on past `c`, so that an error can name the whole of it.
fn is_term(c: char) -> bool {
    !c.is_whitespace() && !"(){}\"=<>!&|".contains(c) && !CURLY_QUOTES.contains(c)
}

impl<'p> Lexer<'p> {
    pub(super) fn new(pattern: &'p str) -> Self {
        Self { pattern, at: 0 }
    }

    pub(super) fn pattern(&self) -> &'p str {
        self.pattern
    }

    fn rest(&self) -> &'p str {
        self.pattern.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Steps over the characters that satisfy `test` and returns them.
    fn take(&mut self, test: impl Fn(char) -> bool) -> &'p str {
        let rest = self.rest();
        let end = rest.find(|c| !test(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Steps over `text` if it stands here.
    fn accept(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// The next token and where it stands.
    pub(super) fn next(&mut self) -> Result<(Token, Range<usize>), Fault> {
        self.take(is_space);
        let start = self.at;
        let token = self.token(start)?;
        Ok((token, start..self.at))
    }

    fn token(&mut self, start: usize) -> Result<Token, Fault> {
        // Longer ones first.
        for (text, token) in [
            ("&&", Token::And),
            ("||", Token::Or),
            ("!=", Token::Operator("!=")),
            ("<=", Token::Operator("<=")),
            (">=", Token::Operator(">=")),
            ("<", Token::Operator("<")),
            (">", Token::Operator(">")),
            ("!", Token::Bang),
            ("{", Token::BraceOpen),
            ("}", Token::BraceClose),
            ("(", Token::BracketOpen),
            (")", Token::BracketClose),
        ] {
            if self.accept(text) {
                return Ok(token);
            }
        }
        let Some(first) = self.peek() else { return Ok(Token::End) };
        match first {
            '=' => {
                self.at += 1;
                if self.accept("=") {
                    self.take(|c| c == '=');
                    return Err(Fault::new(Problem::DoubleEquals, start..self.at).instead("="));
                }
                Ok(Token::Operator("="))
            }
            '&' | '|' => Err(Fault::new(Problem::Single(first), start..start + 1).instead(format!("{first}{first}"))),
            '"' => self.quoted(start),
            '%' => self.regex(start),
            '$' => self.selector(start).map(Token::Selector),
            c if is_bare(c) => {
                let word = self.take(is_bare);
                match self.peek() {
                    Some(c) if is_term(c) => Err(self.term(start)),
                    _ => Ok(Token::Word(word.to_owned())),
                }
            }
            '\'' => {
                self.at += 1;
                let inner = self.take(|c| c != '\'');
                self.accept("'");
                let all = self.since(start).to_owned();
                Err(Fault::new(Problem::SingleQuotes(all), start..self.at).instead(super::ast::quote(inner.trim_end())))
            }
            c if CURLY_QUOTES.contains(c) => {
                self.at += c.len_utf8();
                let inner = self.take(|c| c != '"' && !CURLY_QUOTES.contains(c));
                if let Some(close) = self.peek() {
                    self.at += close.len_utf8();
                }
                let all = self.since(start).to_owned();
                Err(Fault::new(Problem::CurlyQuotes(all), start..self.at).instead(super::ast::quote(inner.trim_end())))
            }
            c if c.is_whitespace() || "\u{200B}\u{2060}\u{FEFF}".contains(c) => {
                Err(Fault::new(Problem::OddSpace(c), start..start + c.len_utf8()).expected("a plain space"))
            }
            _ => Err(self.term(start)),
        }
    }

    fn since(&self, start: usize) -> &'p str {
        self.pattern.get(start..self.at).unwrap_or_default()
    }

    /// The error for a term that has a character which an unquoted value can't have.
    fn term(&mut self, start: usize) -> Fault {
        self.take(is_term);
        let term = self.since(start);
        Fault::new(Problem::TermCharacters(term.to_owned()), start..self.at)
            .expected("letters, digits and _ - . + * in a value without quotes")
            .instead(super::ast::quote(term))
    }

    fn quoted(&mut self, start: usize) -> Result<Token, Fault> {
        self.at += 1;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(Token::Quoted(text));
                }
                // Before any other character a backslash stands for itself: "C:\Users" is what it looks like.
                '\\' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                    Some((_, escaped)) => text.push(escaped),
                    None => text.push('\\'),
                },
                c => text.push(c),
            }
        }
        Err(Fault::new(Problem::UnclosedQuote, start..self.pattern.len())
            .expected("a value in double quotes, in which \\\" stands for a quote and \\\\ for a backslash"))
    }

    fn regex(&mut self, start: usize) -> Result<Token, Fault> {
        self.at += 1;
        let source = self.take(|c| c != '%');
        if !self.accept("%") {
            return Err(Fault::new(Problem::UnclosedRegex, start..self.pattern.len())
                .expected("a regular expression in %, such as %^Al.*%"));
        }
        Regex::new(source, start + 1).map(Token::Regex)
    }

    fn selector(&mut self, start: usize) -> Result<Selector, Fault> {
        self.at += 1;
        if !self.accept(".") {
            let name = self.take(|c| is_name_char(c) || c == '.');
            let fault = Fault::new(Problem::NoDollar, start..self.at).expected("$. and a name, such as $.eventName");
            return Err(if name.is_empty() { fault } else { fault.instead(format!("$.{name}")) });
        }
        let mut steps = vec![self.named(start)?];
        loop {
            let step = self.at;
            match self.peek() {
                Some('.') => {
                    self.at += 1;
                    steps.push(self.named(start)?);
                }
                Some('[') => steps.push(self.index()?),
                Some(c) if is_term(c) => return Err(self.odd_name(start, step)),
                _ => break,
            }
        }
        if steps.iter().filter(|step| step.is_wildcard()).count() > 1 {
            let problem = Problem::SelectorWildcards(self.since(start).to_owned());
            return Err(Fault::new(problem, start..self.at));
        }
        Ok(Selector(steps))
    }

    /// A step after a dot.
    fn named(&mut self, start: usize) -> Result<Segment, Fault> {
        let step = self.at;
        if self.accept("*") {
            return Ok(Segment::AnyKey);
        }
        if self.accept("['") {
            let key = self.take(|c| c != '\'');
            if !self.accept("']") {
                return Err(
                    Fault::new(Problem::UnclosedName, step..self.at).expected("a name such as ['cluster.name']")
                );
            }
            return Ok(Segment::Key(key.to_owned()));
        }
        let name = self.take(is_name_char);
        match self.peek() {
            _ if !name.is_empty() => Ok(Segment::Key(name.to_owned())),
            Some('.') => Err(Fault::new(Problem::RecursiveDescent, step - 1..step + 1)
                .expected("the whole path, each name after one dot; one * may stand for a name")),
            Some('[') => {
                self.take(|c| c != ']' && !is_space(c));
                self.accept("]");
                let inner = self.since(step).trim_matches(['[', ']', '"', '\'']).to_owned();
                let fault = Fault::new(Problem::BracketName, step..self.at).expected("a name, or ['…'] around a name");
                Err(if inner.is_empty() || inner == "*" || inner.parse::<u64>().is_ok() {
                    fault
                } else {
                    fault.instead(format!("['{inner}']"))
                })
            }
            Some(c) if is_term(c) => Err(self.odd_name(start, step)),
            _ => Err(Fault::new(Problem::NoName, start..self.at).expected("a name after the dot, such as $.eventName")),
        }
    }

    /// A step in brackets, without a dot before it.
    fn index(&mut self) -> Result<Segment, Fault> {
        let step = self.at;
        self.at += 1;
        let inner = self.take(|c| c != ']' && !c.is_whitespace() && !"(){}<>&|".contains(c));
        let closed = self.accept("]");
        let span = step..self.at;
        if closed && inner == "*" {
            return Ok(Segment::AnyIndex);
        }
        if closed && !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit()) {
            // No array is that long, so an index past the limit finds nothing, like the limit itself.
            return Ok(Segment::Index(inner.parse().unwrap_or(usize::MAX)));
        }
        let expected = "digits or * in the brackets, such as [0]";
        if !closed {
            return Err(Fault::new(Problem::UnclosedIndex, span).expected(expected));
        }
        if inner.starts_with(['\'', '"']) {
            let name = inner.trim_matches(['\'', '"']);
            return Err(Fault::new(Problem::BracketName, span).instead(format!(".['{name}']")));
        }
        let digits = inner.strip_prefix('-').unwrap_or_default();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Fault::new(Problem::NegativeIndex, span).expected(expected).instead("[*]"));
        }
        Err(Fault::new(Problem::Index(inner.to_owned()), span).expected(expected))
    }

    /// The error for a selector with a character that a name can't have. `step` is where the odd part starts.
    fn odd_name(&mut self, start: usize, step: usize) -> Fault {
        self.take(|c| is_term(c) && c != '.' && c != '[');
        let selector = self.since(start);
        let fault = Fault::new(Problem::SelectorCharacters(selector.to_owned()), start..self.at)
            .expected("letters, digits, _ and - in a name; any other name in brackets");
        // Where the name that goes wrong begins: after the last dot before the odd part.
        let name = self.pattern.get(start..step).and_then(|text| text.rfind('.')).map_or(step, |dot| start + dot + 1);
        let (before, name) = (self.pattern.get(start..name).unwrap_or_default(), self.since(name));
        if name.contains(['\'', '[', '*']) { fault } else { fault.instead(format!("{before}['{name}']")) }
    }
}
