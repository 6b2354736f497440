use std::path::Path;

use catchment_pipeline::component::tls::{ClientTls, Pem, TlsCommon};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};

use super::*;

/// A certificate authority, and a certificate for `localhost` signed by it, as files.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let cert = params.signed_by(&key, &ca).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

fn client(folder: &Path, with_cert: bool) -> reqwest::Client {
    let file = |name: &str| Some(Pem::File(folder.join(name).display().to_string()));
    let mut common = TlsCommon { ca: file("ca.pem"), ..Default::default() };
    if with_cert {
        common = TlsCommon { cert: file("cert.pem"), key: file("key.pem"), ..common };
    }
    let tls = ClientTls { common, ..Default::default() }.build(&["h2", "http/1.1"]).unwrap();
    let config = rustls::ClientConfig::clone(&tls.current());
    reqwest::Client::builder().tls_backend_preconfigured(config).build().unwrap()
}

async fn send(client: reqwest::Client, running: &Running) -> Result<u16, reqwest::Error> {
    let port = running.http.rsplit(':').next().unwrap();
    let request =
        client.post(format!("https://localhost:{port}/v1/logs")).header("content-type", "application/x-protobuf");
    request.body(bytes_of("a")).send().await.map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn tls() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let at = folder.path().display();
    let running = start(&format!(
        "protocols: {{ http: {{ endpoint: 'localhost:0', tls: {{ cert_file: '{at}/cert.pem', key_file: '{at}/key.pem' }} }} }}"
    ))
    .await;
    assert_eq!(send(client(folder.path(), false), &running).await.unwrap(), 200);
    let stranger = tempfile::tempdir().unwrap();
    certificates(stranger.path());
    assert!(send(client(stranger.path(), false), &running).await.is_err(), "another authority is not trusted");
    running.stop().await;
}

#[tokio::test]
async fn mutual_tls() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let at = folder.path().display();
    let running = start(&format!(
        "protocols: {{ http: {{ endpoint: 'localhost:0', tls: {{ cert_file: '{at}/cert.pem', key_file: '{at}/key.pem', client_ca_file: '{at}/ca.pem' }} }} }}"
    ))
    .await;
    assert_eq!(send(client(folder.path(), true), &running).await.unwrap(), 200);
    assert!(send(client(folder.path(), false), &running).await.is_err(), "a client without a certificate");
    assert_eq!(running.taken().len(), 1);
    running.stop().await;
}
