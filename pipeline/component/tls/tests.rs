#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn self_signed(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    (cert.pem(), key.serialize_pem())
}

fn server(folder: &std::path::Path, reload_interval: Option<Duration>) -> ServerTls {
    let file = |name: &str| Some(Pem::File(folder.join(name).display().to_string()));
    let common = TlsCommon { cert: file("cert.pem"), key: file("key.pem"), reload_interval, ..Default::default() };
    ServerTls { common, client_ca: None }
}

#[test]
fn certificates_follow_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |(cert, key): (String, String)| {
        std::fs::write(folder.path().join("cert.pem"), cert).unwrap();
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
    };
    write(self_signed("a"));
    let tls = server(folder.path(), Some(Duration::from_nanos(1))).build(&["h2"]).unwrap();
    let first = tls.current();
    assert!(Arc::ptr_eq(&first, &tls.current()), "unchanged files keep the configuration");
    write(self_signed("b"));
    let second = tls.current();
    assert!(!Arc::ptr_eq(&first, &second), "changed files make a new one");
    write((String::new(), "nonsense".into()));
    assert!(Arc::ptr_eq(&second, &tls.current()), "wrong files keep the old one");
}

#[test]
fn wrong_files_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let check = |cert: Option<&str>, key: Option<&str>, expect: &str| {
        for (name, text) in [("cert.pem", cert), ("key.pem", key)] {
            match text {
                Some(text) => std::fs::write(folder.path().join(name), text).unwrap(),
                None => drop(std::fs::remove_file(folder.path().join(name))),
            }
        }
        let error = server(folder.path(), None).build(&[]).err().expect("an error");
        assert!(format!("{error:#}").contains(expect), "{error:#}");
    };
    let ((cert, key), (_, other_key)) = (self_signed("a"), self_signed("b"));
    check(None, Some(&key), "cannot read");
    check(Some("nonsense"), Some(&key), "cert_file holds no certificate");
    check(Some(&cert), Some("nonsense"), "key_file holds no private key");
    check(Some(&cert), Some(&other_key), "cert_file and key_file");
}
