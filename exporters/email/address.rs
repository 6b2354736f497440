//! Mail addresses as they are written in settings: `ops@example.com`, `Ops <ops@example.com>`.

use mail_builder::headers::address::Address;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mailbox {
    pub name: Option<String>,
    pub email: String,
}

impl Mailbox {
    /// ASCII only: what else there is (SMTPUTF8) few servers take.
    pub fn parse(text: &str) -> Result<Mailbox, String> {
        let text = text.trim();
        let (name, email) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, email)) => (name.trim().trim_matches('"').trim(), email.trim()),
            None => ("", text),
        };
        let wrong =
            || format!("{:?} is not a mail address", crate::notify::text::fit(text, 80, crate::notify::text::plain));
        let (local, domain) = email.rsplit_once('@').ok_or_else(wrong)?;
        let local_fits = (1..=64).contains(&local.len())
            && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte))
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let part_fits = |part: &str| {
            (1..=63).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        if !local_fits || domain.len() > 253 || !domain.split('.').all(part_fits) || name.chars().any(char::is_control)
        {
            return Err(wrong());
        }
        Ok(Mailbox { name: (!name.is_empty()).then(|| name.to_owned()), email: email.to_owned() })
    }

    pub fn domain(&self) -> &str {
        self.email.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
    }

    pub fn header(&self) -> Address<'_> {
        Address::new_address(self.name.as_deref(), self.email.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses() {
        let read = |text: &str| Mailbox::parse(text).map(|mailbox| (mailbox.name.unwrap_or_default(), mailbox.email));
        let pair = |name: &str, email: &str| (name.to_owned(), email.to_owned());
        assert_eq!(read("ops@example.com").unwrap(), pair("", "ops@example.com"));
        assert_eq!(read("\"Bö, Ops\" <o.p+s@a-b.example>").unwrap(), pair("Bö, Ops", "o.p+s@a-b.example"));
        assert_eq!(read("root@localhost").unwrap(), pair("", "root@localhost"));
        for wrong in [
            "",
            "ops",
            "@example.com",
            "ops@",
            "a b@c",
            "a@b c",
            "a@b\r\nRCPT TO:<x@y>",
            "a@b>",
            "<a@-b>",
            "a..b@c",
            "ö@c",
            "a\r\nBcc: x <a@b>",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
