//! TLS in the Collector's keys, for every component that listens or connects: a pure plan read from YAML, and
//! rustls configurations (on ring) made from it when the component is built.
//!
//! Keys: `ca_file`/`ca_pem`, `cert_file`/`cert_pem`, `key_file`/`key_pem`, `min_version`, `max_version`,
//! `reload_interval`; a server's `client_ca_file` asks for client certificates; a client's `insecure`,
//! `insecure_skip_verify`, `server_name_override`, `include_system_ca_certs_pool`. TLS 1.0 and 1.1 do not exist here.
//!
//! With `reload_interval` the files are looked at again at the first connection after it has passed; a new
//! certificate that is wrong leaves the old one in service, with a warning.

#[cfg(test)]
mod tests;
mod verify;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use self::verify::{Check, Verifier};
use crate::config::{Secret, Section};

/// Where a PEM comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    File(String),
    Text(Secret),
}

/// What servers and clients have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsCommon {
    pub ca: Option<Pem>,
    pub cert: Option<Pem>,
    pub key: Option<Pem>,
    pub min_version: TlsVersion,
    /// `None`: the newest.
    pub max_version: Option<TlsVersion>,
    pub reload_interval: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    #[default]
    V1_2,
    V1_3,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTls {
    pub common: TlsCommon,
    /// Clients must show a certificate signed by one of these.
    pub client_ca: Option<Pem>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    pub common: TlsCommon,
    /// No TLS at all, where the endpoint does not say.
    pub insecure: bool,
    pub insecure_skip_verify: bool,
    pub server_name_override: Option<String>,
    pub include_system_ca_certs_pool: bool,
}

impl ServerTls {
    /// Reads `tls` of a server's section; `None` when it is absent.
    pub fn read(section: &mut Section) -> Option<ServerTls> {
        let mut tls = section.section("tls")?;
        let common = TlsCommon::read(&mut tls);
        if common.cert.is_none() {
            tls.mistake("", "a server needs a certificate", "set cert_file and key_file");
        }
        let client_ca = tls.get("client_ca_file").map(Pem::File);
        tls.accepted("client_ca_file_reload", "reload_interval looks at every file");
        tls.accepted("include_system_ca_certs_pool", "clients are checked against client_ca_file alone");
        Some(ServerTls { common, client_ca })
    }

    /// `alpn`: protocol names offered, best first, e.g. `h2`.
    pub fn build(&self, alpn: &[&str]) -> anyhow::Result<Reloading<ServerConfig>> {
        let (plan, alpn) = (self.clone(), alpn.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>());
        let load = move || Material::load(&plan.common, plan.client_ca.as_ref());
        let (common, interval) = (self.common.clone(), self.common.reload_interval);
        Reloading::new(interval, load, move |material| {
            let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&common.versions())?;
            let builder = match &material.client_ca {
                Some(pem) => {
                    let roots = Arc::new(roots(pem, "client_ca_file")?);
                    builder.with_client_cert_verifier(
                        WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?,
                    )
                }
                None => builder.with_no_client_auth(),
            };
            let Some((certs, key)) = material.identity()? else { bail!("a TLS server needs cert_file and key_file") };
            let mut config = builder.with_single_cert(certs, key).context("cert_file and key_file")?;
            config.alpn_protocols.clone_from(&alpn);
            Ok(config)
        })
    }
}

impl ClientTls {
    /// Reads `tls` of a client's section; the defaults when it is absent.
    pub fn read(section: &mut Section) -> ClientTls {
        let Some(mut tls) = section.section("tls") else { return ClientTls::default() };
        ClientTls {
            common: TlsCommon::read(&mut tls),
            insecure: tls.or("insecure", false),
            insecure_skip_verify: tls.or("insecure_skip_verify", false),
            server_name_override: tls.get("server_name_override"),
            include_system_ca_certs_pool: tls.or("include_system_ca_certs_pool", false),
        }
    }

    pub fn build(&self, alpn: &[&str]) -> anyhow::Result<Reloading<ClientConfig>> {
        let (plan, alpn) = (self.clone(), alpn.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>());
        let common = self.common.clone();
        Reloading::new(
            self.common.reload_interval,
            move || Material::load(&common, None),
            move |material| {
                let builder =
                    ClientConfig::builder_with_provider(provider()).with_protocol_versions(&plan.common.versions())?;
                let builder = builder.dangerous().with_custom_certificate_verifier(plan.verifier(material)?);
                let mut config = match material.identity()? {
                    Some((certs, key)) => {
                        builder.with_client_auth_cert(certs, key).context("cert_file and key_file")?
                    }
                    None => builder.with_no_client_auth(),
                };
                config.alpn_protocols.clone_from(&alpn);
                Ok(config)
            },
        )
    }

    fn verifier(&self, material: &Material) -> anyhow::Result<Arc<dyn ServerCertVerifier>> {
        if self.insecure_skip_verify {
            return Ok(Arc::new(Verifier { provider: provider(), check: Check::Nothing }));
        }
        let mut store = match &material.ca {
            Some(pem) => roots(pem, "ca_file")?,
            None => RootCertStore::empty(),
        };
        if material.ca.is_none() || self.include_system_ca_certs_pool {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if store.is_empty() {
            bail!("no certificate authority to trust: the system has none; set ca_file");
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider()).build()?;
        let Some(name) = &self.server_name_override else { return Ok(verifier) };
        let name = ServerName::try_from(name.clone()).with_context(|| format!("server_name_override {name:?}"))?;
        Ok(Arc::new(Verifier { provider: provider(), check: Check::Named(name, verifier) }))
    }
}

impl TlsCommon {
    fn read(tls: &mut Section) -> TlsCommon {
        let ca = pem(tls, "ca_file", "ca_pem");
        let (cert, key) = (pem(tls, "cert_file", "cert_pem"), pem(tls, "key_file", "key_pem"));
        match (&cert, &key) {
            (Some(_), None) => tls.mistake("", "a certificate without its key", "set key_file or key_pem"),
            (None, Some(_)) => tls.mistake("", "a key without its certificate", "set cert_file or cert_pem"),
            _ => (),
        }
        let min_version = version(tls, "min_version").unwrap_or_default();
        let max_version = version(tls, "max_version");
        if max_version.is_some_and(|max| max < min_version) {
            tls.mistake("max_version", "is below min_version", "leave max_version out");
        }
        let reload_interval = tls.get::<Duration>("reload_interval").filter(|interval| !interval.is_zero());
        TlsCommon { ca, cert, key, min_version, max_version, reload_interval }
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        match (self.min_version, self.max_version) {
            (TlsVersion::V1_3, _) => vec![&rustls::version::TLS13],
            (TlsVersion::V1_2, Some(TlsVersion::V1_2)) => vec![&rustls::version::TLS12],
            (TlsVersion::V1_2, _) => vec![&rustls::version::TLS13, &rustls::version::TLS12],
        }
    }
}

fn pem(tls: &mut Section, file: &str, text: &str) -> Option<Pem> {
    let (path, pem) = (tls.get::<String>(file), tls.get::<Secret>(text));
    if path.is_some() && pem.is_some() {
        tls.mistake(text, format!("{file} and {text} exclude each other"), format!("keep {file} only"));
    }
    path.map(Pem::File).or(pem.map(Pem::Text))
}

fn version(tls: &mut Section, key: &str) -> Option<TlsVersion> {
    tls.choice(key, &[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)])
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(pem: &[u8], what: &str) -> anyhow::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem) {
        store.add(cert.with_context(|| format!("{what} is not PEM"))?).with_context(|| what.to_owned())?;
    }
    if store.is_empty() {
        bail!("{what} holds no certificate");
    }
    Ok(store)
}

/// The PEMs as they were when last looked at.
#[derive(PartialEq, Eq)]
struct Material {
    ca: Option<Vec<u8>>,
    cert: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Material {
    fn load(common: &TlsCommon, client_ca: Option<&Pem>) -> anyhow::Result<Material> {
        let load = |pem: Option<&Pem>| match pem {
            None => Ok(None),
            Some(Pem::Text(text)) => Ok(Some(text.0.clone().into_bytes())),
            Some(Pem::File(path)) => std::fs::read(path).map(Some).with_context(|| format!("cannot read {path}")),
        };
        Ok(Material {
            ca: load(common.ca.as_ref())?,
            cert: load(common.cert.as_ref())?,
            key: load(common.key.as_ref())?,
            client_ca: load(client_ca)?,
        })
    }

    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else { return Ok(None) };
        let certs =
            CertificateDer::pem_slice_iter(cert).collect::<Result<Vec<_>, _>>().context("cert_file is not PEM")?;
        if certs.is_empty() {
            bail!("cert_file holds no certificate");
        }
        Ok(Some((certs, PrivateKeyDer::from_pem_slice(key).context("key_file holds no private key")?)))
    }
}

type Make<T> = Box<dyn Fn(&Material) -> anyhow::Result<T> + Send + Sync>;

/// A configuration that follows its files.
pub struct Reloading<T> {
    interval: Option<Duration>,
    load: Box<dyn Fn() -> anyhow::Result<Material> + Send + Sync>,
    make: Make<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    looked: Instant,
    material: Material,
    current: Arc<T>,
}

impl<T> Reloading<T> {
    fn new(
        interval: Option<Duration>,
        load: impl Fn() -> anyhow::Result<Material> + Send + Sync + 'static,
        make: impl Fn(&Material) -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<Reloading<T>> {
        let material = load()?;
        let current = Arc::new(make(&material)?);
        let state = Mutex::new(State { looked: Instant::now(), material, current });
        Ok(Reloading { interval, load: Box::new(load), make: Box::new(make), state })
    }

    /// What a connection made now should use: the same `Arc` as long as nothing changed. Reads small files, at
    /// most once in the interval.
    pub fn current(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.interval.is_some_and(|interval| state.looked.elapsed() >= interval) {
            state.looked = Instant::now();
            if let Err(error) = self.reload(&mut state) {
                tracing::warn!("certificates could not be reloaded, the old ones stay in service: {error:#}");
            }
        }
        state.current.clone()
    }

    fn reload(&self, state: &mut State<T>) -> anyhow::Result<()> {
        let material = (self.load)()?;
        if material != state.material {
            state.current = Arc::new((self.make)(&material)?);
            state.material = material;
            tracing::info!("certificates reloaded");
        }
        Ok(())
    }
}
