//! What goes over the wire.

use super::*;

/// RTM_GETLINK of an index.
fn link(batch: &mut Batch, index: i32) {
    let mut head = [0; 16];
    overwrite(&mut head, 4, &index.to_ne_bytes());
    batch.message(libc::RTM_GETLINK, libc::NLM_F_ACK, &head, |_| {});
}

#[test]
fn attributes_are_padded_and_nested() {
    let mut batch = Batch::new();
    batch.message(0x1234, 0, &[1, 2], |a| {
        a.text(1, "ab").nest(2, |a| {
            a.number(3, 7);
        });
    });
    let expected: Vec<u8> = [
        &40u32.to_ne_bytes()[..],
        &0x1234u16.to_ne_bytes(),
        &1u16.to_ne_bytes(),
        &[0; 8],
        &[1, 2, 0, 0],
        &7u16.to_ne_bytes(),
        &1u16.to_ne_bytes(),
        b"ab\0\0",
        &12u16.to_ne_bytes(),
        &0x8002u16.to_ne_bytes(),
        &8u16.to_ne_bytes(),
        &3u16.to_ne_bytes(),
        &7u32.to_ne_bytes(),
    ]
    .concat();
    assert_eq!(batch.bytes().unwrap(), expected);
}

#[test]
fn an_attribute_that_is_too_long_is_never_sent() {
    let mut batch = Batch::new();
    batch.message(1, 0, &[], |a| {
        a.bytes(1, &vec![0; 65_536]);
    });
    assert_eq!(batch.bytes(), Err(Errno::MSGSIZE));
}

#[test]
fn every_message_is_answered_and_the_first_refusal_is_told() {
    let socket = NetlinkSocket::route().unwrap();
    let mut good = Batch::new();
    link(&mut good, 1);
    link(&mut good, 1);
    assert_eq!(socket.perform(good.bytes().unwrap()), Ok(()));
    let mut bad = Batch::new();
    link(&mut bad, 1);
    link(&mut bad, i32::MAX);
    link(&mut bad, 1);
    let refusal = socket.perform(bad.bytes().unwrap()).unwrap_err();
    assert_eq!((refusal.index, refusal.errno), (Some(1), Errno::NODEV));
    // Nothing of it is left in the socket.
    assert_eq!(socket.perform(good.bytes().unwrap()), Ok(()));
}

#[test]
fn a_dump_is_heard_to_its_end() {
    let socket = NetlinkSocket::route().unwrap();
    let mut question = Batch::new();
    question.message(libc::RTM_GETLINK, libc::NLM_F_DUMP, &[0; 16], |_| {});
    let mut indexes = Vec::new();
    socket
        .ask(&question, |kind, body| {
            assert_eq!(kind, libc::RTM_NEWLINK);
            indexes.extend(number(body, 4));
        })
        .unwrap();
    assert!(indexes.contains(&1), "{indexes:?}");
}
