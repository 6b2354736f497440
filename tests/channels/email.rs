//! Mail to a real SMTP server (aiosmtpd), read back by a real mail parser (Python's `email`).

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{channel, given, peers, permanent, plan_or_mistakes, tell, transient};

struct Server {
    child: Child,
    port: u16,
    mails: PathBuf,
    folder: tempfile::TempDir,
}

impl Server {
    /// `options` of `tests/peers/smtp/server.py`; `None`: it is not installed.
    fn start(options: &[&str]) -> Option<Server> {
        let python = peers::find("smtp")?.join("venv/bin/python");
        let folder = tempfile::tempdir().unwrap();
        let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), authority.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), authority.signing_key.serialize_pem()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/smtp/server.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(folder.path())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("the SMTP server says {line:?}"));
        Some(Server { child, port, mails: folder.path().join("mails.jsonl"), folder })
    }

    fn yaml(&self, more: &str) -> String {
        format!(
            "{{ smarthost: 'localhost:{}', allow_private: true, from: 'Catchment <alerts@example.com>', to: [ops@example.com] {more} }}",
            self.port
        )
    }

    fn trust(&self) -> String {
        format!(", require_tls: true, tls: {{ ca_file: '{}' }}", self.folder.path().join("cert.pem").display())
    }

    fn mails(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.mails).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_read_back() {
    let Some(server) = Server::start(&["--starttls", "--auth"]) else { return };
    let more = format!(
        "{}, auth_username: u, auth_password: 'pässword', cc: ['Bö, Eve <eve@example.com>'], bcc: [hidden@example.com], headers: {{ Reply-To: noreply@example.com, X-Host: '{{{{ .CommonLabels.alertname }}}}' }}",
        server.trust()
    );
    let email = channel("email", &server.yaml(&more)).await;
    let mut first = given::notification("n1");
    first.alerts[0].annotations.set("summary", "Größe: =1+1 <b>\r\nBcc: evil@example.com");
    tell(&email, &first).await.unwrap();
    tell(&email, &given::resolved("n2")).await.unwrap();
    let mails = server.mails();
    let mail = &mails[0];
    assert_eq!(mail["tls"], true);
    assert_eq!(mail["user"], "u");
    assert_eq!(mail["rcpt_tos"], serde_json::json!(["ops@example.com", "eve@example.com", "hidden@example.com"]));
    assert_eq!(mail["defects"], serde_json::json!([]));
    let header = |mail: &Value, name: &str| mail["headers"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(header(mail, "from"), "Catchment <alerts@example.com>");
    assert_eq!(header(mail, "to"), "ops@example.com");
    assert_eq!(header(mail, "cc"), "\"Bö, Eve\" <eve@example.com>");
    assert_eq!(header(mail, "bcc"), "");
    assert_eq!(header(mail, "reply-to"), "noreply@example.com");
    assert_eq!(header(mail, "x-host"), "DiskFull");
    assert_eq!(header(mail, "subject"), "[FIRING:2] DiskFull (critical)");
    assert_eq!(header(mail, "importance"), "high");
    assert_eq!(header(&mails[1], "importance"), "");
    // One thread, two messages.
    assert_eq!(header(mail, "references"), header(&mails[1], "references"));
    assert_eq!(header(mail, "in-reply-to"), header(&mails[1], "in-reply-to"));
    assert_ne!(header(mail, "message-id"), header(&mails[1], "message-id"));
    let types: Vec<_> = mail["parts"].as_array().unwrap().iter().map(|part| part["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/csv"]);
    let part = |n: usize| mail["parts"][n]["text"].as_str().unwrap();
    assert!(part(2).contains("FIRING Größe: =1+1 <b>  Bcc: evil@example.com"), "{}", part(2));
    assert!(part(3).contains("Größe: =1+1 &lt;b&gt;") && !part(3).contains("<b>\n"), "{}", part(3));
    assert!(part(3).len() < 102_000);
    assert_eq!(mail["parts"][4]["filename"], "alerts.csv");
    assert_eq!(mail["csv"].as_array().unwrap().len(), 3);
    assert_eq!(mail["csv"][1][5], "Größe: =1+1 <b>\r\nBcc: evil@example.com");

    // The same notification again is the same message to whoever reads it.
    tell(&email, &first).await.unwrap();
    assert_eq!(header(&server.mails()[2], "message-id"), header(mail, "message-id"));
}

#[test]
fn whatever_labels_hold_it_is_a_mail() {
    let Some(server) = Server::start(&[]) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let email =
        runtime.block_on(channel("email", &server.yaml(", require_tls: false, headers: { X-Odd: '{{ .Receiver }}' }")));
    let mut sent = 0;
    given::many(60, |notification| {
        runtime.block_on(tell(&email, &notification)).unwrap();
        sent += 1;
    });
    let mails = server.mails();
    assert_eq!(mails.len(), sent);
    for mail in &mails {
        assert_eq!(mail["defects"], serde_json::json!([]), "{mail}");
        assert_eq!(mail["rcpt_tos"], serde_json::json!(["ops@example.com"]));
        assert_eq!(mail["headers"]["bcc"], Value::Null, "{mail}");
        assert!(mail["longest_line"].as_u64().unwrap() <= 998, "{mail}");
        assert_eq!(mail["tags"], serde_json::json!([]), "markup from a label in the HTML");
        let types: Vec<_> =
            mail["parts"].as_array().unwrap().iter().map(|part| part["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/csv"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_asked_for_and_certificates_are_looked_at() {
    let n = given::notification("n");
    let Some(starttls) = Server::start(&["--starttls"]) else { return };
    let Some(implicit) = Server::start(&["--implicit"]) else { return };
    let Some(plain) = Server::start(&[]) else { return };
    let (_, reason) = transient(tell(&channel("email", &starttls.yaml(", require_tls: true")).await, &n).await);
    assert!(reason.contains("certificate"), "{reason}");
    let (_, reason) = transient(tell(&channel("email", &implicit.yaml(", force_implicit_tls: true")).await, &n).await);
    assert!(reason.contains("certificate"), "{reason}");
    let (_, reason) = transient(tell(&channel("email", &plain.yaml(", require_tls: true")).await, &n).await);
    assert!(reason.contains("offers no STARTTLS"), "{reason}");
    // The certificate is for another name.
    let other =
        implicit.yaml(&format!("{}, force_implicit_tls: true", implicit.trust())).replace("localhost:", "127.0.0.1:");
    let (_, reason) = transient(tell(&channel("email", &other).await, &n).await);
    assert!(reason.contains("certificate"), "{reason}");
    assert!(starttls.mails().is_empty() && implicit.mails().is_empty() && plain.mails().is_empty());

    let more = format!("{}, force_implicit_tls: true", implicit.trust());
    tell(&channel("email", &implicit.yaml(&more)).await, &n).await.unwrap();
    tell(&channel("email", &starttls.yaml(&starttls.trust())).await, &n).await.unwrap();
    assert_eq!((&implicit.mails()[0]["tls"], &starttls.mails()[0]["tls"]), (&true.into(), &true.into()));
    // To this machine no TLS is needed unless asked for.
    tell(&channel("email", &plain.yaml("")).await, &n).await.unwrap();
    assert_eq!(plain.mails()[0]["tls"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_says() {
    let n = given::notification("n");
    let Some(server) = Server::start(&["--starttls", "--auth"]) else { return };
    let wrong = format!("{}, auth_username: u, auth_password: hunter2", server.trust());
    let reason = permanent(tell(&channel("email", &server.yaml(&wrong)).await, &n).await);
    assert!(
        reason.contains("refuses auth_username") && reason.contains("535") && !reason.contains("hunter2"),
        "{reason}"
    );

    let Some(server) = Server::start(&[]) else { return };
    // One of three is not known: the others get it. Nobody is known: lost, and said so.
    let to = |list: &str| server.yaml("").replace("[ops@example.com]", list);
    tell(&channel("email", &to("[unknown@example.com, ops@example.com]")).await, &n).await.unwrap();
    assert_eq!(server.mails()[0]["rcpt_tos"], serde_json::json!(["ops@example.com"]));
    let reason = permanent(tell(&channel("email", &to("[unknown@example.com]")).await, &n).await);
    assert!(reason.contains("unknown@example.com") && reason.contains("550"), "{reason}");
    transient(tell(&channel("email", &to("[later@example.com, unknown@example.com]")).await, &n).await);
    // Whom a field names.
    let fields = to("['{{ .CommonLabels.owner }}', '{{ .CommonLabels.severity }}@example.com']");
    tell(&channel("email", &fields).await, &n).await.unwrap();
    assert_eq!(server.mails()[1]["rcpt_tos"], serde_json::json!(["critical@example.com"]));
    let mut evil = given::notification("n");
    evil.common_labels.set("severity", "x@y.example>\r\nRCPT TO:<z");
    assert!(permanent(tell(&channel("email", &fields).await, &evil).await).contains("no recipient"));
    // Nobody is there.
    let port = server.port;
    let gone = channel("email", &to("[ops@example.com]")).await;
    drop(server);
    let (_, reason) = transient(tell(&gone, &n).await);
    assert!(reason.contains(&format!("cannot connect to localhost:{port}")), "{reason}");
}

#[test]
fn settings() {
    for (yaml, expect) in [
        ("{}", "\"smarthost\" is required"),
        ("{ smarthost: 'mail.example:25', from: a@b.example }", "\"to\" is required"),
        ("{ smarthost: mail.example, from: a@b.example, to: c@d.example }", "is not host:port"),
        ("{ smarthost: 'mail.example:25', from: a, to: c@d.example }", "is not a mail address"),
        ("{ smarthost: 'mail.example:25', from: a@b.example, to: [c] }", "is not a mail address"),
        (
            "{ smarthost: 'mail.example:25', from: a@b.example, to: [c@d.example], headers: { Bcc: x } }",
            "by the channel itself",
        ),
        ("{ smarthost: 'mail.example:25', from: a@b.example, to: [c@d.example], auth_username: u }", "write both"),
        ("{ smarthost: 'localhost:25', from: a@b.example, to: [c@d.example] }", "allow_private: true"),
        (
            "{ smarthost: 'mail.example:25', from: a@b.example, to: [c@d.example], requiretls: true }",
            "did you mean \"require_tls\"?",
        ),
    ] {
        let (_, mistakes) = plan_or_mistakes("email", yaml);
        assert!(mistakes.iter().any(|mistake| mistake.contains(expect)), "{yaml}: {mistakes:#?}");
    }
}
