//! What a registry that answers 401 wants (`WWW-Authenticate`, RFC 9110, section 11.6.1).

use hyper::HeaderMap;
use hyper::header::WWW_AUTHENTICATE;

/// One way to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token from a server (distribution's "Token Authentication Specification").
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
        error: Option<String>,
    },
}

/// The best challenge that is understood: a token before a password.
pub(super) fn choose(headers: &HeaderMap) -> Option<Challenge> {
    let lines = headers.get_all(WWW_AUTHENTICATE).iter();
    let all: Vec<Challenge> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(parse)
        .collect();
    let bearer = all.iter().find(|c| matches!(c, Challenge::Bearer { .. }));
    bearer.or(all.first()).cloned()
}

/// Reads one line, which may hold several challenges. What is not understood is passed over.
fn parse(line: &str) -> Vec<Challenge> {
    let mut challenges: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = line;
    while let Some((word, after)) = token(rest) {
        let after = after.trim_start_matches([' ', '\t']);
        if let Some(value) = after.strip_prefix('=') {
            let (value, after) = value_of(value.trim_start_matches([' ', '\t']));
            if let Some((_, parameters)) = challenges.last_mut() {
                parameters.push((word.to_ascii_lowercase(), value));
            }
            rest = after;
        } else {
            challenges.push((word.to_ascii_lowercase(), Vec::new()));
            rest = after;
        }
    }
    challenges.into_iter().filter_map(understand).collect()
}

fn understand((scheme, mut parameters): (String, Vec<(String, String)>)) -> Option<Challenge> {
    let mut take = |name: &str| {
        let at = parameters.iter().position(|(n, _)| n == name)?;
        Some(parameters.swap_remove(at).1)
    };
    match scheme.as_str() {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: take("realm")?,
            service: take("service"),
            scope: take("scope"),
            error: take("error"),
        }),
        _ => None,
    }
}

/// The next word and what follows it; separators before it are passed over.
fn token(text: &str) -> Option<(&str, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
    let text = text.trim_start_matches(|c| !is_word(c));
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A quoted string or a word, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
            error: None,
        }
    }

    #[test]
    fn challenges() {
        assert_eq!(
            parse(
                r#"Bearer realm="https://a.example/t",service="r",scope="repository:a/b:pull,push""#
            ),
            [bearer(
                "https://a.example/t",
                Some("r"),
                Some("repository:a/b:pull,push")
            )]
        );
        assert_eq!(
            parse(r#"Negotiate, basic realm="a \"b\", c" , BEARER realm=x"#),
            [Challenge::Basic, bearer("x", None, None)]
        );
        assert_eq!(parse(r#"Bearer service="no realm""#), []);
        assert_eq!(parse(r#"Basic realm="not closed"#), [Challenge::Basic]);
        let mut headers = HeaderMap::new();
        assert_eq!(choose(&headers), None);
        headers.append(WWW_AUTHENTICATE, "Basic realm=a".parse().unwrap());
        headers.append(WWW_AUTHENTICATE, "Bearer realm=x".parse().unwrap());
        assert_eq!(choose(&headers), Some(bearer("x", None, None)));
    }

    proptest! {
        #[test]
        fn no_line_panics_or_loops(line in "[ -~]{0,100}") {
            parse(&line);
        }
    }
}
