//! Alertmanager's `tls_config`, for those who bring theirs.

use catchment_pipeline::component::tls::{ClientTls, Pem, TlsCommon, TlsVersion};
use catchment_pipeline::config::{Secret, Section};

pub(crate) fn read(section: &mut Section) -> Option<ClientTls> {
    let mut tls = section.section("tls_config")?;
    let mut pem = |key: &str, text: &str| {
        let file = tls.get::<String>(key).filter(|path| !path.is_empty());
        file.map(Pem::File).or(tls.get::<Secret>(text).map(Pem::Text))
    };
    let (ca, cert, key) = (pem("ca_file", "ca"), pem("cert_file", "cert"), pem("key_file", "key"));
    if cert.is_some() != key.is_some() {
        tls.mistake("", "a certificate and its key belong together", "set cert_file and key_file");
    }
    let versions = [("TLS12", TlsVersion::V1_2), ("TLS13", TlsVersion::V1_3)];
    let min_version = tls.choice("min_version", &versions).unwrap_or_default();
    let max_version = tls.choice("max_version", &versions);
    Some(ClientTls {
        common: TlsCommon { ca, cert, key, min_version, max_version, reload_interval: None },
        insecure: false,
        insecure_skip_verify: tls.or("insecure_skip_verify", false),
        server_name_override: tls.get("server_name"),
        include_system_ca_certs_pool: false,
    })
}
