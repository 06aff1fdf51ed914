//! The numbers of nfnetlink (linux/netfilter/nfnetlink.h) and of nf_tables
//! (linux/netfilter/nf_tables.h), as far as they are used here.

/// NFNL_SUBSYS_NFTABLES, the upper byte of a message's type.
const SUBSYSTEM: u16 = 10;

/// NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END: what stands between them is one transaction.
pub(super) const BATCH_BEGIN: u16 = 16;
pub(super) const BATCH_END: u16 = 17;
/// NFNL_BATCH_GENID: the transaction is refused (ERESTART) unless this is the state it was made for.
pub(super) const BATCH_GENERATION: u16 = 1;
/// NFNLGRP_NFTABLES: who hears of every change.
pub(super) const GROUP: u32 = 7;

/// NLM_F_* (linux/netlink.h).
pub(super) const ACK: i32 = 0x4;
pub(super) const CREATE: i32 = 0x400;
pub(super) const APPEND: i32 = 0x800;
pub(super) const DUMP: i32 = 0x300;

/// NFPROTO_* (linux/netfilter.h).
pub(super) const UNSPECIFIED: u8 = 0;
pub(super) const INET: u8 = 1;
pub(super) const IPV4: u8 = 2;
pub(super) const IPV6: u8 = 10;

/// NFT_MSG_*.
pub(super) mod message {
    use super::SUBSYSTEM;

    const fn of(number: u16) -> u16 {
        SUBSYSTEM << 8 | number
    }

    pub(in crate::nft) const NEW_TABLE: u16 = of(0);
    pub(in crate::nft) const GET_TABLE: u16 = of(1);
    pub(in crate::nft) const DELETE_TABLE: u16 = of(2);
    pub(in crate::nft) const NEW_CHAIN: u16 = of(3);
    pub(in crate::nft) const GET_CHAIN: u16 = of(4);
    pub(in crate::nft) const DELETE_CHAIN: u16 = of(5);
    pub(in crate::nft) const NEW_RULE: u16 = of(6);
    pub(in crate::nft) const GET_RULE: u16 = of(7);
    pub(in crate::nft) const DELETE_RULE: u16 = of(8);
    pub(in crate::nft) const NEW_SET: u16 = of(9);
    pub(in crate::nft) const DELETE_SET: u16 = of(11);
    pub(in crate::nft) const NEW_ELEMENT: u16 = of(12);
    pub(in crate::nft) const GET_ELEMENT: u16 = of(13);
    pub(in crate::nft) const DELETE_ELEMENT: u16 = of(14);
    pub(in crate::nft) const NEW_GENERATION: u16 = of(15);
    pub(in crate::nft) const GET_GENERATION: u16 = of(16);
}

/// NFTA_TABLE_*.
pub(super) mod table {
    pub(in crate::nft) const NAME: u16 = 1;
    pub(in crate::nft) const USER_DATA: u16 = 6;
}

/// NFTA_CHAIN_* and NFTA_HOOK_*.
pub(super) mod chain {
    pub(in crate::nft) const TABLE: u16 = 1;
    pub(in crate::nft) const NAME: u16 = 3;
    pub(in crate::nft) const HOOK: u16 = 4;
    pub(in crate::nft) const POLICY: u16 = 5;
    pub(in crate::nft) const TYPE: u16 = 7;
    pub(in crate::nft) const HOOK_NUMBER: u16 = 1;
    pub(in crate::nft) const HOOK_PRIORITY: u16 = 2;
}

/// NFTA_RULE_*.
pub(super) mod rule {
    pub(in crate::nft) const TABLE: u16 = 1;
    pub(in crate::nft) const CHAIN: u16 = 2;
    pub(in crate::nft) const HANDLE: u16 = 3;
    pub(in crate::nft) const EXPRESSIONS: u16 = 4;
    pub(in crate::nft) const POSITION: u16 = 6;
    pub(in crate::nft) const USER_DATA: u16 = 7;
}

/// NFTA_SET_*.
pub(super) mod set {
    pub(in crate::nft) const TABLE: u16 = 1;
    pub(in crate::nft) const NAME: u16 = 2;
    pub(in crate::nft) const FLAGS: u16 = 3;
    pub(in crate::nft) const KEY_TYPE: u16 = 4;
    pub(in crate::nft) const KEY_LENGTH: u16 = 5;
    pub(in crate::nft) const DATA_TYPE: u16 = 6;
    pub(in crate::nft) const DATA_LENGTH: u16 = 7;
    pub(in crate::nft) const ID: u16 = 10;
    pub(in crate::nft) const USER_DATA: u16 = 13;
    /// NFT_SET_INTERVAL and NFT_SET_MAP.
    pub(in crate::nft) const INTERVAL: u32 = 0x4;
    pub(in crate::nft) const MAP: u32 = 0x8;
}

/// NFTA_SET_ELEM_LIST_* and NFTA_SET_ELEM_*.
pub(super) mod element {
    pub(in crate::nft) const TABLE: u16 = 1;
    pub(in crate::nft) const SET: u16 = 2;
    pub(in crate::nft) const ELEMENTS: u16 = 3;
    pub(in crate::nft) const KEY: u16 = 1;
    pub(in crate::nft) const DATA: u16 = 2;
    pub(in crate::nft) const FLAGS: u16 = 3;
    pub(in crate::nft) const USER_DATA: u16 = 6;
    /// NFT_SET_ELEM_INTERVAL_END: the first key behind an interval.
    pub(in crate::nft) const INTERVAL_END: u32 = 1;
}

/// NFTA_GEN_*.
pub(super) mod generation {
    pub(in crate::nft) const ID: u16 = 1;
    pub(in crate::nft) const PID: u16 = 2;
    pub(in crate::nft) const PROGRAM: u16 = 3;
}

/// NFTA_LIST_ELEM, one of many in a nest.
pub(super) const LIST_ELEMENT: u16 = 1;

/// NFTA_DATA_* and NFTA_VERDICT_*.
pub(super) const DATA_VALUE: u16 = 1;
pub(super) const DATA_VERDICT: u16 = 2;
pub(super) const VERDICT_CODE: u16 = 1;
pub(super) const VERDICT_CHAIN: u16 = 2;
/// NFT_RETURN.
pub(super) const VERDICT_RETURN: i32 = -5;

/// NFTA_EXPR_*.
pub(super) const EXPRESSION_NAME: u16 = 1;
pub(super) const EXPRESSION_DATA: u16 = 2;

/// The head of a message about an object of a family (`struct nfgenmsg`).
pub(super) const fn head(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}

/// The head of the messages around a transaction, which names the subsystem in network order.
pub(super) const fn batch_head() -> [u8; 4] {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    [UNSPECIFIED, 0, high, low]
}

/// A comment as `nft` writes and shows it: type 0, length, text with a NUL (libnftnl's
/// NFTNL_UDATA_*_COMMENT). What is longer than a comment can be is cut.
pub(super) fn comment(text: &str) -> Vec<u8> {
    const LONGEST: usize = 128;
    let mut end = text.len().min(LONGEST - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    let mut bytes = vec![0, u8::try_from(text.len() + 1).unwrap_or(0)];
    bytes.extend(text.bytes());
    bytes.push(0);
    bytes
}

/// The comment in user data.
pub(super) fn comment_of(mut bytes: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = bytes {
        let value = rest.get(..usize::from(*length))?;
        if *kind == 0 {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        bytes = rest.get(usize::from(*length)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_come_back() {
        assert_eq!(comment("ab"), [0, 3, b'a', b'b', 0]);
        assert_eq!(comment_of(&comment("ab")).as_deref(), Some("ab"));
        // Behind another entry of the list.
        assert_eq!(comment_of(&[7, 1, 9, 0, 2, b'x', 0]).as_deref(), Some("x"));
        assert_eq!(comment_of(&[]), None);
        assert_eq!(comment_of(&[0, 9, 1]), None);
        let long = "\u{e9}".repeat(100);
        let kept = comment_of(&comment(&long)).unwrap();
        assert_eq!((kept.len(), long.starts_with(&kept)), (126, true));
    }
}
