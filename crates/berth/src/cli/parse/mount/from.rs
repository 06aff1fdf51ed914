//! `--volumes-from CONTAINER[:ro|rw]`.

use berth_engine::MountRequest;

use crate::cli::parse::Rejected;

/// Reads the container and what it gives; whether it exists is the engine's to say.
pub(crate) fn volumes_from(text: &str) -> Result<MountRequest, Rejected> {
    let (container, mode) = match text.split_once(':') {
        Some((container, mode)) => (container, Some(mode)),
        None => (text, None),
    };
    let read_only = match mode {
        None | Some("rw" | "z" | "Z") => false,
        Some("ro") => true,
        Some(_) => {
            return Err(Rejected::new(
                "after the container stand ro or rw, as in web:ro",
            ));
        }
    };
    if container.is_empty() {
        return Err(Rejected::new(
            "give CONTAINER, CONTAINER:ro or CONTAINER:rw",
        ));
    }
    Ok(MountRequest::From {
        container: container.to_owned(),
        read_only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_with_a_mode() {
        for (text, container, read_only) in [
            ("web", "web", false),
            ("web:rw", "web", false),
            ("3f:ro", "3f", true),
        ] {
            let expected = MountRequest::From {
                container: container.into(),
                read_only,
            };
            assert_eq!(volumes_from(text), Ok(expected));
        }
        for bad in ["", ":ro", "web:", "web:x", "web:ro:x"] {
            assert!(volumes_from(bad).is_err(), "{bad}");
        }
    }
}
