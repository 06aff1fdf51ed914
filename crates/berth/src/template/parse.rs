//! From tokens to the tree.

use serde_json::Value;

use super::ast::{Binding, Branch, Command, Node, Operand, OperandKind, Pipeline};
use super::error::Fault;
use super::functions;
use super::lex::{Token, TokenKind};

/// Nesting deeper than this is refused, so that no input exhausts the stack.
const MAX_DEPTH: usize = 64;

/// Parses a whole template.
pub(super) fn parse(tokens: &[Token]) -> Result<Vec<Node>, Fault> {
    let mut parser = Parser {
        tokens,
        position: 0,
        depth: 0,
        loops: 0,
        variables: vec![String::new()],
    };
    let (nodes, end) = parser.body()?;
    match end {
        None => Ok(nodes),
        Some((offset, word)) => Err(Fault::new(
            offset,
            format!("{{{{{word}}}}} without an if, with or range before it"),
        )),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    position: usize,
    depth: usize,
    loops: usize,
    /// Variables in scope; the first is `$`.
    variables: Vec<String>,
}

/// What ended a body: `end` or `else`, with its offset; nothing at the end of the template.
type BodyEnd = Option<(usize, &'static str)>;

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position)
    }

    fn peek_kind(&self) -> Option<&TokenKind> {
        self.peek().map(|token| &token.kind)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.position).cloned();
        self.position += 1;
        token
    }

    fn offset(&self) -> usize {
        let token = self.peek().or_else(|| self.tokens.last());
        token.map_or(0, |token| token.offset)
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek_kind(), Some(TokenKind::Word(word)) if word == wanted);
        if found {
            self.position += 1;
        }
        found
    }

    fn expect_close(&mut self, after: &str) -> Result<(), Fault> {
        let offset = self.offset();
        match self.next().map(|token| token.kind) {
            Some(TokenKind::Close) => Ok(()),
            Some(other) => Err(unexpected(offset, &other, after)),
            None => Err(Fault::new(offset, format!("}}}} is missing after {after}"))),
        }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(Fault::new(
                self.offset(),
                format!("nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Reads nodes up to `end`, `else` or the end of the template.
    fn body(&mut self) -> Result<(Vec<Node>, BodyEnd), Fault> {
        let mut nodes = Vec::new();
        while let Some(token) = self.next() {
            match token.kind {
                TokenKind::Text(text) => nodes.push(Node::Text(text)),
                TokenKind::Open => {
                    if self.take_word("end") {
                        self.expect_close("end")?;
                        return Ok((nodes, Some((token.offset, "end"))));
                    }
                    if self.take_word("else") {
                        return Ok((nodes, Some((token.offset, "else"))));
                    }
                    nodes.push(self.action(token.offset)?);
                }
                other => return Err(unexpected(token.offset, &other, "template")),
            }
        }
        Ok((nodes, None))
    }

    fn action(&mut self, open: usize) -> Result<Node, Fault> {
        if let Some(TokenKind::Word(word)) = self.peek_kind() {
            let word = word.clone();
            match word.as_str() {
                "if" | "with" | "range" => {
                    self.position += 1;
                    return self.deeper(|parser| parser.branch(open, &word));
                }
                "break" | "continue" => {
                    self.position += 1;
                    self.expect_close(&word)?;
                    if self.loops == 0 {
                        return Err(Fault::new(open, format!("{{{{{word}}}}} outside a range")));
                    }
                    return Ok(if word == "break" {
                        Node::Break
                    } else {
                        Node::Continue
                    });
                }
                "define" | "template" | "block" => {
                    return Err(Fault::new(open, format!("{word} is not supported")));
                }
                _ => {}
            }
        }
        let pipeline = self.pipeline("action")?;
        self.expect_close("action")?;
        Ok(Node::Action(pipeline))
    }

    /// Reads `if`, `with` or `range` after the word, up to and with its `end`.
    fn branch(&mut self, open: usize, word: &str) -> Result<Node, Fault> {
        let outer = self.variables.len();
        let pipeline = self.pipeline(word)?;
        let names = pipeline.binding.as_ref().map_or(0, |b| b.names.len());
        if names > 1 && word != "range" {
            return Err(Fault::new(open, format!("{word} takes one variable")));
        }
        self.expect_close(word)?;
        let looping = usize::from(word == "range");
        self.loops += looping;
        let inner = self.variables.len();
        let (body, end) = self.body()?;
        self.variables.truncate(inner);
        self.loops -= looping;
        let otherwise = match end {
            Some((_, "end")) => Vec::new(),
            Some(_) => self.otherwise(open, word)?,
            None => return Err(Fault::new(open, format!("{word} without {{{{end}}}}"))),
        };
        self.variables.truncate(outer);
        let branch = Branch {
            pipeline,
            body,
            otherwise,
        };
        Ok(match word {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    /// Reads what follows `{{else`: a body and its `end`, or another condition that shares the
    /// `end` of the first.
    fn otherwise(&mut self, open: usize, word: &str) -> Result<Vec<Node>, Fault> {
        if word != "range" && self.take_word(word) {
            return self.deeper(|parser| Ok(vec![parser.branch(open, word)?]));
        }
        self.expect_close("else")?;
        match self.body()? {
            (nodes, Some((_, "end"))) => Ok(nodes),
            (_, Some((offset, _))) => Err(Fault::new(offset, "a second {{else}}")),
            (_, None) => Err(Fault::new(open, format!("{word} without {{{{end}}}}"))),
        }
    }

    fn pipeline(&mut self, context: &str) -> Result<Pipeline, Fault> {
        let offset = self.offset();
        let binding = self.binding(context)?;
        let mut commands = vec![self.command(context)?];
        while matches!(self.peek_kind(), Some(TokenKind::Pipe)) {
            self.position += 1;
            let command = self.command(context)?;
            if matches!(command.head.kind, OperandKind::Literal(_)) {
                return Err(Fault::new(
                    command.head.offset,
                    "a literal cannot take the value of a pipeline",
                ));
            }
            commands.push(command);
        }
        if let Some(binding) = &binding
            && binding.declares
        {
            self.variables.extend(binding.names.iter().cloned());
        }
        Ok(Pipeline {
            offset,
            binding,
            commands,
        })
    }

    /// Reads `$x :=`, `$x =` or `$i, $x :=`, where they stand at the start of a pipeline.
    fn binding(&mut self, context: &str) -> Result<Option<Binding>, Fault> {
        let kind = |index: usize| self.tokens.get(self.position + index).map(|t| &t.kind);
        let Some(TokenKind::Variable(first)) = kind(0) else {
            return Ok(None);
        };
        let (names, sign, length) = match (kind(1), kind(2), kind(3)) {
            (Some(sign @ (TokenKind::Declare | TokenKind::Assign)), _, _) => {
                (vec![first.clone()], sign.clone(), 2)
            }
            (Some(TokenKind::Comma), Some(TokenKind::Variable(second)), Some(sign)) => {
                (vec![first.clone(), second.clone()], sign.clone(), 4)
            }
            _ => return Ok(None),
        };
        let offset = self.offset();
        let declares = match sign {
            TokenKind::Declare => true,
            TokenKind::Assign => false,
            other => return Err(unexpected(offset, &other, "variables")),
        };
        if names.len() > 1 && context != "range" {
            return Err(Fault::new(offset, "only range takes two variables"));
        }
        if names.iter().any(String::is_empty) {
            return Err(Fault::new(offset, "$ itself cannot be set"));
        }
        if !declares {
            for name in &names {
                self.check_variable(offset, name)?;
            }
        }
        self.position += length;
        Ok(Some(Binding { names, declares }))
    }

    fn check_variable(&self, offset: usize, name: &str) -> Result<(), Fault> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(Fault::new(offset, format!("undefined variable ${name}")))
    }

    fn command(&mut self, context: &str) -> Result<Command, Fault> {
        let head = self.operand(context)?;
        let mut arguments = Vec::new();
        loop {
            match self.peek() {
                None => break,
                Some(token) => match &token.kind {
                    TokenKind::Close | TokenKind::Pipe | TokenKind::Right => break,
                    _ if !token.spaced && !matches!(token.kind, TokenKind::Left) => {
                        return Err(unexpected(token.offset, &token.kind, context));
                    }
                    _ => arguments.push(self.operand(context)?),
                },
            }
        }
        let callable = match head.kind {
            OperandKind::Function(_) => head.fields.is_empty(),
            OperandKind::Literal(_) => false,
            _ => !head.fields.is_empty(),
        };
        if !arguments.is_empty() && !callable {
            return Err(Fault::new(
                head.offset,
                "this takes no arguments; it is no function",
            ));
        }
        Ok(Command { head, arguments })
    }

    fn operand(&mut self, context: &str) -> Result<Operand, Fault> {
        let offset = self.offset();
        let Some(token) = self.next() else {
            return Err(Fault::new(
                offset,
                format!("a value is missing in {context}"),
            ));
        };
        let mut fields = Vec::new();
        let kind = match token.kind {
            TokenKind::Dot => OperandKind::Dot,
            TokenKind::Field(name) => {
                fields.push(name);
                OperandKind::Dot
            }
            TokenKind::Variable(name) => {
                self.check_variable(offset, &name)?;
                OperandKind::Variable(name)
            }
            TokenKind::Literal(value) => OperandKind::Literal(value),
            TokenKind::Word(word) => match word.as_str() {
                "true" => OperandKind::Literal(Value::Bool(true)),
                "false" => OperandKind::Literal(Value::Bool(false)),
                "nil" => OperandKind::Literal(Value::Null),
                _ => {
                    functions::check(&word).map_err(|message| Fault::new(offset, message))?;
                    OperandKind::Function(word)
                }
            },
            TokenKind::Left => {
                let pipeline = self.deeper(|parser| parser.pipeline("parentheses"))?;
                match self.next().map(|token| token.kind) {
                    Some(TokenKind::Right) => OperandKind::Group(Box::new(pipeline)),
                    _ => return Err(Fault::new(offset, "a ( without its )")),
                }
            }
            other => return Err(unexpected(offset, &other, context)),
        };
        while let Some(Token {
            spaced: false,
            kind: TokenKind::Field(name),
            ..
        }) = self.peek()
        {
            let chains = !matches!(kind, OperandKind::Literal(_) | OperandKind::Function(_));
            if !chains || (matches!(kind, OperandKind::Dot) && fields.is_empty()) {
                return Err(Fault::new(self.offset(), format!("unexpected .{name}")));
            }
            fields.push(name.clone());
            self.position += 1;
        }
        Ok(Operand {
            offset,
            kind,
            fields,
        })
    }
}

fn unexpected(offset: usize, kind: &TokenKind, context: &str) -> Fault {
    let what = match kind {
        TokenKind::Text(_) => "text".to_owned(),
        TokenKind::Open => "{{".to_owned(),
        TokenKind::Close => return Fault::new(offset, format!("a value is missing in {context}")),
        TokenKind::Dot => ".".to_owned(),
        TokenKind::Field(name) => format!(".{name}"),
        TokenKind::Variable(name) => format!("${name}"),
        TokenKind::Word(word) => word.clone(),
        TokenKind::Literal(value) => value.to_string(),
        TokenKind::Pipe => "|".to_owned(),
        TokenKind::Left => "(".to_owned(),
        TokenKind::Right => ")".to_owned(),
        TokenKind::Declare => ":=".to_owned(),
        TokenKind::Assign => "=".to_owned(),
        TokenKind::Comma => ",".to_owned(),
    };
    Fault::new(offset, format!("unexpected {what} in {context}"))
}
