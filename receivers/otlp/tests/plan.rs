use std::time::Duration;

use catchment_pipeline::batch::Signal;
use catchment_pipeline::component::Encoding;
use catchment_pipeline::config::Section;

use super::super::{host_and_port, read};

#[test]
fn the_collectors_defaults() {
    let mut section = Section::parse("protocols: { grpc: , http: }");
    let plan = read(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let (grpc, http) = (plan.grpc.unwrap(), plan.http.unwrap());
    assert_eq!((grpc.listen.host.as_str(), grpc.listen.port), ("localhost", 4317));
    assert_eq!((http.listen.host.as_str(), http.listen.port), ("localhost", 4318));
    assert_eq!((grpc.max_message, http.max_body), (4 << 20, 20 << 20));
    let paths = http.paths.each_ref().map(|(path, signal)| (path.as_str(), *signal));
    let expect = [("/v1/traces", Signal::Traces), ("/v1/metrics", Signal::Metrics), ("/v1/logs", Signal::Logs)];
    assert_eq!(paths, expect);
    assert_eq!(http.encodings, Encoding::ALL);
}

#[test]
fn only_what_is_named_is_enabled() {
    let mut section = Section::parse("protocols: { http: { endpoint: '0.0.0.0:1', traces_url_path: t } }");
    let plan = read(&mut section);
    assert!(plan.grpc.is_none());
    let http = plan.http.unwrap();
    assert_eq!((http.listen.host.as_str(), http.listen.port, http.paths[0].0.as_str()), ("0.0.0.0", 1, "/t"));
}

/// A configuration with every key of the Collector's that has a meaning here.
#[test]
fn every_key() {
    let mut section = Section::parse(
        "
protocols:
  grpc:
    endpoint: '[::1]:0'
    transport: tcp
    max_recv_msg_size_mib: 16
    max_concurrent_streams: 10
    read_buffer_size: 1
    write_buffer_size: 1
    include_metadata: true
    tls: { cert_file: c, key_file: k, client_ca_file: ca, min_version: '1.3', reload_interval: 1m }
    keepalive:
      server_parameters: { max_connection_idle: 1s, max_connection_age: 2s, max_connection_age_grace: 3s, time: 4s, timeout: 5s }
      enforcement_policy: { min_time: 1s, permit_without_stream: true }
  http:
    endpoint: :0
    max_request_body_size: 100
    compression_algorithms: ['', gzip]
    read_header_timeout: 1s
    idle_timeout: 2s
    include_tls_metadata: false
    response_headers: { x-served-by: catchment }
    cors: { allowed_origins: ['https://*.example'], allowed_headers: [x-a], exposed_headers: [x-b], max_age: 60 }
",
    );
    let plan = read(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    let (grpc, http) = (plan.grpc.unwrap(), plan.http.unwrap());
    assert_eq!(grpc.max_message, 16 << 20);
    assert_eq!(grpc.listen.max_age, Some(Duration::from_secs(2)));
    assert_eq!(grpc.listen.max_age_grace, Some(Duration::from_secs(3)));
    assert_eq!(grpc.listen.ping_interval, Some(Duration::from_secs(4)));
    assert!(grpc.listen.tls.unwrap().client_ca.is_some());
    assert_eq!(http.encodings, [Encoding::Gzip]);
    assert_eq!(http.max_body, 100);
    assert!(http.cors.is_some());
}

#[test]
fn mistakes() {
    let check = |yaml: &str, expect: &[&str]| {
        let mut section = Section::parse(yaml);
        read(&mut section);
        let mistakes = section.mistakes();
        for expect in expect {
            assert!(mistakes.iter().any(|mistake| mistake.contains(expect)), "{yaml}: {expect:?} not in {mistakes:?}");
        }
        assert_eq!(mistakes.len(), expect.len(), "{mistakes:?}");
    };
    check("{}", &["protocols"]);
    check("protocols: {}", &["no protocol is enabled"]);
    check("protocols: { grpc: { endpoint: here } }", &["has no port"]);
    check("protocols: { grpc: { endpoint: 'http://a:1' } }", &["is not host:port"]);
    check("protocols: { http: { endpoint: 'a:b', transport: unix } }", &["is not a port", "\"unix\" is not supported"]);
    check("protocols: { http: { compression_algorithms: [brotli] } }", &["\"brotli\" is not known"]);
    check("protocols: { http: { tls: { cert_file: c } } }", &["without its key"]);
    check("protocols: { grpc: { tls: { cert_file: c, key_file: k, min_version: '1.0' } } }", &["1.0"]);
    check("protocols: { http: { response_headers: { 'a b': c } } }", &["cannot be sent as an HTTP header"]);
    check("protocols: { grpc: { endpont: 'a:1' } }", &["endpont"]);
}

#[test]
fn endpoints() {
    let check = |endpoint: &str, host: &str, port| assert_eq!(host_and_port(endpoint), Ok((host.to_owned(), port)));
    check("localhost:4317", "localhost", 4317);
    check(":4317", "", 4317);
    check("[::1]:0", "::1", 0);
    assert!(host_and_port("::1:0").is_err());
}
