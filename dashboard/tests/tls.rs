//! The page over TLS: answers, and live queries.

use catchment_pipeline::component::tls::{ClientTls, Pem, TlsCommon};
use catchment_pipeline::config::Section;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;

#[tokio::test]
async fn answers_over_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("ca.pem"), ca.pem()).unwrap();
    std::fs::write(path("cert.pem"), cert.pem()).unwrap();
    std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    let yaml = format!(
        "{{ endpoint: 'localhost:0', tls: {{ cert_file: '{}', key_file: '{}' }} }}",
        path("cert.pem"),
        path("key.pem")
    );
    let mut section = Section::parse(&yaml);
    let settings = Settings::plan(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());

    let missing = Settings::plan(&mut Section::parse("tls: { cert_file: /no/such, key_file: /no/such }"));
    let missing = Settings { endpoint: "localhost:0".into(), ..missing };
    let sources = || Sources { status: Arc::new(snapshot), lake: None, alerts: Arc::default() };
    let error = Dashboard::bind(missing, sources()).await.err().unwrap();
    assert!(format!("{error:#}").contains("/no/such"), "{error:#}");

    let dashboard = Dashboard::bind(settings, sources()).await.unwrap();
    assert_eq!(dashboard.prepared.scheme(), "https");
    let port = dashboard.address().port();
    let shutdown = CancellationToken::new();
    let done = tokio::spawn(dashboard.run(shutdown.clone()));
    let common = TlsCommon { ca: Some(Pem::File(path("ca.pem"))), ..Default::default() };
    let tls = ClientTls { common, ..Default::default() }.build(&["h2", "http/1.1"]).unwrap();
    let config = rustls::ClientConfig::clone(&tls.current());
    let client = reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap();
    let health = client.get(format!("https://localhost:{port}/healthz")).send().await.unwrap();
    assert_eq!((health.status().as_u16(), health.version()), (200, reqwest::Version::HTTP_2));
    assert!(client.get(format!("http://localhost:{port}/healthz")).send().await.is_err());
    drop(client);
    shutdown.cancel();
    done.await.unwrap();
}
