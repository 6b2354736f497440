//! One message to one server: connect, TLS, authenticate, hand over.

use std::sync::Arc;
use std::time::Duration;

use catchment_pipeline::component::ExportError;
use mail_send::smtp::AssertReply as _;
use mail_send::smtp::message::Parameters;
use mail_send::{Credentials, Error, SmtpClient};
use rustls::ClientConfig;
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, AUTH_XOAUTH2, EXT_START_TLS, EhloResponse, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::notify::address::resolve;
use crate::notify::http::{permanent, transient};
use crate::notify::secret::{Source, redacted};
use crate::otlp_status::shortened;

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub host: String,
    pub port: u16,
    pub hello: String,
    pub security: Security,
    pub auth: Option<Auth>,
    pub allow_private: bool,
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    None,
    /// A server that does not offer it is not told anything.
    StartTls,
    Implicit,
}

#[derive(Clone, Debug)]
pub(super) struct Auth {
    pub user: String,
    pub secret: Source,
    /// XOAUTH2; else PLAIN or LOGIN.
    pub oauth: bool,
}

/// What is handed over.
struct Letter<'a> {
    from: &'a str,
    recipients: &'a [&'a str],
    message: &'a [u8],
    credentials: Option<Credentials<String>>,
}

impl Server {
    pub async fn send(
        &self,
        tls: Arc<ClientConfig>,
        from: &str,
        recipients: &[&str],
        message: &[u8],
    ) -> Result<(), ExportError> {
        let mut secret = String::new();
        let credentials = match &self.auth {
            None => None,
            Some(auth) => {
                secret = auth.secret.text().await.map_err(transient)?;
                Some(match auth.oauth {
                    true => Credentials::XOauth2 { username: auth.user.clone(), secret: secret.clone() },
                    false => Credentials::Plain { username: auth.user.clone(), secret: secret.clone() },
                })
            }
        };
        let letter = Letter { from, recipients, message, credentials };
        let sent = self.hand_over(tls, letter).await;
        sent.map_err(|error| match error {
            ExportError::Transient { retry_after, reason } => {
                ExportError::Transient { retry_after, reason: redacted(&reason, [secret.as_str()]) }
            }
            ExportError::Permanent { reason } => permanent(redacted(&reason, [secret.as_str()])),
            error => error,
        })
    }

    async fn hand_over(&self, tls: Arc<ClientConfig>, letter: Letter<'_>) -> Result<(), ExportError> {
        let stream = self.connect().await?;
        let mut client = SmtpClient { stream, timeout: self.step() };
        let connector = TlsConnector::from(tls);
        let wrong = |error| self.wrong("cannot begin", error);
        match self.security {
            Security::Implicit => {
                let mut client = client.into_tls(&connector, &self.host).await.map_err(wrong)?;
                let offers = self.greet(&mut client).await?;
                self.talk(client, offers, letter).await
            }
            Security::None => {
                let offers = self.greet(&mut client).await?;
                self.talk(client, offers, letter).await
            }
            Security::StartTls => {
                let offers = self.greet(&mut client).await?;
                if !offers.has_capability(EXT_START_TLS) {
                    // Somebody in between may have taken the offer away: nothing is lost to them.
                    return Err(transient(format!(
                        "{} offers no STARTTLS, and without TLS nothing is sent: use its port for TLS with force_implicit_tls: true, or write \
                         require_tls: false if its network is safe",
                        self.host
                    )));
                }
                let mut client = client.start_tls(&connector, &self.host).await.map_err(wrong)?;
                let offers = client.ehlo(&self.hello).await.map_err(wrong)?;
                self.talk(client, offers, letter).await
            }
        }
    }

    /// For one command and its answer; the engine's timeout is for all.
    fn step(&self) -> Duration {
        if self.timeout.is_zero() { Duration::from_secs(60) } else { self.timeout }
    }

    async fn connect(&self) -> Result<TcpStream, ExportError> {
        let addresses = resolve(&self.host, self.port, self.allow_private).await.map_err(transient)?;
        let mut last = None;
        for address in addresses {
            match tokio::time::timeout(Duration::from_secs(10), TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A dialogue of short lines: each is waited for.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = Some(error.to_string()),
                Err(_) => last = Some("no answer within 10 s".to_owned()),
            }
        }
        let why = last.unwrap_or_else(|| "it has no address".to_owned());
        Err(transient(format!("cannot connect to {}:{}: {why}", self.host, self.port)))
    }

    async fn greet<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut SmtpClient<T>,
    ) -> Result<EhloResponse<String>, ExportError> {
        let wrong = |error| self.wrong("does not greet", error);
        let greeting = tokio::time::timeout(self.step(), client.read()).await.map_err(|_| wrong(Error::Timeout))?;
        greeting.and_then(|greeting| greeting.assert_positive_completion()).map_err(wrong)?;
        client.ehlo(&self.hello).await.map_err(wrong)
    }

    async fn talk<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut client: SmtpClient<T>,
        mut offers: EhloResponse<String>,
        letter: Letter<'_>,
    ) -> Result<(), ExportError> {
        if let Some(credentials) = &letter.credentials {
            // The ones that are spoken here.
            offers.auth_mechanisms &= AUTH_PLAIN | AUTH_LOGIN | AUTH_XOAUTH2;
            if let Err(error) = client.authenticate(credentials, &offers).await {
                return Err(self.unknown(error));
            }
        }
        if offers.size != 0 && offers.size < letter.message.len() {
            let what =
                format!("the message has {} bytes, and {} takes {}", letter.message.len(), self.host, offers.size);
            return Err(permanent(what));
        }
        let none = Parameters::new();
        client.mail_from(letter.from, &none).await.map_err(|error| self.wrong("does not take the sender", error))?;
        let (mut taken, mut refused) = (0usize, Vec::new());
        for recipient in letter.recipients {
            match client.rcpt_to(recipient, &none).await {
                Ok(()) => taken += 1,
                Err(error @ Error::UnexpectedReply(_)) => {
                    refused.push(self.wrong(&format!("does not take mail for {recipient}"), error))
                }
                Err(error) => return Err(self.wrong("went away", error)),
            }
        }
        if taken == 0 {
            // One that asks to come later may take it then.
            let later = refused.iter().position(|error| matches!(error, ExportError::Transient { .. })).unwrap_or(0);
            return Err(refused.into_iter().nth(later).unwrap_or_else(|| permanent("no recipient")));
        }
        client.data(letter.message).await.map_err(|error| self.wrong("does not take the message", error))?;
        for error in refused {
            tracing::warn!(reason = %error, "a mail went out without one of its recipients");
        }
        // It is delivered, whatever is said to this.
        let _ = client.quit().await;
        Ok(())
    }

    /// Who we are is not believed: that is a matter of settings, unless the server says that it will pass.
    fn unknown(&self, error: Error) -> ExportError {
        match error {
            Error::AuthenticationFailed(reply) | Error::UnexpectedReply(reply) if reply.code / 100 == 5 => {
                permanent(format!("{} refuses auth_username and its password: {}", self.host, said(&reply)))
            }
            Error::AuthenticationFailed(reply) => self.wrong("cannot authenticate", Error::UnexpectedReply(reply)),
            Error::UnsupportedAuthMechanism => permanent(format!(
                "{} offers none of PLAIN, LOGIN and XOAUTH2 that fits auth_password or auth_token",
                self.host
            )),
            error => self.wrong("cannot authenticate", error),
        }
    }

    /// 5xx is final, everything else passes: also a certificate that is not trusted, since it can be mended.
    fn wrong(&self, what: &str, error: Error) -> ExportError {
        match error {
            Error::UnexpectedReply(reply) => {
                let reason = format!("{} {what}: {}", self.host, said(&reply));
                if reply.code / 100 == 5 { permanent(reason) } else { transient(reason) }
            }
            Error::Tls(error) => {
                let mend = "set tls: ca_file for an authority of your own";
                transient(format!("{} {what}: its certificate or TLS is not accepted: {error}: {mend}", self.host))
            }
            error => transient(format!("{} {what}: {error}", self.host)),
        }
    }
}

fn said(reply: &Response<String>) -> String {
    shortened(&format!("{} {}", reply.code, reply.message.replace(['\r', '\n'], " ")))
}
