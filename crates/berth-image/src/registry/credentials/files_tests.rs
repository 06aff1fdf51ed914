//! Logins in files, read and written.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn password(name: &str, secret: &str) -> Credential {
    Credential::Password {
        name: name.into(),
        secret: secret.into(),
    }
}

fn files(text: &str) -> (tempfile::TempDir, AuthFiles) {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("config.json");
    std::fs::write(&main, text).unwrap();
    (folder, AuthFiles::new(main, Vec::new()))
}

#[test]
fn entries_of_all_kinds() {
    // bmFtZTpzZWM6cmV0 is name:sec:ret.
    let (_folder, files) = files(
        r#"{"auths":{
        "a.example":{"auth":"bmFtZTpzZWM6cmV0"},
        "https://b.example/v1/":{"identitytoken":"it"},
        "c.example:5000":{"registrytoken":"rt","auth":""},
        "d.example":{"username":"u","password":"p"},
        "d.example/team/app":{"username":"v","password":"q"},
        "e.example":{},
        "https://index.docker.io/v1/":{"username":"hub","password":"h"}}}"#,
    );
    let find = |registry: &str, repository: &str| files.find(registry, repository).unwrap();
    assert_eq!(find("a.example", "x"), Some(password("name", "sec:ret")));
    assert_eq!(
        find("b.example", "x"),
        Some(Credential::IdentityToken("it".into()))
    );
    assert_eq!(
        find("c.example:5000", "x"),
        Some(Credential::RegistryToken("rt".into()))
    );
    assert_eq!(find("c.example", "x"), None);
    assert_eq!(
        find("d.example", "team/application"),
        Some(password("u", "p"))
    );
    assert_eq!(find("d.example", "team/app/x"), Some(password("v", "q")));
    assert_eq!(find("e.example", "x"), None);
    assert_eq!(find("docker.io", "library/x"), Some(password("hub", "h")));
}

#[test]
fn what_is_broken_is_named_without_its_content() {
    let (_folder, broken) = files(r#"{"auths":{"a":{"auth":"c2VjcmV0"#);
    let error = broken.find("a", "x").unwrap_err().to_string();
    assert!(
        error.contains("config.json: it is no JSON (line 1"),
        "{error}"
    );
    assert!(!error.contains("c2Vj"), "{error}");
    let (_folder, odd) = files(r#"{"auths":{"a.example":{"auth":"%%"}}}"#);
    let error = odd.find("a.example", "x").unwrap_err().to_string();
    assert!(error.contains("log in again"), "{error}");
}

#[test]
fn a_login_is_kept_and_forgotten_and_the_rest_stays() {
    let (folder, files) = files(r#"{"HttpHeaders":{"X":"y"},"auths":{"other":{"auth":"YTpi"}}}"#);
    let path = folder.path().join("config.json");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let login = password("me", "pass word");
    assert_eq!(
        files.store("r.example", &login).unwrap(),
        Stored::File(path.clone())
    );
    assert_eq!(files.find("r.example", "a/b").unwrap(), Some(login));
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let hub = Credential::IdentityToken("t".into());
    files.store("docker.io", &hub).unwrap();
    assert_eq!(files.find("docker.io", "library/a").unwrap(), Some(hub));
    assert!(files.erase("r.example").unwrap());
    assert!(files.erase("docker.io").unwrap());
    assert!(!files.erase("r.example").unwrap());
    assert_eq!(files.find("r.example", "a/b").unwrap(), None);
    let left: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        left,
        json!({"HttpHeaders": {"X": "y"}, "auths": {"other": {"auth": "YTpi"}}})
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_new_file_in_a_new_folder_and_one_behind_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join(".docker/config.json");
    let files = AuthFiles::new(main.clone(), vec![folder.path().join("auth.json")]);
    assert_eq!(files.find("r.example", "a").unwrap(), None);
    files.store("r.example", &password("a", "b")).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&main), mode(main.parent().unwrap())), (0o600, 0o700));
    // What only the other file knows is found, what both know is the main one's.
    let other = r#"{"auths":{"r.example":{"auth":"eDp5"},"s.example":{"auth":"eDp5"}}}"#;
    std::fs::write(folder.path().join("auth.json"), other).unwrap();
    assert_eq!(
        files.find("r.example", "a").unwrap(),
        Some(password("a", "b"))
    );
    assert_eq!(
        files.find("s.example", "a").unwrap(),
        Some(password("x", "y"))
    );

    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink(&main, &link).unwrap();
    let files = AuthFiles::new(link.clone(), Vec::new());
    files.store("t.example", &password("c", "d")).unwrap();
    assert!(link.is_symlink());
    assert!(
        std::fs::read_to_string(&main)
            .unwrap()
            .contains("t.example")
    );
}

#[test]
fn helpers_are_named_not_pathed_and_missing_ones_say_so() {
    let (_folder, missing) = files(r#"{"credsStore":"berth-test-absent"}"#);
    let error = missing.find("r.example", "a").unwrap_err().to_string();
    assert!(
        error.contains("docker-credential-berth-test-absent"),
        "{error}"
    );
    let (_folder, path) = files(r#"{"credHelpers":{"r.example":"../../tmp/x"}}"#);
    let error = path.find("r.example", "a").unwrap_err().to_string();
    assert!(error.contains("no slash"), "{error}");
    assert_eq!(path.find("other.example", "a").unwrap(), None);
}
