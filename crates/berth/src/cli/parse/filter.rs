//! `--filter KEY=VALUE`.

use super::Rejected;

/// Splits a filter; which keys there are is the listing's business.
pub(crate) fn filter(text: &str) -> Result<(String, String), Rejected> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err(Rejected::new("give KEY=VALUE, such as status=exited")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_filters_keep_their_second_equals() {
        assert_eq!(filter("label=a=b"), Ok(("label".into(), "a=b".into())));
        assert!(filter("running").is_err());
    }
}
