//! What networks need: links, the packet filter, for users a program that carries packets.

use super::Patient;
use super::finding::{Finding, State};
use super::ids::in_path;
use super::probe::try_in_child;

const AREA: &str = "Networks";

pub(super) fn look(patient: &Patient<'_>) -> Vec<Finding> {
    if !patient.is_root {
        return vec![carrier(), tap(), nftables(patient)];
    }
    let mut all: Vec<Finding> = ["bridge", "veth"]
        .iter()
        .map(|kind| {
            let tried = try_in_child(&patient.context.config, kind);
            let why = tried.as_ref().err().cloned().unwrap_or_default();
            Finding::ok(AREA, *kind, why).unless(
                tried.is_ok(),
                State::Missing,
                "containers have --network none and host alone",
                &format!("modprobe {kind}"),
            )
        })
        .collect();
    all.push(nftables(patient));
    all
}

fn nftables(patient: &Patient<'_>) -> Finding {
    let tried = try_in_child(&patient.context.config, "nftables");
    let why = tried.as_ref().err().cloned().unwrap_or_default();
    let state = match patient.is_root {
        true => State::Missing,
        false => State::Warning,
    };
    Finding::ok(AREA, "nftables", why).unless(
        tried.is_ok(),
        state,
        "no published ports, no way from networks to the outside, no names on them",
        "modprobe -a nf_tables nft_ct nft_nat nft_masq nft_fib_inet nf_conntrack",
    )
}

/// What that program makes its end inside a container with.
fn tap() -> Finding {
    match berth_engine::tap_device() {
        Ok(()) => Finding::ok(AREA, "/dev/net/tun", ""),
        Err((why, remedy)) => Finding::ok(AREA, "/dev/net/tun", why.to_string()).but(
            State::Missing,
            "containers without root have --network none and host alone",
            format!("have the administrator run \"{remedy}\""),
        ),
    }
}

/// Without root a program of the host carries a container's packets.
fn carrier() -> Finding {
    let found = ["pasta", "slirp4netns"].into_iter().find_map(in_path);
    let shown = found
        .as_ref()
        .map_or_else(|| "neither".to_owned(), |path| path.display().to_string());
    Finding::ok(AREA, "pasta or slirp4netns", shown).unless(
        found.is_some(),
        State::Missing,
        "containers without root have --network none and host alone",
        "install the package passt or slirp4netns",
    )
}
