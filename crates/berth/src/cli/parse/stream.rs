//! `-a`.

use super::Rejected;

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StdStream {
    Stdin,
    Stdout,
    Stderr,
}

/// Reads `stdin`, `stdout` or `stderr`, in any case as Docker does.
pub(crate) fn stream(text: &str) -> Result<StdStream, Rejected> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" => Ok(StdStream::Stdin),
        "stdout" => Ok(StdStream::Stdout),
        "stderr" => Ok(StdStream::Stderr),
        _ => Err(Rejected::new("give stdin, stdout or stderr")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams() {
        assert_eq!(stream("STDERR"), Ok(StdStream::Stderr));
        assert!(stream("stdlog").is_err());
    }
}
