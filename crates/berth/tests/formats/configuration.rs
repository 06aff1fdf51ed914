//! The configuration file and `system config`.

use serde_json::Value;

use crate::cli::Berth;

fn with_file(text: &str) -> Berth {
    let berth = Berth::new();
    let folder = berth.path("config/berth");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), text).unwrap();
    berth
}

/// Standard output and error, with the test's own file, of a command without the usual flags.
fn run(berth: &Berth, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_berth"));
    command
        .args(arguments)
        .env("XDG_CONFIG_HOME", berth.path("config"));
    for name in [
        "BERTH_ROOT",
        "BERTH_STATE",
        "BERTH_CGROUP_PARENT",
        "HTTP_PROXY",
        "http_proxy",
    ] {
        command.env_remove(name);
    }
    let done = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        done.status.code().unwrap(),
        text(done.stdout),
        text(done.stderr),
    )
}

fn entry(text: &str, key: &str) -> (Value, String) {
    let list: Vec<Value> = serde_json::from_str(text).unwrap();
    let found = list.iter().find(|entry| entry["key"] == key).unwrap();
    (
        found["value"].clone(),
        found["source"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn flags_win_over_variables_over_files_over_defaults() {
    let berth = with_file("root = \"/from-file\"\n[events]\nmax-files = 7\n");
    let file = berth.path("config/berth/config.toml").display().to_string();
    let config = ["system", "config", "--json"];
    let flagged = [&["--root", "/from-flag"][..], &config].concat();
    let variable = [("BERTH_ROOT", "/from-variable")];
    for (variables, arguments, value, source) in [
        (&variable[..], &flagged[..], "/from-flag", "--root"),
        (&variable, &config, "/from-variable", "BERTH_ROOT"),
        (&[("BERTH_ROOT", "")], &config, "/from-file", file.as_str()),
        (&[], &config, "/from-file", &file),
    ] {
        let (code, out, err) = run(&berth, variables, arguments);
        assert_eq!(code, 0, "{err}");
        assert_eq!(entry(&out, "root"), (value.into(), source.to_owned()));
        assert_eq!(entry(&out, "events.max-files"), (7.into(), file.clone()));
        let default = (Value::from(4 << 20), "default".to_owned());
        assert_eq!(entry(&out, "events.max-size"), default);
    }
}

#[test]
fn a_table_whose_keys_are_set_is_not_shown_as_empty() {
    let berth = with_file("[log]\noptions = { max-size = \"5m\" }\n");
    let (_, out, _) = run(&berth, &[], &["system", "config", "--json"]);
    assert_eq!(entry(&out, "log.options.max-size").0, "5m");
    assert!(!out.contains("\"log.options\""), "{out}");
    let (_, out, _) = run(&with_file(""), &[], &["system", "config", "--json"]);
    assert_eq!(entry(&out, "log.options").1, "default");
}

#[test]
fn passwords_of_proxies_are_hidden() {
    let berth = with_file("[proxies]\nhttp-proxy = \"http://me:secret@proxy:80\"\n");
    let (_, out, _) = run(&berth, &[], &["system", "config"]);
    assert!(
        out.contains("***@proxy:80") && !out.contains("secret"),
        "{out}"
    );
    let variable = [("HTTP_PROXY", "http://you:other@elsewhere:80")];
    let (_, out, _) = run(&berth, &variable, &["system", "config", "--json"]);
    let shown = ("http://***@elsewhere:80".into(), "HTTP_PROXY".to_owned());
    assert_eq!(entry(&out, "proxies.http-proxy"), shown);
}

#[test]
fn a_wrong_file_is_an_error_with_its_line_and_the_nearest_key() {
    for (text, message) in [
        ("[evens]\n", "line 1: unknown field `evens`"),
        ("[events]\nmax-file = 3\n", "did you mean max-files?"),
        (
            "[events]\nmax-files = 1\n",
            "line 2: give 2 to 100 files of events",
        ),
        ("[events]\nmax-size = \"1k\"\n", "at least 64k"),
        ("root = \n", "line 1:"),
    ] {
        let berth = with_file(text);
        let (code, _, err) = run(&berth, &[], &["ps"]);
        assert_eq!(code, 1, "{text}: {err}");
        assert!(err.contains(message), "{text}: {err}");
    }
}

/// Every command used to wait for who writes into a FIFO, and to read a device to no end.
#[test]
fn what_is_no_file_is_said_at_once() {
    use std::os::unix::fs::symlink;
    let berth = with_file("");
    let path = berth.path("config/berth/config.toml");
    let made: [&dyn Fn(); 4] = [
        &|| {
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &path,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RWXU,
                0,
            )
            .unwrap()
        },
        &|| symlink("/dev/zero", &path).unwrap(),
        &|| std::fs::write(&path, "# ".repeat(1 << 20)).unwrap(),
        &|| std::fs::write(&path, b"# \xff").unwrap(),
    ];
    let whys = [
        "no regular file",
        "no regular file",
        "longer than 1 MiB",
        "valid UTF-8",
    ];
    for (make, why) in made.iter().zip(whys) {
        std::fs::remove_file(&path).unwrap();
        make();
        let (code, out, err) = run(&berth, &[], &["system", "config"]);
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(
            err.starts_with("berth: cannot use ") && err.contains(why),
            "{err}"
        );
        assert_eq!(err.lines().count(), 1, "{err}");
    }
}
