//! One line of comma-separated fields, as Go's encoding/csv reads it for Docker (RFC 4180).

use crate::cli::parse::Rejected;

/// Splits a line. A field that begins with a quote ends at the next one; two of them are a quote.
pub(super) fn fields(line: &str) -> Result<Vec<String>, Rejected> {
    let refuse = |why: &str| {
        Err(Rejected::new(format!(
            "{why}; a field with a comma stands in quotes, as in 'type=volume,\"volume-opt=o=size=1m,mode=755\"'"
        )))
    };
    if line.contains(['\n', '\r', '\0']) {
        return refuse("a mount is one line");
    }
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (field, next) = match rest.split_once(',') {
                Some((field, next)) => (field, Some(next)),
                None => (rest, None),
            };
            if field.contains('"') {
                return refuse("a quote inside a field that does not begin with one");
            }
            fields.push(field.to_owned());
            match next {
                Some(next) => rest = next,
                None => return Ok(fields),
            }
            continue;
        };
        let mut field = String::new();
        let mut tail = quoted;
        loop {
            let Some((text, after)) = tail.split_once('"') else {
                return refuse("a quote that does not end");
            };
            field.push_str(text);
            match after.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    tail = more;
                }
                None => {
                    tail = after;
                    break;
                }
            }
        }
        fields.push(field);
        match tail.strip_prefix(',') {
            Some(next) => rest = next,
            None if tail.is_empty() => return Ok(fields),
            None => return refuse("text after the end of a quoted field"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_keep_commas() {
        assert_eq!(fields("a,b=c,").unwrap(), ["a", "b=c", ""]);
        assert_eq!(
            fields(r#"a,"o=x,y=""z""",b"#).unwrap(),
            ["a", "o=x,y=\"z\"", "b"]
        );
        for bad in [r#"a"b"#, r#""a"#, r#""a"b"#, "a\nb"] {
            assert!(fields(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(texts in prop::collection::vec("[ -~]{0,12}", 1..5)) {
            let line: Vec<String> = texts
                .iter()
                .map(|text| format!("\"{}\"", text.replace('"', "\"\"")))
                .collect();
            prop_assert_eq!(fields(&line.join(",")).unwrap(), texts);
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            drop(fields(&text));
        }
    }
}
