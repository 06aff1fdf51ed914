//! An authority that lives as long as a test, and what it signs.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Of the server and the client, besides 127.0.0.1. Those of .example are for proxies to find.
const NAMES: [&str; 3] = ["localhost", "r.example", "blobs.example"];

/// Files below a folder: `ca.crt`, `server.crt`, `server.key`, `client.cert`, `client.key`.
pub(crate) struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Self { folder };
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        made.write("ca.crt", &authority.pem());
        let issuer = Issuer::new(params, key);
        for (names, usage) in [
            (
                ("server.crt", "server.key"),
                ExtendedKeyUsagePurpose::ServerAuth,
            ),
            (
                ("client.cert", "client.key"),
                ExtendedKeyUsagePurpose::ClientAuth,
            ),
        ] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
            params
                .subject_alt_names
                .push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
            params.extended_key_usages = vec![usage];
            let certificate = params.signed_by(&key, &issuer).unwrap();
            made.write(names.0, &certificate.pem());
            made.write(names.1, &key.serialize_pem());
        }
        made
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts files where a client looks for them: `FOLDER/HOST/NAME`.
    pub(crate) fn install(&self, folder: &Path, host: &str, names: &[&str]) {
        let folder = folder.join(host);
        std::fs::create_dir_all(&folder).unwrap();
        for name in names {
            std::fs::copy(self.path(name), folder.join(name)).unwrap();
        }
    }

    /// The settings of a server, which may want a certificate of the client.
    pub(crate) fn server(&self, wants_client: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let authority = CertificateDer::from_pem_file(self.path("ca.crt")).unwrap();
        let builder = if wants_client {
            let mut roots = RootCertStore::empty();
            roots.add(authority).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(self.path("server.crt")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }
}
