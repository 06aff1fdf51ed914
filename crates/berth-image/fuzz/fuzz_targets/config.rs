//! Any bytes as an image's configuration: what parses survives being written, and the instructions
//! of an import change it or are refused.
#![no_main]

use berth_image::archive::Changes;
use berth_image::{ImageConfig, manifest::LAYERS_MAX};
use berth_image_fuzz::{PART, join, plant};

const FULL: &[u8] = br#"{"created":"2026-01-02T03:04:05Z","author":"a","architecture":"arm","os":"linux","variant":"v7",
"config":{"User":"1:2","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin","A="],"Entrypoint":["a"],"Cmd":["sh"],
"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"a":"b"},"StopSignal":"SIGQUIT","StopTimeout":3,"Shell":["sh","-c"],
"Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":5000000000,"Timeout":1,"StartPeriod":2,"Retries":3},"OnBuild":["RUN x"]},
"rootfs":{"type":"layers","diff_ids":["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]},
"history":[{"created":"2026-01-02T03:04:05Z","created_by":"x","author":"y","comment":"z","empty_layer":true}]}"#;
const NULLS: &[u8] = br#"{"architecture":"amd64","os":"linux","config":{"User":"","Env":null,"Cmd":null,"Volumes":null,
"Labels":null,"ExposedPorts":null},"rootfs":{"type":"layers","diff_ids":null},"history":null}"#;
const BARE: &[u8] = br#"{"config":null,"rootfs":{"type":"layers"}}"#;
const CHANGES: &[u8] = b"CMD [\"a\", \"b\"]\nENV A=\"b c\" D=$A\nEXPOSE 80/tcp 90-92\nVOLUME /a /b\nLABEL x=y\nUSER me\n\
WORKDIR w\nENTRYPOINT run this\nSTOPSIGNAL TERM\nHEALTHCHECK --interval=3s --retries=2 CMD true\nONBUILD RUN x\nENV OLD form";

fn seeds() -> [Vec<u8>; 4] {
    [
        FULL.to_vec(),
        NULLS.to_vec(),
        join(&[BARE, CHANGES]),
        join(&[FULL, b"HEALTHCHECK NONE"]),
    ]
}

fn same_when_written(config: &ImageConfig) {
    let written = serde_json::to_vec(config).expect("write to memory");
    let again = ImageConfig::parse("it", &written).expect("read what we wrote");
    assert_eq!(&again, config);
}

fn check(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == PART);
    let Ok(mut config) = ImageConfig::parse("it", parts.next().unwrap_or_default()) else {
        return;
    };
    assert!(config.rootfs.diff_ids.len() <= LAYERS_MAX);
    same_when_written(&config);
    let Some(Ok(lines)) = parts.next().map(std::str::from_utf8) else {
        return;
    };
    let Ok(changes) = Changes::parse(&lines.lines().collect::<Vec<_>>()) else {
        return;
    };
    if changes.apply(&mut config.config).is_ok() {
        same_when_written(&config);
    }
}

libfuzzer_sys::fuzz_target!(init: plant(seeds()), |bytes: &[u8]| check(bytes));
