//! TLS settings of a server: which authorities are trusted, which client certificate is shown.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::ImageError;

/// What one server needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    authorities: Vec<PathBuf>,
    /// Certificate and key.
    client: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// Finds the files of `HOST[:PORT]` in the certificate folders; `ca` comes from elsewhere.
    pub(super) fn find(
        folders: &[PathBuf],
        authority: &str,
        ca: Option<&Path>,
    ) -> Result<Self, ImageError> {
        let mut found = Self {
            authorities: ca.map(Path::to_owned).into_iter().collect(),
            client: None,
        };
        // A host name holds no slash: it was parsed as one.
        for folder in folders {
            found.add_folder(&folder.join(authority))?;
        }
        Ok(found)
    }

    /// Trusts the authorities of another server too.
    pub(super) fn trust_also(&mut self, other: Self) {
        self.authorities.extend(other.authorities);
    }

    fn add_folder(&mut self, folder: &Path) -> Result<(), ImageError> {
        // by path: the administrator's own folders, which the caller names
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            // What is not there, or not ours to read, says nothing, as with Docker.
            Err(_) => return Ok(()),
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            match path.extension().and_then(OsStr::to_str) {
                Some("crt") => self.authorities.push(path),
                Some("cert") if self.client.is_none() => {
                    let key = path.with_extension("key");
                    // by path: as above
                    if !key.exists() {
                        let what = path.display().to_string();
                        let why = format!("its key {} is missing", key.display());
                        return Err(ImageError::malformed(what, why));
                    }
                    self.client = Some((path, key));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The settings for rustls. The system's authorities are trusted too; where they cannot be
    /// read, the handshake says that the authority is unknown.
    pub(super) fn load(&self, verified: bool) -> Result<Arc<ClientConfig>, ImageError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| ImageError::malformed("the TLS library", error.to_string()))?;
        let builder = if verified {
            builder.with_root_certificates(self.roots()?)
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        };
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key_path)) => {
                let chain = certificates(certificate)?;
                let key = PrivateKeyDer::from_pem_file(key_path)
                    .map_err(|error| unreadable(key_path, &error))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    ImageError::malformed(key_path.display().to_string(), error.to_string())
                })?
            }
        };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, ImageError> {
        let mut roots = RootCertStore::empty();
        for certificate in rustls_native_certs::load_native_certs().certs {
            // One old authority that does not parse is no reason to trust none.
            drop(roots.add(certificate));
        }
        for path in &self.authorities {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| {
                    ImageError::malformed(path.display().to_string(), error.to_string())
                })?;
            }
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ImageError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(path, &error))?;
    if found.is_empty() {
        let why = "it holds no certificate in PEM form";
        return Err(ImageError::malformed(path.display().to_string(), why));
    }
    Ok(found)
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> ImageError {
    ImageError::malformed(path.display().to_string(), error.to_string())
}

/// Trusts whoever answers: `insecure = true`.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_host() {
        let folder = tempfile::tempdir().unwrap();
        let host = folder.path().join("r.example:5000");
        std::fs::create_dir(&host).unwrap();
        for name in ["ca.crt", "client.cert", "client.key", "README"] {
            std::fs::write(host.join(name), "").unwrap();
        }
        let folders = [folder.path().to_owned(), "/nowhere".into()];
        let find = |authority: &str| TlsFiles::find(&folders, authority, None);
        let found = find("r.example:5000").unwrap();
        assert_eq!(found.authorities, [host.join("ca.crt")]);
        assert_eq!(
            found.client,
            Some((host.join("client.cert"), host.join("client.key")))
        );
        assert_eq!(find("r.example").unwrap(), TlsFiles::default());
        let error = found.load(true).unwrap_err().to_string();
        assert!(
            error.ends_with("ca.crt: it holds no certificate in PEM form"),
            "{error}"
        );
        std::fs::remove_file(host.join("client.key")).unwrap();
        let error = find("r.example:5000").unwrap_err().to_string();
        assert!(error.contains("client.key is missing"), "{error}");
    }
}
