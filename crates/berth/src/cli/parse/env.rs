//! `-e` and `--env-file`.

use super::Rejected;
use super::lines::lines;

/// One environment variable as the user gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EnvRequest {
    /// `KEY=VALUE`.
    Set(String),
    /// `KEY` alone: the caller's own value, nothing where the caller has none.
    Import(String),
}

impl EnvRequest {
    /// The `KEY=VALUE` to pass on; `lookup` reads the caller's environment.
    pub(crate) fn resolve(self, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
        match self {
            Self::Set(pair) => Some(pair),
            Self::Import(key) => lookup(&key).map(|value| format!("{key}={value}")),
        }
    }
}

/// Reads `KEY=VALUE` or `KEY`.
pub(crate) fn env(text: &str) -> Result<EnvRequest, Rejected> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    };
    if key.is_empty() || text.contains('\0') {
        return Err(Rejected::new(
            "give KEY=VALUE, or KEY alone for your own value of it",
        ));
    }
    Ok(match value {
        Some(_) => EnvRequest::Set(text.to_owned()),
        None => EnvRequest::Import(text.to_owned()),
    })
}

/// Reads the lines of an environment file: blank lines and those that begin with `#` are
/// skipped, values are taken as they stand, quotes included.
pub(crate) fn env_file(content: &[u8]) -> Result<Vec<EnvRequest>, Rejected> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut requests = Vec::new();
    for line in lines(content) {
        let (number, line) = line?;
        let key = line.split('=').next().unwrap_or(line);
        if key.contains(char::is_whitespace) {
            return Err(Rejected::new(format!(
                "line {number}: the name {key:?} holds white space"
            )));
        }
        let request = env(line)
            .map_err(|_| Rejected::new(format!("line {number} has no name before the =")))?;
        requests.push(request);
    }
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_imports() {
        let lookup = |key: &str| (key == "HOME").then(|| "/h".to_owned());
        let resolve = |text: &str| env(text).unwrap().resolve(lookup);
        assert_eq!(resolve("A=b=c").as_deref(), Some("A=b=c"));
        assert_eq!(resolve("A=").as_deref(), Some("A="));
        assert_eq!(resolve("HOME").as_deref(), Some("HOME=/h"));
        assert_eq!(resolve("NONE"), None);
        assert!(env("=x").is_err());
        assert!(env("").is_err());
    }

    #[test]
    fn files() {
        let read = env_file(b"\xef\xbb\xbf# note\n\n  A=1\r\nB=\"x y\"\nHOME\n").unwrap();
        assert_eq!(
            read,
            [
                EnvRequest::Set("A=1".into()),
                EnvRequest::Set("B=\"x y\"".into()),
                EnvRequest::Import("HOME".into())
            ]
        );
    }

    #[test]
    fn file_errors_name_the_line() {
        insta::assert_snapshot!(env_file(b"A=1\nB C=2").unwrap_err(), @r#"line 2: the name "B C" holds white space"#);
        insta::assert_snapshot!(env_file(b"=2").unwrap_err(), @"line 1 has no name before the =");
        insta::assert_snapshot!(env_file(b"A=\xff").unwrap_err(), @"line 1 is not UTF-8");
    }
}
