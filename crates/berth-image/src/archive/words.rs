//! Words of an instruction: quotes, backslashes and variables, as a Dockerfile has them.

/// How deep `${A:-${B:-...}}` may nest.
const DEPTH_MAX: usize = 8;

/// Looks variables up; `None` for one that is not set.
pub(super) type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Splits a text at spaces outside of quotes; quotes go and variables are filled in. What a variable
/// brings is not split again.
pub(super) fn split(text: &str, variables: &Variables<'_>) -> Result<Vec<String>, String> {
    Lexer::new(text, variables, 0).words(true)
}

/// The same without splitting.
pub(super) fn expand(text: &str, variables: &Variables<'_>) -> Result<String, String> {
    let words = Lexer::new(text, variables, 0).words(false)?;
    Ok(words.into_iter().next().unwrap_or_default())
}

struct Lexer<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    variables: &'a Variables<'a>,
    depth: usize,
    words: Vec<String>,
    word: String,
    in_word: bool,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, variables: &'a Variables<'a>, depth: usize) -> Self {
        Self {
            chars: text.chars().peekable(),
            variables,
            depth,
            words: Vec::new(),
            word: String::new(),
            in_word: false,
        }
    }

    fn words(mut self, splits: bool) -> Result<Vec<String>, String> {
        while let Some(c) = self.chars.next() {
            if splits && c.is_whitespace() {
                self.end_word();
                continue;
            }
            self.in_word = true;
            match c {
                '\'' => self.single_quoted()?,
                '"' => self.double_quoted()?,
                '\\' => self.word.extend(self.chars.next()),
                '$' => self.variable()?,
                c => self.word.push(c),
            }
        }
        self.end_word();
        Ok(self.words)
    }

    fn end_word(&mut self) {
        if std::mem::take(&mut self.in_word) {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    fn single_quoted(&mut self) -> Result<(), String> {
        loop {
            match self.chars.next() {
                Some('\'') => return Ok(()),
                Some(c) => self.word.push(c),
                None => return Err("a quote is not closed".to_owned()),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<(), String> {
        loop {
            match self.chars.next() {
                Some('"') => return Ok(()),
                Some('$') => self.variable()?,
                Some('\\') => match self.chars.next() {
                    Some(c @ ('"' | '$' | '\\')) => self.word.push(c),
                    Some(c) => self.word.extend(['\\', c]),
                    None => return Err("a quote is not closed".to_owned()),
                },
                Some(c) => self.word.push(c),
                None => return Err("a quote is not closed".to_owned()),
            }
        }
    }

    /// `$NAME`, `${NAME}`, `${NAME:-else}`, `${NAME:+then}`; a `$` before anything else is itself.
    fn variable(&mut self) -> Result<(), String> {
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            if name.is_empty() {
                self.word.push('$');
            }
            self.word.extend((self.variables)(&name));
            return Ok(());
        }
        self.chars.next();
        let name = self.name();
        if name.is_empty() {
            return Err("a variable in braces has no name".to_owned());
        }
        let rest = self.until_brace()?;
        // A variable that is set to nothing counts as not set.
        let value = (self.variables)(&name).filter(|value| !value.is_empty());
        let value = match (rest.get(..2).unwrap_or(&rest), value) {
            ("", value) => value.unwrap_or_default(),
            (":-", Some(value)) => value,
            (":-", None) | (":+", Some(_)) => self.nested(rest.get(2..).unwrap_or_default())?,
            (":+", None) => String::new(),
            _ => return Err(format!("${{{name}{rest}}} is not known")),
        };
        self.word.push_str(&value);
        Ok(())
    }

    fn nested(&self, text: &str) -> Result<String, String> {
        if self.depth == DEPTH_MAX {
            return Err("variables nest too deep".to_owned());
        }
        let words = Lexer::new(text, self.variables, self.depth + 1).words(false)?;
        Ok(words.into_iter().next().unwrap_or_default())
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self
            .chars
            .next_if(|c| c.is_ascii_alphanumeric() || *c == '_')
        {
            name.push(c);
        }
        name
    }

    /// What comes before the brace that closes.
    fn until_brace(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut open = 1;
        for c in self.chars.by_ref() {
            match c {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return Ok(text);
            }
            text.push(c);
        }
        Err("a brace is not closed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variables(name: &str) -> Option<String> {
        match name {
            "A" => Some("a b".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn words_are_split_and_filled_in() {
        let split = |text| split(text, &variables).unwrap().join("|");
        assert_eq!(
            split("  x=1 y='2 3' z=\"4 $A\" w=5\\ 6 "),
            "x=1|y=2 3|z=4 a b|w=5 6"
        );
        assert_eq!(split("$A '' '$A' \\$A $ $-"), "a b||$A|$A|$|$-");
        assert_eq!(
            split("${A}x ${N:-no $A} ${E:-e} ${A:+yes} ${N:+no}"),
            "a bx|no a b|e|yes|"
        );
        assert_eq!(split(r#""a\"b\n""#), r#"a"b\n"#);
        assert_eq!(expand(" $A ' '", &variables).unwrap(), " a b  ");
        for bad in ["'x", "\"x", "${A", "${}", "${A:?x}", "\"\\"] {
            assert!(super::split(bad, &variables).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[${}:+A\\\\'\" -]{0,60}") {
            drop(split(&text, &variables));
            drop(expand(&text, &variables));
        }
    }
}
