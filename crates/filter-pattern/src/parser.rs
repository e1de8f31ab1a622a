//! Tokens to an expression.

use std::ops::Range;

use super::ast::{Condition, Expr, Number, Operand, Order, Test, Text, quote};
use super::error::{Fault, Problem};
use super::glob::{Glob, INNER_STAR};
use super::lexer::{Lexer, Token, is_space};
use super::number::Decimal;
use super::selector::Selector;
use super::{MAX_CHARS, MAX_NESTING, MAX_REGEXES, MAX_WILDCARDS};

const OPERATORS: &str = "= != < <= > >=, or IS NULL, IS TRUE, IS FALSE, NOT EXISTS";
const CONDITION: &str = "a condition, such as $.eventName = \"ConsoleLogin\", or ( before several";
const PRESENT: &str = "= * for any string or number, IS TRUE || IS FALSE for any boolean, IS NULL for null";
const VALUE: &str = "a value in double quotes, a word or number without, or a regular expression in %";

/// Reads a whole pattern. `None` is the blank one.
pub(super) fn parse(pattern: &str) -> Result<Option<Expr>, Fault> {
    if let Some((limit, _)) = pattern.char_indices().nth(MAX_CHARS) {
        return Err(Fault::new(Problem::TooLong(pattern.chars().count()), limit..pattern.len()));
    }
    let text = pattern.trim_matches(is_space);
    if text.is_empty() {
        return Ok(None);
    }
    if !text.starts_with('{') {
        return Err(no_json(pattern, text));
    }
    let mut parser =
        Parser { lexer: Lexer::new(pattern), ahead: (Token::End, 0..0), regexes: 0, wildcards: 0, bare: None };
    parser.advance()?;
    parser.advance()?;
    if parser.ahead.0 == Token::BraceClose {
        return Err(Fault::new(Problem::Empty, 0..pattern.len()).expected(CONDITION));
    }
    let expr = parser.or(0)?;
    match parser.advance()? {
        (Token::BraceClose, _) => {}
        (Token::End, span) => return Err(Fault::new(Problem::Unclosed, span).instead(format!("{text} }}"))),
        (token, span) => return Err(parser.no_joint(&token, span)),
    }
    match parser.ahead {
        (Token::End, _) => Ok(Some(expr)),
        (_, span) => Err(Fault::new(Problem::AfterEnd, span.start..pattern.len()).expected("nothing after the last }")),
    }
}

/// The error for a pattern of another kind, with the JSON pattern that it could be.
fn no_json(pattern: &str, text: &str) -> Fault {
    let start = pattern.len() - pattern.trim_start_matches(is_space).len();
    let span = start..start + text.len();
    let json = "a JSON pattern in braces; the blank pattern matches every event";
    let unquoted = text.trim_matches(['\'', '"', '`']);
    if unquoted.len() < text.len() && unquoted.starts_with('{') {
        return Fault::new(Problem::QuotedPattern, span).expected(json).instead(unquoted);
    }
    if text.starts_with(['$', '(']) {
        return Fault::new(Problem::NoBraces, span).expected(json).instead(format!("{{ {text} }}"));
    }
    if text.starts_with('[') {
        return Fault::new(Problem::Delimited, span).expected(json).instead("{ $.sourceIPAddress = \"203.0.113.*\" }");
    }
    if text.starts_with('%') {
        return Fault::new(Problem::BareRegex, span).expected(json).instead(format!("{{ $.errorMessage = {text} }}"));
    }
    let term = match text.strip_prefix('"') {
        Some(phrase) => phrase.split('"').next().unwrap_or_default(),
        None => text.split(is_space).next().unwrap_or_default().trim_matches(['?', '-', '"', '*']),
    };
    Fault::new(Problem::Terms, span)
        .expected(json)
        .instead(format!("{{ $.errorMessage = {} }}", quote(&format!("*{term}*"))))
}

struct Parser<'p> {
    lexer: Lexer<'p>,
    /// The token that is not used yet.
    ahead: (Token, Range<usize>),
    regexes: usize,
    wildcards: usize,
    /// Where the last condition's value stands, if it had no quotes: for the error about a space in it.
    bare: Option<Range<usize>>,
}

impl Parser<'_> {
    /// Takes the token ahead.
    fn advance(&mut self) -> Result<(Token, Range<usize>), Fault> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.ahead, next))
    }

    fn or(&mut self, depth: usize) -> Result<Expr, Fault> {
        let mut members = vec![self.and(depth)?];
        while self.ahead.0 == Token::Or {
            self.advance()?;
            members.push(self.and(depth)?);
        }
        Ok(join(members, Expr::Or, |expr| match expr {
            Expr::Or(inner) => Ok(inner),
            other => Err(other),
        }))
    }

    fn and(&mut self, depth: usize) -> Result<Expr, Fault> {
        let mut members = vec![self.primary(depth)?];
        while self.ahead.0 == Token::And {
            self.advance()?;
            members.push(self.primary(depth)?);
        }
        Ok(join(members, Expr::And, |expr| match expr {
            Expr::And(inner) => Ok(inner),
            other => Err(other),
        }))
    }

    fn primary(&mut self, depth: usize) -> Result<Expr, Fault> {
        let (token, span) = self.advance()?;
        match token {
            Token::BracketOpen if depth == MAX_NESTING => Err(Fault::new(Problem::TooDeep, span)),
            Token::BracketOpen => {
                let inner = self.or(depth + 1)?;
                let (token, close) = self.advance()?;
                match token {
                    Token::BracketClose => Ok(inner),
                    Token::BraceClose | Token::End => {
                        Err(Fault::new(Problem::UnclosedBracket, span).expected("as many ) as (, before the }"))
                    }
                    token => Err(self.no_joint(&token, close)),
                }
            }
            Token::Selector(selector) => self.condition(selector, span).map(Expr::Condition),
            Token::Bang => Err(negation("!", span)),
            Token::Word(word) if word.eq_ignore_ascii_case("not") => Err(negation("NOT", span)),
            Token::Word(word) => {
                let name = word.trim_start_matches('.');
                let fault = Fault::new(Problem::NoDollar, span).expected(CONDITION);
                Err(if name.is_empty() || name.contains(['*', '+']) {
                    fault
                } else {
                    fault.instead(format!("$.{name}"))
                })
            }
            token => Err(unexpected(&token, span).expected(CONDITION)),
        }
    }

    fn condition(&mut self, selector: Selector, span: Range<usize>) -> Result<Condition, Fault> {
        if selector.0.iter().any(super::selector::Segment::is_wildcard) {
            self.wildcards += 1;
            if self.wildcards > MAX_WILDCARDS {
                return Err(Fault::new(Problem::PatternWildcards, span));
            }
        }
        self.bare = None;
        let (token, at) = self.advance()?;
        let test = match token {
            Token::Operator("=") => Test::Equal(self.operand("=", &selector, span.start, at.start)?),
            Token::Operator("!=") => Test::Unequal(self.operand("!=", &selector, span.start, at.start)?),
            Token::Operator("<") => self.order("<", Order::Less)?,
            Token::Operator("<=") => self.order("<=", Order::LessOrEqual)?,
            Token::Operator(">") => self.order(">", Order::Greater)?,
            Token::Operator(">=") => self.order(">=", Order::GreaterOrEqual)?,
            Token::Word(word) => self.state(&word, &selector, span.start, at)?,
            token => return Err(unexpected(&token, at).expected(OPERATORS)),
        };
        Ok(Condition { selector, test })
    }

    /// What `=` or `!=` compares with. The condition starts at `start` and the operator at `at`.
    fn operand(
        &mut self,
        operator: &'static str,
        selector: &Selector,
        start: usize,
        at: usize,
    ) -> Result<Operand, Fault> {
        let (token, span) = self.advance()?;
        match token {
            Token::Word(word) if word == "null" => {
                let instead = if operator == "=" { format!("{selector} IS NULL") } else { format!("{selector} = *") };
                Err(Fault::new(Problem::Null, start..span.end).expected(PRESENT).instead(instead))
            }
            Token::Word(text) => {
                if let Some(value) = Decimal::from_pattern(&text) {
                    return Ok(Operand::Number(Number { text, value }));
                }
                self.bare = Some(span.clone());
                self.text(text, false, span)
            }
            Token::Quoted(text) => self.text(text, true, span),
            Token::Regex(regex) => {
                self.regexes += 1;
                if self.regexes > MAX_REGEXES {
                    return Err(Fault::new(Problem::TooManyRegexes, span));
                }
                Ok(Operand::Regex(regex))
            }
            Token::Selector(_) => Err(Fault::new(Problem::FieldValue, span).expected(VALUE)),
            Token::Operator(second @ ("<" | ">")) if operator == "=" => {
                Err(unexpected(&Token::Operator(second), at..span.end).expected(VALUE).instead(format!("{second}=")))
            }
            Token::BraceClose | Token::BracketClose | Token::And | Token::Or | Token::End => {
                Err(Fault::new(Problem::NoValue(operator), span).expected(VALUE))
            }
            token => Err(unexpected(&token, span).expected(VALUE)),
        }
    }

    fn text(&self, text: String, quoted: bool, span: Range<usize>) -> Result<Operand, Fault> {
        match Glob::new(&text, INNER_STAR) {
            Some(glob) => Ok(Operand::Text(Text { text, quoted, glob })),
            None => Err(Fault::new(Problem::InnerStar, span)),
        }
    }

    fn order(&mut self, operator: &'static str, order: Order) -> Result<Test, Fault> {
        let (token, span) = self.advance()?;
        let text = match token {
            Token::Word(text) | Token::Quoted(text) => text,
            Token::BraceClose | Token::BracketClose | Token::And | Token::Or | Token::End => {
                return Err(Fault::new(Problem::NoValue(operator), span).expected("a number"));
            }
            _ => String::new(),
        };
        let fault =
            Fault::new(Problem::NotANumber(operator), span.clone()).expected("a number such as 400, -1, 5.5 or 1e3");
        match Decimal::from_pattern(&text) {
            // The quotes are two of the bytes.
            Some(_) if span.len() > text.len() => Err(fault.instead(text)),
            Some(value) => Ok(Test::Order(order, Number { text, value })),
            None => Err(fault),
        }
    }

    /// `IS …` and `NOT EXISTS`, of which `word` is the first. The condition starts at `start` and the word at `at`.
    fn state(&mut self, word: &str, selector: &Selector, start: usize, at: Range<usize>) -> Result<Test, Fault> {
        let (second, end) = match &self.ahead {
            (Token::Word(second), span) => (second.clone(), span.end),
            (_, _) => (String::new(), at.end),
        };
        let test = match (word, second.as_str()) {
            ("IS", "NULL") => Test::IsNull,
            ("IS", "TRUE") => Test::IsTrue,
            ("IS", "FALSE") => Test::IsFalse,
            ("NOT", "EXISTS") => Test::NotExists,
            _ => return Err(self.no_state((word, second.as_str()), selector, start, at.start..end)),
        };
        self.advance()?;
        Ok(test)
    }

    /// The error for words that are no state. `words` stand at `at`.
    fn no_state(&mut self, words: (&str, &str), selector: &Selector, start: usize, at: Range<usize>) -> Fault {
        let next = (self.ahead.0.clone(), self.ahead.1.clone());
        let (first, second) = (words.0.to_ascii_uppercase(), words.1.to_ascii_uppercase());
        let present = format!("{selector} = *");
        match (first.as_str(), second.as_str()) {
            ("EXISTS", _) => {
                let end = at.start + words.0.len();
                Fault::new(Problem::Exists, start..end).expected(PRESENT).instead(present)
            }
            ("IS", "NOT") => {
                // A fault further on changes nothing here.
                let _ = self.advance();
                let Token::Word(third) = &self.ahead.0 else {
                    return Fault::new(Problem::IsNot, at).expected(OPERATORS);
                };
                let fault = Fault::new(Problem::IsNot, start..self.ahead.1.end).expected(PRESENT);
                match third.to_ascii_uppercase().as_str() {
                    "NULL" => fault.instead(present),
                    "TRUE" => fault.instead(format!("{selector} IS FALSE")),
                    "FALSE" => fault.instead(format!("{selector} IS TRUE")),
                    _ => fault,
                }
            }
            ("IS", "NULL" | "TRUE" | "FALSE") | ("NOT", "EXISTS") => {
                Fault::new(Problem::KeywordCase, at).instead(format!("{first} {second}"))
            }
            ("IS", _) => unexpected(&next.0, next.1).expected("NULL, TRUE or FALSE after IS"),
            ("NOT", _) => unexpected(&next.0, next.1).expected("EXISTS after NOT"),
            _ => {
                let end = at.start + words.0.len();
                unexpected(&Token::Word(words.0.to_owned()), at.start..end).expected(OPERATORS)
            }
        }
    }

    /// The error for `token` where `&&`, `||` or the end had to stand.
    fn no_joint(&self, token: &Token, span: Range<usize>) -> Fault {
        let expected = "&& or || before another condition, or the closing bracket";
        match token {
            Token::Word(word) if word.eq_ignore_ascii_case("and") => {
                Fault::new(Problem::WordOperator(word.clone()), span).instead("&&")
            }
            Token::Word(word) if word.eq_ignore_ascii_case("or") => {
                Fault::new(Problem::WordOperator(word.clone()), span).instead("||")
            }
            Token::Word(_) => match &self.bare {
                Some(bare) => {
                    let span = bare.start..span.end;
                    let words = self.lexer.pattern().get(span.clone()).unwrap_or_default();
                    Fault::new(Problem::SpaceInValue, span).instead(quote(words))
                }
                None => unexpected(token, span).expected(expected),
            },
            _ => unexpected(token, span).expected(expected),
        }
    }
}

/// One member as it is; several as one expression in which no member is of the same kind.
fn join(mut members: Vec<Expr>, kind: fn(Vec<Expr>) -> Expr, open: fn(Expr) -> Result<Vec<Expr>, Expr>) -> Expr {
    if members.len() == 1
        && let Some(only) = members.pop()
    {
        return only;
    }
    kind(members.into_iter().flat_map(|member| open(member).unwrap_or_else(|other| vec![other])).collect())
}

fn negation(word: &'static str, span: Range<usize>) -> Fault {
    Fault::new(Problem::Negation(word), span)
        .expected("the opposite of each condition: != for =, = * for NOT EXISTS, IS FALSE for IS TRUE, and && for ||")
}

fn unexpected(token: &Token, span: Range<usize>) -> Fault {
    let what = match token {
        Token::BraceOpen => "`{`".to_owned(),
        Token::BraceClose => "`}`".to_owned(),
        Token::BracketOpen => "`(`".to_owned(),
        Token::BracketClose => "`)`".to_owned(),
        Token::And => "`&&`".to_owned(),
        Token::Or => "`||`".to_owned(),
        Token::Operator(operator) => format!("`{operator}`"),
        Token::Bang => "`!`".to_owned(),
        Token::Selector(selector) => format!("`{selector}`"),
        Token::Word(word) => format!("`{word}`"),
        Token::Quoted(_) => "a quoted value".to_owned(),
        Token::Regex(_) => "a regular expression".to_owned(),
        Token::End => "the end of the pattern".to_owned(),
    };
    Fault::new(Problem::Unexpected(what), span)
}
