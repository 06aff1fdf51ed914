//! Bytes of a process's name to text, without loss of what is odd about them.

/// Decodes bytes that a process chose (comm, argv) as UTF-8.
///
/// Bytes that are not UTF-8 become `\xNN`. Control characters stay as they are: whoever shows the
/// text on a terminal passes it through [`berth_base::escape_untrusted`] first.
pub fn decode_untrusted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_bytes_are_spelled_out_and_the_rest_stays() {
        assert_eq!(decode_untrusted("grün".as_bytes()), "grün");
        assert_eq!(decode_untrusted(b"a\xff\xfeb\x1b"), "a\\xff\\xfeb\x1b");
    }
}
