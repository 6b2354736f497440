//! From text to nodes.

use super::DEPTH;
use super::functions;

#[derive(Clone, Debug)]
pub enum Node {
    Text(String),
    /// What a pipeline gives is put out.
    Print(Pipeline),
    /// `$x := ...`; `false`: `$x = ...`.
    Let(String, bool, Pipeline),
    If(Vec<(Pipeline, Vec<Node>)>, Vec<Node>),
    With(Option<String>, Pipeline, Vec<Node>, Vec<Node>),
    /// Variables for key and value, where named.
    Range(Option<String>, Option<String>, Pipeline, Vec<Node>, Vec<Node>),
    Break,
    Continue,
}

/// Each command's result is the last argument of the next.
pub type Pipeline = Vec<Command>;

/// The first word, and what follows it.
pub type Command = Vec<Term>;

#[derive(Clone, Debug)]
pub enum Term {
    /// `.a.b`; empty: the dot itself.
    Dot(Vec<String>),
    /// `$x.a.b`; `$` is the empty name.
    Variable(String, Vec<String>),
    Function(String),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nil,
    /// `(...)`, with fields of what it gives.
    Inner(Pipeline, Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A word that is no literal: `if`, `humanize`.
    Word(String),
    Dot(Vec<String>),
    Variable(String, Vec<String>),
    Text(String),
    Int(i64),
    Float(f64),
    Open,
    /// Fields that follow the parenthesis.
    Close(Vec<String>),
    Pipe,
    Comma,
    Declare,
    Assign,
}

enum Piece {
    Text(String),
    Action(Vec<Token>),
}

pub fn parse(source: &str) -> Result<Vec<Node>, String> {
    let mut pieces = pieces(source)?;
    pieces.reverse();
    let mut parser = Parser { pieces, variables: functions::VARIABLES.map(str::to_owned).to_vec() };
    let (nodes, end) = parser.block(0, 0)?;
    match end {
        End::File => Ok(nodes),
        End::Closed => Err("unexpected {{end}}".to_owned()),
        End::Else(_) => Err("unexpected {{else}}".to_owned()),
    }
}

fn pieces(source: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest) = (Vec::new(), source);
    let mut trim = false;
    loop {
        let (mut text, action) = match rest.split_once("{{") {
            Some((text, action)) => (text, Some(action)),
            None => (rest, None),
        };
        if trim {
            text = text.trim_start_matches([' ', '\t', '\r', '\n']);
        }
        let Some(mut action) = action else {
            pieces.push(Piece::Text(text.to_owned()));
            return Ok(pieces);
        };
        if let Some(after) = action.strip_prefix('-').filter(|after| after.starts_with([' ', '\t', '\r', '\n'])) {
            text = text.trim_end_matches([' ', '\t', '\r', '\n']);
            action = after;
        }
        pieces.push(Piece::Text(text.to_owned()));
        let (inner, after) = match action.trim_start().strip_prefix("/*") {
            Some(comment) => {
                let (_, after) = comment.split_once("*/").ok_or("unclosed comment")?;
                let (between, after) = after.split_once("}}").ok_or("comment ends before closing delimiter")?;
                if !["", "-"].contains(&between.trim()) {
                    return Err("comment ends before closing delimiter".to_owned());
                }
                trim = between.trim() == "-";
                (None, after)
            }
            None => {
                let (tokens, after, trims) = tokens(action)?;
                trim = trims;
                (Some(tokens), after)
            }
        };
        pieces.extend(inner.map(Piece::Action));
        rest = after;
    }
}

/// The tokens up to `}}`, what follows, and whether space is to be left out there.
fn tokens(action: &str) -> Result<(Vec<Token>, &str, bool), String> {
    let mut tokens = Vec::new();
    let mut rest = action;
    loop {
        let trimmed = rest.trim_start();
        if let Some(after) = trimmed.strip_prefix("}}") {
            return Ok((tokens, after, false));
        }
        if let Some(after) = trimmed.strip_prefix("-}}").filter(|_| trimmed.len() < rest.len()) {
            return Ok((tokens, after, true));
        }
        let first = trimmed.chars().next().ok_or("unclosed action")?;
        let (token, after) = token(first, trimmed)?;
        tokens.push(token);
        rest = after;
    }
}

fn token(first: char, text: &str) -> Result<(Token, &str), String> {
    let one = &text[first.len_utf8()..];
    Ok(match first {
        '(' => (Token::Open, one),
        ')' => {
            let (fields, rest) = fields(one);
            (Token::Close(fields), rest)
        }
        '|' => (Token::Pipe, one),
        ',' => (Token::Comma, one),
        '=' => (Token::Assign, one),
        ':' => (Token::Declare, one.strip_prefix('=').ok_or("expected :=")?),
        '"' => quoted(one)?,
        '`' => {
            let (raw, rest) = one.split_once('`').ok_or("unterminated raw quoted string")?;
            (Token::Text(raw.to_owned()), rest)
        }
        '\'' => {
            let (inner, rest) = one.split_once('\'').ok_or("unterminated character constant")?;
            let mut chars = inner.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) if c != '\\' => (Token::Int(i64::from(u32::from(c))), rest),
                _ => return Err(format!("malformed character constant: '{inner}'")),
            }
        }
        '$' => {
            let (name, rest) = word(one);
            let (fields, rest) = fields(rest);
            (Token::Variable(name.to_owned(), fields), rest)
        }
        '.' if !one.starts_with(|c: char| c.is_ascii_digit()) => {
            let (fields, rest) = fields(text);
            (Token::Dot(fields.clone()), if fields.is_empty() { one } else { rest })
        }
        c if c.is_ascii_digit() || "+-.".contains(c) => number(text)?,
        c if c.is_alphabetic() || c == '_' => {
            let (name, rest) = word(text);
            (Token::Word(name.to_owned()), rest)
        }
        c => return Err(format!("unexpected {c:?} in action")),
    })
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()))
}

/// `.a.b`, and what follows.
fn fields(text: &str) -> (Vec<String>, &str) {
    let (mut fields, mut rest) = (Vec::new(), text);
    while let Some(after) = rest.strip_prefix('.') {
        let (name, after) = word(after);
        if name.is_empty() {
            break;
        }
        fields.push(name.to_owned());
        rest = after;
    }
    (fields, rest)
}

fn number(text: &str) -> Result<(Token, &str), String> {
    let mut before = ' ';
    let end = text.find(|c: char| {
        let part = c.is_alphanumeric() || "._".contains(c) || ("+-".contains(c) && " eE".contains(before));
        before = c;
        !part
    });
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    let plain = number.replace('_', "");
    let hex = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X"));
    let token = match hex {
        Some(digits) => i64::from_str_radix(digits, 16).ok().map(Token::Int),
        None => plain.parse().map(Token::Int).ok().or_else(|| plain.parse().map(Token::Float).ok()),
    };
    let digits = plain.contains(|c: char| c.is_ascii_digit());
    token.filter(|_| digits).map(|token| (token, rest)).ok_or_else(|| format!("bad number syntax: {number:?}"))
}

fn quoted(text: &str) -> Result<(Token, &str), String> {
    let (mut word, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(word), &text[at + 1..])),
            '\n' => break,
            '\\' => {
                let (_, escape) = chars.next().ok_or("unterminated quoted string")?;
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                word.push(match escape {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    '\\' | '"' | '\'' => escape,
                    'x' | 'u' | 'U' => {
                        let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                        u32::from_str_radix(&code, 16)
                            .ok()
                            .and_then(char::from_u32)
                            .ok_or("invalid escape in string")?
                    }
                    other => return Err(format!("invalid escape \\{other} in string")),
                });
            }
            c => word.push(c),
        }
    }
    Err("unterminated quoted string".to_owned())
}

/// How a block ended.
enum End {
    File,
    Closed,
    /// With what follows the word.
    Else(Vec<Token>),
}

struct Parser {
    /// The next one last.
    pieces: Vec<Piece>,
    /// Those that are known here.
    variables: Vec<String>,
}

impl Parser {
    fn block(&mut self, depth: usize, loops: usize) -> Result<(Vec<Node>, End), String> {
        if depth > DEPTH {
            return Err("blocks are nested too deeply".to_owned());
        }
        let known = self.variables.len();
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.pop() {
            let tokens = match piece {
                Piece::Text(text) if text.is_empty() => continue,
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens) => tokens,
            };
            let (keyword, after) = match tokens.split_first() {
                Some((Token::Word(word), after)) => (word.as_str(), after),
                Some(_) => ("", tokens.as_slice()),
                None => return Err("missing value for command".to_owned()),
            };
            let node = match keyword {
                "end" | "else" => {
                    self.variables.truncate(known);
                    return match keyword {
                        "end" if after.is_empty() => Ok((nodes, End::Closed)),
                        "end" => Err("unexpected words after end".to_owned()),
                        _ => Ok((nodes, End::Else(after.to_vec()))),
                    };
                }
                "if" => self.branch(after, depth, loops)?,
                "range" => self.range(after, depth, loops)?,
                "with" => self.with(after, depth, loops)?,
                "break" if loops > 0 => Node::Break,
                "continue" if loops > 0 => Node::Continue,
                "break" | "continue" => return Err(format!("{{{{{keyword}}}}} outside {{{{range}}}}")),
                "define" | "template" | "block" => {
                    return Err(format!("{{{{{keyword}}}}} is not supported: write the text where it is used"));
                }
                _ => self.simple(&tokens)?,
            };
            nodes.push(node);
        }
        Ok((nodes, End::File))
    }

    fn simple(&mut self, tokens: &[Token]) -> Result<Node, String> {
        if let [Token::Variable(name, fields), sign @ (Token::Declare | Token::Assign), rest @ ..] = tokens
            && fields.is_empty()
        {
            let pipeline = self.pipeline(rest)?;
            let declares = *sign == Token::Declare;
            if declares {
                self.variables.push(name.clone());
            } else if !self.variables.contains(name) {
                return Err(format!("undefined variable \"${name}\""));
            }
            return Ok(Node::Let(name.clone(), declares, pipeline));
        }
        Ok(Node::Print(self.pipeline(tokens)?))
    }

    /// The nodes of a block that has to end, and of its `else`.
    fn both(&mut self, depth: usize, loops: usize, outer_loops: usize) -> Result<(Vec<Node>, Vec<Node>), String> {
        let (nodes, end) = self.block(depth + 1, loops)?;
        match end {
            End::File => Err("unexpected end of the text: {{end}} is missing".to_owned()),
            End::Closed => Ok((nodes, Vec::new())),
            End::Else(after) if after.is_empty() => {
                let (otherwise, end) = self.block(depth + 1, outer_loops)?;
                match end {
                    End::Closed => Ok((nodes, otherwise)),
                    End::File => Err("unexpected end of the text: {{end}} is missing".to_owned()),
                    End::Else(_) => Err("expected {{end}}, found {{else}}".to_owned()),
                }
            }
            End::Else(_) => Err("unexpected words after else".to_owned()),
        }
    }

    fn branch(&mut self, condition: &[Token], depth: usize, loops: usize) -> Result<Node, String> {
        let known = self.variables.len();
        let mut arms = Vec::new();
        let mut condition = condition.to_vec();
        loop {
            // `if $x := ...` declares.
            let (declared, pipeline) = match condition.as_slice() {
                [Token::Variable(name, fields), Token::Declare, rest @ ..] if fields.is_empty() => {
                    (Some(name.clone()), self.pipeline(rest)?)
                }
                all => (None, self.pipeline(all)?),
            };
            if declared.is_some() {
                return Err("{{if $x := ...}} is not supported: declare the variable before".to_owned());
            }
            let (nodes, end) = self.block(depth + 1, loops)?;
            arms.push((pipeline, nodes));
            match end {
                End::File => return Err("unexpected end of the text: {{end}} is missing".to_owned()),
                End::Closed => {
                    self.variables.truncate(known);
                    return Ok(Node::If(arms, Vec::new()));
                }
                End::Else(after) => match after.split_first() {
                    None => {
                        let (otherwise, end) = self.block(depth + 1, loops)?;
                        if !matches!(end, End::Closed) {
                            return Err("expected {{end}}".to_owned());
                        }
                        return Ok(Node::If(arms, otherwise));
                    }
                    Some((Token::Word(word), rest)) if word == "if" => condition = rest.to_vec(),
                    Some(_) => return Err("unexpected words after else".to_owned()),
                },
            }
        }
    }

    fn with(&mut self, tokens: &[Token], depth: usize, loops: usize) -> Result<Node, String> {
        let known = self.variables.len();
        let (name, rest) = match tokens {
            [Token::Variable(name, fields), Token::Declare, rest @ ..] if fields.is_empty() => (Some(name), rest),
            all => (None, all),
        };
        let pipeline = self.pipeline(rest)?;
        self.variables.extend(name.cloned());
        let (nodes, otherwise) = self.both(depth, loops, loops)?;
        self.variables.truncate(known);
        Ok(Node::With(name.cloned(), pipeline, nodes, otherwise))
    }

    fn range(&mut self, tokens: &[Token], depth: usize, loops: usize) -> Result<Node, String> {
        let known = self.variables.len();
        let (key, value, rest) = match tokens {
            [Token::Variable(key, _), Token::Comma, Token::Variable(value, _), Token::Declare, rest @ ..] => {
                (Some(key.clone()), Some(value.clone()), rest)
            }
            [Token::Variable(value, _), Token::Declare, rest @ ..] => (None, Some(value.clone()), rest),
            all => (None, None, all),
        };
        let pipeline = self.pipeline(rest)?;
        self.variables.extend(key.clone());
        self.variables.extend(value.clone());
        let (nodes, otherwise) = self.both(depth, loops + 1, loops)?;
        self.variables.truncate(known);
        Ok(Node::Range(key, value, pipeline, nodes, otherwise))
    }

    fn pipeline(&self, tokens: &[Token]) -> Result<Pipeline, String> {
        let mut rest = tokens;
        let pipeline = self.commands(&mut rest, 0)?;
        if rest.is_empty() { Ok(pipeline) } else { Err("unexpected right parenthesis or word".to_owned()) }
    }

    /// Up to the end, or a closing parenthesis.
    fn commands(&self, rest: &mut &[Token], depth: usize) -> Result<Pipeline, String> {
        if depth > DEPTH {
            return Err("parentheses are nested too deeply".to_owned());
        }
        let (mut pipeline, mut command) = (Vec::new(), Vec::new());
        while let Some((token, after)) = rest.split_first() {
            if matches!(token, Token::Close(_)) {
                break;
            }
            *rest = after;
            let term = match token {
                Token::Pipe => {
                    finish(&mut pipeline, &mut command)?;
                    continue;
                }
                Token::Open => {
                    let inner = self.commands(rest, depth + 1)?;
                    let Some((Token::Close(fields), after)) = rest.split_first() else {
                        return Err("unclosed left parenthesis".to_owned());
                    };
                    *rest = after;
                    Term::Inner(inner, fields.clone())
                }
                Token::Word(word) => match word.as_str() {
                    "true" | "false" => Term::Bool(word == "true"),
                    "nil" => Term::Nil,
                    name => {
                        functions::check(name)?;
                        Term::Function(name.to_owned())
                    }
                },
                Token::Dot(fields) => Term::Dot(fields.clone()),
                Token::Variable(name, fields) => {
                    if !name.is_empty() && !self.variables.contains(name) {
                        return Err(format!("undefined variable \"${name}\""));
                    }
                    Term::Variable(name.clone(), fields.clone())
                }
                Token::Text(text) => Term::Text(text.clone()),
                Token::Int(int) => Term::Int(*int),
                Token::Float(float) => Term::Float(*float),
                Token::Comma => return Err("unexpected \",\" in command".to_owned()),
                Token::Declare | Token::Assign => return Err("unexpected assignment in command".to_owned()),
                Token::Close(_) => return Err("unexpected right parenthesis".to_owned()),
            };
            command.push(term);
        }
        finish(&mut pipeline, &mut command)?;
        Ok(pipeline)
    }
}

fn finish(pipeline: &mut Pipeline, command: &mut Command) -> Result<(), String> {
    let Some(first) = command.first() else { return Err("missing value for command".to_owned()) };
    let calls = matches!(first, Term::Function(_));
    if !calls && (command.len() > 1 || !pipeline.is_empty()) {
        return Err("only a function takes arguments".to_owned());
    }
    pipeline.push(std::mem::take(command));
    Ok(())
}
