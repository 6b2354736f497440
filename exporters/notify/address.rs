//! Which addresses a channel may reach: what is configured as somebody's webhook must not be a way into the network that this process
//! stands in. Checked on what a name resolves to, so that a name cannot lead there either.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Reachable from anywhere, and by that not somebody's inside: not loopback, private, link-local (where clouds keep credentials),
/// shared, reserved, multicast, nor an IPv6 address that stands for such a one.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let inside = address.is_private() || address.is_loopback() || address.is_link_local();
    let special = address.is_documentation() || a == 0 || a >= 224;
    let shared = (a == 100 && (64..128).contains(&b)) || (a == 198 && (b & 0xfe) == 18);
    let assigned = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
    !(inside || special || shared || assigned)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, ..] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // IPv4 as IPv6: mapped, compatible (with `::` and `::1`), translated (NAT64), 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        _ => {
            let documentation = (a, b) == (0x2001, 0xdb8) || (a == 0x3fff && b < 0x1000);
            // 2001::/23 has Teredo and what is assigned to protocols.
            let protocols = a == 0x2001 && b < 0x200;
            // Of what there is only 2000::/3 is given to anybody.
            (a & 0xe000) == 0x2000 && !documentation && !protocols && (a, b, c) != (0x64, 0xff9b, 1)
        }
    }
}

/// What `host` says without asking anybody: an address, or the machine itself.
pub(crate) fn is_inside(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(address) => !is_public(address),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

pub(crate) fn refusal(host: &str) -> String {
    format!("{host} is a private address, or stands for one: write allow_private: true if it is meant")
}

/// The addresses of `host` that may be reached.
pub(crate) async fn resolve(host: &str, port: u16, allow_private: bool) -> Result<Vec<SocketAddr>, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| format!("{host}: {error}"))?;
    let mut any = false;
    let allowed = found.inspect(|_| any = true).filter(|address| allow_private || is_public(address.ip()));
    let allowed = allowed.collect::<Vec<_>>();
    match (allowed.is_empty(), any) {
        (false, _) => Ok(allowed),
        (true, true) => Err(refusal(host)),
        (true, false) => Err(format!("{host} has no address")),
    }
}

/// For a client that must not reach private addresses.
pub(crate) struct Checked {
    /// Names of proxies that were configured: they may be anywhere.
    pub exempt: Vec<String>,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let exempt = self.exempt.iter().any(|host| host.eq_ignore_ascii_case(name.as_str()));
        Box::pin(async move {
            let addresses = resolve(name.as_str(), 0, exempt).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// After IANA's registries of special addresses.
    #[test]
    fn private_addresses_in_every_guise() {
        let inside = "0.0.0.0 10.1.2.3 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 \
                      172.31.255.255 192.0.0.192 192.0.2.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.9 \
                      224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 \
                      64:ff9b::10.0.0.1 64:ff9b:1::1 2002:7f00:1::1 2002:a9fe:a9fe:: fe80::1 fec0::1 fc00::1 fd00:ec2::254 \
                      ff02::1 2001:db8::1 3fff::1 2001::1 100::1 5f00::1";
        for text in inside.split_whitespace() {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        let outside = "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.167.0.1 198.17.0.1 198.20.0.1 \
                       223.255.255.255 2606:4700:4700::1111 2a00:1450:4001::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1";
        for text in outside.split_whitespace() {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        for host in ["localhost", "LOCALHOST.", "a.localhost", "[::1]", "127.0.0.1", "::ffff:127.0.0.1"] {
            assert!(is_inside(host), "{host}");
        }
        assert!(!is_inside("example.com") && !is_inside("[2606:4700:4700::1111]"));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let refused = resolve("localhost", 80, false).await.unwrap_err();
        assert!(refused.contains("allow_private: true"), "{refused}");
        assert!(resolve("localhost", 80, true).await.unwrap().iter().all(|address| address.ip().is_loopback()));
    }
}
