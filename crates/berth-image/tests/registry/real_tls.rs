//! The real registry behind TLS.

use berth_image::NoProgress;
use berth_image::registry::{Anonymous, Client, push};
use berth_testkit::web::Registry;

use crate::certificates::Certificates;
use crate::image::{Image, Pull, config};
use crate::store::Store;
use crate::uploads::stored;

#[test]
fn with_an_authority_and_a_client_certificate() {
    let certificates = Certificates::new();
    let path = |name: &str| certificates.path(name).display().to_string();
    let tls = format!(
        "  tls: {{ certificate: {}, key: {}, clientcas: [ {} ] }}\n",
        path("server.crt"),
        path("server.key"),
        path("ca.crt")
    );
    let Some(real) = Registry::start_with(&tls, "") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.certificate_folders = vec![folder.path().to_owned()];
    let image = Image::new("amd64", &[100_000, 10]);
    let (store, manifest) = stored(&image);
    let client = || Client::new(config.clone(), Box::new(Anonymous));
    // By address and by name: both are in the certificate.
    let port = real.host.rsplit(':').next().unwrap();
    for host in [real.host.clone(), format!("localhost:{port}")] {
        let reference = format!("{host}/app:1").parse().unwrap();
        let error = push(&client(), &reference, &manifest, &store, &[], &NoProgress).unwrap_err();
        assert!(error.to_string().contains("unknown authority"), "{error}");
        certificates.install(
            folder.path(),
            &host,
            &["ca.crt", "client.cert", "client.key"],
        );
        push(&client(), &reference, &manifest, &store, &[], &NoProgress).unwrap();
        let store = Store::new();
        let mut pull = Pull::into(&store);
        pull.config = config.clone();
        pull.run(&format!("{host}/app:1")).unwrap();
    }
}
