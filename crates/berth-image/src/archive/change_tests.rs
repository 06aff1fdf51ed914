//! Instructions as Docker understands them.

use proptest::prelude::*;

use super::*;

fn changed(lines: &[&str]) -> ContainerConfig {
    let mut config = ContainerConfig {
        env: vec!["PATH=/bin".to_owned()],
        cmd: Some(vec!["old".to_owned()]),
        ..ContainerConfig::default()
    };
    Changes::parse(lines).unwrap().apply(&mut config).unwrap();
    config
}

fn why(line: &str) -> String {
    let mut config = ContainerConfig::default();
    let applied = Changes::parse(&[line]).and_then(|changes| changes.apply(&mut config));
    applied.unwrap_err().to_string()
}

#[test]
fn all_instructions() {
    let config = changed(&[
        "ENTRYPOINT [\"/bin/sh\", \"-c\"]",
        "CMD echo $HOME",
        "env A=1 B=\"two words\" PATH=$PATH:/sbin",
        "ENV OLD the rest of the line",
        "EXPOSE 80 53/UDP 8000-8002",
        "LABEL a=b c=\"d e\"",
        "USER web:web",
        "VOLUME /data /more",
        "VOLUME [\"/with space\"]",
        "WORKDIR /srv",
        "WORKDIR app/../x",
        "STOPSIGNAL SIGQUIT",
        "ONBUILD RUN make",
        "HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f localhost",
    ]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&config).unwrap(), @r#"
    {
      "User": "web:web",
      "ExposedPorts": {
        "53/udp": {},
        "80/tcp": {},
        "8000/tcp": {},
        "8001/tcp": {},
        "8002/tcp": {}
      },
      "Env": [
        "PATH=/bin:/sbin",
        "A=1",
        "B=two words",
        "OLD=the rest of the line"
      ],
      "Entrypoint": [
        "/bin/sh",
        "-c"
      ],
      "Cmd": [
        "/bin/sh",
        "-c",
        "echo $HOME"
      ],
      "Volumes": {
        "/data": {},
        "/more": {},
        "/with space": {}
      },
      "WorkingDir": "/srv/x",
      "Labels": {
        "a": "b",
        "c": "d e"
      },
      "StopSignal": "SIGQUIT",
      "Healthcheck": {
        "Test": [
          "CMD-SHELL",
          "curl -f localhost"
        ],
        "Interval": 90000000000,
        "Timeout": 500000000,
        "StartPeriod": 0,
        "Retries": 3
      },
      "OnBuild": [
        "RUN make"
      ]
    }
    "#);
}

#[test]
fn an_entrypoint_ends_an_inherited_command() {
    assert_eq!(changed(&["ENTRYPOINT x"]).cmd, None);
    let both = changed(&["CMD [\"y\"]", "ENTRYPOINT [\"x\"]"]);
    assert_eq!(both.cmd.as_deref(), Some(&["y".to_owned()][..]));
    assert_eq!(changed(&["CMD []"]).cmd, Some(Vec::new()));
    let none = changed(&["HEALTHCHECK NONE"]).healthcheck.unwrap();
    assert_eq!(none.test, ["NONE"]);
    assert_eq!(nanoseconds("1.5h").unwrap(), 5_400_000_000_000);
    assert_eq!(nanoseconds(".5s").unwrap(), 500_000_000);
}

#[test]
fn what_is_refused() {
    insta::assert_snapshot!(why("RUN true"), @r#"cannot use the change "RUN true": changes begin with one of CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR"#);
    insta::assert_snapshot!(why("EXPOSE 0"), @r#"cannot use the change "EXPOSE 0": "0" is not PORT[-PORT][/tcp|udp|sctp]"#);
    for bad in [
        "CMD",
        "ENV",
        "ENV A",
        "ENV =x",
        "ENV A='x",
        "LABEL a=b c",
        "EXPOSE 80/icmp",
        "EXPOSE 9-8",
        "EXPOSE 8080:80",
        "EXPOSE 99999",
        "STOPSIGNAL 65",
        "STOPSIGNAL a b",
        "STOPSIGNAL SIGNONE",
        "VOLUME [\"\"]",
        "ONBUILD FROM x",
        "HEALTHCHECK CMD",
        "HEALTHCHECK --interval=x CMD y",
        "HEALTHCHECK --interval=99999999999h CMD y",
        "HEALTHCHECK --what=1s CMD y",
        "HEALTHCHECK --retries=-1 CMD y",
        "HEALTHCHECK --retries=1 NONE",
    ] {
        assert!(why(bad).starts_with("cannot use the change"), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "(CMD|ENV|EXPOSE|HEALTHCHECK|LABEL|VOLUME|WORKDIR) [-=$\"'{}/.0-9a-z \\[\\]]{0,40}") {
        if let Ok(changes) = Changes::parse(&[text]) {
            drop(changes.apply(&mut ContainerConfig::default()));
        }
    }
}
